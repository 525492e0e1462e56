"""Files encrypted at rest, chunk by chunk, so that one can be written and read as a stream.

``AT_REST.md`` is the byte-exact form.  The construction is STREAM (Hoang, Reyhanitabar, Rogaway,
Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015): the
nonce of a chunk holds its number and whether it is the last, so chunks can be neither moved,
repeated, left out nor added.  Each file has a key of its own, derived from a random salt.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from keys import labels
from keys.cipher_suites import (
    CIPHER_SUITES_BY_IDENTIFIER,
    NONCE_BYTES,
    TAG_BYTES,
    CipherSuite,
    altered,
)
from keys.errors import AtRestError

CHUNK_BYTES: Final = 64 * 1024
"""Plaintext bytes of every chunk but the last."""

SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + TAG_BYTES
HEADER_BYTES: Final = 48
DATA_KEY_BYTES: Final = 32

_MAGIC: Final = b"TQREST"
_VERSION: Final = 1
_SALT_BYTES: Final = 32
_PREFIX_BYTES: Final = NONCE_BYTES - 5
_MAX_CHUNKS: Final = 2**32


@dataclass(frozen=True, slots=True)
class StoredHeader:
    """The first 48 bytes of an encrypted file.

    Attributes:
        n_bytes: size of the plaintext.
        salt: 32 random bytes.
    """

    suite: CipherSuite
    n_bytes: int
    salt: bytes

    def to_bytes(self) -> bytes:
        """The header as it is stored; every chunk authenticates it."""
        return b"".join(
            (
                _MAGIC,
                bytes([_VERSION, self.suite.identifier]),
                self.n_bytes.to_bytes(8, "big"),
                self.salt,
            )
        )

    @property
    def n_chunks(self) -> int:
        """Number of chunks; an empty file has one, which is empty."""
        return max(1, -(-self.n_bytes // CHUNK_BYTES))

    @property
    def stored_bytes(self) -> int:
        """Size of the whole encrypted file."""
        return HEADER_BYTES + self.n_bytes + TAG_BYTES * self.n_chunks

    def chunk_bytes(self, index: int) -> int:
        """Plaintext bytes of a chunk."""
        return min(CHUNK_BYTES, self.n_bytes - index * CHUNK_BYTES)


def new_header(suite: CipherSuite, n_bytes: int) -> StoredHeader:
    """The header of a new file, with a salt from the system's random numbers.

    Raises:
        AtRestError: larger than 2**32 chunks.
    """
    header = StoredHeader(suite, n_bytes, secrets.token_bytes(_SALT_BYTES))
    if header.n_chunks > _MAX_CHUNKS:
        raise AtRestError("The file is too large to be stored. Split it.")
    return header


def parse_header(data: bytes) -> StoredHeader:
    """Take a header apart; it is authenticated only with the first chunk.

    Raises:
        AtRestError: it is none, or of another version.
    """
    if not is_encrypted(data) or len(data) < HEADER_BYTES:
        raise altered()
    if data[6] != _VERSION:
        raise AtRestError("Stored data is of another version of this program. Update it.")
    suite = CIPHER_SUITES_BY_IDENTIFIER.get(data[7])
    header = None
    if suite is not None:
        header = StoredHeader(suite, int.from_bytes(data[8:16], "big"), data[16:HEADER_BYTES])
    if header is None or header.n_chunks > _MAX_CHUNKS:
        raise altered()
    return header


def is_encrypted(data: bytes) -> bool:
    """Whether these first bytes of a file are those of an encrypted one."""
    return data.startswith(_MAGIC)


class ChunkCipher:
    """Encrypts and decrypts the chunks of one file, in any order.

    Args:
        data_key: 32 bytes, for all files of one round.
        header: of this file.
        context: what the file is (``ROUND/SHA256``); another context is another key.
    """

    __slots__ = ("_aad", "_key", "_prefix", "header")

    def __init__(self, data_key: bytes, header: StoredHeader, context: str) -> None:
        if len(data_key) != DATA_KEY_BYTES:
            raise AtRestError("A data key is 32 bytes long.")
        suite = header.suite
        derived = suite.derive(
            data_key,
            salt=header.salt,
            info=labels.AT_REST_FILE + b"\x00" + context.encode("utf-8"),
            n_bytes=suite.key_bytes + _PREFIX_BYTES,
        )
        self.header = header
        self._key, self._prefix = derived[: suite.key_bytes], derived[suite.key_bytes :]
        self._aad = header.to_bytes()

    def __repr__(self) -> str:
        return "ChunkCipher(key hidden)"

    def encrypt(self, index: int, plaintext: bytes) -> bytes:
        """A chunk as it is stored.

        Raises:
            ValueError: the chunk has not the size that the header gives it.
        """
        if len(plaintext) != self.header.chunk_bytes(index):
            raise ValueError("a chunk has the size that the header gives it")
        return self.header.suite.encrypt(self._key, self._nonce(index), plaintext, self._aad)

    def decrypt(self, index: int, sealed: bytes) -> bytes:
        """A chunk's plaintext.

        Raises:
            AtRestError: altered, moved, cut short, or of another file, key or context.
        """
        plaintext = self.header.suite.decrypt(self._key, self._nonce(index), sealed, self._aad)
        if len(plaintext) != self.header.chunk_bytes(index):
            raise altered()
        return plaintext

    def _nonce(self, index: int) -> bytes:
        last = index == self.header.n_chunks - 1
        return self._prefix + index.to_bytes(4, "big") + bytes([last])


def encrypt_stream(
    source: BinaryIO, target: BinaryIO, *, data_key: bytes, header: StoredHeader, context: str
) -> None:
    """Encrypt ``header.n_bytes`` bytes of a stream, in constant memory.

    Raises:
        AtRestError: the stream has fewer bytes.
    """
    cipher = ChunkCipher(data_key, header, context)
    target.write(header.to_bytes())
    for index in range(header.n_chunks):
        chunk = source.read(header.chunk_bytes(index))
        if len(chunk) != header.chunk_bytes(index):
            raise AtRestError("The file became shorter while it was being encrypted. Try again.")
        target.write(cipher.encrypt(index, chunk))


class ByteStream(Protocol):
    """What is read from: a file, or an object of a storage."""

    def read(self, size: int, /) -> bytes:
        """``size`` bytes; fewer at the end only."""


def decrypt_stream(source: ByteStream, *, data_key: bytes, context: str) -> Iterator[bytes]:
    """Decrypt a whole file, chunk by chunk; what came before an error must not be used.

    Raises:
        AtRestError: altered, cut short, with bytes too many, or of another key or context.
    """
    header = parse_header(source.read(HEADER_BYTES))
    cipher = ChunkCipher(data_key, header, context)
    for index in range(header.n_chunks):
        yield cipher.decrypt(index, source.read(header.chunk_bytes(index) + TAG_BYTES))
    if source.read(1):
        raise altered()
