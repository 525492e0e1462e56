"""Witnesses' cosignatures after C2SP ``tlog-cosignature``."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.audit.cosignature import (
    WitnessKey,
    cosign,
    find_cosignatures,
    verify_cosignature,
)
from api.audit.errors import NoteError, NoteKeyError, NoteSignatureError
from api.audit.note import NoteSignature, SignedNote, parse_note, parse_signature_line
from tests.api.audit.simulated_log import KEY, SimulatedLog, signed_note

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
NAME = "linkage.example/log/witness/he"
WITNESS = WitnessKey(NAME, PRIVATE.public_key().public_bytes_raw())
TIME = 1_790_000_000
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 (verbatim)


def cosigned() -> SignedNote:
    note = parse_note(SimulatedLog(5).checkpoint())
    return SignedNote(note.text, (*note.signatures, cosign(PRIVATE, NAME, note.text, TIME)))


def test_the_signed_message_is_that_of_the_specification() -> None:
    note = parse_note(signed_note([b"x"]))
    line = cosign(PRIVATE, NAME, note.text, TIME)
    message = b"cosignature/v1\ntime 1790000000\n" + note.text.encode()
    PRIVATE.public_key().verify(line.signature[8:], message)
    assert line.signature[:8] == TIME.to_bytes(8, "big")
    expected = hashlib.sha256(NAME.encode() + b"\n\x04" + WITNESS.public_key).digest()[:4]
    assert line.key_id == expected


def test_the_example_of_the_specification_is_read() -> None:
    note = parse_note(EXAMPLE.encode())
    assert note.to_bytes() == EXAMPLE.encode()
    witness = note.signatures[1]
    assert witness.name == "witness.example.com/w1"
    assert len(witness.signature) == 8 + 64
    assert int.from_bytes(witness.signature[:8], "big") == 1679315147


def test_a_cosignature_says_who_and_when() -> None:
    (found,) = find_cosignatures(cosigned(), [WITNESS])
    assert (found.witness, found.time) == (WITNESS, TIME)


def test_lines_of_strangers_are_passed_over() -> None:
    other = WitnessKey("other", WITNESS.public_key)
    assert find_cosignatures(cosigned(), [other]) == []
    assert find_cosignatures(parse_note(SimulatedLog(5).checkpoint()), [WITNESS]) == []


@pytest.mark.parametrize("place", [0, 7, 8, 71])
def test_a_changed_cosignature_does_not_fit(place: int) -> None:
    note = cosigned()
    line = note.signatures[-1]
    data = bytearray(line.signature)
    data[place] ^= 1
    bad = NoteSignature(line.name, line.key_id, bytes(data))
    with pytest.raises(NoteSignatureError):
        verify_cosignature(note.text, bad, WITNESS)


def test_a_cosignature_is_of_one_checkpoint() -> None:
    line = cosigned().signatures[-1]
    other = parse_note(SimulatedLog(6).checkpoint())
    with pytest.raises(NoteSignatureError):
        verify_cosignature(other.text, line, WITNESS)
    with pytest.raises(NoteKeyError):
        verify_cosignature(other.text, other.signatures[0], WITNESS)


def test_the_logs_own_signature_is_no_cosignature() -> None:
    """The same key under both types has two key ids: neither can pass for the other."""
    note = parse_note(SimulatedLog(5).checkpoint())
    as_witness = WitnessKey(KEY.origin, KEY.public_key)
    assert as_witness.key_id != KEY.verifier_key.key_id
    assert find_cosignatures(note, [as_witness]) == []


def test_keys_are_passed_on_as_text() -> None:
    assert WitnessKey.parse(WITNESS.to_text()) == WITNESS
    as_log_key = (
        f"{NAME}+{WITNESS.key_id.hex()}+" + base64.b64encode(b"\x01" + WITNESS.public_key).decode()
    )
    for text in (WITNESS.to_text()[:-4], as_log_key, "x", "a+b+c", WITNESS.to_text() + "\n"):
        with pytest.raises(NoteError):
            WitnessKey.parse(text)
    for name in ("", "a b", "a+b"):
        with pytest.raises(NoteError):
            WitnessKey(name, WITNESS.public_key)
    with pytest.raises(NoteError):
        WitnessKey(NAME, bytes(32))


def test_a_line_goes_there_and_back() -> None:
    line = cosigned().signatures[-1]
    assert parse_signature_line(line.to_text()) == line
