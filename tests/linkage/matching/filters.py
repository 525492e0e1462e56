"""Filters for tests of comparisons: of every length and fill, with near and exact duplicates."""

import numpy as np

from linkage.types import U64


def invent_filters(
    rng: np.random.Generator, n: int, n_words: int, fill: float, *, empty: float = 0.05
) -> U64:
    """``n`` filters, a third of them a near copy of another, some of them empty."""
    filters = _random_filters(rng, n, n_words, fill)
    copies = np.flatnonzero(rng.random(n) < 0.35)
    if n:
        flips = _random_filters(rng, len(copies), n_words, float(rng.choice([0.0, 0.01, 0.1])))
        filters[copies] = filters[rng.integers(0, n, len(copies))] ^ flips
        filters[rng.random(n) < empty] = 0
    return filters


def relatives(rng: np.random.Generator, filters: U64, n: int, noise: float) -> U64:
    """``n`` filters that each resemble one of the given."""
    if not len(filters):
        return np.zeros((0, filters.shape[1]), dtype=np.uint64)
    picked = filters[rng.integers(0, len(filters), n)]
    return picked ^ _random_filters(rng, n, filters.shape[1], noise)


def _random_filters(rng: np.random.Generator, n: int, n_words: int, fill: float) -> U64:
    bits = rng.random((n, n_words * 64)) < fill
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64).reshape(n, n_words)
