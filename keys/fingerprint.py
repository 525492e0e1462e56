"""Fingerprints: short enough to read out on the telephone, long enough not to be forged."""

from typing import Final

from keys.errors import KeysError

_GROUPS: Final = 6
_GROUP_DIGITS: Final = 5
_DIGITS: Final = _GROUPS * _GROUP_DIGITS


def format_fingerprint(digest: bytes) -> str:
    """Six groups of five digits, joined by hyphens, from a 32-byte digest.

    The digest, read as a big-endian number, modulo 10**30: to find another document with the same
    fingerprint takes about 2**99 tries.

    Raises:
        ValueError: the digest is not 32 bytes long.
    """
    if len(digest) != 32:
        raise ValueError("a fingerprint is made from 32 bytes")
    digits = str(int.from_bytes(digest, "big") % 10**_DIGITS).zfill(_DIGITS)
    return "-".join(digits[i : i + _GROUP_DIGITS] for i in range(0, _DIGITS, _GROUP_DIGITS))


def parse_fingerprint(text: str) -> str:
    """A fingerprint as a person typed it, with spaces or hyphens or neither, in its one form.

    Raises:
        KeysError: it has not 30 digits, or holds something else.
    """
    digits = "".join(text.replace("-", " ").split())
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdigit()):
        raise KeysError(
            "That is no fingerprint. It has 30 digits, in six groups of five: compare it again."
        )
    return "-".join(digits[i : i + _GROUP_DIGITS] for i in range(0, _DIGITS, _GROUP_DIGITS))
