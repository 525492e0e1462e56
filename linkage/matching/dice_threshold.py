"""A threshold on the Dice coefficient, chosen without truth.

What strangers look like can be seen inside one dataset: if it holds each person once, whoever
resembles a record there is a stranger.  What resembles it in the *other* dataset is a true partner,
if it has one, and strangers; the difference is the partners.  So for each threshold one knows
about how many links would be right, and the one with the best expected F1 is taken.

With ``S(t)`` the share of records whose best match inside their own dataset reaches ``t`` (scaled
to the other dataset's size), ``B(t)`` that of the best match in the other dataset, and ``R(t)`` the
share of records with a true partner that reaches ``t``: a best match reaches ``t`` if the partner
does, or else if some stranger does, ``B = R + (1 - R) S``, hence ``R = (B - S) / (1 - S)``.

Partners that resemble each other no more than strangers do are not seen by this, so that the
expected recall is one of the partners that can be told from strangers at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.dice_profile import DICE_STEPS, dice_profile
from linkage.types import F64, I64, U64

SAMPLE_RECORDS = 2000
LEAST_RECORDS = 30
"""Of the smaller dataset; with fewer, shares say nothing."""

_THRESHOLDS = np.arange(DICE_STEPS + 1) / DICE_STEPS
# Where most records have a stranger as similar as that, partners cannot be told from them.
_MOST_STRANGERS = 0.5
_LEAST_PARTNERS = 0.01
_FEW_STRANGERS = 0.01


@dataclass(frozen=True, slots=True)
class DiceEstimate:
    """What is expected of two datasets, for each threshold ``i / DICE_STEPS``; ``float64`` arrays.

    Attributes:
        best_matches: records whose best match reaches the threshold.
        pairs: pairs that reach it.
        right: true partners that reach it.
        partners: true partners at any threshold.
        strangers: share of records with a stranger that reaches it.
    """

    best_matches: F64
    pairs: F64
    right: F64
    partners: float
    strangers: F64

    def links(self, one_to_one: bool) -> F64:
        """Links that there would be: best matches, or all pairs."""
        return self.best_matches if one_to_one else self.pairs

    def at(self, threshold: float, *, one_to_one: bool) -> tuple[float | None, float | None]:
        """Expected precision and recall; ``None`` where nothing is expected."""
        links = float(np.interp(threshold, _THRESHOLDS, self.links(one_to_one)))
        right = float(np.interp(threshold, _THRESHOLDS, self.right))
        precision = right / links if links > 0 else None
        return precision, min(1.0, right / self.partners) if self.partners > 0 else None


def estimate_dice(left: U64, right: U64) -> DiceEstimate | None:
    """What links between two datasets would be worth, at each threshold.

    A sample of the smaller dataset, evenly spread over its rows, is compared with all of both.

    Args:
        left, right: ``(n, words) uint64``.

    Returns:
        ``None`` if the smaller dataset has fewer than :data:`LEAST_RECORDS` records.
    """
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    if len(small) < LEAST_RECORDS:
        return None
    rows = _evenly_spread(len(small))
    inside = dice_profile(small[rows], small, rows)
    across = dice_profile(small[rows], large, np.full(len(rows), -1, dtype=np.int64))
    larger = len(large) / (len(small) - 1)
    strangers = 1.0 - (1.0 - inside.share_reaching()) ** larger
    reached = across.share_reaching()
    partners = np.clip((reached - strangers) / np.maximum(1.0 - strangers, 1e-9), 0.0, 1.0)
    partners[strangers > _MOST_STRANGERS] = 0.0
    # A lower threshold never has fewer partners above it: what says otherwise is chance.
    partners = np.maximum.accumulate(partners[::-1])[::-1]
    return DiceEstimate(
        best_matches=np.maximum(reached, partners) * len(small),
        pairs=np.maximum(across.number_reaching(), partners) * len(small),
        right=partners * len(small),
        partners=float(partners.max()) * len(small),
        strangers=strangers,
    )


def choose_dice_threshold(estimates: Sequence[DiceEstimate], *, one_to_one: bool) -> float:
    """The threshold with the best expected F1 over all pairs of datasets.

    Of equal ones the highest.  Where hardly any record seems to have a partner, the threshold that
    hardly any stranger reaches.

    Args:
        estimates: of each pair of datasets.
        one_to_one: whether only best matches become links, or all pairs.

    Raises:
        MatchingError: there is no estimate.
    """
    if not estimates:
        raise MatchingError(
            f"The files are too small to choose a threshold from (fewer than {LEAST_RECORDS} "
            "records). Give one: --threshold 0.8, for example."
        )
    links = np.sum([estimate.links(one_to_one) for estimate in estimates], axis=0)
    right = np.sum([estimate.right for estimate in estimates], axis=0)
    partners = sum(estimate.partners for estimate in estimates)
    strangers = np.max([estimate.strangers for estimate in estimates], axis=0)
    n_records = max(float(np.sum([each.best_matches[0] for each in estimates])), 1.0)
    # Where nothing is shared, all that the estimates are made of is chance.
    if partners < _LEAST_PARTNERS * n_records:
        rare = np.flatnonzero(strangers <= _FEW_STRANGERS)
        return float(_THRESHOLDS[rare[0]]) if len(rare) else 1.0
    f1 = np.where(strangers <= _MOST_STRANGERS, 2.0 * right / (links + partners), 0.0)
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return float(_THRESHOLDS[best])


def _evenly_spread(n: int) -> I64:
    count = min(n, SAMPLE_RECORDS)
    return np.arange(count, dtype=np.int64) * n // count
