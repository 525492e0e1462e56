"""Tokens to positions in the filter, and positions to rows of bits.

Sources: Schnell, Bachteler, Reiher (2011) for double hashing; the linkage schema specification
for ``blakeHash``.  CLK.md says both to the byte.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np

from linkage.encoding.clk.keys import FeatureKeys
from linkage.encoding.clk.schema import TokenHash
from linkage.types import I64, U64

_WORD_BITS = 64
_BLAKE_POSITIONS = 32
_BITS_AT_ONCE = 1 << 18


class TokenPositions:
    """The positions that tokens set, under a feature's keys, in a filter of a given length."""

    def __init__(self, token_hash: TokenHash, keys: FeatureKeys, filter_bits: int) -> None:
        self._filter_bits = filter_bits
        self._prevent_singularity = token_hash.prevent_singularity
        self._blake = token_hash.kind == "blakeHash"
        self._key = keys[0]
        if not self._blake:
            self._sha1, self._md5 = KeyedHash("sha1", keys[0]), KeyedHash("md5", keys[1])

    def __repr__(self) -> str:
        return "TokenPositions(hidden)"

    def of(self, tokens: Sequence[bytes], n_bits: int) -> I64:
        """``(len(tokens), n_bits) int64``: the positions of each token, from 0, maybe repeated."""
        if self._blake:
            return self._blake_positions(tokens, n_bits)
        return self._double_hash_positions(tokens, n_bits)

    def _blake_positions(self, tokens: Sequence[bytes], n_bits: int) -> I64:
        parts = []
        for number in range(-(-n_bits // _BLAKE_POSITIONS)):
            salted = hashlib.blake2b(key=self._key, salt=str(number).encode("ascii"))
            drawn = np.frombuffer(_digests(salted, tokens), dtype="<u2")
            parts.append(drawn.reshape(len(tokens), -1))
        together = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        # The length is a power of two; numbers of 16 bits know nothing of longer ones.
        modulo = np.uint16(min(self._filter_bits - 1, 0xFFFF))
        return (together[:, :n_bits] & modulo).astype(np.int64)

    def _double_hash_positions(self, tokens: Sequence[bytes], n_bits: int) -> I64:
        first = self._modulo(self._sha1.digests(tokens), len(tokens))
        second = self._modulo(self._md5.digests(tokens), len(tokens))
        if self._prevent_singularity:
            for i in np.flatnonzero(second == 0).tolist():
                second[i] = self._other_step(tokens[i])
        steps = np.arange(n_bits, dtype=np.int64)
        return (first[:, None] + second[:, None] * steps) % self._filter_bits

    def _other_step(self, token: bytes) -> int:
        tried, step = 0, 0
        while step == 0:
            again = self._md5.digests([token + chr(tried).encode("utf-8")])
            step = int(self._modulo(again, 1)[0])
            tried += 1
        return step

    def _modulo(self, digests: bytes, n: int) -> I64:
        """``n`` digests as numbers, most significant byte first, modulo the filter's length."""
        words = np.frombuffer(digests, dtype=">u4").reshape(n, -1).astype(np.int64)
        found = words[:, 0] % self._filter_bits
        for word in words.T[1:]:
            # Lengths are below 2**31, so that this stays below 2**63.
            found = ((found << 32) | word) % self._filter_bits
        return found


class KeyedHash:
    """HMAC (RFC 2104) of many messages: both blocks that the key fills are hashed once.

    ``hmac`` gives the same (a test compares them) through four more function calls a message, which
    take longer than the hash.

    Args:
        name: of the hash, as ``hashlib`` has it.
        key: any number of bytes.
    """

    def __init__(self, name: Literal["sha1", "md5"], key: bytes) -> None:
        block_bytes = hashlib.new(name).block_size
        if len(key) > block_bytes:
            key = hashlib.new(name, key).digest()
        block = key.ljust(block_bytes, b"\0")
        self._inner = hashlib.new(name, bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.new(name, bytes(byte ^ 0x5C for byte in block))

    def __repr__(self) -> str:
        return "KeyedHash(hidden)"

    def digests(self, messages: Sequence[bytes]) -> bytes:
        """The digests of messages, one after the other."""
        inner, outer = self._inner.copy, self._outer.copy
        found = []
        for message in messages:
            first = inner()
            first.update(message)
            second = outer()
            second.update(first.digest())
            found.append(second.digest())
        return b"".join(found)


def _digests(start: "hashlib.blake2b", messages: Sequence[bytes]) -> bytes:
    """Digests of messages, each added to what ``start`` has hashed already."""
    copy = start.copy
    found = []
    for message in messages:
        digest = copy()
        digest.update(message)
        found.append(digest.digest())
    return b"".join(found)


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
    bits = np.empty((min(at_once, n), words * _WORD_BITS), dtype=np.bool_)
    places = np.arange(len(bits))[:, None]
    for start in range(0, n, at_once):
        block = positions[start : start + at_once]
        bits[:] = False
        bits[places[: len(block)], block] = True
        rows[start : start + at_once] = np.packbits(bits[: len(block)], axis=1).view(np.uint64)
    return rows
