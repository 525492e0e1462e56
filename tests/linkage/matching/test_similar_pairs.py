"""Candidates of views without tags: the fast way and the plain one find the same pairs."""

import numpy as np
import pytest

from linkage.matching.candidates import MIN_CORRELATION, pairs_by_similarity
from linkage.matching.numbering import NumberedRecords, number_through
from linkage.matching.pair_scan import Method, ScanOptions
from linkage.matching.similar_pairs import find_similar_pairs
from linkage.matching.tile import usable_variants
from linkage.types import GroupLayout, ViewLayout
from tests.contract.matching_inputs import UNTAGGED, invent_datasets

# More than 2,048 pairs of records, and words enough for a head to be shorter than the filter.
WIDE = (UNTAGGED[0], ViewLayout("all", False, (GroupLayout("name", 512), GroupLayout("place", 64))))


def plainly(records: NumberedRecords, across_only: bool) -> set[tuple[int, int]]:
    everybody = np.arange(records.n_records, dtype=np.int64)
    view = records.views[1]
    parts = pairs_by_similarity(
        np.asarray(view.filters["name"][everybody], dtype=np.uint64),
        np.asarray(view.filter_present["name"][everybody], dtype=np.bool_),
        MIN_CORRELATION,
    )
    pairs = {(a, b) for left, right in parts for a, b in zip(left, right, strict=True)}
    dataset = records.dataset_of(everybody)
    return {(a, b) for a, b in pairs if not across_only or dataset[a] != dataset[b]}


@pytest.mark.parametrize("across_only", [False, True])
@pytest.mark.parametrize("sizes", [(200, 150, 100), (0, 20), (1, 1), (300,)])
@pytest.mark.parametrize("method", ["full", "abandon"])
def test_the_fast_way_finds_what_the_plain_one_finds(
    sizes: tuple[int, ...], across_only: bool, method: Method
) -> None:
    records = number_through(invent_datasets(3, sizes, layouts=WIDE))
    for view in (dataset.views[1] for dataset in records.datasets):
        # Empty filters resemble each other, and whatever has few bits set.
        view.filters["name"][:5] = 0
        view.filters["name"][5:9] = 1
        view.filters["name"][9:12] = 2**64 - 1
    expected = plainly(records, across_only)
    for variant in usable_variants()[:2]:
        options = ScanOptions(method, tile=variant.name, n_threads=2)
        similar = find_similar_pairs(records, across_only=across_only, options=options)
        assert set(similar.by_view) == {1}
        left, right = similar.pairs_of(1)
        found = set(zip(left.tolist(), right.tolist(), strict=True))
        assert len(found) == len(left)
        assert found == expected
    assert not expected or max(sizes) < 100 or len(expected) > 100


def test_progress_is_told_over_all_datasets() -> None:
    records = number_through(invent_datasets(3, (40, 30, 20), layouts=UNTAGGED))
    told: list[tuple[int, int]] = []
    find_similar_pairs(records, across_only=True, tell=lambda *now: told.append(now))
    assert len(told) == 3
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0
