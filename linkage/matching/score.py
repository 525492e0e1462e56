"""From levels of agreement to log odds of being the same child, learned without truth.

The model is a mixture in the manner of Fellegi and Sunter (1969): within a class, features are
independent and each has its own distribution over levels; classes and distributions are found by
expectation maximisation (Winkler 1988).  Two classes, match and chance, are not enough for
children: siblings and twins agree on guardian, phone and place, and two classes would take them
for matches.  So there are

- match classes for well and badly documented children, since errors cluster on children;
- classes of siblings, of twins, and of chance: one for each view, of pairs that its salt alone
  brought together.

Where a profile says nothing of a home, there are no siblings, and no matches by what a home shares.

Left to themselves classes drift: where there are no siblings, theirs would take matches.  So each
is held to what it means.  Siblings, twins and strangers agree in at most 5 % of pairs on a feature
of the person that they do not share by definition.  Pairs of a match class agree on each feature of
the person in at least half of the cases, and on an anchor such as the ID number in 95 %.

Where enough pairs have two valid, different ID numbers, they show how siblings, twins and strangers
look; the other classes' distributions are learned from them alone and held.  What they do not
explain among the pairs without ID numbers is then left to the match classes.

A missing level is evidence of nothing: it has probability one in every class.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from linkage.compiled import kernel
from linkage.matching.compare import CLOSE, DIFFERS, FAINT, MISSING, N_LEVELS, UNLIKE, Levels
from linkage.types import F64, Bools

_DOUBT = 1e-2
_MOST_AGREEMENT = 0.05
_LEAST_AGREEMENT = 0.5
_LEAST_ANCHOR_AGREEMENT = 0.95
_ENOUGH_STRANGERS = 500
_ITERATIONS = 300
_TOLERANCE = 1e-7
_PSEUDO_COUNT = 0.5
_PRIOR_STEPS = 50
_MAX_LOG_ODDS = 30.0


Bitmask = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class FeatureMeaning:
    """What the features of a profile mean; features are given by their column.

    Attributes:
        household: shared by people of one home; the others belong to a person.
        twins: of a person, but shared by twins.
        anchors: known as equal or different only, such as an ID number.
        by_salt: for each view the features that equal salts make equal.
    """

    household: tuple[int, ...]
    twins: tuple[int, ...]
    anchors: tuple[int, ...]
    by_salt: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What keeps classes to their meaning.

    Attributes:
        n_match_classes: the first so many classes are matches.
        floor: ``(f,)`` least share of agreement in match classes.
        capped: ``(c, f)`` where agreement is rare in a class.
    """

    n_match_classes: int
    floor: F64
    capped: Bools


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """A fitted mixture of c classes over f features.

    Attributes:
        log_prior: ``(c,) float64``, natural logarithm of each class's share of candidate pairs.
        log_likelihood: ``(c, f, N_LEVELS) float64``; 0 at level MISSING.
        n_match_classes: the first so many classes are matches.
        across_prior, within_prior: what to add to a pair's log odds when it is known that its
            records are of two datasets, or of one.
    """

    log_prior: F64
    log_likelihood: F64
    n_match_classes: int
    across_prior: float = 0.0
    within_prior: float = 0.0

    def sha256(self) -> str:
        """Tells models apart: a hash of all that pairs are judged by, hex."""
        digest = hashlib.sha256(str(self.n_match_classes).encode())
        for array in (self.log_prior, self.log_likelihood):
            digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def log_at_most(self) -> F64:
        """``(c, f, N_LEVELS)``, log probability of a level or a weaker one; 0 at level MISSING."""
        with np.errstate(divide="ignore"):
            summed = np.log(np.cumsum(np.exp(self.log_likelihood[:, :, MISSING + 1 :]), axis=2))
        return np.concatenate((np.zeros((*summed.shape[:2], 1)), summed), axis=2)

    def class_log_joint(self, levels: Levels) -> F64:
        """Log of prior times likelihood, ``(m, c)``, for levels ``(m, f)``."""
        joint = np.tile(self.log_prior, (len(levels), 1))
        for feature in range(levels.shape[1]):
            joint += self.log_likelihood[:, feature, :].T[levels[:, feature]]
        return joint

    def log_odds(self, levels: Levels) -> F64:
        """Natural log odds of a match, ``(m,)``, within +-30, for levels ``(m, f)``."""
        joint = self.class_log_joint(levels)
        n = self.n_match_classes
        odds = _log_sum(joint[:, :n]) - _log_sum(joint[:, n:])
        return np.clip(odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)


