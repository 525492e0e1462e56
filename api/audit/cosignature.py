"""Witnesses' cosignatures of checkpoints: C2SP ``tlog-cosignature``, type ``cosignature/v1``.

A witness signs only what continues everything that it saw before, so a server cannot show one
history to a witness and another to anybody who asks for the witness's signature.
See https://c2sp.org/tlog-cosignature.

Only the standard library and ``keys.signing``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.audit.errors import NoteKeyError, NoteSignatureError
from api.audit.note import (
    NoteKey,
    NoteSignature,
    SignedNote,
)
from keys.errors import SignatureError
from keys.signing import (
    SIGNATURE_BYTES,
    sign_bytes,
    verify_bytes,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

COSIGNATURE: Final = b"\x04"
"""The signature type of Ed25519 cosignatures."""

_TIME_BYTES: Final = 8
_MAX_TIME: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class WitnessKey(NoteKey):
    """The key by which a witness cosigns checkpoints."""

    signature_type = COSIGNATURE
    holder = "witness"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """What a witness stated: that it had seen this checkpoint by then (seconds since 1970)."""

    witness: WitnessKey
    time: int


def witness_name(origin: str, member: str) -> str:
    """What a member of a server is called as a witness of its log."""
    return f"{origin}/witness/{member}"


def cosign(private: "Ed25519PrivateKey", name: str, text: str, time: int) -> NoteSignature:
    """Cosign a checkpoint's text, newline at its end included.

    Args:
        name: of the witness.
        time: seconds since 1970.
    """
    key = WitnessKey(name, private.public_key().public_bytes_raw())
    signature = sign_bytes(private, _message(text, time))
    return NoteSignature(name, key.key_id, time.to_bytes(_TIME_BYTES, "big") + signature)


def verify_cosignature(text: str, line: NoteSignature, key: WitnessKey) -> Cosignature:
    """Verify one signature line over a checkpoint's text.

    Raises:
        NoteKeyError: the line is another's.
        NoteSignatureError: it does not fit the text.
    """
    if (line.name, line.key_id) != (key.name, key.key_id):
        raise NoteKeyError("the cosignature is not this witness's")
    time = int.from_bytes(line.signature[:_TIME_BYTES], "big")
    if len(line.signature) != _TIME_BYTES + SIGNATURE_BYTES or time > _MAX_TIME:
        raise NoteSignatureError("the cosignature is not a time and a signature")
    try:
        verify_bytes(key.public_key, _message(text, time), line.signature[_TIME_BYTES:])
    except SignatureError as error:
        raise NoteSignatureError("the cosignature does not fit the checkpoint") from error
    return Cosignature(key, time)


def find_cosignatures(note: SignedNote, keys: "list[WitnessKey]") -> list[Cosignature]:
    """The cosignatures in a note by these witnesses; lines of others are passed over.

    Raises:
        NoteSignatureError: one bears a known witness's name and key id and does not fit.
    """
    known = {(key.name, key.key_id): key for key in keys}
    return [
        verify_cosignature(note.text, line, known[line.name, line.key_id])
        for line in note.signatures
        if (line.name, line.key_id) in known
    ]


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
