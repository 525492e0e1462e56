"""How likely each pair is right where no record has more than one partner in another dataset.

A model that looks at each pair by itself knows two things too little.  A record that fits two
others is at most one of them, so what speaks for one pair speaks against the other.  And if most
records have a partner, one that has only a single pair left is the more likely to be right in it:
among records that are still alone, right pairs are not as rare as among all.

So sets of pairs are weighed, not pairs.  A set in which no record occurs twice (a *matching* of a
bipartite graph) weighs the product of its pairs' odds, each ``theta`` times as high; a pair's
probability is the weight of the sets that hold it, of the weight of all.  Of two datasets of ``a``
and ``b`` records with ``m`` right pairs, ``theta = a b / ((a - m) (b - m))``: a pair is right ``m``
times in ``a b`` among all records, and as against being alone ``m`` times in ``(a - m) (b - m)``.
``m`` is the sum of the probabilities, so both are found together, without truth.  (Priors over
matchings: Larsen 2005; Sadinle, JASA 2017.)

Probabilities are found by passing messages between records: how likely each is to be alone, from
all pairs but one.  The messages of such a graph have one fixed point, which they reach from
wherever they begin (Bayati, Gamarnik, Katz, Nair, Tetali, STOC 2007), and where pairs form no
circles it is exact.
"""

from dataclasses import dataclass

import numpy as np

from linkage.compiled import kernel
from linkage.matching.decided import CERTAIN, DecidedPairs, apply_decisions
from linkage.matching.numbering import NumberedRecords
from linkage.matching.score import probabilities, threshold_for_best_f1
from linkage.matching.scored import SCORED, ScoredPairs
from linkage.types import F64, I64

# Where next to all records have a partner, theta would have no bound.  A model is never so right
# that it should link what only this speaks for: a tenth of the records is always taken to be alone.
_MOST_PARTNERED = 0.9
_PRECISION, _SURE = 0.99, 0.99
_MOST_LOG_ODDS = 600.0
_TOLERANCE = 1e-4
_MOST_SWEEPS = 200


@dataclass(frozen=True, slots=True)
class OneToOnePairs:
    """Pairs as they are when each record has one partner at most.

    Attributes:
        pairs: ``(m,)``, ascending by (left, right), with natural log odds that know of all others.
        by_itself: ``(m,)``, natural log odds by each pair's own evidence.
    """

    pairs: ScoredPairs
    by_itself: F64

    def threshold(self, given: float | None = None) -> float:
        """The threshold given, or the one of the best expected F1 with 99 % of links right.

        It is raised until so many are right.  The share of right links is expected to be the mean
        of their probabilities, and chance may leave it a standard deviation below that: so much
        more is asked for.  A link that is sure by itself counts as right, whatever its rivals:
        where two records of one dataset fit a third so well they are mostly duplicates, and either
        of them is right.

        Returns:
            A probability; the one of the best expected F1 where no threshold is precise enough.
        """
        if given is not None:
            return given
        probability = probabilities(self.pairs["log_odds"])
        best = threshold_for_best_f1(probability)
        accepted = probability >= best
        own = probabilities(self.by_itself[accepted])
        probability = probability[accepted]
        order = np.lexsort((own, probability))[::-1]
        right = np.where(own >= _SURE, np.maximum(own, probability), probability)[order]
        least = np.cumsum(right) - np.sqrt(np.cumsum(right * (1.0 - right)))
        precise = least >= _PRECISION * np.arange(1, len(order) + 1)
        falls = np.flatnonzero(np.diff(probability[order]) < 0.0)
        ends = falls[precise[falls]]
        if not len(order) or precise[-1] or not len(ends):
            # Few records alone are no reason to link nothing at all.
            return best
        return float(probability[order][ends[-1] : ends[-1] + 2].mean())


def pairs_with_one_partner(
    records: NumberedRecords, pairs: ScoredPairs, known: DecidedPairs, refuted: DecidedPairs
) -> OneToOnePairs:
    """Weigh pairs against each other, for each pair of datasets by itself.

    Args:
        records: that the pairs are of.
        pairs: between datasets.
        known, refuted: pairs that are certain, and pairs that are not there at all.

    Returns:
        The pairs scored and the known ones, without the refuted.  Time and memory are linear in
        them; 200 sweeps at most, some 25 for registers.
    """
    log_odds, left, right = apply_decisions(
        np.ascontiguousarray(pairs["log_odds"]),
        pairs["left"].astype(np.int64),
        pairs["right"].astype(np.int64),
        known,
        refuted,
        records.n_records,
    )
    order = np.lexsort((right, left))
    log_odds, left, right = log_odds[order], left[order], right[order]
    sizes = np.diff(records.offsets)
    kinds = records.dataset_of(left) * len(sizes) + records.dataset_of(right)
    found = np.empty(len(left), dtype=SCORED)
    found["left"], found["right"] = left, right
    for kind in np.unique(kinds):
        a, b = divmod(int(kind), len(sizes))
        mine = np.flatnonzero(kinds == kind)
        found["log_odds"][mine] = one_partner_log_odds(
            log_odds[mine],
            left[mine] - records.offsets[a],
            right[mine] - records.offsets[b],
            int(sizes[a]),
            int(sizes[b]),
        )
    found["log_odds"][log_odds >= CERTAIN] = CERTAIN
    return OneToOnePairs(found, log_odds)


