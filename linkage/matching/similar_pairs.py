"""Candidates of views without tags: all pairs whose first filters resemble each other.

All pairs are compared, so the cost grows with the square of the records; and all that resemble each
other are held in memory.  The comparing is that of CLKs (:mod:`linkage.matching.pair_scan`), by
Hamming distance; :func:`linkage.matching.candidates.pairs_by_similarity` is the plain way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from linkage.matching.candidates import MIN_CORRELATION, most_distance
from linkage.matching.finish import Rule
from linkage.matching.numbering import NumberedRecords
from linkage.matching.pair_scan import ScanOptions, iterate_pairs
from linkage.types import I64, U64

Tell = Callable[[int, int], None]
"""Told of pairs compared so far, and of all that there are to compare."""


@dataclass(frozen=True, slots=True)
class SimilarPairs:
    """For each untagged view its pairs ``left, right``, left < right, in no particular order."""

    by_view: dict[int, tuple[I64, I64]]

    def pairs_of(self, view: int) -> tuple[I64, I64]:
        """The pairs that are comparable in an untagged view."""
        return self.by_view[view]


def find_similar_pairs(
    records: NumberedRecords,
    *,
    across_only: bool,
    options: ScanOptions | None = None,
    tell: Tell | None = None,
) -> SimilarPairs:
    """Compare all pairs of records in every untagged view.

    Args:
        records: to be matched.
        across_only: leave out pairs inside a dataset.
        options: how; they have no influence on what is found.
        tell: told of progress.

    Raises:
        MatchingError: options outside the contract.
    """
    untagged = [number for number, view in enumerate(records.views) if view.tags is None]
    scans = {number: _sides(records, number, across_only) for number in untagged}
    n_all = sum(_n_pairs(*side) for sides in scans.values() for side in sides)
    n_before = 0

    def told(n_done: int, _n_all: int) -> None:
        if tell is not None:
            tell(n_before + n_done, n_all)

    found = {}
    for number, sides in scans.items():
        group = records.layouts[number].groups[0]
        rule = Rule(1.0, most_distance(group.filter_bits, MIN_CORRELATION))
        filters = records.views[number].filters[group.name]
        lefts, rights = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for left, right in sides:
            rows: U64 = np.asarray(filters[left], dtype=np.uint64)
            columns: U64 = rows if right is None else np.asarray(filters[right], dtype=np.uint64)
            within = None if right is None else columns
            for part in iterate_pairs(rows, within, rule, options or ScanOptions(), told):
                lefts.append(left[part.left])
                rights.append((left if right is None else right)[part.right])
            n_before += _n_pairs(left, right)
        found[number] = np.concatenate(lefts), np.concatenate(rights)
    return SimilarPairs(found)


def _sides(records: NumberedRecords, view: int, across_only: bool) -> list[tuple[I64, I64 | None]]:
    """Numbers of records to compare with each other; ``None``: among themselves."""
    group = records.layouts[view].groups[0].name
    everybody = np.arange(records.n_records, dtype=np.int64)
    present = everybody[np.asarray(records.views[view].filter_present[group][everybody], np.bool_)]
    if not across_only:
        return [(present, None)]
    return list(combinations(np.split(present, np.searchsorted(present, records.offsets[1:-1])), 2))


def _n_pairs(left: I64, right: I64 | None) -> int:
    return len(left) * (len(left) - 1) // 2 if right is None else len(left) * len(right)
