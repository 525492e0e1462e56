"""A proof that one entry is in the log: one file that verifies offline (C2SP ``tlog-proof``).

The file holds the entry (as ``extra`` data), its index, the inclusion proof, and a checkpoint with
the signatures of the log and of witnesses. See https://c2sp.org/tlog-proof.

Only the standard library and ``keys.signing``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from api.audit.cosignature import Cosignature, WitnessKey, find_cosignatures
from api.audit.errors import EntryError, NoteError, ProofError
from api.audit.events import MAX_ENTRY_BYTES, Entry, parse_entry
from api.audit.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from api.audit.note import (
    Checkpoint,
    VerifierKey,
    decode_base64,
    encode_base64,
    open_checkpoint,
    parse_note,
)

MAX_PROOF_BYTES: Final = 128 * 1024
SUFFIX: Final = ".tlog-proof"
_FORMAT: Final = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")
_MAX_HASHES: Final = 63


@dataclass(frozen=True, slots=True)
class LogProof:
    """A proof as it is handed on; nothing in it is verified.

    Attributes:
        line: the entry, without a newline.
        hashes: the inclusion proof, 32 bytes each.
        note: the signed checkpoint, as bytes.
    """

    line: bytes
    index: int
    hashes: tuple[bytes, ...]
    note: bytes

    def to_bytes(self) -> bytes:
        """The file."""
        lines = [_FORMAT, f"extra {encode_base64(self.line)}", f"index {self.index}"]
        lines += [encode_base64(value) for value in self.hashes]
        return "\n".join([*lines, "", ""]).encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a file.

        Raises:
            ProofError: not byte for byte as :meth:`to_bytes` writes it.
        """
        if len(data) > MAX_PROOF_BYTES:
            raise ProofError("the proof is too long")
        head, _, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
            match = _INDEX.fullmatch(lines[2])
            if lines[0] != _FORMAT or not lines[1].startswith("extra ") or match is None:
                raise ProofError(
                    "the proof is not in the form c2sp.org/tlog-proof@v1 with an entry"
                )
            line = decode_base64(lines[1].removeprefix("extra "))
            hashes = tuple(decode_base64(text) for text in lines[3:])
        except (UnicodeDecodeError, IndexError, NoteError) as error:
            raise ProofError("the proof is malformed") from error
        if len(hashes) > _MAX_HASHES or any(len(value) != HASH_BYTES for value in hashes):
            raise ProofError("the proof's hashes are malformed")
        if len(line) > MAX_ENTRY_BYTES:
            raise ProofError("the proof's entry is too long")
        return cls(line, int(match[1]), hashes, note)


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry that is proved to be in the log.

    Attributes:
        checkpoint: over what it is proved to be in.
        cosignatures: of witnesses that are known and saw that checkpoint.
    """

    entry: Entry
    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


def verify_proof(
    data: bytes, key: VerifierKey, witnesses: Sequence[WitnessKey] = ()
) -> ProvenEntry:
    """Verify a proof file with the log's key, offline.

    Raises:
        ProofError: the entry is not the one that is in the log, or the file is malformed.
        NoteKeyError: the checkpoint is signed by another key, or is of another log.
        NoteSignatureError: a signature does not fit the checkpoint.
        NoteError: the checkpoint is malformed.
    """
    proof = LogProof.parse(data)
    checkpoint = open_checkpoint(proof.note, key)
    cosignatures = find_cosignatures(parse_note(proof.note), list(witnesses))
    try:
        entry = parse_entry(proof.line)
    except EntryError as error:
        raise ProofError(f"the proof's entry is none: {error}") from error
    if entry.index != proof.index:
        raise ProofError("the entry bears another number than the proof")
    leaf = leaf_hash(proof.line)
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return ProvenEntry(entry, checkpoint, tuple(cosignatures))
