"""One-to-one: against the plain way, against anonlink, and against trying everything."""

import array
import warnings
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.assignment import greedy_one_to_one, optimal_one_to_one
from linkage.matching.solve import one_to_one, order_of_pairs
from linkage.types import F64, I64


def draw_pairs(seed: int, sizes: tuple[int, ...], share: float) -> tuple[F64, I64, I64, I64]:
    """Log odds (with ties), left, right, and the dataset of each record."""
    rng = np.random.default_rng(seed)
    dataset_of = np.repeat(np.arange(len(sizes)), sizes)
    left, right = np.triu_indices(len(dataset_of), 1)
    chosen = rng.random(len(left)) < share
    left, right = left[chosen].astype(np.int64), right[chosen].astype(np.int64)
    return np.round(rng.uniform(0, 5, len(left)), 1), left, right, dataset_of


@given(st.integers(0, 2**32), st.sampled_from([(12, 9), (5, 5, 5), (1, 8)]))
@settings(max_examples=50)
def test_greedy_equals_the_plain_way(seed: int, sizes: tuple[int, ...]) -> None:
    log_odds, left, right, dataset_of = draw_pairs(seed, sizes, 0.4)
    ends = np.stack((dataset_of[left], dataset_of[right]))
    fast = greedy_one_to_one(log_odds, left, right, ends, len(dataset_of))
    assert np.array_equal(fast, one_to_one(log_odds, left, right, dataset_of))


def test_greedy_takes_more_datasets_than_a_word_has_bits() -> None:
    log_odds, left, right, dataset_of = draw_pairs(3, (1,) * 130, 0.2)
    ends = np.stack((dataset_of[left], dataset_of[right]))
    fast = greedy_one_to_one(log_odds, left, right, ends, len(dataset_of))
    assert np.array_equal(fast, one_to_one(log_odds, left, right, dataset_of))
    assert fast.all()


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_greedy_makes_the_links_of_anonlink(seed: int) -> None:
    with warnings.catch_warnings():
        # anonlink imports pkg_resources, which says that it will go.
        warnings.simplefilter("ignore")
        from anonlink.solving import greedy_solve, pairs_from_groups
    log_odds, left, right, dataset_of = draw_pairs(seed, (15, 12), 0.3)
    across = dataset_of[left] != dataset_of[right]
    log_odds, left, right = log_odds[across], left[across], right[across]
    order = order_of_pairs(log_odds, left, right)
    candidates = (
        array.array("d", log_odds[order]),
        (array.array("I", np.zeros(len(order), int)), array.array("I", np.ones(len(order), int))),
        (array.array("I", left[order]), array.array("I", right[order] - 15)),
    )
    expected = set(pairs_from_groups(greedy_solve(candidates)))
    ends = np.stack((dataset_of[left], dataset_of[right]))
    accepted = greedy_one_to_one(log_odds, left, right, ends, len(dataset_of))
    found = set(zip(left[accepted].tolist(), (right[accepted] - 15).tolist(), strict=True))
    assert found == expected


def best_total(gain: F64, left: I64, right: I64) -> float:
    best = 0.0
    for size in range(1, len(gain) + 1):
        for edges in combinations(range(len(gain)), size):
            ends = [*left[list(edges)], *right[list(edges)]]
            if len(set(ends)) == len(ends):
                best = max(best, float(gain[list(edges)].sum()))
    return best


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_optimal_has_the_highest_total_of_all_assignments(seed: int) -> None:
    log_odds, left, right, dataset_of = draw_pairs(seed, (4, 4), 0.5)
    ends = np.stack((dataset_of[left], dataset_of[right]))
    accepted = optimal_one_to_one(log_odds, 0.0, left, right, ends)
    chosen = [*left[accepted], *right[accepted]]
    assert len(set(chosen)) == len(chosen)
    across = ends[0] != ends[1]
    assert not accepted[~across].any()
    expected = best_total(log_odds[across], left[across], right[across])
    assert abs(log_odds[accepted].sum() - expected) < 1e-6


def test_optimal_gives_up_one_strong_pair_for_two_good_ones() -> None:
    left, right = np.array([0, 0, 1]), np.array([2, 3, 2])
    log_odds = np.array([5.0, 4.0, 4.0])
    ends = np.stack((np.zeros(3, np.int64), np.ones(3, np.int64)))
    assert greedy_one_to_one(log_odds, left, right, ends, 4).tolist() == [True, False, False]
    assert optimal_one_to_one(log_odds, 0.0, left, right, ends).tolist() == [False, True, True]


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_optimal_does_not_depend_on_the_order_of_pairs(seed: int) -> None:
    log_odds, left, right, dataset_of = draw_pairs(seed, (8, 8, 4), 0.4)
    ends = np.stack((dataset_of[left], dataset_of[right]))
    shuffled = np.random.default_rng(seed).permutation(len(left))
    one = optimal_one_to_one(log_odds, 0.0, left, right, ends)
    other = optimal_one_to_one(
        log_odds[shuffled], 0.0, left[shuffled], right[shuffled], ends[:, shuffled]
    )
    assert np.array_equal(one[shuffled], other)


def test_nothing_in_nothing_out() -> None:
    none = np.empty(0, dtype=np.int64)
    ends = np.empty((2, 0), dtype=np.int64)
    assert len(greedy_one_to_one(np.empty(0), none, none, ends, 3)) == 0
    assert len(optimal_one_to_one(np.empty(0), 0.0, none, none, ends)) == 0
