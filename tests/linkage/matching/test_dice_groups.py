"""Contract: for the same candidate pairs, groups are those of anonlink's greedy solver."""

from array import array
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.dice_groups import greedy_groups
from linkage.types import F64, I64
from tests.linkage.matching.anonlink_oracle import anonlink

Groups = set[frozenset[int]]


def anonlink_groups(dice: F64, left: I64, right: I64, sizes: list[int]) -> Groups:
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    dataset_of = np.repeat(np.arange(len(sizes)), sizes)
    a, b = dataset_of[left], dataset_of[right]
    order = np.lexsort((right - offsets[b], left - offsets[a], b, a, -dice))
    columns = [a, b, left - offsets[a], right - offsets[b]]
    dataset_a, dataset_b, row_a, row_b = (array("I", c[order].tolist()) for c in columns)
    candidates = (array("d", dice[order].tolist()), (dataset_a, dataset_b), (row_a, row_b))
    return {
        frozenset(int(offsets[dataset]) + row for dataset, row in group)
        for group in anonlink.solving.greedy_solve(candidates)
    }


@st.composite
def scored_pairs(draw: st.DrawFn) -> tuple[F64, I64, I64, list[int]]:
    """Pairs across two to four small datasets, with many ties."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    dataset_of = np.repeat(np.arange(len(sizes)), sizes).tolist()
    across = [
        (a, b) for a, b in combinations(range(sum(sizes)), 2) if dataset_of[a] != dataset_of[b]
    ]
    chosen = draw(st.lists(st.sampled_from(across), unique=True, max_size=40))
    scores = draw(st.lists(st.integers(5, 9), min_size=len(chosen), max_size=len(chosen)))
    pairs = np.array(chosen, dtype=np.int64).reshape(-1, 2)
    return np.array(scores, dtype=np.float64) / 10, pairs[:, 0], pairs[:, 1], sizes


@settings(max_examples=200)
@given(scored_pairs())
def test_groups_are_those_of_anonlink(case: tuple[F64, I64, I64, list[int]]) -> None:
    dice, left, right, sizes = case
    dataset_of = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    group_of = greedy_groups(dice, left, right, dataset_of, sum(sizes))
    numbers = set(group_of.tolist())
    found: Groups = {frozenset(np.flatnonzero(group_of == number).tolist()) for number in numbers}
    assert {group for group in found if len(group) > 1} == anonlink_groups(dice, left, right, sizes)
    assert all(group_of[min(group)] == min(group) for group in found)


def test_the_order_of_the_pairs_has_no_influence() -> None:
    draw = np.random.default_rng(5)
    left, right = np.array(list(combinations(range(30), 2))).T
    dataset_of = np.repeat(np.arange(3), 10)
    across = dataset_of[left] != dataset_of[right]
    left, right = left[across], right[across]
    dice = draw.integers(5, 10, len(left)) / 10
    expected = greedy_groups(dice, left, right, dataset_of, 30)
    mixed = draw.permutation(len(left))
    assert np.array_equal(
        greedy_groups(dice[mixed], left[mixed], right[mixed], dataset_of, 30), expected
    )
