"""How some filters resemble a dataset: each one's best Dice coefficient, and a count of all."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from linkage.compiled import kernel
from linkage.matching.packing import bit_counts, population
from linkage.types import F64, I64, U64

DICE_STEPS = 200
"""Coefficients are counted in steps of a two-hundredth."""

# A quotient of whole numbers that is a step's own value must not fall into the step below.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class DiceProfile:
    """What some filters resemble.

    Attributes:
        best: ``(n,) float64``, each filter's highest coefficient with another; 0 if there is none.
        counts: ``(DICE_STEPS + 1,) int64``: pairs with a coefficient of ``i / DICE_STEPS`` up to,
            but not including, the next step.
    """

    best: F64
    counts: I64

    def share_reaching(self) -> F64:
        """For each step, the share of filters whose best coefficient reaches it."""
        steps = np.arange(DICE_STEPS + 1) / DICE_STEPS - _ROUNDING
        below = np.searchsorted(np.sort(self.best), steps, side="left")
        return 1.0 - below / max(1, len(self.best))

    def number_reaching(self) -> F64:
        """For each step, how many others reach it, on average over the filters."""
        return self.counts[::-1].cumsum()[::-1] / max(1, len(self.best))


def dice_profile_reference(filters: U64, others: U64, skipped: I64) -> DiceProfile:
    """The contract of :func:`dice_profile` in plain NumPy."""
    common = np.zeros((len(filters), len(others)), dtype=np.int64)
    for word in range(filters.shape[1]):
        common += np.bitwise_count(filters[:, word, None] & others[None, :, word])
    both = np.bitwise_count(filters).sum(axis=1, dtype=np.int64)[:, None]
    both = both + np.bitwise_count(others).sum(axis=1, dtype=np.int64)[None, :]
    dice = np.where(both > 0, 2.0 * common / np.maximum(both, 1), 0.0)
    counted = np.arange(len(others))[None, :] != skipped[:, None]
    step = (dice[counted] * DICE_STEPS + _ROUNDING).astype(np.int64)
    counts = np.bincount(step, minlength=DICE_STEPS + 1).astype(np.int64)
    best: F64 = np.where(counted, dice, 0.0).max(axis=1, initial=0.0)
    return DiceProfile(best, counts)


def dice_profile(filters: U64, others: U64, skipped: I64) -> DiceProfile:
    """Compare some filters with all of a dataset.

    Args:
        filters: ``(n, words) uint64``.
        others: ``(m, words) uint64``.
        skipped: ``(n,) int64``: the row of ``others`` that is the filter itself, or -1.
    """
    best = np.zeros(len(filters), dtype=np.float64)
    counts = np.zeros(DICE_STEPS + 1, dtype=np.int64)
    _fill_profile(
        np.ascontiguousarray(filters),
        bit_counts(filters),
        np.ascontiguousarray(others),
        bit_counts(others),
        skipped,
        best,
        counts,
    )
    return DiceProfile(best, counts)


@kernel
def _fill_profile(
    filters: Any,
    filter_counts: Any,
    others: Any,
    other_counts: Any,
    skipped: Any,
    best: Any,
    counts: Any,
) -> None:
    n_words = filters.shape[1]
    for other in range(len(others)):
        for row in range(len(filters)):
            if skipped[row] == other:
                continue
            common = 0
            for word in range(n_words):
                common += population(filters[row, word] & others[other, word])
            both = filter_counts[row] + other_counts[other]
            dice = 2.0 * common / both if both > 0 else 0.0
            counts[int(dice * DICE_STEPS + _ROUNDING)] += 1
            best[row] = max(best[row], dice)
