"""Pairs of records that have one partner at most: against adding up every set of pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.bipartite import OneToOnePairs, one_partner_log_odds, theta_of
from linkage.matching.score import probabilities
from linkage.matching.scored import SCORED
from linkage.types import F64, I64


def by_every_set(weight: F64, left: I64, right: I64) -> F64:
    """Probability of each pair: the weight of the sets that hold it, of that of all."""
    total, held = 0.0, np.zeros(len(weight))

    def add(
        pair: int, taken: frozenset[tuple[str, int]], chosen: list[int], product: float
    ) -> None:
        nonlocal total
        if pair == len(weight):
            total += product
            held[chosen] += product
            return
        add(pair + 1, taken, chosen, product)
        ends = {("left", int(left[pair])), ("right", int(right[pair]))}
        if not taken & ends:
            add(pair + 1, taken | ends, [*chosen, pair], product * float(weight[pair]))

    add(0, frozenset(), [], 1.0)
    return held / total


@st.composite
def forests(draw: st.DrawFn) -> tuple[F64, I64, I64]:
    """Log odds, left and right of pairs that form no circle."""
    n_left = draw(st.integers(1, 5))
    n_right = draw(st.integers(1, 5))
    possible = [(i, j) for i in range(n_left) for j in range(n_right)]
    order = draw(st.permutations(possible))
    root = {("left", i): ("left", i) for i in range(n_left)}
    root |= {("right", j): ("right", j) for j in range(n_right)}

    def find(end: tuple[str, int]) -> tuple[str, int]:
        while root[end] != end:
            end = root[end]
        return end

    kept = []
    for i, j in order:
        a, b = find(("left", i)), find(("right", j))
        if a != b:
            root[a] = b
            kept.append((i, j))
    left, right = np.array(kept, dtype=np.int64).T
    odds = draw(st.lists(st.floats(-8, 12), min_size=len(kept), max_size=len(kept)))
    return np.array(odds), left, right


@given(forests(), st.integers(5, 40), st.integers(5, 40))
@settings(max_examples=60, deadline=None)
def test_where_pairs_form_no_circle_it_is_exact(
    forest: tuple[F64, I64, I64], n_left: int, n_right: int
) -> None:
    log_odds, left, right = forest
    found = probabilities(one_partner_log_odds(log_odds, left, right, n_left, n_right))
    weight = np.exp(log_odds) * theta_of(float(found.sum()), n_left, n_right)
    assert found == pytest.approx(by_every_set(weight, left, right), abs=2e-3)


def test_in_circles_it_is_near() -> None:
    rng = np.random.default_rng(5)
    left, right = np.repeat(np.arange(3), 3), np.tile(np.arange(3), 3)
    for _ in range(20):
        log_odds = rng.normal(-1.0, 3.0, 9)
        found = probabilities(one_partner_log_odds(log_odds, left, right, 50, 50))
        weight = np.exp(log_odds) * theta_of(float(found.sum()), 50, 50)
        assert found == pytest.approx(by_every_set(weight, left, right), abs=0.1)


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_record_has_no_more_than_one_partner(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_left, n_right = rng.integers(1, 30, 2)
    pairs = np.flatnonzero(rng.random(n_left * n_right) < 0.3)
    left, right = pairs // n_right, pairs % n_right
    log_odds = rng.normal(0.0, 8.0, len(pairs))
    found = probabilities(one_partner_log_odds(log_odds, left, right, int(n_left), int(n_right)))
    assert np.isfinite(found).all()
    for ends in (left, right):
        assert (np.bincount(ends, found, minlength=30) < 1.0 + 5e-3).all()


def test_what_speaks_for_one_pair_speaks_against_another_of_its_record() -> None:
    left, right = np.array([0, 0]), np.array([0, 1])
    alone = one_partner_log_odds(np.array([3.0]), left[:1], right[:1], 100, 100)
    rivals = one_partner_log_odds(np.array([3.0, 3.0]), left, right, 100, 100)
    assert probabilities(alone)[0] > 0.95
    assert (probabilities(rivals) < 0.5).all()
    unequal = one_partner_log_odds(np.array([3.0, 9.0]), left, right, 100, 100)
    assert unequal == pytest.approx([3.0 - 9.0, 9.0 - 3.0], abs=0.1)


def test_a_pair_is_likelier_where_most_records_have_partners() -> None:
    sure = np.arange(80)
    left, right = np.append(sure, 90), np.append(sure, 95)
    weak = np.append(np.full(80, 20.0), -1.0)
    assert one_partner_log_odds(weak, left, right, 100, 100)[-1] == pytest.approx(
        -1.0 + np.log(theta_of(80.6, 100, 100)), abs=0.05
    )
    assert one_partner_log_odds(weak[-1:], left[-1:], right[-1:], 100, 100)[0] < -0.95


def test_theta_has_a_bound_where_all_have_partners() -> None:
    assert theta_of(0.0, 10, 20) == 1.0
    assert theta_of(5.0, 10, 20) == pytest.approx(1.0 / (0.5 * 0.75))
    assert theta_of(10.0, 10, 10) == pytest.approx(100.0)


def test_the_order_of_pairs_has_no_influence() -> None:
    rng = np.random.default_rng(2)
    pairs = np.flatnonzero(rng.random(400) < 0.2)
    left, right, log_odds = pairs // 20, pairs % 20, rng.normal(0, 4, len(pairs))
    mixed = rng.permutation(len(pairs))
    found = one_partner_log_odds(log_odds, left, right, 20, 20)
    again = one_partner_log_odds(log_odds[mixed], left[mixed], right[mixed], 20, 20)
    assert again == pytest.approx(found[mixed], abs=1e-9)


def test_certainty_and_impossibility_stay_numbers() -> None:
    left, right = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    found = one_partner_log_odds(np.array([1e9, 30.0, 30.0, -1e9]), left, right, 2, 2)
    assert np.isfinite(found).all()
    assert (found > 0).tolist() == [True, False, False, False]
    assert len(one_partner_log_odds(np.empty(0), left[:0], right[:0], 5, 5)) == 0


def test_it_knows_more_than_pairs_by_themselves_and_how_many_are_right() -> None:
    """Evidence drawn from normal distributions whose log likelihood ratio is itself."""
    rng = np.random.default_rng(11)
    n, n_right_pairs, strength = 400, 280, 4.0
    left, right = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    is_right = (left == right) & (left < n_right_pairs)
    mean = np.where(is_right, 0.5, -0.5) * strength**2
    log_odds = rng.normal(mean, strength) + np.log(n_right_pairs / n**2)
    found = probabilities(one_partner_log_odds(log_odds, left, right, n, n))
    assert found.sum() == pytest.approx(n_right_pairs, rel=0.05)

    def surprise(probability: F64) -> float:
        told = np.clip(np.where(is_right, probability, 1.0 - probability), 1e-12, 1.0)
        return float(-np.log(told).sum())

    assert surprise(found) < 0.7 * surprise(probabilities(log_odds))
    likely = (found > 0.5) & (found < 0.9)
    assert is_right[likely].mean() == pytest.approx(found[likely].mean(), abs=0.12)


def weighed(probability: list[float], by_itself: list[float] | None = None) -> OneToOnePairs:
    """Pairs of these probabilities among others, and by themselves the same if nothing is said."""
    pairs = np.zeros(len(probability), dtype=SCORED)
    chances = np.array(probability)
    pairs["log_odds"] = np.log(chances / (1.0 - chances))
    own = chances if by_itself is None else np.array(by_itself)
    return OneToOnePairs(pairs, np.log(own / (1.0 - own)))


def test_the_threshold_is_that_of_the_best_expected_f1_where_links_are_sure_enough() -> None:
    assert weighed([0.9999] * 1000 + [0.6] + [0.1] * 50).threshold() <= 0.6
    assert weighed([]).threshold() == 0.5
    assert weighed([0.9999] * 1000 + [0.6]).threshold(0.7) == 0.7


def test_the_threshold_rises_until_99_links_of_100_are_right_even_if_chance_is_against_it() -> None:
    doubtful = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55] * 10
    probability = np.array([0.9999] * 1000 + doubtful)
    found = weighed(probability.tolist()).threshold()
    kept = probability[probability >= found]
    assert 0.6 < found < 0.95
    spread = np.sqrt((kept * (1.0 - kept)).sum())
    assert kept.sum() - spread >= 0.99 * len(kept)
    more = probability[probability >= probability[probability < found].max()]
    assert more.sum() - np.sqrt((more * (1.0 - more)).sum()) < 0.99 * len(more)


def test_a_threshold_at_which_nothing_would_be_left_is_not_raised() -> None:
    assert weighed([0.9, 0.8, 0.7]).threshold() <= 0.7


def test_duplicates_that_fit_a_third_record_do_not_raise_the_threshold() -> None:
    chances = [0.9999] * 100 + [0.5] * 60
    assert weighed(chances, [0.9999] * 160).threshold() <= 0.5
    assert weighed(chances).threshold() > 0.5
