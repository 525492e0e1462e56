"""Compiled kernels from the characters of values to the numbers of their tokens and strings.

What tokens there are is in ENCODING.md; ``tokens.py`` makes them one value at a time.
"""

import numpy as np

from linkage.compiled import kernel
from linkage.types import I32, I64, U8, U32, U64, Bools

MAX_UNITS = 8
"""Units of a name that the kernels number; longer names go the plain way."""

FIRST_HAN, LAST_HAN = 0x4E00, 0x9FFF
FIRST_SIGN, LAST_SIGN = 0x30, 0x5F
"""Signs that positional tokens of numbers and codes are made of: digits and capital letters."""
MAX_SIGNS = 32


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