@kernel
def log_odds_of_pattern(
    pattern: Levels,
    n_shown: float,
    log_prior: F64,
    log_likelihood: F64,
    log_at_most: F64,
    n_match_classes: int,
) -> float:
    """Log odds of a match for the strongest levels ``(f,)`` of several, for compiled callers.

    Each feature was shown ``n_shown`` times independently.  A level of disagreement was so each
    time; of a stronger one it is known that it came once, and that no other was stronger still: the
    best of many is good by chance.  With 1 it is what :meth:`EvidenceModel.log_odds` says, up to
    the last digits, since sums may be taken in another order.

    Args:
        pattern, n_shown: as above.
        log_prior, log_likelihood, n_match_classes: the model's.
        log_at_most: what :meth:`EvidenceModel.log_at_most` gives.
    """
    top_match, top_other = -np.inf, -np.inf
    joint = np.empty(len(log_prior))
    for c in range(len(log_prior)):
        joint[c] = log_prior[c]
        for feature in range(len(pattern)):
            level = pattern[feature]
            once = log_likelihood[c, feature, level]  # at level MISSING all is 0
            others = once if level <= UNLIKE else log_at_most[c, feature, level]
            joint[c] += once + (n_shown - 1.0) * others
        if c < n_match_classes:
            top_match = max(top_match, joint[c])
        else:
            top_other = max(top_other, joint[c])
    match = other = 0.0
    for c in range(len(log_prior)):
        if c < n_match_classes:
            match += np.exp(joint[c] - top_match)
        else:
            other += np.exp(joint[c] - top_other)
    odds = top_match + np.log(match) - top_other - np.log(other)
    return float(min(max(odds, -_MAX_LOG_ODDS), _MAX_LOG_ODDS))


def fit_evidence_model(
    levels: Levels,
    views: Bitmask,
    meaning: FeatureMeaning,
    pair_weights: F64 | None = None,
    within: Bools | None = None,
) -> EvidenceModel:
    """Fit the mixture to the levels of candidate pairs: all of them, or a sample.

    Deterministic: the same multiset of pairs gives the same model, in whatever order they come.

    Args:
        levels: ``(m, f) int8``.
        views: ``(m,) uint16``, bit v set where a pair is comparable in view v.
        meaning: what the features mean.
        pair_weights: ``(m,)``, how many pairs each stands for: one over its chance of being in
            the sample.  ``None``: each for itself.
        within: ``(m,) bool``, whether the two records are of one dataset; ``None`` if that is not
            known, or never so.
    """
    patterns, pattern_views, weights = _distinct_rows(levels, views, pair_weights)
    guess, bounds = _first_guess(patterns, pattern_views, meaning)
    anchors = np.array(meaning.anchors, dtype=np.int64)
    strangers = (patterns[:, anchors] == DIFFERS).any(axis=1)
    held = None
    if weights[strangers].sum() >= _ENOUGH_STRANGERS:
        held = _converge(patterns[strangers], weights[strangers], guess[strangers], bounds, None)
    model = _converge(patterns, weights, guess, bounds, held)
    if within is None or not within.any() or within.all():
        return model
    weights = np.ones(len(levels)) if pair_weights is None else pair_weights
    across_prior, within_prior = (
        _prior_of(model, levels[which], weights[which]) for which in (~within, within)
    )
    return replace(model, across_prior=across_prior, within_prior=within_prior)


def _prior_of(model: EvidenceModel, levels: Levels, weights: F64) -> float:
    """What to add to the log odds of a part of the pairs, whose share of matches is its own.

    Expectation maximisation of the share alone (Saerens, Latinne, Decaestecker 2002).
    """
    log_odds = model.log_odds(levels)
    # Sorted, so that sums do not depend on the order of the pairs.
    order = np.lexsort((weights, log_odds))
    log_odds, weights = log_odds[order], weights[order]
    n = model.n_match_classes
    prior = model.log_prior[None, :]
    pooled = float(_log_sum(prior[:, :n])[0] - _log_sum(prior[:, n:])[0])
    shift = 0.0
    for _ in range(_PRIOR_STEPS):
        probability = probabilities(log_odds + shift)
        matches = float(weights @ probability) + _PSEUDO_COUNT
        others = float(weights @ (1.0 - probability)) + _PSEUDO_COUNT
        shift = float(np.log(matches / others)) - pooled
    return shift


