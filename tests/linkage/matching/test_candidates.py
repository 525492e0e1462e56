"""Candidates against the obvious slow way of finding them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import MatchingError
from linkage.matching.candidates import (
    MAX_VIEWS,
    merge_candidates,
    pairs_by_similarity,
    pairs_with_equal_tags,
)

tag_lists = st.lists(st.integers(0, 6), max_size=40)


@given(tag_lists)
def test_tagged_join_equals_all_pairs_restricted_to_equal_tags(tags: list[int]) -> None:
    array = np.array(tags, dtype=np.uint64)
    present = array > 0
    left, right = pairs_with_equal_tags(array, present)
    found = sorted(zip(left.tolist(), right.tolist(), strict=True))
    expected = [
        (a, b) for a, b in combinations(range(len(tags)), 2) if tags[a] == tags[b] and tags[a] > 0
    ]
    assert found == expected


def test_one_large_group_gives_every_pair_once() -> None:
    n = 700
    left, right = pairs_with_equal_tags(np.ones(n, np.uint64), np.ones(n, bool))
    assert len(left) == n * (n - 1) // 2
    assert len(np.unique(left * n + right)) == len(left)
    assert bool((left < right).all())


@given(st.integers(0, 2**32), st.integers(0, 30), st.floats(-0.5, 0.9))
def test_similarity_join_equals_comparing_every_pair(seed: int, n: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    filters = rng.integers(0, 2**64, (n, 2), dtype=np.uint64)
    filters[n // 2 :] = filters[: n - n // 2] ^ np.uint64(rng.integers(0, 2**20))
    present = rng.random(n) < 0.8
    found = sorted(
        pair
        for left, right in pairs_by_similarity(filters, present, least)
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    )
    expected = []
    for a, b in combinations(range(n), 2):
        distance = sum(
            int(x ^ y).bit_count()
            for x, y in zip(filters[a].tolist(), filters[b].tolist(), strict=True)
        )
        if present[a] and present[b] and distance <= int(np.floor((1 - least) * 128 / 2)):
            expected.append((a, b))
    assert found == expected


def test_merging_sets_a_bit_for_each_view_and_can_leave_out_pairs_inside_a_dataset() -> None:
    first = (0, np.array([0, 1]), np.array([1, 3]))
    second = (2, np.array([1, 0]), np.array([3, 2]))
    merged = merge_candidates([first, second], 4, None)
    assert merged.left.tolist() == [0, 0, 1]
    assert merged.right.tolist() == [1, 2, 3]
    assert merged.views.tolist() == [0b001, 0b100, 0b101]
    across = merge_candidates([first, second], 4, np.array([0, 0, 1, 1]))
    assert list(zip(across.left.tolist(), across.right.tolist(), strict=True)) == [(0, 2), (1, 3)]


def test_nothing_in_nothing_out() -> None:
    assert len(merge_candidates([], 1, None)) == 0
    left, _ = pairs_with_equal_tags(np.empty(0, np.uint64), np.empty(0, bool))
    assert len(left) == 0


def test_more_views_than_bits_is_an_error() -> None:
    one = np.array([0]), np.array([1])
    with pytest.raises(MatchingError):
        merge_candidates([(MAX_VIEWS, *one)], 2, None)
