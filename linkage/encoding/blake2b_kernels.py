"""Compiled BLAKE2b (RFC 7693), keyed, of messages that fit in one block, and how these are framed.

What it hashes is in ENCODING.md.  All integers are little endian words.
"""

import numpy as np

from linkage.compiled import kernel
from linkage.types import I64, U8, U64

BLAKE2B_BLOCK_BYTES = 128

_IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    dtype=np.int64,
)


@kernel
def _mix(v: U64, a: int, b: int, c: int, d: int, x: np.uint64, y: np.uint64) -> None:
    va, vb, vc, vd = v[a], v[b], v[c], v[d]
    va = va + vb + x
    vd ^= va
    vd = (vd >> np.uint64(32)) | (vd << np.uint64(32))
    vc = vc + vd
    vb ^= vc
    vb = (vb >> np.uint64(24)) | (vb << np.uint64(40))
    va = va + vb + y
    vd ^= va
    vd = (vd >> np.uint64(16)) | (vd << np.uint64(48))
    vc = vc + vd
    vb ^= vc
    vb = (vb >> np.uint64(63)) | (vb << np.uint64(1))
    v[a], v[b], v[c], v[d] = va, vb, vc, vd


@kernel
def _compress(state: U64, words: U64, n_bytes: int, is_last: bool, v: U64) -> None:
    for i in range(8):
        v[i] = state[i]
        v[i + 8] = _IV[i]
    v[12] ^= np.uint64(n_bytes)
    if is_last:
        v[14] = ~v[14]
    for r in range(12):
        s = _SIGMA[r % 10]
        _mix(v, 0, 4, 8, 12, words[s[0]], words[s[1]])
        _mix(v, 1, 5, 9, 13, words[s[2]], words[s[3]])
        _mix(v, 2, 6, 10, 14, words[s[4]], words[s[5]])
        _mix(v, 3, 7, 11, 15, words[s[6]], words[s[7]])
        _mix(v, 0, 5, 10, 15, words[s[8]], words[s[9]])
        _mix(v, 1, 6, 11, 12, words[s[10]], words[s[11]])
        _mix(v, 2, 7, 8, 13, words[s[12]], words[s[13]])
        _mix(v, 3, 4, 9, 14, words[s[14]], words[s[15]])
    for i in range(8):
        state[i] ^= v[i] ^ v[i + 8]


@kernel
def keyed_state(key: U64, key_bytes: int, digest_bytes: int) -> U64:
    """State of keyed BLAKE2b after the block that holds the key.

    Args:
        key: ``(16,) uint64``, the key filled up with zeros to one block.
        key_bytes: length of the key.
        digest_bytes: of the digests that will be asked for.
    """
    state = _IV.copy()
    state[0] ^= np.uint64(0x01010000 ^ (key_bytes << 8) ^ digest_bytes)
    _compress(state, key, BLAKE2B_BLOCK_BYTES, False, np.empty(16, np.uint64))
    return state


@kernel
def blake2b_digests(start: U64, messages: U64, lengths: I64, out: U64) -> None:
    """Digests of messages of 1 to 128 bytes, under the key that ``start`` was made of.

    Args:
        start: from :func:`keyed_state`.
        messages: ``(n, 16) uint64``, filled up with zeros.
        lengths: ``(n,) int64`` bytes; where it is 0, ``out`` stays as it is.
        out: ``(n, k) uint64``, the first k words of each digest.
    """
    state = np.empty(8, np.uint64)
    v = np.empty(16, np.uint64)
    for i in range(messages.shape[0]):
        if lengths[i] <= 0:
            continue
        state[:] = start
        _compress(state, messages[i], BLAKE2B_BLOCK_BYTES + lengths[i], True, v)
        for k in range(out.shape[1]):
            out[i, k] = state[k]


@kernel
def append_framed(messages: U8, lengths: I64, texts: U8, text_lengths: I64, is_first: bool) -> None:
    """Append each text to its message: length as uint32, then the bytes (``frame`` of the spec).

    Args:
        messages: ``(n, 128) uint8``.
        lengths: ``(n,) int64`` bytes that each holds.  Becomes 0 where the text is missing, -1
            where the message would be longer than 128 bytes, and stays so.
        texts: ``(n, w) uint8``.
        text_lengths: ``(n,) int64``; 0 for missing, -1 for a text that is not here.
        is_first: the messages are empty yet, which does not mean that a text is missing.
    """
    for i in range(messages.shape[0]):
        at, size = lengths[i], text_lengths[i]
        if size == 0 or (at == 0 and not is_first):
            lengths[i] = 0
        elif size < 0 or at < 0 or at + 4 + size > BLAKE2B_BLOCK_BYTES:
            lengths[i] = -1
        else:
            messages[i, at] = size
            messages[i, at + 1] = 0
            messages[i, at + 2] = 0
            messages[i, at + 3] = 0
            for k in range(size):
                messages[i, at + 4 + k] = texts[i, k]
            lengths[i] = at + 4 + size
