"""Compiled kernels from token digests to diffused filters; the same in NumPy is ``filters.py``.

What they do is in ENCODING.md.  All integers are little endian words.  A *tile* is
:data:`TILE_RECORDS` records whose bit planes fit in the processor's first cache.
"""

import numpy as np

from linkage.compiled import kernel
from linkage.types import I32, I64, U8, U64

TILE_RECORDS = 256
TILE_WORDS = TILE_RECORDS // 64


@kernel
def _siphash24_all(n: int, low: U64, high: U64, first: U64, second: U64, out: U64) -> None:
    """SipHash-2-4 of messages ``first || second``; no branch inside, so that it is vectorised."""
    for i in range(n):
        v0 = low[i] ^ np.uint64(0x736F6D6570736575)
        v1 = high[i] ^ np.uint64(0x646F72616E646F6D)
        v2 = low[i] ^ np.uint64(0x6C7967656E657261)
        v3 = high[i] ^ np.uint64(0x7465646279746573)
        v3 ^= first[i]
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0 ^= first[i]
        v3 ^= second[i]
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0 ^= second[i]
        v3 ^= np.uint64(16 << 56)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0 ^= np.uint64(16 << 56)
        v2 ^= np.uint64(0xFF)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        out[i] = v0 ^ v1 ^ v2 ^ v3


@kernel
def _sip_round(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    v0 = v0 + v1
    v1 = (v1 << np.uint64(13)) | (v1 >> np.uint64(51))
    v1 ^= v0
    v0 = (v0 << np.uint64(32)) | (v0 >> np.uint64(32))
    v2 = v2 + v3
    v3 = (v3 << np.uint64(16)) | (v3 >> np.uint64(48))
    v3 ^= v2
    v0 = v0 + v3
    v3 = (v3 << np.uint64(21)) | (v3 >> np.uint64(43))
    v3 ^= v0
    v2 = v2 + v1
    v1 = (v1 << np.uint64(17)) | (v1 >> np.uint64(47))
    v1 ^= v2
    v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
    return v0, v1, v2, v3


_MESSAGES = 2048


@kernel
def set_token_bits(
    records: I32,
    tokens: I32,
    digests: U64,
    hashes: int,
    salt_keys: U64,
    present: U8,
    filter_bits: int,
    lane_bits: int,
    planes: U64,
    has: U8,
) -> None:
    """Set the bits of one kind of tokens of one group, in every record that has the view.

    Args:
        records: ``(k,) int32`` record of each token, ascending.
        tokens: ``(k,) int32`` index of each token in ``digests``.
        digests: ``(d,) uint64``.
        hashes: bits that one token sets.
        salt_keys: ``(n, 2) uint64``.
        present: ``(n,) uint8``.
        filter_bits, lane_bits: as ``linkage.encoding.filters.lanes`` has them.
        planes: ``(n_tiles, filter_bits, TILE_WORDS) uint64``, changed.
        has: ``(n,) uint8``, set to 1 for records that have a token.
    """
    low = np.empty(_MESSAGES, np.uint64)
    high = np.empty(_MESSAGES, np.uint64)
    first = np.empty(_MESSAGES, np.uint64)
    second = np.empty(_MESSAGES, np.uint64)
    out = np.empty(_MESSAGES, np.uint64)
    owner = np.empty(_MESSAGES, np.int32)
    n_lanes = 64 // lane_bits
    n_words = (hashes + n_lanes - 1) // n_lanes
    last_lanes = hashes - (n_words - 1) * n_lanes
    at = 0
    room = _MESSAGES // n_words
    while at < len(records):
        n = 0
        taken = 0
        while at < len(records) and taken < room:
            record = records[at]
            if present[record]:
                has[record] = 1
                digest = digests[tokens[at]]
                key_low, key_high = salt_keys[record, 0], salt_keys[record, 1]
                for counter in range(n_words):
                    low[n] = key_low
                    high[n] = key_high
                    first[n] = digest
                    second[n] = np.uint64(counter)
                    owner[n] = record
                    n += 1
                taken += 1
            at += 1
        _siphash24_all(n, low, high, first, second, out)
        _set_positions(n, out, owner, n_words, n_lanes, last_lanes, filter_bits, lane_bits, planes)


@kernel
def _set_positions(
    n: int,
    out: U64,
    owner: I32,
    n_words: int,
    n_lanes: int,
    last_lanes: int,
    filter_bits: int,
    lane_bits: int,
    planes: U64,
) -> None:
    mask = np.uint64((1 << lane_bits) - 1)
    step = np.uint64(lane_bits)
    scale = np.uint64(filter_bits)
    is_power = (1 << lane_bits) == filter_bits
    i = 0
    while i < n:
        record = owner[i]
        plane = planes[record // TILE_RECORDS]
        word = (record % TILE_RECORDS) // 64
        bit = np.uint64(1) << np.uint64(record % 64)
        for counter in range(n_words):
            value = out[i + counter]
            n_used = last_lanes if counter == n_words - 1 else n_lanes
            if is_power:
                for _ in range(n_used):
                    plane[np.int64(value & mask), word] |= bit
                    value >>= step
            else:
                for _ in range(n_used):
                    plane[np.int64(((value & mask) * scale) >> step), word] |= bit
                    value >>= step
        i += n_words


@kernel
def _transpose64(block: U64) -> None:
    """Transpose a 64 x 64 bit matrix in place (Hacker's Delight 7-3, least bit first)."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        shift = np.uint64(width)
        k = 0
        while k < 64:
            swapped = ((block[k] >> shift) ^ block[k + width]) & mask
            block[k] ^= swapped << shift
            block[k + width] ^= swapped
            k = (k + width + 1) & ~width
        width >>= 1
        mask ^= mask << np.uint64(width)


@kernel
def finish_filters(planes: U64, positions: I64, n_records: int, rows: U64, first_word: int) -> None:
    """Diffuse the planes, turn them into filters and put them into their place in the rows.

    Args:
        planes: ``(n_tiles, filter_bits, TILE_WORDS) uint64``.
        positions: ``(filter_bits, t) int64``; t = 0 for no diffusion.
        n_records: records in the planes; what is beyond them is left out.
        rows: ``(>= n_records, row_words) uint64``, changed.
        first_word: of the filter in a row.
    """
    filter_bits = planes.shape[1]
    t = positions.shape[1]
    mixed = np.empty((filter_bits, TILE_WORDS), np.uint64)
    block = np.empty(64, np.uint64)
    for tile in range(planes.shape[0]):
        plane = planes[tile]
        if t:
            for i in range(filter_bits):
                for w in range(TILE_WORDS):
                    mixed[i, w] = plane[positions[i, 0], w]
                for k in range(1, t):
                    position = positions[i, k]
                    for w in range(TILE_WORDS):
                        mixed[i, w] ^= plane[position, w]
        else:
            mixed[:] = plane
        for w in range(TILE_WORDS):
            base = tile * TILE_RECORDS + w * 64
            if base >= n_records:
                break
            used = min(64, n_records - base)
            for word in range(filter_bits // 64):
                for k in range(64):
                    block[k] = mixed[word * 64 + k, w]
                _transpose64(block)
                for k in range(used):
                    rows[base + k, first_word + word] = block[k]
