"""SipHash-2-4 of many 16-byte messages at once (Aumasson and Bernstein, INDOCRYPT 2012)."""

import numpy as np

from linkage.types import U64

_BLOCK = 8192
"""Elements at a time: four state words and a scratch word of this many stay in the L2 cache."""

_INIT = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_LENGTH_WORD = np.uint64(16 << 56)
_FINAL = np.uint64(0xFF)


def siphash24(key_low: U64, key_high: U64, word_0: U64, word_1: U64) -> U64:
    """SipHash-2-4 of each message ``word_0 || word_1`` under its own key.

    Args:
        key_low, key_high: ``(n,) uint64``, the halves of each 16-byte key, little endian.
        word_0, word_1: ``(n,) uint64``, the halves of each 16-byte message, little endian.

    Returns:
        ``(n,) uint64``.
    """
    n = len(word_0)
    out = np.empty(n, dtype=np.uint64)
    for start in range(0, n, _BLOCK):
        part = slice(start, min(start + _BLOCK, n))
        out[part] = _siphash24_block(key_low[part], key_high[part], word_0[part], word_1[part])
    return out


def _siphash24_block(key_low: U64, key_high: U64, word_0: U64, word_1: U64) -> U64:
    v0 = key_low ^ np.uint64(_INIT[0])
    v1 = key_high ^ np.uint64(_INIT[1])
    v2 = key_low ^ np.uint64(_INIT[2])
    v3 = key_high ^ np.uint64(_INIT[3])
    scratch = np.empty_like(v0)
    for word in (word_0, word_1, _LENGTH_WORD):
        np.bitwise_xor(v3, word, out=v3)
        _sip_round(v0, v1, v2, v3, scratch)
        _sip_round(v0, v1, v2, v3, scratch)
        np.bitwise_xor(v0, word, out=v0)
    np.bitwise_xor(v2, _FINAL, out=v2)
    for _ in range(4):
        _sip_round(v0, v1, v2, v3, scratch)
    result: U64 = v0 ^ v1 ^ v2 ^ v3
    return result


def _sip_round(v0: U64, v1: U64, v2: U64, v3: U64, scratch: U64) -> None:
    np.add(v0, v1, out=v0)
    _rotate(v1, 13, scratch)
    np.bitwise_xor(v1, v0, out=v1)
    _rotate(v0, 32, scratch)
    np.add(v2, v3, out=v2)
    _rotate(v3, 16, scratch)
    np.bitwise_xor(v3, v2, out=v3)
    np.add(v0, v3, out=v0)
    _rotate(v3, 21, scratch)
    np.bitwise_xor(v3, v0, out=v3)
    np.add(v2, v1, out=v2)
    _rotate(v1, 17, scratch)
    np.bitwise_xor(v1, v2, out=v1)
    _rotate(v2, 32, scratch)


def _rotate(word: U64, bits: int, scratch: U64) -> None:
    np.left_shift(word, np.uint64(bits), out=scratch)
    np.right_shift(word, np.uint64(64 - bits), out=word)
    np.bitwise_or(word, scratch, out=word)
