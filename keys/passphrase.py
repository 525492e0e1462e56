"""Private files encrypted under a passphrase (``SEALING.md``, "Protected file").

For machines whose disk others may get: a private key file or a linkage secret is then worth nothing
without what its holder knows.
"""

import secrets
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys import labels
from keys.errors import KeyFileError

PassphraseSource = Callable[[], str]
"""Asks who holds the file; called only for a file that is protected."""

MIN_PASSPHRASE_CHARACTERS: Final = 12

_MAGIC: Final = b"TQPASS"
_VERSION: Final = 1
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEADER_BYTES: Final = 7 + 4 + 4 + 1 + _SALT_BYTES + _NONCE_BYTES
_MEMORY_KIB: Final = 64 * 1024
_ITERATIONS: Final = 3
_LANES: Final = 4
_MAX_MEMORY_KIB: Final = 1024 * 1024
_MAX_ITERATIONS: Final = 64


def is_protected(data: bytes) -> bool:
    """Whether the content of a file is encrypted under a passphrase."""
    return data.startswith(_MAGIC)


def protect(data: bytes, passphrase: str) -> bytes:
    """Encrypt the content of a private file.

    Argon2id (RFC 9106, its second recommended choice: 64 MiB, 3 passes, 4 lanes) and AES-256-GCM.

    Raises:
        KeyFileError: the passphrase is too short.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise KeyFileError(
            f"The passphrase must have at least {MIN_PASSPHRASE_CHARACTERS} characters. Four or "
            "five words that have nothing to do with each other are easy to remember."
        )
    header = b"".join(
        (
            _MAGIC,
            bytes([_VERSION]),
            _MEMORY_KIB.to_bytes(4, "big"),
            _ITERATIONS.to_bytes(4, "big"),
            bytes([_LANES]),
            secrets.token_bytes(_SALT_BYTES),
            secrets.token_bytes(_NONCE_BYTES),
        )
    )
    return header + AESGCM(_key(header, passphrase)).encrypt(_nonce(header), data, _aad(header))


def unprotect(data: bytes, passphrase: str) -> bytes:
    """Decrypt what :func:`protect` made.

    Raises:
        KeyFileError: the passphrase is another one, or the file is damaged.
    """
    header, sealed = data[:_HEADER_BYTES], data[_HEADER_BYTES:]
    if not is_protected(header) or len(sealed) < _TAG_BYTES:
        raise _wrong()
    if header[6] != _VERSION:
        raise KeyFileError("The file was protected by another version of this program. Update it.")
    memory_kib, iterations, lanes = _costs(header)
    # A crafted file must not make its reader work for hours, or take all memory.
    if (
        not 8 * lanes <= memory_kib <= _MAX_MEMORY_KIB
        or not 1 <= iterations <= _MAX_ITERATIONS
        or not 1 <= lanes <= 16
    ):
        raise _wrong()
    try:
        return AESGCM(_key(header, passphrase)).decrypt(_nonce(header), sealed, _aad(header))
    except InvalidTag as error:
        raise _wrong() from error


def _costs(header: bytes) -> tuple[int, int, int]:
    return int.from_bytes(header[7:11], "big"), int.from_bytes(header[11:15], "big"), header[15]


def _key(header: bytes, passphrase: str) -> bytes:
    memory_kib, iterations, lanes = _costs(header)
    try:
        data = passphrase.encode("utf-8")
    except UnicodeEncodeError:
        # Not chained: the cause holds the passphrase.
        raise KeyFileError(
            "The passphrase holds bytes that are no text: the terminal is not set to UTF-8. Set it "
            "so, or use letters and digits of ASCII."
        ) from None
    kdf = Argon2id(
        salt=header[16 : 16 + _SALT_BYTES],
        length=32,
        iterations=iterations,
        lanes=lanes,
        memory_cost=memory_kib,
    )
    return kdf.derive(data)


def _nonce(header: bytes) -> bytes:
    return header[16 + _SALT_BYTES :]


def _aad(header: bytes) -> bytes:
    return labels.PROTECTED_FILE + b"\x00" + header


def _wrong() -> KeyFileError:
    return KeyFileError(
        "The passphrase does not open the file, or the file is damaged. Type it again; if it was "
        "forgotten, nobody can open the file: make new keys and enrol again "
        "(docs/key-procedures.md, 'A lost key')."
    )