def _converge(
    patterns: Levels,
    weights: F64,
    responsibilities: F64,
    bounds: _Bounds,
    held: EvidenceModel | None,
) -> EvidenceModel:
    """Expectation maximisation; the other classes of ``held`` keep their distributions."""
    previous = -np.inf
    model = _maximise(patterns, weights, responsibilities, bounds, held)
    for _ in range(_ITERATIONS):
        joint = model.class_log_joint(patterns)
        evidence = _log_sum(joint)
        fit = float(weights @ evidence) / max(float(weights.sum()), 1.0)
        if abs(fit - previous) < _TOLERANCE:
            break
        previous = fit
        responsibilities = np.exp(joint - evidence[:, None])
        model = _maximise(patterns, weights, responsibilities, bounds, held)
    return model


def probabilities(log_odds: F64) -> F64:
    """Probabilities in [0, 1] for natural log odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))


def threshold_for_best_f1(probability: F64, pair_weights: F64 | None = None) -> float:
    """Threshold on the probability that maximises the *expected* F1 of the accepted pairs.

    With well calibrated probabilities, accepting the k most probable pairs has the expected F1
    ``2 sum(p_1..p_k) / (k + sum(p))``.  Returns a value from 0.05 to 0.95.

    Args:
        probability: ``(m,)`` of candidate pairs: all of them, or a sample.
        pair_weights: ``(m,)``, how many pairs each stands for; ``None``: each for itself.
    """
    if not len(probability):
        return 0.5
    weights = np.ones(len(probability)) if pair_weights is None else pair_weights
    order = np.lexsort((weights, probability))[::-1]
    ordered = probability[order]
    expected = np.cumsum(ordered * weights[order])
    f1 = 2.0 * expected / (np.cumsum(weights[order]) + expected[-1])
    best = int(np.argmax(f1))
    return float(np.clip(ordered[best], 0.05, 0.95))


def threshold_for_precision(
    probability: F64, least: float, odds_factor: float = 1.0
) -> float | None:
    """The threshold at which as many links as can be have an *expected* precision of ``least``.

    With probabilities that are right, the share of right links among those accepted is their mean.

    Args:
        probability: ``(m,)`` of links.
        odds_factor: how many times as high the odds are as the probabilities say.

    Returns:
        A number between the weakest link to keep and the strongest not to; links of one
        probability are kept or left together.  ``None`` where all may be kept.
    """
    ordered = np.sort(probability)[::-1]
    raised = odds_factor * ordered / (1.0 + (odds_factor - 1.0) * ordered)
    precise = np.cumsum(raised) >= least * np.arange(1, len(ordered) + 1)
    if not len(ordered) or precise[-1]:
        return None
    ends = np.flatnonzero(precise[:-1] & (ordered[1:] < ordered[:-1]))
    if not len(ends):
        return 1.0
    return float((ordered[ends[-1]] + ordered[ends[-1] + 1]) / 2.0)


def _distinct_rows(
    levels: Levels, views: Bitmask, pair_weights: F64 | None
) -> tuple[Levels, Bitmask, F64]:
    key = views.astype(np.int64)
    for feature in range(levels.shape[1]):
        key = key * N_LEVELS + levels[:, feature]
    if pair_weights is None:
        _, first, counts = np.unique(key, return_index=True, return_counts=True)
        return levels[first], views[first], counts.astype(np.float64)
    # Sorted by weight as well, so that each sum is taken in the same order however pairs come.
    order = np.lexsort((pair_weights, key))
    key = key[order]
    starts = np.flatnonzero(np.concatenate((np.ones(min(len(key), 1), bool), key[1:] != key[:-1])))
    if not len(starts):
        return levels, views, np.empty(0)
    first = order[starts]
    return levels[first], views[first], np.add.reduceat(pair_weights[order], starts)


def _first_guess(patterns: Levels, views: Bitmask, meaning: FeatureMeaning) -> tuple[F64, _Bounds]:
    """Responsibilities ``(n_patterns, c)`` to begin with, and the bounds of each class."""
    n_features = patterns.shape[1]
    agree = patterns >= CLOSE
    is_household = np.isin(np.arange(n_features), np.array(meaning.household, dtype=np.int64))
    is_twin = np.isin(np.arange(n_features), np.array(meaning.twins, dtype=np.int64))
    contradicted = ((patterns == DIFFERS) | (patterns == UNLIKE))[:, ~is_household].any(axis=1)
    n_person = agree[:, ~is_household].sum(axis=1)
    n_resembling = (patterns >= FAINT)[:, ~is_household].sum(axis=1)
    n_household = agree[:, is_household].sum(axis=1)
    same_home = n_household >= 2
    matches = [
        (n_person >= 2) & ~contradicted,
        (n_person >= 2) & contradicted,
        (n_person == 1) & (n_household >= 1) & (n_resembling >= 2),
        (n_person == 1) & same_home & ~contradicted,
    ]
    if not is_household.any():
        # A class in which no pair begins would take whatever noise there is.
        matches = matches[:2]
    begins, capped = list(matches), [np.zeros(n_features, dtype=bool) for _ in matches]
    if is_household.any():
        begins.append(same_home & (n_person == 0))
        capped.append(~is_household)
    if is_twin.any():
        begins.append(same_home & (agree == is_twin)[:, ~is_household].all(axis=1))
        capped.append(~is_household & ~is_twin)
    for view, by_salt in enumerate(meaning.by_salt):
        shared = np.isin(np.arange(n_features), np.array(by_salt, dtype=np.int64))
        begins.append((views == 1 << view) & (n_person <= 1) & ~same_home)
        capped.append(~is_household & ~shared)
    guess = np.stack(begins, axis=1).astype(np.float64) + _DOUBT
    floor = np.where(is_household, 0.0, _LEAST_AGREEMENT)
    floor[np.array(meaning.anchors, dtype=np.int64)] = _LEAST_ANCHOR_AGREEMENT
    bounds = _Bounds(len(matches), floor, np.stack(capped))
    return guess / guess.sum(axis=1, keepdims=True), bounds


def _maximise(
    patterns: Levels,
    weights: F64,
    responsibilities: F64,
    bounds: _Bounds,
    held: EvidenceModel | None,
) -> EvidenceModel:
    mass = responsibilities * weights[:, None]
    share = mass.sum(axis=0) + _PSEUDO_COUNT
    n_classes, n_features = bounds.capped.shape
    is_match = np.arange(n_classes) < bounds.n_match_classes
    log_likelihood = np.zeros((n_classes, n_features, N_LEVELS))
    for feature in range(n_features):
        counts = np.zeros((n_classes, N_LEVELS))
        for level in range(MISSING + 1, N_LEVELS):
            counts[:, level] = mass[patterns[:, feature] == level].sum(axis=0)
        overall = counts.sum(axis=0) + 1.0
        overall[MISSING] = 0.0
        smoothed = counts + _PSEUDO_COUNT * N_LEVELS * overall / overall.sum()
        probability = smoothed / smoothed.sum(axis=1, keepdims=True)
        agreeing = probability[:, CLOSE:].sum(axis=1)
        too_much = bounds.capped[:, feature] & (agreeing > _MOST_AGREEMENT)
        _set_agreement(probability, too_much, agreeing, _MOST_AGREEMENT)
        too_little = is_match & (agreeing < bounds.floor[feature])
        _set_agreement(probability, too_little, agreeing, float(bounds.floor[feature]))
        with np.errstate(divide="ignore"):
            log_likelihood[:, feature, :] = np.log(probability)
        log_likelihood[:, feature, MISSING] = 0.0
    if held is not None:
        log_likelihood[~is_match] = held.log_likelihood[~is_match]
    return EvidenceModel(np.log(share / share.sum()), log_likelihood, bounds.n_match_classes)


def _set_agreement(probability: F64, which: Bools, agreeing: F64, target: float) -> None:
    """Scale agreeing levels of some classes to a total of ``target``, the others to the rest."""
    probability[which, CLOSE:] *= (target / agreeing[which])[:, None]
    probability[which, :CLOSE] *= ((1.0 - target) / (1.0 - agreeing[which]))[:, None]


def _log_sum(values: npt.NDArray[np.float64]) -> F64:
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)), dtype=np.float64)
