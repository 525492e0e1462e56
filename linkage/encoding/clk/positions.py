"""Tokens to positions in the filter, and positions to rows of bits.

Sources: Schnell, Bachteler, Reiher (2011) for double hashing; the linkage schema specification
for ``blakeHash``.  CLK.md says both to the byte.
"""

import hashlib
import hmac
from collections.abc import Sequence

import numpy as np

from linkage.encoding.clk.keys import FeatureKeys
from linkage.encoding.clk.schema import TokenHash
from linkage.types import I64, U64

_WORD_BITS = 64
_BLAKE_POSITIONS = 32
_BITS_AT_ONCE = 1 << 24


class TokenPositions:
    """The positions that tokens set, under a feature's keys, in a filter of a given length."""

    def __init__(self, token_hash: TokenHash, keys: FeatureKeys, filter_bits: int) -> None:
        self._filter_bits = filter_bits
        self._prevent_singularity = token_hash.prevent_singularity
        self._blake = token_hash.kind == "blakeHash"
        self._key = keys[0]
        if not self._blake:
            # Copies of these are cheaper than starting from the key for each token.
            self._sha1 = hmac.new(keys[0], digestmod="sha1")
            self._md5 = hmac.new(keys[1], digestmod="md5")

    def __repr__(self) -> str:
        return "TokenPositions(hidden)"

    def of(self, tokens: Sequence[bytes], n_bits: int) -> I64:
        """``(len(tokens), n_bits) int64``: the positions of each token, from 0, maybe repeated."""
        if self._blake:
            return self._blake_positions(tokens, n_bits)
        return self._double_hash_positions(tokens, n_bits)

    def _blake_positions(self, tokens: Sequence[bytes], n_bits: int) -> I64:
        n_digests = -(-n_bits // _BLAKE_POSITIONS)
        salted = [
            hashlib.blake2b(key=self._key, salt=str(number).encode("ascii"))
            for number in range(n_digests)
        ]
        parts = []
        for token in tokens:
            for start in salted:
                digest = start.copy()
                digest.update(token)
                parts.append(digest.digest())
        drawn = np.frombuffer(b"".join(parts), dtype="<u2").reshape(len(tokens), -1)
        return drawn[:, :n_bits].astype(np.int64) % self._filter_bits

    def _double_hash_positions(self, tokens: Sequence[bytes], n_bits: int) -> I64:
        first = np.array([self._hash(self._sha1, token) for token in tokens], dtype=np.int64)
        second = np.array([self._step(token) for token in tokens], dtype=np.int64)
        steps = np.arange(n_bits, dtype=np.int64)
        return (first[:, None] + second[:, None] * steps) % self._filter_bits

    def _step(self, token: bytes) -> int:
        step = self._hash(self._md5, token)
        tried = 0
        while step == 0 and self._prevent_singularity:
            step = self._hash(self._md5, token + chr(tried).encode("utf-8"))
            tried += 1
        return step

    def _hash(self, keyed: hmac.HMAC, token: bytes) -> int:
        mac = keyed.copy()
        mac.update(token)
        return int.from_bytes(mac.digest(), "big") % self._filter_bits


def filter_words(filter_bits: int) -> int:
    """64-bit words that a filter takes in memory."""
    return -(-filter_bits // _WORD_BITS)


def rows_of_bits(positions: I64, filter_bits: int) -> U64:
    """Filters with these positions set: bit ``i`` is bit ``7 - i % 8`` of byte ``i // 8``.

    Args:
        positions: ``(n, k) int64``, each less than ``filter_bits``.
        filter_bits: length of the filters.

    Returns:
        ``(n, filter_words(filter_bits)) uint64``, the bytes in the machine's memory order.
    """
    n, words = len(positions), filter_words(filter_bits)
    rows = np.zeros((n, words), dtype=np.uint64)
    at_once = max(1, _BITS_AT_ONCE // (words * _WORD_BITS))
    for start in range(0, n, at_once):
        block = positions[start : start + at_once]
        bits = np.zeros((len(block), words * _WORD_BITS), dtype=np.bool_)
        bits[np.arange(len(block))[:, None], block] = True
        rows[start : start + at_once] = np.packbits(bits, axis=1).view(np.uint64)
    return rows
