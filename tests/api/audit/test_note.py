"""Reading notes that come from elsewhere: C2SP's form, and nothing near it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.errors import NoteError, NoteKeyError, NoteSignatureError
from api.audit.note import (
    MAX_NOTE_BYTES,
    Checkpoint,
    NoteSignature,
    SignedNote,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    verify_note,
)
from tests.api.audit.simulated_log import KEY, ORIGIN, OTHER_KEY, signed_note

VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors/audit/signed_note.json").read_text()
)
NOTE = signed_note([b"one", b"two"])
TEXT = NOTE.decode()
LINE = TEXT.split("\n")[-2]
ROOT = TEXT.split("\n")[2]


def test_a_published_note_verifies() -> None:
    data = f"{VECTOR['text']}\n{VECTOR['signature_line']}\n".encode()
    note = parse_note(data)
    assert note.text == VECTOR["text"]
    assert note.to_bytes() == data
    verify_note(note, VerifierKey.parse(VECTOR["verifier_key"]))
    with pytest.raises(NoteKeyError):
        verify_note(note, KEY.verifier_key)


def test_the_example_of_the_specification_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.to_text() == text


def test_every_bit_of_a_note_counts() -> None:
    for bit in range(len(NOTE) * 8):
        data = bytearray(NOTE)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NoteError):
            open_checkpoint(bytes(data), KEY.verifier_key)


def test_every_cut_note_is_refused() -> None:
    for length in range(len(NOTE)):
        with pytest.raises(NoteError):
            open_checkpoint(NOTE[:length], KEY.verifier_key)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_as_malformed(data: bytes) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(data, KEY.verifier_key)


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n2\n{ROOT}\nextension\n",
        f"{ORIGIN}\n02\n{ROOT}\n",
        f"{ORIGIN}\n-2\n{ROOT}\n",
        f"{ORIGIN}\n٢\n{ROOT}\n",
        f"{ORIGIN}\n2 \n{ROOT}\n",
        f"{ORIGIN}\n{10**16}\n{ROOT}\n",
        f"{ORIGIN}\n2\n{ROOT}",
        f"{ORIGIN}\n2\n{ROOT.removesuffix('=')}\n",
        f"{ORIGIN}\n2\n{ROOT[:-2]}B=\n",
        f"{ORIGIN}\n2\nAAAA\n",
        f"\n2\n{ROOT}\n",
        "",
    ],
)
def test_a_checkpoint_has_one_form(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "data",
    [
        TEXT.replace("\n\n", "\n"),
        TEXT.replace("\u2014", "-"),
        TEXT.replace("\u2014 ", "\u2014"),
        TEXT.removesuffix("\n"),
        TEXT + "\n",
        TEXT.replace("\n", "\r\n"),
        TEXT + "\u2014 a+b AAAAAAA=\n",
        TEXT + "\u2014 name AAAA\n",
        TEXT + "\u2014 name AAAAAA==\n",
        TEXT + f"{LINE}\n" * 64,
        "x" * MAX_NOTE_BYTES + TEXT,
    ],
)
def test_a_note_has_one_form(data: str) -> None:
    with pytest.raises(NoteError):
        parse_note(data.encode())


def test_others_signatures_are_passed_over() -> None:
    witness = "\u2014 witness.example " + base64.b64encode(bytes(80)).decode()
    data = f"{TEXT}{witness}\n".encode()
    assert open_checkpoint(data, KEY.verifier_key).size == 2
    assert parse_note(data).to_bytes() == data


def test_a_second_signature_by_the_key_must_fit_too() -> None:
    note = parse_note(NOTE)
    bad = NoteSignature(ORIGIN, KEY.verifier_key.key_id, bytes(64))
    with pytest.raises(NoteSignatureError):
        verify_note(SignedNote(note.text, (*note.signatures, bad)), KEY.verifier_key)


def test_a_wrong_signature_and_a_wrong_key_are_told_apart() -> None:
    with pytest.raises(NoteSignatureError):
        open_checkpoint(NOTE.replace(b"\n2\n", b"\n3\n"), KEY.verifier_key)
    with pytest.raises(NoteKeyError):
        open_checkpoint(NOTE, OTHER_KEY.verifier_key)


def test_a_checkpoint_of_another_log_under_the_same_key_is_refused() -> None:
    text = Checkpoint("another.example/log", 0, bytes(32)).to_text()
    signature = KEY._private.sign(text.encode())
    note = SignedNote(text, (NoteSignature(ORIGIN, KEY.verifier_key.key_id, signature),))
    with pytest.raises(NoteKeyError):
        open_checkpoint(note.to_bytes(), KEY.verifier_key)


def test_a_key_reads_back_and_every_changed_one_is_refused() -> None:
    text = KEY.verifier_key.to_text()
    assert VerifierKey.parse(text) == KEY.verifier_key
    for at in range(len(text)):
        for other in "A/ +":
            bad = text[:at] + other + text[at + 1 :]
            if bad != text:
                with pytest.raises(NoteError):
                    VerifierKey.parse(bad)


def test_a_key_under_which_anything_verifies_is_refused() -> None:
    with pytest.raises(NoteError):
        VerifierKey(ORIGIN, bytes(32))
    with pytest.raises(NoteError):
        VerifierKey(ORIGIN, bytes(31))
