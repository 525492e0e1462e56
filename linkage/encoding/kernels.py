"""Compiled kernels of the encoder; what they do is in ENCODING.md, and in NumPy beside them.

All integers are little endian words.  A *tile* is :data:`TILE_RECORDS` records whose bit planes fit
in the processor's first cache.
"""

import numpy as np

from linkage.compiled import kernel
from linkage.types import I32, I64, U8, U32, U64, Bools

TILE_RECORDS = 256
TILE_WORDS = TILE_RECORDS // 64
BLAKE2B_BLOCK_BYTES = 128
MAX_UNITS = 8
"""Units of a name that the kernels number; longer names go the plain way."""

FIRST_HAN, LAST_HAN = 0x4E00, 0x9FFF
FIRST_SIGN, LAST_SIGN = 0x30, 0x5F
"""Signs that positional tokens of numbers and codes are made of: digits and capital letters."""
MAX_SIGNS = 32

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


# --- BLAKE2b (RFC 7693), keyed, one block of message ------------------------------------------


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


# --- filters ----------------------------------------------------------------------------------


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


# --- tokens -----------------------------------------------------------------------------------


@kernel
def split_units(
    points: U32, starts: I64, stops: I64, compound: U64, begins: U8, units: I32, counts: I32
) -> None:
    """The units of each name that is Han characters, dots and blanks only.

    Args:
        points, starts, stops: code points of the names.
        compound: ``(c,) uint64`` ascending, compound surnames as ``first << 32 | second``.
        begins: ``(LAST_HAN - FIRST_HAN + 1,) uint8``, 1 for their first characters.
        units: ``(n, MAX_UNITS) int32``, filled with ``slot << 16 | (character - FIRST_HAN)``; the
            slot is 0 for a surname of one unit, else the position + 1.
        counts: ``(n,) int32``, filled with the number of units; -1 for other names.
    """
    for i in range(len(starts)):
        n = 0
        separated = False
        for k in range(starts[i], stops[i]):
            point = points[k]
            if point == 0xB7 or point == 0x20:
                separated = True
            elif point < FIRST_HAN or point > LAST_HAN or n == MAX_UNITS:
                n = -1
                break
            else:
                units[i, n] = ((n + 1) << 16) | np.int32(point - FIRST_HAN)
                n += 1
        if n > 0 and not separated and (n == 2 or n == 3 or n == 4):
            first = units[i, 0] & 0xFFFF
            second = units[i, 1] & 0xFFFF
            if n > 2 and begins[first]:
                pair = (np.uint64(first + FIRST_HAN) << np.uint64(32)) | np.uint64(
                    second + FIRST_HAN
                )
                place = np.searchsorted(compound, pair)
                if place < len(compound) and compound[place] == pair:
                    n = -1
            if n == 2 or n == 3:
                units[i, 0] = first
        counts[i] = -1 if n == 0 and stops[i] > starts[i] else n


@kernel
def unit_tokens(
    units: I32, counts: I32, table: I32, records: I32, tokens: I32, unseen: I32
) -> tuple[int, int]:
    """Look the tokens of all units up.

    Args:
        units, counts: from :func:`split_units`.
        table: ``(MAX_UNITS + 1, characters) int32``: number of the token that a unit gives, -1 for
            none, -2 if it was never asked for.
        records, tokens: ``(n * MAX_UNITS,) int32``, filled.
        unseen: ``(n * MAX_UNITS,) int32``, filled with units that the table does not know yet.

    Returns:
        How many tokens, and how many unseen units, were found.
    """
    n = n_unseen = 0
    for i in range(len(counts)):
        for k in range(counts[i]):
            unit = units[i, k]
            token = table[unit >> 16, unit & 0xFFFF]
            if token >= 0:
                records[n] = i
                tokens[n] = token
                n += 1
            elif token == -2:
                unseen[n_unseen] = unit
                n_unseen += 1
    return n, n_unseen


