"""Sketches: some bits drawn at random instead of whole filters, with a stated chance of a miss.

Two filters of ``m`` bits at Hamming distance ``d`` differ in ``X`` of ``k`` bits drawn without
replacement, where ``X`` is hypergeometric (population ``m``, of which ``d`` are marked, ``k``
drawn).  The Dice rule bounds ``d`` by the number of set bits: a pair with ``u`` bits set on both
sides together and ``s`` in common has ``d = u - 2 s``, and ``s`` is large where Dice is.  So a pair
passes if its sketches differ in at most the ``(1 - p)`` quantile of ``X`` for the largest ``d``
that the rule allows: a pair that meets the rule is then missed with a probability of at most ``p``,
whatever its records are.  What passes is verified exactly, so nothing false is found.

This holds only if the bits were drawn without looking at the data.  They come from a fixed seed, so
that every run and every machine misses the same pairs; a list of bits chosen for their entropy must
never be put in their place.
"""

import math
from functools import cache
from typing import cast

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.head_test import HeadTest
from linkage.types import F64, I64

DEFAULT_MISS_PROBABILITY = 1e-4
_SEED = 2026
_LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)
_GRID = 257
_STEPS = 32
_ROUNDING = 1e-9


def sketch_heads(
    filter_bits: int,
    threshold: float,
    miss_probability: float = DEFAULT_MISS_PROBABILITY,
    typical_bits_set: float | None = None,
    seed: int = _SEED,
) -> list[HeadTest]:
    """A test for each of several lengths of the sketch, up to half the filter.

    Args:
        filter_bits: length of the filters.
        threshold: least Dice coefficient.
        miss_probability: for each pair that meets the rule, between 0 and 1.
        typical_bits_set: of one filter; tunes the speed, the guarantee holds for every filter.
        seed: of the draw.

    Raises:
        MatchingError: a probability that is none.
    """
    if not 0.0 < miss_probability < 1.0:
        raise MatchingError("The miss probability of a sketch must be between 0 and 1.")
    order = np.random.default_rng(seed).permutation(filter_bits).astype(np.int64)
    # Rounded, so that one profile's files share the lines.
    steps = _STEPS / 2 if typical_bits_set is None else typical_bits_set * _STEPS / filter_bits
    typical = filter_bits * max(1, round(steps)) / _STEPS
    tests = []
    for n_words in (n for n in _LENGTHS if 2 * 64 * n <= filter_bits):
        drawn = 64 * n_words
        slope, constant = _line_above_cuts(
            filter_bits, drawn, threshold, miss_probability, 2 * typical
        )
        # Passes if  h + h' - 2 common <= slope (c + c') + constant,  h of c bits being sketched.
        test = HeadTest(
            name=f"a sketch of {drawn} bits",
            bit_order=order[:drawn],
            n_words=n_words,
            per_bit=-slope / 2,
            per_head_bit=0.5,
            constant=-constant / 4,
            miss_probability=miss_probability,
        )
        tests.append(test)
    return tests


@cache
def _line_above_cuts(
    filter_bits: int, drawn: int, threshold: float, miss: float, lowest_at: float
) -> tuple[float, float]:
    set_bits, cuts = _cuts(filter_bits, drawn, threshold, miss)
    return _line_above(set_bits, cuts, lowest_at)


def _cuts(filter_bits: int, drawn: int, threshold: float, miss: float) -> tuple[F64, F64]:
    """For numbers of bits set on both sides: how many drawn bits may differ in a pair that passes.

    A pair with a number in between is held to the next larger one, which allows as much or more.
    """
    all_distances = largest_distance(np.arange(1, 2 * filter_bits + 1), threshold)
    up_to = np.clip(np.maximum.accumulate(all_distances), 0, filter_bits)
    both = np.unique(np.linspace(1, 2 * filter_bits, _GRID).astype(np.int64))
    cuts = np.array(
        [
            hypergeometric_quantile(filter_bits, distance, drawn, 1.0 - miss)
            for distance in up_to[both - 1].tolist()
        ],
        dtype=np.float64,
    )
    return np.concatenate(([1.0], both[:-1] + 1.0)), cuts


def largest_distance(bits_set: I64, threshold: float) -> I64:
    """Largest Hamming distance of a pair with so many bits set that has the Dice coefficient.

    It rises with the number of bits set, but for steps back by one; negative where no pair has it.
    """
    common = np.ceil(threshold * bits_set / 2).astype(np.int64)
    # The rule in floating point, as it is verified, decides by itself what is on the border.
    common += np.where(2.0 * common / bits_set >= threshold, 0, 1)
    common -= np.where(2.0 * (common - 1) / bits_set >= threshold, 1, 0)
    return bits_set - 2 * common


def hypergeometric_quantile(population: int, marked: int, drawn: int, probability: float) -> int:
    """Least ``c`` such that at most ``c`` of the drawn are marked with at least the probability."""
    least, most = max(0, drawn + marked - population), min(drawn, marked)
    x = np.arange(least, most + 1)
    logs = _log_factorials(population)
    log_probability = (
        _log_choose(logs, marked, x)
        + _log_choose(logs, population - marked, drawn - x)
        - _log_choose(logs, population, np.array(drawn))
    )
    # Summed from the far end, where terms are small, so that the tail is exact to many digits.
    above = np.cumsum(np.exp(log_probability)[::-1])[::-1]
    beyond = np.append(above[1:], 0.0)
    # Rounding may make the cut larger by one, never smaller.
    return int(x[np.argmax(beyond <= (1.0 - probability) * (1.0 - _ROUNDING))])


def _line_above(at: F64, values: F64, lowest_at: float) -> tuple[float, float]:
    """Slope and constant of a line that no value lies above, as low as can be at one place."""
    best = (math.inf, 0.0, 0.0)
    steepest = 2 * max(float(np.max(values)) / max(float(at[-1]), 1.0), 1e-9)
    for slope in np.linspace(0.0, steepest, _GRID).tolist():
        constant = float(np.max(values - slope * at))
        best = min(best, (slope * lowest_at + constant, slope, constant))
    return best[1], best[2]


@cache
def _log_factorials(n: int) -> F64:
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1.0, n + 1)))))


def _log_choose(logs: F64, n: int, k: I64) -> F64:
    return cast(F64, logs[n] - logs[k] - logs[n - k])
