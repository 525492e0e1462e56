"""Scored pairs into groups over all datasets, each of them one child.

Groups are found by merging, best first, on the evidence of whole groups.  What two groups
show of each other is, for each feature, the strongest agreement of any pair between them: one
register has a child's right birth date, another its right name, and a record that resembles each
in one thing resembles the child in both.  Whether that is enough is judged by the same model as a
pair.  So evidence for is never counted twice, and what is known of a child grows with each merge.
Evidence against counts the more, the more records each group has: that none of three records has
the name of any of three others is no slip of one pen.  And the best of nine comparisons is better
by chance than one, so a weak agreement is worth less where no stronger one was found.
(Agglomerative collective linkage; see Bhattacharya and Getoor, TKDD 2007.)
Where equal tags are weighed by how rare they are, the rarest that any pair between two groups
shares counts, once for each view.

Two records of one register are seldom one child.  The model has learned how seldom, and a merge
that brings such records together must be as much better supported.

Only records that hang together by pairs near the threshold can ever be merged, so each such
component is solved by itself, with the levels of all pairs inside it.

Order on ties: pairs are taken by falling log odds, then by ascending left number, then by ascending
right number; merges by falling log odds, then by ascending smallest records.  Numbers follow the
pseudonyms, so the order of datasets, files and pairs has no influence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.compiled import kernel
from linkage.matching.compare import Levels
from linkage.matching.decided import CERTAIN, DecidedPairs
from linkage.matching.rarity import NOT_SHOWN
from linkage.matching.score import EvidenceModel, log_odds_of_pattern
from linkage.matching.solve import order_of_pairs
from linkage.types import F64, I64, Bools

PairLevels = Callable[[I64, I64], Levels]
"""Levels of any pairs of record numbers (left < right), whether candidates or not."""

PairRarity = Callable[[I64, I64], F64]
"""Weights of the tags of any pairs, as :func:`linkage.matching.rarity.shown_rarity` gives them."""

MAX_GROUP = 128
"""Records that a group, and a component, holds at most; no child has so many."""

_REACH = 2.0
_INDEPENDENCE = 0.5
_PAIRS_AT_ONCE = 1 << 20
_NEVER = -CERTAIN


@dataclass(frozen=True, slots=True)
class Groups:
    """A partition of the records.

    Attributes:
        group_of: ``(n_records,) int64``: number of each record's group, the smallest record in it.
        left, right: ``(m,) int64``, all pairs inside groups, ascending.
        log_odds: ``(m,)``, the evidence of the merge that brought the two together, with all that
            the model knows of priors.
    """

    group_of: I64
    left: I64
    right: I64
    log_odds: F64


def link_groups(
    log_odds: F64,
    left: I64,
    right: I64,
    dataset_of: I64,
    model: EvidenceModel,
    levels_of: PairLevels,
    *,
    least_log_odds: float = 0.0,
    known: DecidedPairs | None = None,
    refuted: DecidedPairs | None = None,
    rarity_of: PairRarity | None = None,
) -> Groups:
    """Partition records into groups, as the module describes.

    Args:
        log_odds: ``(m,)`` of candidate pairs; those far below ``least_log_odds`` may be left out.
        left, right: ``(m,) int64`` record numbers, left < right.
        dataset_of: ``(n_records,) int64``.
        model: judges what groups show of each other.
        levels_of: levels of any pairs.
        least_log_odds: what a merge needs.
        known: pairs that are one child whatever their encodings say.
        refuted: pairs that are not, nor are groups that hold them; stronger than ``known``
            (:func:`linkage.matching.decided.verify_decisions_agree` finds where they clash).
        rarity_of: weights of equal tags; ``None`` where none are weighed.

    Near linear in the pairs given; the order of pairs has no influence.
    """
    known, refuted = known or DecidedPairs.none(), refuted or DecidedPairs.none()
    floor = least_log_odds - max(model.across_prior, 0.0) - _REACH
    near = np.flatnonzero(log_odds >= floor)
    near = near[order_of_pairs(log_odds[near], left[near], right[near])]
    root_of = _components(
        np.concatenate((known.left, left[near])),
        np.concatenate((known.right, right[near])),
        len(dataset_of),
        MAX_GROUP,
    )
    group_of = np.arange(len(dataset_of), dtype=np.int64)
    log_at_most = model.log_at_most()
    found: list[tuple[I64, I64, F64]] = []
    for records, starts in _batches(root_of):
        pairs = _pairs_inside(records, starts)
        decided = _decisions(*pairs, known, refuted, len(dataset_of))
        rarity = np.empty((len(decided), 0)) if rarity_of is None else rarity_of(*pairs)
        merged_at = np.full(len(decided), _NEVER)
        _merge_components(
            records,
            starts,
            dataset_of,
            levels_of(*pairs),
            rarity,
            decided,
            model.log_prior,
            model.log_likelihood,
            log_at_most,
            model.n_match_classes,
            np.array([model.across_prior, model.within_prior, least_log_odds]),
            group_of,
            merged_at,
        )
        kept = merged_at > _NEVER
        found.append((pairs[0][kept], pairs[1][kept], merged_at[kept]))
    inside = [np.concatenate(column) for column in zip(*found, strict=True)] if found else []
    if not inside:
        none = DecidedPairs.none()
        return Groups(group_of, none.left, none.right, np.empty(0))
    order = np.lexsort((inside[1], inside[0]))
    return Groups(group_of, *(column[order] for column in inside))


def _batches(root_of: I64) -> Iterator[tuple[I64, I64]]:
    """Components of two records and more: records one component after the other, and starts."""
    order = np.argsort(root_of, kind="stable").astype(np.int64)
    starts = np.flatnonzero(np.diff(root_of[order], prepend=-1)).astype(np.int64)
    sizes = np.diff(starts, append=len(order))
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    batch_of = np.cumsum(sizes * (sizes - 1) // 2) // _PAIRS_AT_ONCE
    for batch in np.unique(batch_of):
        mine = batch_of == batch
        offsets = np.concatenate(([0], np.cumsum(sizes[mine]))).astype(np.int64)
        places = np.repeat(starts[mine] - offsets[:-1], sizes[mine]) + np.arange(offsets[-1])
        yield order[places], offsets


def _decisions(
    left: I64, right: I64, known: DecidedPairs, refuted: DecidedPairs, n_records: int
) -> npt.NDArray[np.int8]:
    """For each pair 1 if it is known, -1 if it is refuted, else 0."""
    keys = left * n_records + right
    decided = np.zeros(len(keys), dtype=np.int8)
    decided[np.isin(keys, known.left * n_records + known.right)] = 1
    decided[np.isin(keys, refuted.left * n_records + refuted.right)] = -1
    return decided


@kernel
def _components(left: I64, right: I64, n_records: int, most: int) -> I64:
    """Join along the pairs in their order, unless a component would grow too large.

    Returns the smallest record of each record's component, ``(n_records,)``.
    """
    root = np.arange(n_records)
    size = np.ones(n_records, dtype=np.int64)
    for pair in range(len(left)):
        a, b = left[pair], right[pair]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a != b and size[a] + size[b] <= most:
            low, high = min(a, b), max(a, b)
            root[high] = low
            size[low] += size[high]
    for record in range(n_records):
        root[record] = root[root[record]]  # roots are smaller, so theirs are final already
    return root


@kernel
def _pairs_inside(records: I64, starts: I64) -> tuple[I64, I64]:
    """All pairs of each component, one component after the other, ascending inside it."""
    total = 0
    for component in range(len(starts) - 1):
        size = starts[component + 1] - starts[component]
        total += size * (size - 1) // 2
    left, right = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    at = 0
    for component in range(len(starts) - 1):
        for i in range(starts[component], starts[component + 1]):
            for j in range(i + 1, starts[component + 1]):
                left[at], right[at] = records[i], records[j]
                at += 1
    return left, right


@kernel
def _merge_components(
    records: I64,
    starts: I64,
    dataset_of: I64,
    levels: Levels,
    rarity: F64,
    decided: npt.NDArray[np.int8],
    log_prior: F64,
    log_likelihood: F64,
    log_at_most: F64,
    n_match_classes: int,
    priors: F64,
    group_of: I64,
    merged_at: F64,
) -> None:
    """Solve each component; writes ``group_of`` of its records and ``merged_at`` of its pairs."""
    first_pair = 0
    for component in range(len(starts) - 1):
        mine = records[starts[component] : starts[component + 1]]
        size = len(mine)
        between = np.zeros((size, size, levels.shape[1]), dtype=np.int8)
        rare = np.zeros((size, size, rarity.shape[1]))
        same_dataset = np.zeros((size, size), dtype=np.bool_)
        decision = np.zeros((size, size), dtype=np.int8)
        pair = first_pair
        for i in range(size):
            for j in range(i + 1, size):
                between[i, j] = levels[pair]
                between[j, i] = levels[pair]
                rare[i, j] = rarity[pair]
                rare[j, i] = rarity[pair]
                same = dataset_of[mine[i]] == dataset_of[mine[j]]
                same_dataset[i, j] = same_dataset[j, i] = same
                decision[i, j] = decision[j, i] = decided[pair]
                pair += 1
        group, evidence = _merge(
            between,
            rare,
            same_dataset,
            decision,
            log_prior,
            log_likelihood,
            log_at_most,
            n_match_classes,
            priors,
        )
        pair = first_pair
        for i in range(size):
            group_of[mine[i]] = mine[group[i]]
            for j in range(i + 1, size):
                if group[i] == group[j]:
                    merged_at[pair] = evidence[i, j]
                pair += 1
        first_pair = pair


@kernel
def _merge(
    between: npt.NDArray[np.int8],
    rare: F64,
    same_dataset: Bools,
    decision: npt.NDArray[np.int8],
    log_prior: F64,
    log_likelihood: F64,
    log_at_most: F64,
    n_match_classes: int,
    priors: F64,
) -> tuple[I64, F64]:
    """Merge the k records of a component.

    Args:
        between: ``(k, k, f)``, levels; changed.
        rare: ``(k, k, v)``, weights of equal tags; changed.
        same_dataset, decision: ``(k, k)``; changed.
        log_prior, log_likelihood, log_at_most, n_match_classes: the model's.
        priors: what is added across datasets, inside one, and what a merge needs.

    Returns:
        The smallest record of each record's group, and the evidence by which two came together.
    """
    size = len(between)
    group = np.arange(size)
    n_records = np.ones(size)
    evidence = np.zeros((size, size))
    odds = np.full((size, size), _NEVER)
    for i in range(size):
        for j in range(i + 1, size):
            own = log_odds_of_pattern(
                between[i, j], 1.0, log_prior, log_likelihood, log_at_most, n_match_classes
            )
            own += _of_rarity(rare[i, j])
            odds[i, j] = _judged(own, same_dataset[i, j], decision[i, j], priors)
    while True:
        i, j = _best(odds, priors[2])
        if i < 0:
            return group, evidence
        _put_together(group, evidence, i, j, odds[i, j])
        odds[i, j] = _NEVER
        n_records[i] += n_records[j]
        for o in range(size):
            if o in (i, j) or group[o] != o:
                continue
            odds[min(j, o), max(j, o)] = _NEVER
            _add_what_is_shown(between, rare, same_dataset, decision, i, j, o)
            n_shown = 1.0 + _INDEPENDENCE * (min(n_records[i], n_records[o]) - 1.0)
            own = log_odds_of_pattern(
                between[i, o], n_shown, log_prior, log_likelihood, log_at_most, n_match_classes
            )
            own += _of_rarity(rare[i, o])
            odds[min(i, o), max(i, o)] = _judged(own, same_dataset[i, o], decision[i, o], priors)


@kernel
def _best(odds: F64, least: float) -> tuple[int, int]:
    """The first pair of groups with the highest odds over ``least``; -1 where there is none."""
    best, i, j = least, -1, -1
    for a in range(len(odds)):
        for b in range(a + 1, len(odds)):
            if odds[a, b] > best:
                best, i, j = odds[a, b], a, b
    return i, j


@kernel
def _put_together(group: I64, evidence: F64, i: int, j: int, odds: float) -> None:
    for a in range(len(group)):
        for b in range(len(group)):
            if group[a] == i and group[b] == j:
                evidence[a, b] = evidence[b, a] = odds
    for a in range(len(group)):
        if group[a] == j:
            group[a] = i


@kernel
def _add_what_is_shown(
    between: npt.NDArray[np.int8],
    rare: F64,
    same_dataset: Bools,
    decision: npt.NDArray[np.int8],
    i: int,
    j: int,
    o: int,
) -> None:
    """Add to what group i shows of group o what j does."""
    for feature in range(between.shape[2]):
        strongest = max(between[i, o, feature], between[j, o, feature])
        between[i, o, feature] = between[o, i, feature] = strongest
    for view in range(rare.shape[2]):
        rarest = max(rare[i, o, view], rare[j, o, view])
        rare[i, o, view] = rare[o, i, view] = rarest
    same_dataset[i, o] = same_dataset[o, i] = same_dataset[i, o] or same_dataset[j, o]
    decision[i, o] = decision[o, i] = _joint_decision(decision[i, o], decision[j, o])


@kernel
def _of_rarity(weights: F64) -> float:
    added = 0.0
    for weight in weights:
        if weight > NOT_SHOWN:
            added += weight
    return added


@kernel
def _joint_decision(one: int, other: int) -> int:
    if one < 0 or other < 0:
        return -1
    return max(one, other)


@kernel
def _judged(log_odds: float, same_dataset: bool, decision: int, priors: F64) -> float:
    if decision < 0:
        return _NEVER
    if decision > 0:
        return CERTAIN
    return log_odds + float(priors[1] if same_dataset else priors[0])