def one_partner_log_odds(log_odds: F64, left: I64, right: I64, n_left: int, n_right: int) -> F64:
    """Natural log odds of the pairs of two datasets, ``(m,)``, as the module describes.

    Args:
        log_odds: ``(m,)``, natural, of each pair by itself; taken as +-600 where they are further.
        left, right: ``(m,)`` record numbers in each dataset, from 0.
        n_left, n_right: records of each dataset.
    """
    if not len(log_odds):
        return log_odds.copy()
    weight = np.exp(np.clip(log_odds, -_MOST_LOG_ODDS, _MOST_LOG_ODDS))
    found = np.empty(len(log_odds))
    _settle(weight, left, right, np.array([n_left, n_right], dtype=np.int64), found)
    return found


@kernel
def theta_of(n_right_pairs: float, n_left: int, n_right: int) -> float:
    """How many times as high a pair's odds are when its records are alone, as among all.

    Args:
        n_right_pairs: expected number of right pairs.
        n_left, n_right: records of each dataset, at least one.

    Returns:
        From 1 to 100.
    """
    of_left = min(n_right_pairs / n_left, _MOST_PARTNERED)
    of_right = min(n_right_pairs / n_right, _MOST_PARTNERED)
    return 1.0 / ((1.0 - of_left) * (1.0 - of_right))


@kernel
def _settle(weight: F64, left: I64, right: I64, sizes: I64, found: F64) -> None:
    """Pass messages and adjust theta until neither changes; writes log odds."""
    m = len(weight)
    left_alone, right_alone = np.ones(m), np.ones(m)
    left_largest, left_rest = np.empty(sizes[0]), np.empty(sizes[0])
    right_largest, right_rest = np.empty(sizes[1]), np.empty(sizes[1])
    probability = np.empty(m)
    expected = 0.0
    for pair in range(m):
        probability[pair] = weight[pair] / (1.0 + weight[pair])
        expected += probability[pair]
    for _ in range(_MOST_SWEEPS):
        theta = theta_of(expected, sizes[0], sizes[1])
        _ask(weight, theta, left, right_alone, left_largest, left_rest, left_alone, False)
        # Half of the way, on one side: else messages swing about the fixed point for long.
        _ask(weight, theta, right, left_alone, right_largest, right_rest, right_alone, True)
        change, expected = 0.0, 0.0
        for pair in range(m):
            odds = weight[pair] * theta * left_alone[pair] * right_alone[pair]
            new = odds / (1.0 + odds)
            change = max(change, abs(new - probability[pair]))
            probability[pair] = new
            expected += new
        if change < _TOLERANCE:
            break
    for pair in range(m):
        alone = np.log(left_alone[pair]) + np.log(right_alone[pair])
        found[pair] = np.log(weight[pair]) + np.log(theta) + alone


@kernel
def _ask(
    weight: F64,
    theta: float,
    ends: I64,
    other_alone: F64,
    largest: F64,
    rest: F64,
    alone: F64,
    half_way: bool,
) -> None:
    """How likely each pair's record is to be alone, as far as its other pairs say.

    A record's largest pair is summed apart, so that what the others say is never the difference of
    two large numbers.
    """
    largest[:] = 0.0
    rest[:] = 1.0
    for pair in range(len(weight)):
        odds, end = weight[pair] * theta * other_alone[pair], ends[pair]
        if odds > largest[end]:
            rest[end] += largest[end]
            largest[end] = odds
        else:
            rest[end] += odds
    for pair in range(len(weight)):
        odds, end = weight[pair] * theta * other_alone[pair], ends[pair]
        others = rest[end] if odds == largest[end] else rest[end] - odds + largest[end]
        told = 1.0 / others
        alone[pair] = np.sqrt(alone[pair]) * np.sqrt(told) if half_way else told
