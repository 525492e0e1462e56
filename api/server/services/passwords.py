"""Passwords: which are taken, and Argon2id (RFC 9106) over them."""

import secrets
import threading
import unicodedata
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from api.server.refusals import RefusalError

MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 256

# RFC 9106, section 4, second recommended choice, but for one lane: OpenSSL computes lanes in
# threads of a pool that two logins at the same time exhaust.
_MEMORY_KIB = 64 * 1024
_PASSES: Final = 3
_LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

_AT_A_TIME = threading.BoundedSemaphore(2)
"""So many are hashed at a time: logins must not take the server's memory."""


def check_password(password: str, person_id: str) -> None:
    """Refuse a password that is short or can be guessed from the person's id (NIST SP 800-63B).

    Raises:
        RefusalError: ``invalid``.
    """
    text = _normal(password)
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
        _refuse(f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
    if person_id.casefold() in text.casefold():
        _refuse("The password must not hold your id. Several unrelated words are good.")
    if len(set(text)) < 5 or text.isdecimal():
        _refuse("This password is easy to guess. Several unrelated words are good.")


def hash_password(password: str) -> str:
    """The password's hash, with its salt and parameters, as text (PHC string format)."""
    with _AT_A_TIME:
        return Argon2id(
            salt=secrets.token_bytes(_SALT_BYTES),
            length=_HASH_BYTES,
            iterations=_PASSES,
            lanes=_LANES,
            memory_cost=_MEMORY_KIB,
        ).derive_phc_encoded(_normal(password).encode())


def is_password(password: str, stored: str | None) -> bool:
    """Whether this is the password; takes as long where there is none to compare with."""
    # Bounded before anything is hashed.
    text = _normal(password[:MAX_CHARACTERS]).encode()
    with _AT_A_TIME:
        try:
            Argon2id.verify_phc_encoded(text, stored or _nobodys())
        except InvalidKey:
            return False
    return stored is not None and len(password) <= MAX_CHARACTERS


@cache
def _nobodys() -> str:
    return Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    ).derive_phc_encoded(secrets.token_bytes(32))


def _normal(password: str) -> str:
    # The same character can be typed in two ways.
    return unicodedata.normalize("NFKC", password)


def _refuse(detail: str) -> None:
    raise RefusalError("invalid", detail, errors={"password": [detail]})
