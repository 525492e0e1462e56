"""Candidates of views without tags: all pairs whose first filters resemble each other.

All pairs are compared, so the cost grows with the square of the records.
"""

from dataclasses import dataclass

import numpy as np

from linkage.matching.candidates import MIN_CORRELATION, pairs_by_similarity
from linkage.matching.numbering import NumberedRecords
from linkage.types import I64


@dataclass(frozen=True, slots=True)
class SimilarPairs:
    """For each untagged view its pairs ``left, right``, left < right, in no particular order."""

    by_view: dict[int, tuple[I64, I64]]

    def pairs_of(self, view: int) -> tuple[I64, I64]:
        """The pairs that are comparable in an untagged view."""
        return self.by_view[view]


def find_similar_pairs(records: NumberedRecords, *, across_only: bool) -> SimilarPairs:
    """Compare all pairs of records in every untagged view."""
    found = {}
    for number, view in enumerate(records.views):
        if view.tags is not None:
            continue
        group = view.layout.groups[0].name
        everybody = np.arange(records.n_records, dtype=np.int64)
        parts = list(
            pairs_by_similarity(
                view.filters[group][everybody],
                view.filter_present[group][everybody],
                MIN_CORRELATION,
            )
        )
        left = np.concatenate([np.empty(0, dtype=np.int64), *(part[0] for part in parts)])
        right = np.concatenate([np.empty(0, dtype=np.int64), *(part[1] for part in parts)])
        if across_only:
            across = records.dataset_of(left) != records.dataset_of(right)
            left, right = left[across], right[across]
        found[number] = (left, right)
    return SimilarPairs(found)
