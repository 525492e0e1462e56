"""The keyed hash of an encoding: BLAKE2b, or HMAC-SM3 where national algorithms are required.

Everything that a key of the encoding hashes goes through one of these: the keys below the round
key, salt keys and tags, tokens, the positions of the diffusion layer.  ``ENCODING.md``, section 1.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC

from linkage.errors import EncodingError
from linkage.types import KeyedHashName

MessageHash = Callable[[bytes], bytes]
"""The digest of a message, under one key and of one length."""


@dataclass(frozen=True, slots=True)
class KeyedHash:
    """A keyed hash.

    Attributes:
        name: as a manifest writes it.
        stream_bytes: size of a block of the diffusion layer's stream: the longest digest.
        keyed: the hash under a key, with digests of so many bytes, for many messages.
    """

    name: KeyedHashName
    stream_bytes: int
    keyed: Callable[[bytes, int], MessageHash]

    def digest(self, key: bytes, n_bytes: int, message: bytes) -> bytes:
        """One digest of ``n_bytes``, at most ``stream_bytes``."""
        return self.keyed(key, n_bytes)(message)


def _blake2b(key: bytes, n_bytes: int) -> MessageHash:
    fresh = hashlib.blake2b(key=key, digest_size=n_bytes)

    def digest(message: bytes) -> bytes:
        state = fresh.copy()
        state.update(message)
        return state.digest()

    return digest


def _hmac_sm3(key: bytes, n_bytes: int) -> MessageHash:
    try:
        fresh = HMAC(key, SM3())
    except UnsupportedAlgorithm as error:
        raise EncodingError(
            "This machine's cryptography library lacks SM3. Install the 'cryptography' package "
            "from its published wheel, which brings it along."
        ) from error

    def digest(message: bytes) -> bytes:
        state = fresh.copy()
        state.update(message)
        return state.finalize()[:n_bytes]

    return digest


BLAKE2B: Final = KeyedHash("blake2b", 64, _blake2b)
"""Keyed BLAKE2b (RFC 7693)."""

HMAC_SM3: Final = KeyedHash("hmac-sm3", 32, _hmac_sm3)
"""HMAC (RFC 2104) with SM3 (GB/T 32905-2016), its first bytes."""

KEYED_HASHES: Final[Mapping[KeyedHashName, KeyedHash]] = {
    known.name: known for known in (BLAKE2B, HMAC_SM3)
}
