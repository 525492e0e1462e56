"""Proof files: what an office keeps, and shows to whom it wants."""

from collections.abc import Callable

import pytest

from api.audit.cosignature import cosign
from api.audit.errors import NoteError, NoteKeyError, NoteSignatureError, ProofError
from api.audit.merkle import inclusion_proof, leaf_hash
from api.audit.note import SignedNote, encode_base64, parse_note
from api.audit.proof import LogProof, verify_proof
from tests.api.audit.simulated_log import KEY, OTHER_KEY, SimulatedLog, changed, signed_note
from tests.api.audit.test_cosignature import NAME, PRIVATE, TIME, WITNESS

LOG = SimulatedLog(21)
LINES = LOG.lines()
LEAVES = [leaf_hash(line) for line in LINES]


def proof_of(index: int, line: bytes | None = None) -> LogProof:
    hashes = tuple(inclusion_proof(LEAVES, index))
    return LogProof(LINES[index] if line is None else line, index, hashes, LOG.checkpoint())


@pytest.mark.parametrize("index", [0, 7, 15, 20])
def test_a_proof_verifies_offline(index: int) -> None:
    data = proof_of(index).to_bytes()
    assert LogProof.parse(data) == proof_of(index)
    proven = verify_proof(data, KEY.verifier_key)
    assert proven.entry.index == index
    assert proven.checkpoint.size == 21
    assert proven.cosignatures == ()


def test_it_has_the_form_of_the_specification() -> None:
    lines = proof_of(3).to_bytes().decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 3"
    at = lines.index("")
    assert lines[3:at] == [encode_base64(value) for value in inclusion_proof(LEAVES, 3)]
    assert lines[at + 1] == KEY.origin


def test_witnesses_in_the_proof_are_told() -> None:
    note = parse_note(LOG.checkpoint())
    line = cosign(PRIVATE, NAME, note.text, TIME)
    both = SignedNote(note.text, (*note.signatures, line)).to_bytes()
    proof = LogProof(LINES[4], 4, tuple(inclusion_proof(LEAVES, 4)), both).to_bytes()
    (found,) = verify_proof(proof, KEY.verifier_key, [WITNESS]).cosignatures
    assert found.time == TIME
    assert verify_proof(proof, KEY.verifier_key).cosignatures == ()
    broken = proof.replace(line.to_text().encode()[-9:], b"AAAAAAA=" + b"\n")
    with pytest.raises((NoteSignatureError, NoteError)):
        verify_proof(broken, KEY.verifier_key, [WITNESS])


def test_an_entry_that_was_changed_is_not_in_the_log() -> None:
    line = changed(LINES[4], lambda value: value.update(actor="somebody-else"))
    with pytest.raises(ProofError, match="does not lead"):
        verify_proof(proof_of(4, line).to_bytes(), KEY.verifier_key)


def test_an_entry_from_elsewhere_is_not_proved() -> None:
    with pytest.raises(ProofError, match="number"):
        verify_proof(proof_of(4, LINES[5]).to_bytes(), KEY.verifier_key)
    with pytest.raises(ProofError, match="none"):
        verify_proof(proof_of(4, b"{}").to_bytes(), KEY.verifier_key)


def test_another_logs_key_does_not_do() -> None:
    with pytest.raises(NoteKeyError):
        verify_proof(proof_of(4).to_bytes(), OTHER_KEY.verifier_key)
    forged = LogProof(LINES[4], 4, tuple(inclusion_proof(LEAVES, 4)), signed_note(LINES, OTHER_KEY))
    with pytest.raises(NoteKeyError):
        verify_proof(forged.to_bytes(), KEY.verifier_key)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"index 4", b"index 04"),
        lambda data: data.replace(b"index 4", b"index 5"),
        lambda data: data.replace(b"@v1", b"@v2"),
        lambda data: data.replace(b"extra ", b"other "),
        lambda data: data.replace(b"\n\n", b"\n", 1),
        lambda data: b"",
        lambda data: data + b"x" * 200_000,
        lambda data: b"\xff" + data,
        lambda data: data.replace(b"\n\n", b"\nAAAA\n\n", 1),
    ],
)
def test_damage_is_told(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises((ProofError, NoteError)):
        verify_proof(damage(proof_of(4).to_bytes()), KEY.verifier_key)


def test_every_flipped_bit_is_found() -> None:
    data = proof_of(4).to_bytes()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        with pytest.raises((ProofError, NoteError)):
            verify_proof(bytes(flipped), KEY.verifier_key)
