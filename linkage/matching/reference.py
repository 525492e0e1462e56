"""The plain way to scored pairs: everything in memory, every pair compared, nothing spilled.

The fast way (:mod:`linkage.matching.join`) must give the same pairs and log odds to the byte; the
contract suite compares the two.
"""

import numpy as np

from linkage.matching.candidates import CandidatePairs, merge_candidates, pairs_with_equal_tags
from linkage.matching.compare import measure_pairs
from linkage.matching.numbering import NumberedRecords
from linkage.matching.score import EvidenceModel
from linkage.matching.scored import ScoredPairs, scored
from linkage.matching.similar_pairs import SimilarPairs
from linkage.types import I64


def candidate_pairs(
    records: NumberedRecords, similar: SimilarPairs, *, across_only: bool
) -> CandidatePairs:
    """Every pair that is comparable in some view."""
    found: list[tuple[int, I64, I64]] = []
    for number, view in enumerate(records.views):
        if view.tags is not None:
            found.append((number, *pairs_with_equal_tags(view.tags, view.present)))
        else:
            found.append((number, *similar.pairs_of(number)))
    dataset_of = records.dataset_of(np.arange(records.n_records)) if across_only else None
    return merge_candidates(found, max(records.n_records, 1), dataset_of)


def scored_pairs(
    records: NumberedRecords,
    similar: SimilarPairs,
    model: EvidenceModel,
    floor: float,
    *,
    across_only: bool,
) -> ScoredPairs:
    """The candidate pairs whose log odds reach the floor."""
    pairs = candidate_pairs(records, similar, across_only=across_only)
    measured = measure_pairs(records.views, pairs.left, pairs.right, pairs.views.astype(np.int64))
    found = scored(records, pairs.left, pairs.right, measured, model)
    return found[found["log_odds"] >= floor]
