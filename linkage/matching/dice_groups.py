"""Pairs with one similarity each into groups over several datasets, greedily."""

from collections import Counter, defaultdict

import numpy as np

from linkage.types import F64, I64


def greedy_groups(dice: F64, left: I64, right: I64, dataset_of: I64, n_records: int) -> I64:
    """Merge records into groups in which every two records are a candidate pair.

    Pairs are taken best first.  The two groups of a pair are merged once all pairs between them
    have come; until then they wait.  So a group's weakest pair is as strong as it can be, and two
    records of one dataset are in one group only if they are a pair themselves.  These are the
    groups of anonlink's greedy solver for the same pairs.

    Ties: by ascending dataset of the left record, then of the right one, then by ascending left
    number, then right number.

    Args:
        dice, left, right: ``(m,)`` pairs, each once, left < right.
        dataset_of: ``(n_records,) int64``, ascending.
        n_records: in all datasets.

    Returns:
        ``(n_records,) int64``: number of each record's group; the smallest record number in it.
    """
    order = np.lexsort((right, left, dataset_of[right], dataset_of[left], -dice))
    group_of = np.arange(n_records, dtype=np.int64)
    members: dict[int, list[int]] = {}
    pairs_between: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for a, b in zip(left[order].tolist(), right[order].tolist(), strict=True):
        one, other = int(group_of[a]), int(group_of[b])
        if one == other:
            continue
        ours, theirs = members.get(one, [one]), members.get(other, [other])
        if pairs_between[one][other] + 1 < len(ours) * len(theirs):
            pairs_between[one][other] += 1
            pairs_between[other][one] += 1
            continue
        kept, gone = min(one, other), max(one, other)
        members[kept] = ours + theirs
        members.pop(gone, None)
        group_of[members[kept]] = kept
        _merge_counts(pairs_between, kept, gone)
    return group_of


def _merge_counts(pairs_between: defaultdict[int, Counter[int]], kept: int, gone: int) -> None:
    moved = pairs_between.pop(gone, Counter())
    del moved[kept], pairs_between[kept][gone]
    for third, count in moved.items():
        pairs_between[kept][third] += count
        pairs_between[third][kept] += count
        del pairs_between[third][gone]
