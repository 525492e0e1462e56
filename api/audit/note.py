"""Checkpoints as they are handed out: C2SP ``tlog-checkpoint`` inside a C2SP ``signed-note``.

Reading and verifying only, with the standard library and ``keys.signing``; ``checkpoint.py``
signs. See https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from api.audit.errors import NoteError, NoteKeyError, NoteSignatureError
from api.audit.merkle import HASH_BYTES
from keys.errors import SignatureError
from keys.signing import SIGNING_KEY_BYTES, is_weak_signing_key, verify_bytes

MAX_NOTE_BYTES: Final = 64 * 1024
ED25519: Final = b"\x01"
"""The signature type of Ed25519 over the note's text."""

_KEY_ID_BYTES: Final = 4
_MAX_SIGNATURES: Final = 64
_DASH: Final = "\u2014 "
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key that signs notes: its name and a raw Ed25519 public key (32 bytes).

    What it signs differs with its type, and so does its id: a log's key is none of a witness's.

    Raises:
        NoteError: the name is empty, or has spaces or a plus; or the key is no usable one.
    """

    signature_type: ClassVar[bytes]
    holder: ClassVar[str]

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise NoteError(f"the name of a {self.holder} must have neither spaces nor a plus")
        if len(self.public_key) != SIGNING_KEY_BYTES or is_weak_signing_key(self.public_key):
            raise NoteError(f"the {self.holder}'s key is no usable Ed25519 key")

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256 over name, newline, type and key."""
        data = self.name.encode() + b"\n" + self.signature_type + self.public_key
        return hashlib.sha256(data).digest()[:_KEY_ID_BYTES]

    def to_text(self) -> str:
        """``NAME+KEYID+KEY``, the form in which such keys are passed on."""
        key = encode_base64(self.signature_type + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key as :meth:`to_text` writes it.

        Raises:
            NoteError: not in that form, of another type, or its parts do not fit each other.
        """
        name, _, rest = text.partition("+")
        key_id, _, key = rest.partition("+")
        data = decode_base64(key)
        if len(data) != 1 + SIGNING_KEY_BYTES or data[:1] != cls.signature_type:
            raise NoteError(f"this is no {cls.holder}'s key in the form NAME+KEYID+KEY")
        result = cls(name, data[1:])
        if result.key_id.hex() != key_id:
            raise NoteError(
                f"the {cls.holder}'s key does not fit its own id: it was altered, ask for it again"
            )
        return result


@dataclass(frozen=True, slots=True)
class VerifierKey(NoteKey):
    """The key of a log, by which its checkpoints are verified."""

    signature_type = ED25519
    holder = "log"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, and the signature itself."""

    name: str
    key_id: bytes
    signature: bytes

    def to_text(self) -> str:
        """The line, without a newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends in a newline, and its signatures; not verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """The note as it is stored and sent."""
        lines = "".join(f"{line.to_text()}\n" for line in self.signatures)
        return f"{self.text}\n{lines}".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log claims: that its first ``size`` entries have this root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def to_text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def parse_note(data: bytes) -> SignedNote:
    """Read a signed note; nothing in it can be trusted before :func:`verify_note`.

    Raises:
        NoteError: not a note, or not in the one form that the same note can have.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise NoteError("the checkpoint is too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise NoteError("the checkpoint is not UTF-8 text") from error
    if any(character < " " and character != "\n" for character in whole):
        raise NoteError("the checkpoint holds control characters")
    text, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise NoteError("the checkpoint has no signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise NoteError("the checkpoint has too many signatures")
    return SignedNote(f"{text}\n", tuple(parse_signature_line(line) for line in lines))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, without extension lines.

    Raises:
        NoteError: not in the form of ``AUDIT_LOG.md``.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise NoteError("the checkpoint has not an origin, a size and a root")
    root = decode_base64(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("the checkpoint's root has not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def verify_note(note: SignedNote, key: VerifierKey) -> None:
    """Verify the signatures that ``key`` is named for; others' are ignored, as C2SP asks.

    Raises:
        NoteKeyError: there is none by this key.
        NoteSignatureError: there is one, and it does not fit the text.
    """
    mine = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if not mine:
        raise NoteKeyError("the checkpoint is not signed by the log's key")
    for line in mine:
        try:
            verify_bytes(key.public_key, note.text.encode(), line.signature)
        except SignatureError as error:
            raise NoteSignatureError("the checkpoint's signature does not fit its text") from error


def open_checkpoint(data: bytes, key: VerifierKey) -> Checkpoint:
    """Verify a signed checkpoint and read it; its origin must be the key's name.

    Raises:
        NoteKeyError: signed by another key, or of another log.
        NoteSignatureError: the signature does not fit.
        NoteError: malformed.
    """
    note = parse_note(data)
    verify_note(note, key)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != key.name:
        raise NoteKeyError("the checkpoint is of another log")
    return checkpoint


def parse_signature_line(line: str) -> NoteSignature:
    """Read one signature line without its newline; what it signs is not verified.

    Raises:
        NoteError: not in the one form that it can have.
    """
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not is_key_name(name):
        raise NoteError("a signature line of the checkpoint is malformed")
    data = decode_base64(encoded)
    if len(data) <= _KEY_ID_BYTES:
        raise NoteError("a signature line of the checkpoint is malformed")
    key_id, signature = data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:]
    return NoteSignature(name, key_id, signature)


def is_key_name(name: str) -> bool:
    """Whether a key may be called so (C2SP ``signed-note``)."""
    return bool(name) and "+" not in name and name.isprintable() and not re.search(r"\s", name)


def encode_base64(data: bytes) -> str:
    """RFC 4648, section 4, with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes, from the one text that they have.  Raises: NoteError."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise NoteError("a part that should be base64 is not") from error
    # The last character may have unused bits: one form only, or a change could go unseen.
    if encode_base64(data) != text:
        raise NoteError("a part that should be base64 is not in its one form")
    return data
