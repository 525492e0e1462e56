"""Random draws for the synthetic registers: one numpy generator, read in blocks for speed."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

RISK_SHAPE = 1.0
"""Shape of the gamma distribution of risks; the smaller, the more the errors cluster."""

_BLOCK = 4096


def risk_level(rate: float) -> float:
    """Level ``r`` at which the mean of ``1 - exp(-r * risk)`` over all risks is ``rate``.

    The mean is one minus the gamma distribution's Laplace transform, ``1 - (1 + r/k) ** -k``.
    """
    return float(RISK_SHAPE * ((1 - rate) ** (-1 / RISK_SHAPE) - 1))


class Weighted(Generic[T]):
    """Items with weights that need not sum to one; ``Draws.weighted`` picks from it."""

    __slots__ = ("_cumulative", "_items", "_total")

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        self._items = tuple(items)
        self._cumulative = list(accumulate(weights))
        self._total = self._cumulative[-1]

    @classmethod
    def by_rank(cls, items: Sequence[T], *, offset: float, exponent: float) -> "Weighted[T]":
        """Weights of Zipf and Mandelbrot: ``1 / (rank + offset) ** exponent``, rank from 1."""
        return cls(items, [(rank + 1 + offset) ** -exponent for rank in range(len(items))])

    def at(self, share: float) -> T:
        """Item at ``share`` in [0, 1) of the total weight."""
        place = bisect_right(self._cumulative, share * self._total)
        return self._items[min(place, len(self._items) - 1)]


class Draws:
    """A stream of random decisions, the same for the same seed sequence."""

    __slots__ = ("_block", "_generator", "_next")

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._generator = np.random.default_rng(seed)
        self._block: list[float] = []
        self._next = 0

    def share(self) -> float:
        """A number in [0, 1)."""
        if self._next == len(self._block):
            self._block = self._generator.random(_BLOCK).tolist()
            self._next = 0
        value = self._block[self._next]
        self._next += 1
        return value

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.share() < probability

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit - 1``."""
        return int(self.share() * limit)

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``, all equally likely."""
        return items[self.below(len(items))]

    def weighted(self, table: Weighted[T]) -> T:
        """One item of ``table`` by its weights."""
        return table.at(self.share())

    def risk(self) -> float:
        """How badly documented a child is: gamma distributed, mean 1."""
        return float(self._generator.gamma(RISK_SHAPE)) / RISK_SHAPE

    def happens(self, level: float, risk: float) -> bool:
        """Whether a fault of this level happens to a child of this risk."""
        return level > 0 and self.chance(-math.expm1(-level * risk))

    def digits(self, length: int) -> str:
        """``length`` decimal digits, each equally likely."""
        return "".join(str(self.below(10)) for _ in range(length))

    def shuffle(self, items: list[T]) -> None:
        """Put ``items`` into a random order, in place."""
        order = self._generator.permutation(len(items))
        items[:] = [items[place] for place in order]
