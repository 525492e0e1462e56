"""From levels of agreement to log odds of being the same child, learned without truth.

The model is a mixture in the manner of Fellegi and Sunter (1969): within a class, features are
independent and each has its own distribution over levels; classes and distributions are found by
expectation maximisation (Winkler 1988).  Two classes, match and chance, are not enough for
children: siblings and twins agree on guardian, phone and place, and two classes would take them
for matches.  So there are

- match classes, begun from pairs that agree on much and contradict each other in at most one
  feature: one for well, one for badly documented children, since errors cluster on children;
- other classes, one for each common *pattern of agreement* among pairs that contradict each other
  (same birth date by chance, same household, twins ...), which the data themselves name.

A missing level is evidence of nothing: it has probability one in every class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.matching.compare import CLOSE, DIFFERS, EQUAL, MISSING, N_LEVELS, UNLIKE, Levels
from linkage.types import F64, I64

_MAX_OTHER_CLASSES = 12
_ITERATIONS = 300
_TOLERANCE = 1e-7
_PSEUDO_COUNT = 0.5
_MAX_LOG_ODDS = 30.0


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """A fitted mixture of c classes over f features.

    Attributes:
        log_prior: ``(c,) float64``, natural logarithm of each class's share of candidate pairs.
        log_likelihood: ``(c, f, N_LEVELS) float64``; 0 at level MISSING.
        n_match_classes: the first so many classes are matches.
    """

    log_prior: F64
    log_likelihood: F64
    n_match_classes: int

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


def fit_evidence_model(levels: Levels) -> EvidenceModel:
    """Fit the mixture to the levels of all candidate pairs, ``(m, f) int8``.

    Deterministic: the same multiset of rows gives the same model, in whatever order they come.
    """
    patterns, counts = _distinct_rows(levels)
    weights = counts.astype(np.float64)
    responsibilities, n_match = _first_guess(patterns, weights)
    previous = -np.inf
    model = _maximise(patterns, weights, responsibilities, n_match)
    for _ in range(_ITERATIONS):
        joint = model.class_log_joint(patterns)
        evidence = _log_sum(joint)
        fit = float(weights @ evidence) / max(float(weights.sum()), 1.0)
        if abs(fit - previous) < _TOLERANCE:
            break
        previous = fit
        responsibilities = np.exp(joint - evidence[:, None])
        model = _maximise(patterns, weights, responsibilities, n_match)
    return model


def probabilities(log_odds: F64) -> F64:
    """Probabilities in [0, 1] for natural log odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))


def threshold_for_best_f1(probability: F64) -> float:
    """Threshold on the probability that maximises the *expected* F1 of the accepted pairs.

    With well calibrated probabilities, accepting the k most probable pairs has the expected F1
    ``2 sum(p_1..p_k) / (k + sum(p))``.  Returns a value from 0.05 to 0.95.
    """
    if not len(probability):
        return 0.5
    ordered = np.sort(probability)[::-1]
    expected = np.cumsum(ordered)
    f1 = 2.0 * expected / (np.arange(1, len(ordered) + 1) + expected[-1])
    best = int(np.argmax(f1))
    return float(np.clip(ordered[best], 0.05, 0.95))


def _distinct_rows(levels: Levels) -> tuple[Levels, I64]:
    key = np.zeros(len(levels), dtype=np.int64)
    for feature in range(levels.shape[1]):
        key = key * N_LEVELS + levels[:, feature]
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return levels[first], counts.astype(np.int64)


def _first_guess(patterns: Levels, weights: F64) -> tuple[F64, int]:
    agree = patterns >= CLOSE
    differ = (patterns == DIFFERS) | (patterns == UNLIKE)
    n_agree, n_differ = agree.sum(axis=1), differ.sum(axis=1)
    clean = (n_agree >= 3) & (n_differ == 0)
    flawed = (n_agree >= 3) & (n_differ == 1) & (n_agree >= 3 * n_differ)
    n_match = 2
    bits = (agree.astype(np.int64) << np.arange(patterns.shape[1])).sum(axis=1)
    others = ~(clean | flawed)
    kinds = np.unique(bits[others])
    mass = np.array([weights[others & (bits == kind)].sum() for kind in kinds])
    common = kinds[np.lexsort((kinds, -mass))][:_MAX_OTHER_CLASSES]
    n_classes = n_match + max(len(common), 1)
    guess = np.full((len(patterns), n_classes), 1e-3)
    guess[clean, 0] = 1.0
    guess[flawed, 1] = 1.0
    for number, kind in enumerate(common):
        guess[others & (bits == kind), n_match + number] = 1.0
    return guess / guess.sum(axis=1, keepdims=True), n_match


def _maximise(patterns: Levels, weights: F64, responsibilities: F64, n_match: int) -> EvidenceModel:
    mass = responsibilities * weights[:, None]
    share = mass.sum(axis=0) + _PSEUDO_COUNT
    n_classes, n_features = mass.shape[1], patterns.shape[1]
    log_likelihood = np.zeros((n_classes, n_features, N_LEVELS))
    overall = np.zeros((n_features, N_LEVELS))
    for feature in range(n_features):
        counts = np.zeros((n_classes, N_LEVELS))
        for level in range(N_LEVELS):
            counts[:, level] = mass[patterns[:, feature] == level].sum(axis=0)
        counts[:, MISSING] = 0.0
        overall = counts.sum(axis=0)
        prior = _PSEUDO_COUNT * (overall + 1.0) / (overall + 1.0).sum()
        prior[MISSING] = 0.0
        smoothed = counts + prior * N_LEVELS
        smoothed[:, MISSING] = 0.0
        total = smoothed.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            log_likelihood[:, feature, :] = np.log(smoothed / total)
        log_likelihood[:, feature, MISSING] = 0.0
    return EvidenceModel(np.log(share / share.sum()), log_likelihood, n_match)


def _log_sum(values: npt.NDArray[np.float64]) -> F64:
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)), dtype=np.float64)


__all__ = [
    "EQUAL",
    "EvidenceModel",
    "fit_evidence_model",
    "probabilities",
    "threshold_for_best_f1",
]
