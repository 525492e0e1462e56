"""A server's installation key, and the data keys of rounds that it wraps.

A round's encodings are encrypted with the round's own data key.  The database holds that key
wrapped; to unwrap it takes the installation key, which lies in a file outside the database.  Once
the wrapped key is deleted, nothing opens what the round stored.
"""

import hmac
import re
import secrets
from pathlib import Path
from typing import Final, NoReturn

from keys import labels
from keys.at_rest import DATA_KEY_BYTES
from keys.cipher_suites import (
    CIPHER_SUITES_BY_IDENTIFIER,
    DEFAULT,
    NONCE_BYTES,
    CipherSuite,
    altered,
)
from keys.errors import KeyFileError
from keys.storage import read_private_file, write_private_file

_KEY_BYTES: Final = 32
_MARKER: Final = "tongqiao-installation-key-v1"
_CHECKSUM_BYTES: Final = 4
_FILE = re.compile(rf"{_MARKER}:([0-9a-f]{{64}}):([0-9a-f]{{8}})\n?".encode("ascii"))
_MAGIC: Final = b"TQWRAP"
_VERSION: Final = 1
_HEAD_BYTES: Final = 8


class InstallationKey:
    """32 random bytes that wrap data keys; neither shown nor pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        if len(value) != _KEY_BYTES:
            raise KeyFileError("An installation key is 32 bytes long.")
        self._value = bytes(value)

    def __repr__(self) -> str:
        return "InstallationKey(hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("installation keys are not copied or pickled")

    def wrap(self, data_key: bytes, *, suite: CipherSuite, context: str) -> bytes:
        """Encrypt a round's data key, for this round only (``AT_REST.md``)."""
        if len(data_key) != DATA_KEY_BYTES:
            raise ValueError("a data key is 32 bytes long")
        head = _MAGIC + bytes([_VERSION, suite.identifier])
        nonce = secrets.token_bytes(NONCE_BYTES)
        return head + nonce + suite.encrypt(self._wrapping(suite, context), nonce, data_key, head)

    def unwrap(self, wrapped: bytes, *, context: str) -> bytes:
        """The data key that :meth:`wrap` was given.

        Raises:
            AtRestError: altered, or wrapped by another installation key or for another round.
        """
        head, rest = wrapped[:_HEAD_BYTES], wrapped[_HEAD_BYTES:]
        suite = CIPHER_SUITES_BY_IDENTIFIER.get(head[-1]) if len(head) == _HEAD_BYTES else None
        if suite is None or head[:-1] != _MAGIC + bytes([_VERSION]):
            raise altered()
        nonce, sealed = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        if len(nonce) < NONCE_BYTES:
            raise altered()
        return suite.decrypt(self._wrapping(suite, context), nonce, sealed, head)

    def to_bytes(self) -> bytes:
        """The content of the key's file: one line of ASCII.  This is the key in the clear."""
        return f"{_MARKER}:{self._value.hex()}:{self._checksum()}\n".encode("ascii")

    def _wrapping(self, suite: CipherSuite, context: str) -> bytes:
        return suite.derive(
            self._value,
            salt=b"",
            info=labels.AT_REST_WRAP + b"\x00" + context.encode("utf-8"),
            n_bytes=suite.key_bytes,
        )

    def _checksum(self) -> str:
        return DEFAULT.derive(
            self._value, salt=b"", info=labels.AT_REST_CHECKSUM, n_bytes=_CHECKSUM_BYTES
        ).hex()


def new_installation_key() -> InstallationKey:
    """Make a key from the system's random numbers."""
    return InstallationKey(secrets.token_bytes(_KEY_BYTES))


def new_data_key() -> bytes:
    """32 bytes from the system's random numbers, for one round."""
    return secrets.token_bytes(DATA_KEY_BYTES)


def parse_installation_key(data: bytes) -> InstallationKey:
    """Parse the content of the key's file.

    Raises:
        KeyFileError: it is something else, or damaged.
    """
    match = _FILE.fullmatch(data)
    if match is None:
        raise KeyFileError(
            "That is no installation key of this program. Restore the file from a backup: without "
            "it, no stored encoding can be read."
        )
    key = InstallationKey(bytes.fromhex(match[1].decode("ascii")))
    if not hmac.compare_digest(key._checksum().encode("ascii"), match[2]):
        raise KeyFileError(
            "The installation key is damaged: its checksum differs. Restore it from a backup."
        )
    return key


def save_installation_key(key: InstallationKey, path: Path) -> None:
    """Write the key to a file that only its owner can read; an existing file stays.

    Raises:
        KeyFileError: the file exists.
        OSError: the folder cannot be written.
    """
    write_private_file(path, key.to_bytes())


def load_installation_key(path: Path) -> InstallationKey:
    """Load the key's file.

    Raises:
        KeyFileError: others may read it, or it holds no such key.
        OSError: it cannot be read.
    """
    return parse_installation_key(read_private_file(path))
