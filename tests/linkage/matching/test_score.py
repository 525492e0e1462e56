"""The evidence model on pairs drawn from a known mixture."""

import numpy as np
import pytest

from linkage.matching.compare import DIFFERS, EQUAL, MISSING, UNLIKE, Levels
from linkage.matching.score import (
    EvidenceModel,
    FeatureMeaning,
    fit_evidence_model,
    probabilities,
    threshold_for_best_f1,
    threshold_for_precision,
)
from linkage.types import Bools

FEATURES = 6  # identity, name, birth, guardian, phone, place
MEANING = FeatureMeaning(
    household=(3, 4, 5), twins=(2,), anchors=(0,), by_salt=((0,), (2,), (1,), (4,), ())
)


def fit(levels: Levels) -> EvidenceModel:
    """Fit with the views that must have made each pair comparable: those that agree."""
    views = np.zeros(len(levels), dtype=np.uint16)
    for view, feature in enumerate((0, 2, 1, 4)):
        views |= ((levels[:, feature] == EQUAL).astype(np.uint16) << view).astype(np.uint16)
    return fit_evidence_model(levels, views, MEANING)


def draw_pairs(
    rng: np.random.Generator, n: int, agree: list[float], missing: list[float]
) -> Levels:
    levels = np.where(rng.random((n, FEATURES)) < np.array(agree), EQUAL, UNLIKE)
    levels = levels.astype(np.int8)
    levels[:, 0] = np.where(levels[:, 0] == UNLIKE, DIFFERS, levels[:, 0])
    levels[rng.random((n, FEATURES)) < np.array(missing)] = MISSING
    return levels


def draw_mixture(seed: int) -> tuple[Levels, Bools]:
    rng = np.random.default_rng(seed)
    missing = [0.2, 0.0, 0.02, 0.1, 0.15, 0.1]
    parts = [
        draw_pairs(rng, 4000, [0.97, 0.93, 0.95, 0.85, 0.8, 0.9], missing),
        draw_pairs(rng, 9000, [0.0, 0.01, 1.0, 0.01, 0.0, 0.1], missing),
        draw_pairs(rng, 5000, [0.0, 1.0, 0.01, 0.01, 0.0, 0.1], missing),
        draw_pairs(rng, 1500, [0.0, 0.02, 0.02, 0.97, 0.95, 0.95], missing),
        draw_pairs(rng, 80, [0.0, 0.05, 1.0, 0.97, 0.95, 0.95], missing),
    ]
    truth = np.concatenate([np.full(len(p), i == 0) for i, p in enumerate(parts)])
    return np.concatenate(parts), truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_matches_are_told_from_chance_siblings_and_twins_without_truth(seed: int) -> None:
    levels, truth = draw_mixture(seed)
    log_odds = fit(levels).log_odds(levels)
    found = log_odds > 0
    assert (found & truth).sum() / found.sum() > 0.98
    assert (found & truth).sum() / truth.sum() > 0.98
    siblings = slice(18000, 19500)
    assert found[siblings].mean() < 0.02


def test_without_features_of_a_home_there_are_no_siblings_and_no_matches_by_a_home() -> None:
    rng = np.random.default_rng(4)
    parts = [
        draw_pairs(rng, 900, [0.97, 0.93, 0.95, 0.9, 0.9, 0.9], [0.0] * FEATURES),
        draw_pairs(rng, 9000, [0.0, 0.01, 1.0, 0.01, 0.0, 0.1], [0.0] * FEATURES),
        draw_pairs(rng, 5000, [0.0, 1.0, 0.01, 0.01, 0.0, 0.1], [0.0] * FEATURES),
    ]
    levels = np.concatenate(parts)
    views = np.repeat([0b111, 0b010, 0b100], [900, 9000, 5000]).astype(np.uint16)
    meaning = FeatureMeaning(household=(), twins=(), anchors=(0,), by_salt=((0,), (2,), (1,)))
    model = fit_evidence_model(levels, views, meaning)
    assert model.n_match_classes == 2
    assert len(model.log_prior) == 2 + 3
    assert ((model.log_odds(levels) > 0) == (np.arange(len(levels)) < 900)).mean() > 0.999


