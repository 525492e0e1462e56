"""Solvers against brute force, and the cases that greedy pair matching gets wrong."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.solve import link_groups, one_to_one
from linkage.types import F64, I64


def never(left: I64, right: I64) -> F64:
    """Pairs that are no candidates contradict each other mildly."""
    return np.full(len(left), -2.0)


def groups_of(
    edges: dict[tuple[int, int], float], n: int, others: float = -2.0
) -> set[frozenset[int]]:
    left = np.array([a for a, _ in edges], dtype=np.int64)
    right = np.array([b for _, b in edges], dtype=np.int64)
    weights = np.array(list(edges.values()), dtype=np.float64)
    group_of = link_groups(weights, left, right, n, lambda a, b: np.full(len(a), others))
    return {
        frozenset(np.flatnonzero(group_of == g).tolist())
        for g in np.unique(group_of)
        if (group_of == g).sum() > 1
    }


def test_a_weak_pair_is_carried_by_strong_ones() -> None:
    assert groups_of({(0, 1): 8.0, (1, 2): 8.0, (0, 2): -3.0}, 3) == {frozenset({0, 1, 2})}


def test_one_strong_false_pair_does_not_merge_two_children() -> None:
    edges = {(0, 1): 9.0, (2, 3): 9.0, (1, 2): 4.0, (0, 2): -8.0, (0, 3): -8.0, (1, 3): -8.0}
    assert groups_of(edges, 4) == {frozenset({0, 1}), frozenset({2, 3})}


def test_pairs_that_are_no_candidates_are_asked_for() -> None:
    edges = {(0, 1): 3.0, (1, 2): 2.0}
    assert groups_of(edges, 3, others=-1.0) == {frozenset({0, 1, 2})}
    assert groups_of(edges, 3, others=-10.0) == {frozenset({0, 1})}


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_groups_do_not_depend_on_the_order_of_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    left, right = np.triu_indices(n, 1)
    keep = rng.random(len(left)) < 0.4
    left, right = left[keep], right[keep]
    weights = np.round(rng.normal(0, 4, len(left)))
    shuffled = rng.permutation(len(left))
    one = link_groups(weights, left, right, n, never)
    other = link_groups(weights[shuffled], left[shuffled], right[shuffled], n, never)
    assert np.array_equal(one, other)


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_one_to_one_takes_the_best_pair_whose_records_are_free(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dataset_of = np.repeat([0, 1, 2], 4)
    left, right = np.triu_indices(12, 1)
    weights = rng.integers(-3, 4, len(left)).astype(np.float64)
    accepted = one_to_one(weights, left, right, dataset_of)
    expected: set[tuple[int, int]] = set()
    order = sorted(range(len(left)), key=lambda i: (-weights[i], left[i], right[i]))
    assert all(weights[i] >= weights[j] for i, j in pairwise(order))
    for i in order:
        a, b = int(left[i]), int(right[i])
        if dataset_of[a] == dataset_of[b]:
            continue
        clash = any(
            (x == a and dataset_of[y] == dataset_of[b])
            or (y == b and dataset_of[x] == dataset_of[a])
            or (y == a and dataset_of[x] == dataset_of[b])
            or (x == b and dataset_of[y] == dataset_of[a])
            for x, y in expected
        )
        if not clash:
            expected.add((a, b))
    found = set(zip(left[accepted].tolist(), right[accepted].tolist(), strict=True))
    assert found == expected
