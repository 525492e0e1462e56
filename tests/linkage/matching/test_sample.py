"""The sample: all pairs where they are few, else a weighted part that stands for all."""

import numpy as np
import pytest

from linkage.matching import reference
from linkage.matching.numbering import number_through
from linkage.matching.sample import group_sizes, sample_pairs
from linkage.matching.similar_pairs import find_similar_pairs
from linkage.types import ViewLayout
from tests.contract.matching_inputs import LAYOUTS, UNTAGGED, invent_datasets


@pytest.mark.parametrize("across_only", [False, True])
@pytest.mark.parametrize("layouts", [LAYOUTS, UNTAGGED])
def test_few_pairs_are_all_drawn(across_only: bool, layouts: tuple[ViewLayout, ...]) -> None:
    records = number_through(invent_datasets(3, layouts=layouts))
    similar = find_similar_pairs(records, across_only=across_only)
    every = reference.candidate_pairs(records, similar, across_only=across_only)
    sample = sample_pairs(records, similar, across_only=across_only)
    assert sample.weights is None
    assert np.array_equal(sample.left, every.left)
    assert np.array_equal(sample.right, every.right)
    assert np.array_equal(sample.agreeing, every.views)


def test_a_sample_stands_for_all_pairs() -> None:
    totals, sizes, everything = [], [], []
    for seed in range(12):
        records = number_through(invent_datasets(seed, (300, 300), n_children=200, skew=0.6))
        similar = find_similar_pairs(records, across_only=False)
        every = reference.candidate_pairs(records, similar, across_only=False)
        sample = sample_pairs(records, similar, across_only=False, pairs_of_a_view=500)
        assert sample.weights is not None
        assert (sample.weights >= 1.0).all()
        totals.append(sample.weights.sum())
        sizes.append(len(sample.left))
        everything.append(len(every))
    assert max(sizes) < 0.2 * min(everything)
    assert np.mean(totals) == pytest.approx(np.mean(everything), rel=0.15)


def test_a_sample_does_not_depend_on_the_order_of_datasets() -> None:
    def drawn(order: int) -> set[tuple[str, str]]:
        datasets = invent_datasets(7, (300, 300, 200), skew=0.8)
        if order < 0:
            # Other names turn the order of the datasets round.
            for number, dataset in enumerate(datasets):
                object.__setattr__(dataset, "name", f"z{9 - number}")
        records = number_through(datasets)
        similar = find_similar_pairs(records, across_only=False)
        sample = sample_pairs(records, similar, across_only=False, pairs_of_a_view=300)
        owner = records.dataset_of
        pairs = set()
        for a, b in zip(sample.left.tolist(), sample.right.tolist(), strict=True):
            ends = []
            for number in (a, b):
                d = int(owner(np.array([number]))[0])
                ends.append(records.datasets[d].pseudonym(number - int(records.offsets[d])))
            pairs.add((min(ends), max(ends)))
        return pairs

    assert drawn(1) == drawn(-1)


def test_sizes_of_groups() -> None:
    tags = np.array([5, 0, 7, 5, 5, 0, 9], dtype=np.uint64)
    assert group_sizes(tags).tolist() == [3, 0, 1, 3, 3, 0, 1]