def test_the_order_of_pairs_has_no_influence() -> None:
    levels, _ = draw_mixture(5)
    shuffled = np.random.default_rng(0).permutation(len(levels))
    one = fit(levels).log_odds(levels)
    other = fit(levels[shuffled]).log_odds(levels[shuffled])
    assert np.array_equal(one[shuffled], other)


def test_a_pair_without_evidence_has_the_odds_of_the_prior() -> None:
    levels, _ = draw_mixture(6)
    model = fit(levels)
    nothing = np.full((1, FEATURES), MISSING, dtype=np.int8)
    prior = np.exp(model.log_prior)
    n = model.n_match_classes
    expected = np.log(prior[:n].sum() / prior[n:].sum())
    assert model.log_odds(nothing)[0] == pytest.approx(expected)


def test_threshold_maximises_expected_f1() -> None:
    probability = np.array([0.99, 0.95, 0.9, 0.6, 0.3, 0.1, 0.05])
    threshold = threshold_for_best_f1(probability)

    def expected_f1(bound: float) -> float:
        accepted = probability[probability >= bound]
        return float(2 * accepted.sum() / (len(accepted) + probability.sum()))

    assert expected_f1(threshold) == max(expected_f1(bound) for bound in probability)
    assert threshold_for_best_f1(np.empty(0)) == 0.5


def test_probabilities_are_the_logistic_function() -> None:
    assert probabilities(np.array([0.0]))[0] == 0.5
    assert probabilities(np.array([30.0]))[0] > 0.999999


def test_a_weight_stands_for_so_many_equal_pairs() -> None:
    levels, _ = draw_mixture(1)
    views = np.ones(len(levels), np.uint16)
    twice = fit_evidence_model(np.repeat(levels, 2, axis=0), np.repeat(views, 2), MEANING)
    weighted = fit_evidence_model(levels, views, MEANING, np.full(len(levels), 2.0))
    assert np.array_equal(twice.log_likelihood, weighted.log_likelihood)
    shuffled = np.random.default_rng(3).permutation(len(levels))
    again = fit_evidence_model(
        levels[shuffled], views, MEANING, np.full(len(levels), 2.0)[shuffled]
    )
    assert np.array_equal(again.log_likelihood, weighted.log_likelihood)


def test_a_threshold_of_weighted_pairs_is_that_of_as_many_pairs() -> None:
    probability = np.array([0.9, 0.6, 0.3, 0.1])
    weights = np.array([1.0, 3.0, 2.0, 50.0])
    repeated = np.repeat(probability, weights.astype(int))
    assert threshold_for_best_f1(probability, weights) == threshold_for_best_f1(repeated)


def test_links_are_left_out_until_the_others_are_expected_to_be_right() -> None:
    probability = np.array([0.2, 1.0, 0.9, 1.0, 0.5, 0.2])
    assert threshold_for_precision(probability, 0.6) is None
    assert threshold_for_precision(probability, 0.8) == pytest.approx(0.35)
    assert threshold_for_precision(probability, 0.9) == pytest.approx(0.7)
    assert threshold_for_precision(probability, 0.99) == pytest.approx(0.95)
    # Odds of 1/4 are 1 to 1, of 1 to 1 are 4 to 1, of 9 to 1 are 36 to 1.
    raised = 1.0 + 1.0 + 36 / 37 + 0.8 + 0.5 + 0.5
    just_under, just_over = raised / 6 - 1e-9, raised / 6 + 1e-9
    assert threshold_for_precision(probability, just_under, odds_factor=4.0) is None
    assert threshold_for_precision(probability, just_over, odds_factor=4.0) == pytest.approx(0.35)


def test_links_of_one_probability_are_kept_or_left_together() -> None:
    # One of the weak ones would still do; both would not.
    assert threshold_for_precision(np.array([1.0, 1.0, 1.0, 0.6, 0.6]), 0.9) == pytest.approx(0.8)
    assert threshold_for_precision(np.array([0.6, 0.6]), 0.9) == 1.0
    assert threshold_for_precision(np.empty(0), 0.9) is None
