"""The cut of a sketch: exact sums, and the promise of rare misses, tried out."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.dice_pairs import dice_pairs, dice_pairs_reference
from linkage.matching.head_test import need_of
from linkage.matching.pair_scan import ScanOptions
from linkage.matching.sketch import hypergeometric_quantile, largest_distance, sketch_heads
from tests.linkage.matching.filters import invent_filters, relatives


@settings(max_examples=60)
@given(st.integers(2, 200), st.data())
def test_quantile_equals_exact_fractions(population: int, data: st.DataObject) -> None:
    marked = data.draw(st.integers(0, population))
    drawn = data.draw(st.integers(1, population))
    probability = data.draw(st.sampled_from([0.5, 0.9, 0.9999, 1 - 1e-6]))
    # A hair more than asked for: the cut must never be too small for rounding.
    enough = Fraction(probability) + (1 - Fraction(probability)) / 10**9
    total, c = Fraction(0), -1
    while total < enough and c < min(marked, drawn):
        c += 1
        ways = comb(marked, c) * comb(population - marked, drawn - c) if drawn >= c else 0
        total += Fraction(ways, comb(population, drawn))
    assert hypergeometric_quantile(population, marked, drawn, probability) == c


@given(st.integers(1, 3000), st.floats(0.01, 1.0))
def test_largest_distance_is_the_border_of_the_rule(bits_set: int, threshold: float) -> None:
    distance = int(largest_distance(np.array([bits_set]), threshold)[0])
    common = (bits_set - distance) // 2
    assert 2 * common + distance == bits_set
    assert 2.0 * common / bits_set >= threshold
    assert not 2.0 * (common - 1) / bits_set >= threshold


@pytest.mark.parametrize("n_words", [2, 7, 16, 128])
@pytest.mark.parametrize("miss", [0.2, 0.01])
def test_no_row_is_missed_more_often_than_stated(n_words: int, miss: float) -> None:
    """Pairs of the largest distance that the rule allows, at every fill, under many draws."""
    rng = np.random.default_rng(n_words)
    bits, threshold, n_draws = 64 * n_words, 0.8, 4000
    for fill in (0.1, 0.5, 0.8):
        common = int(bits * fill)
        extra = 0  # bits that one side has and the other has not
        while 2.0 * common / (2 * common + extra + 1) >= threshold and common + extra < bits:
            extra += 1
        for test in sketch_heads(bits, threshold, miss):
            kinds = [common, extra, bits - common - extra]
            drawn = rng.multivariate_hypergeometric(kinds, 64 * test.n_words, n_draws)
            needs = [
                need_of(np.full(n_draws, common + extra), drawn[:, 0] + drawn[:, 1], test),
                need_of(np.full(n_draws, common), drawn[:, 0], test),
            ]
            missed = np.mean(drawn[:, 0] < needs[0] + needs[1])
            # Within five standard errors of the promise.
            assert missed <= miss + 5 * (miss * (1 - miss) / n_draws) ** 0.5


@pytest.mark.parametrize("threshold", [0.8, 0.9])
def test_a_sketch_keeps_what_it_promises_on_a_file(threshold: float) -> None:
    rng = np.random.default_rng(8)
    left = invent_filters(rng, 800, 16, 0.47)
    right = relatives(rng, left, 1200, 0.07)
    expected = dice_pairs_reference(left, right, threshold)
    found = dice_pairs(left, right, threshold, ScanOptions("sketch", 0.05))
    assert len(expected) > 500
    assert 0.93 * len(expected) < len(found) <= len(expected)
    few = dice_pairs(left, right, threshold, ScanOptions("sketch", 1e-9))
    assert len(few) == len(expected)
