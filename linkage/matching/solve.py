"""Scored pairs into links: every pair, one-to-one, or groups over all datasets.

Order on ties: pairs are taken by falling log odds, then by ascending left number, then by ascending
right number.  Numbers follow the pseudonyms, so the order of datasets, files and pairs has no
influence.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from linkage.types import F64, I64

PairLogOdds = Callable[[I64, I64], F64]
"""Log odds for pairs of record numbers (left < right) that are no candidates."""

_MAX_GROUP = 64


def order_of_pairs(log_odds: F64, left: I64, right: I64) -> I64:
    """Indices of the pairs, best first, ties as the module says; all arrays ``(m,)``."""
    return np.lexsort((right, left, -log_odds)).astype(np.int64)


def one_to_one(log_odds: F64, left: I64, right: I64, dataset_of: I64) -> npt.NDArray[np.bool_]:
    """Accept pairs greedily so that a record has one partner at most in each other dataset.

    Args:
        log_odds, left, right: ``(m,)`` pairs that are good enough.
        dataset_of: ``(n_records,) int64``.

    Returns:
        ``(m,) bool``, the pairs accepted.
    """
    accepted = np.zeros(len(left), dtype=bool)
    taken: set[tuple[int, int]] = set()
    lefts, rights, datasets = left.tolist(), right.tolist(), dataset_of.tolist()
    for index in order_of_pairs(log_odds, left, right).tolist():
        a, b = lefts[index], rights[index]
        key_a, key_b = (a, datasets[b]), (b, datasets[a])
        if datasets[a] != datasets[b] and key_a not in taken and key_b not in taken:
            taken.update((key_a, key_b))
            accepted[index] = True
    return accepted


def link_groups(
    log_odds: F64, left: I64, right: I64, n_records: int, other_pairs: PairLogOdds
) -> I64:
    """Partition records into groups, weighing the evidence of all pairs, for and against.

    Begins with single records and takes the positive pairs best first.  Two groups are joined when
    the log odds of *all* pairs between them add up to more than zero: a strong false pair does not
    merge two children whose other records contradict each other, and a weak true pair is carried
    by the others.  Passes are repeated until none joins anything.  (Greedy correlation clustering;
    Bansal, Blum, Chawla 2004 state the problem.)

    Args:
        log_odds: ``(m,)`` of the candidate pairs; positive favours one child.
        left, right: ``(m,) int64`` record numbers.
        n_records: records in all datasets.
        other_pairs: log odds of pairs that are not among the candidates.

    Returns:
        ``(n_records,) int64``: number of each record's group; the smallest record number in it.
    """
    positive = np.flatnonzero(log_odds > 0)
    order = positive[order_of_pairs(log_odds[positive], left[positive], right[positive])]
    group_of = np.arange(n_records, dtype=np.int64)
    members: dict[int, list[int]] = {}
    known = _known_weights(log_odds, left, right, order, n_records)
    edges = list(zip(left[order].tolist(), right[order].tolist(), strict=True))
    while True:
        waiting: list[tuple[int, int]] = []
        joined = False
        for a, b in edges:
            group_a, group_b = int(group_of[a]), int(group_of[b])
            if group_a == group_b:
                continue
            ours = members.get(group_a, [group_a])
            theirs = members.get(group_b, [group_b])
            if len(ours) + len(theirs) > _MAX_GROUP:
                continue
            if _evidence_between(ours, theirs, known, n_records, other_pairs) > 0.0:
                target, source = min(group_a, group_b), max(group_a, group_b)
                members[target] = ours + theirs
                members.pop(source, None)
                group_of[members[target]] = target
                joined = True
            else:
                waiting.append((a, b))
        edges = waiting
        if not joined:
            return group_of


def _known_weights(
    log_odds: F64, left: I64, right: I64, positive: I64, n_records: int
) -> dict[int, float]:
    # Only pairs between records that have some positive pair can ever be asked for.
    involved = np.zeros(n_records, dtype=bool)
    involved[left[positive]] = True
    involved[right[positive]] = True
    asked = np.flatnonzero(involved[left] & involved[right])
    keys = (left[asked] * n_records + right[asked]).tolist()
    return dict(zip(keys, log_odds[asked].tolist(), strict=True))


def _evidence_between(
    ours: list[int],
    theirs: list[int],
    known: dict[int, float],
    n_records: int,
    other_pairs: PairLogOdds,
) -> float:
    total = 0.0
    unknown: list[tuple[int, int]] = []
    for a in ours:
        for b in theirs:
            low, high = (a, b) if a < b else (b, a)
            weight = known.get(low * n_records + high)
            if weight is None:
                unknown.append((low, high))
            else:
                total += weight
    if unknown:
        pairs = np.array(unknown, dtype=np.int64)
        weights = other_pairs(pairs[:, 0], pairs[:, 1])
        for (low, high), weight in zip(unknown, weights.tolist(), strict=True):
            known[low * n_records + high] = weight
            total += weight
    return total
