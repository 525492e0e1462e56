"""Filters laid out for the tile, and chosen bits of filters.

*Packed*: filters in blocks of ``block`` (the 8 rows of a tile, or its columns), and within a block
word by word: word ``w`` of filter ``i`` is at ``(i // block * n_words + w) * block + i % block``.
So both sides of a tile read memory from front to back.  What is missing at the end is zeros.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from linkage.compiled import kernel
from linkage.types import I64, U64

_CACHE_LINE = 64
_TRANSPOSE_STEPS = (
    (32, 0x00000000FFFFFFFF),
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def pack(filters: U64, block: int, padded: int) -> U64:
    """Filters ``(n, n_words)`` as a flat array in the packed layout, aligned to cache lines.

    Args:
        padded: number of filters to fill up to, a multiple of ``block``.
    """
    packed = empty_packed(padded * filters.shape[1])
    pack_into(packed, 0, filters, block)
    return packed


def empty_packed(n_words: int) -> U64:
    """Zeros, ``(n_words,) uint64``, aligned to cache lines."""
    room = np.zeros(n_words + _CACHE_LINE // 8, dtype=np.uint64)
    skipped = -room.ctypes.data % _CACHE_LINE // 8
    return room[skipped : skipped + n_words]


def pack_into(packed: U64, first: int, filters: U64, block: int) -> None:
    """Write filters ``(n, n_words)`` into the packed layout, from number ``first`` on.

    Args:
        packed: flat; what is not written stays as it is.
        first: a multiple of ``block``.
        filters: as they come.
        block: of the layout.
    """
    n_words = filters.shape[1]
    _pack(np.ascontiguousarray(filters), block, packed[first * n_words :])


def bit_counts(filters: U64) -> I64:
    """Number of set bits of each filter, ``(n,) int64``."""
    return cast(I64, _bit_counts(np.ascontiguousarray(filters)))


def select_bits(filters: U64, order: npt.NDArray[np.int64]) -> U64:
    """Bits of each filter in another order, or some of them.

    Args:
        filters: ``(n, n_words) uint64``.
        order: ``(64 * k,) int64``, distinct bit numbers: bit ``i`` of a result is bit ``order[i]``.

    Returns:
        ``(n, k) uint64``.
    """
    selected = np.empty((len(filters), len(order) // 64), dtype=np.uint64)
    _select_bits(np.ascontiguousarray(filters), order, selected)
    return selected


def bit_frequencies(filters: U64) -> I64:
    """In how many filters each bit is set, ``(64 * n_words,) int64``."""
    frequencies = np.zeros(64 * filters.shape[1], dtype=np.int64)
    _bit_frequencies(np.ascontiguousarray(filters), frequencies)
    return frequencies


@kernel
def _pack(filters: Any, block: int, packed: Any) -> None:
    n, n_words = filters.shape
    for row in range(n):
        start = row // block * n_words * block + row % block
        for word in range(n_words):
            packed[start + word * block] = filters[row, word]


@kernel
def population(word: Any) -> Any:
    """Number of set bits of a ``uint64``; becomes one instruction where there is one."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def _bit_counts(filters: Any) -> Any:
    n, n_words = filters.shape
    counts = np.empty(n, dtype=np.int64)
    for row in range(n):
        total = 0
        for word in range(n_words):
            total += population(filters[row, word])
        counts[row] = total
    return counts


@kernel
def _transpose(square: Any) -> None:
    """Transpose 64 x 64 bits in place: six rounds that swap ever smaller squares."""
    for width, mask in _TRANSPOSE_STEPS:
        for first in range(0, 64, 2 * width):
            for row in range(first, first + width):
                low, high = square[row], square[row + width]
                swapped = ((low >> np.uint64(width)) ^ high) & np.uint64(mask)
                square[row] = low ^ (swapped << np.uint64(width))
                square[row + width] = high ^ swapped


@kernel
def _bit_frequencies(filters: Any, frequencies: Any) -> None:
    # 64 filters at a time: turned so that a row is a bit number.
    n, n_words = filters.shape
    square = np.zeros(64, dtype=np.uint64)
    for first in range(0, n, 64):
        n_here = min(64, n - first)
        for word in range(n_words):
            for row in range(64):
                square[row] = filters[first + row, word] if row < n_here else np.uint64(0)
            _transpose(square)
            for bit in range(64):
                frequencies[64 * word + bit] += population(square[bit])


@kernel
def _select_bits(filters: Any, order: Any, selected: Any) -> None:
    # 64 filters at a time: turned so that a bit number is a row, the rows picked, turned back.
    n, n_words = filters.shape
    columns = np.zeros(n_words * 64, dtype=np.uint64)
    picked = np.zeros(64, dtype=np.uint64)
    for first in range(0, n, 64):
        n_here = min(64, n - first)
        for word in range(n_words):
            square = columns[word * 64 : word * 64 + 64]
            for row in range(64):
                square[row] = filters[first + row, word] if row < n_here else np.uint64(0)
            _transpose(square)
        for word in range(selected.shape[1]):
            for bit in range(64):
                picked[bit] = columns[order[word * 64 + bit]]
            _transpose(picked)
            for row in range(n_here):
                selected[first + row, word] = picked[row]