@kernel
def unit_texts(
    units: I32,
    counts: I32,
    given: bool,
    table: I32,
    pieces: U8,
    sizes: I64,
    texts: U8,
    lengths: I64,
    unseen: I32,
) -> int:
    """Readings of the units, joined by one blank.

    Args:
        units, counts: from :func:`split_units`.
        given: leave the surname out, if the name has one.
        table: ``(MAX_UNITS + 1, characters) int32``: number of a unit's reading, -2 if unknown yet.
        pieces, sizes: ``(r, w) uint8`` and ``(r,) int64``, readings by number.
        texts, lengths: ``(n, >= MAX_UNITS * (w + 1)) uint8`` and ``(n,) int64``, filled; length -1
            where ``counts`` is.
        unseen: as in :func:`unit_tokens`.

    Returns:
        How many unseen units were found; the texts are not complete if there are any.
    """
    n_unseen = 0
    for i in range(len(counts)):
        size = 0
        for k in range(counts[i]):
            unit = units[i, k]
            if given and unit >> 16 == 0:
                continue
            reading = table[unit >> 16, unit & 0xFFFF]
            if reading < 0:
                unseen[n_unseen] = unit
                n_unseen += 1
                continue
            if size:
                texts[i, size] = 0x20
                size += 1
            for b in range(sizes[reading]):
                texts[i, size + b] = pieces[reading, b]
            size += sizes[reading]
        lengths[i] = -1 if counts[i] < 0 else size
    return n_unseen


@kernel
def copy_ascii(points: U32, starts: I64, stops: I64, texts: U8, lengths: I64) -> None:
    """Bytes of the texts that are ASCII and not longer than ``texts`` is wide; -1 for others."""
    for i in range(len(starts)):
        size = stops[i] - starts[i]
        lengths[i] = size
        if size > texts.shape[1]:
            lengths[i] = -1
            continue
        for k in range(size):
            point = points[starts[i] + k]
            if point >= 0x80:
                lengths[i] = -1
                break
            texts[i, k] = point


@kernel
def not_digits(points: U32, starts: I64, stops: I64, head: int) -> Bools:
    """Which texts are more than digits: any, or any but one sign behind ``head`` digits."""
    odd = np.zeros(len(starts), np.bool_)
    for i in range(len(starts)):
        stop = stops[i]
        if head and stop > starts[i]:
            stop = starts[i] + head
            odd[i] = stops[i] != stop + 1 or not (
                points[stop] == 0x58 or 0x30 <= points[stop] <= 0x39
            )
        for k in range(starts[i], min(stop, stops[i])):
            if points[k] < 0x30 or points[k] > 0x39:
                odd[i] = True
    return odd


@kernel
def find_odd_signs(points: U32, starts: I64, stops: I64, odd: Bools) -> None:
    """Mark texts that :func:`sign_tokens` cannot take: with other signs, or too long."""
    for i in range(len(starts)):
        odd[i] = stops[i] - starts[i] > MAX_SIGNS
        for k in range(starts[i], stops[i]):
            if points[k] < FIRST_SIGN or points[k] > LAST_SIGN:
                odd[i] = True


@kernel
def sign_tokens(
    points: U32,
    starts: I64,
    stops: I64,
    odd: Bools,
    width: int,
    table: I32,
    records: I32,
    tokens: I32,
    unseen: I32,
) -> tuple[int, int]:
    """Look up the tokens that stand at each position: ``width`` neighbouring signs.

    Args:
        points, starts, stops: code points of the texts.
        odd: from :func:`find_odd_signs`; those are left out.
        width: 1 or 2.
        table: ``(MAX_SIGNS * 4096,) int32``, as in :func:`unit_tokens`, at
            ``position << 12 | first sign << 6 | second sign`` (0 if the width is 1).
        records, tokens, unseen: ``(n * MAX_SIGNS,) int32``, filled as in :func:`unit_tokens`.

    Returns:
        As :func:`unit_tokens`.
    """
    n = n_unseen = 0
    for i in range(len(starts)):
        if odd[i]:
            continue
        for k in range(stops[i] - starts[i] - width + 1):
            place = (k << 12) | (np.int64(points[starts[i] + k] - FIRST_SIGN) << 6)
            if width == 2:
                place |= np.int64(points[starts[i] + k + 1] - FIRST_SIGN)
            token = table[place]
            if token >= 0:
                records[n] = i
                tokens[n] = token
                n += 1
            elif token == -2:
                unseen[n_unseen] = place
                n_unseen += 1
    return n, n_unseen


@kernel
def value_tokens(codes: I32, first: I64, flat: I32, records: I32, tokens: I32) -> int:
    """Tokens of numbered values.

    Args:
        codes: ``(n,) int32``, number of each record's value, -1 where it is missing.
        first: ``(v + 1,) int64``: the tokens of value ``v`` are ``flat[first[v]:first[v + 1]]``.
        records, tokens: ``(>= number of tokens,) int32``, filled.

    Returns:
        How many tokens there are.
    """
    n = 0
    for i in range(len(codes)):
        code = codes[i]
        if code >= 0:
            for k in range(first[code], first[code + 1]):
                records[n] = i
                tokens[n] = flat[k]
                n += 1
    return n
