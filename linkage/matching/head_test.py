"""Which pairs are worth a full look: a test on some words of the filters, the *head*.

A pair passes if its heads have enough bits in common, where "enough" is a sum of one number for
each side, so that the tile can test it.  A pair that passes is then compared exactly; a pair that
does not is out.  Ways to choose the head:

- all words (:func:`full_head`): the test is the Dice rule itself, up to rounding;
- the first words of a good order of bits, with a bound on what the rest can add
  (``linkage.matching.abandon``): exact, and reads half of the filter or less;
- some bits drawn at random (``linkage.matching.sketch``): reads an eighth, and misses a pair with
  a probability that is stated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from linkage.compiled import kernel
from linkage.matching.crew import Crew
from linkage.matching.finish import Rule
from linkage.matching.packing import bit_counts, population, select_bits
from linkage.types import F64, I64, U64

NEVER = 1 << 40
"""A need that no number of common bits meets."""

# Each side's need is rounded down, so the sum of two is at most the exact one.
_SLACK = 1e-9

_LEAST_SAMPLED, _MOST_SAMPLED = 128, 512


@dataclass(frozen=True, slots=True, eq=False)
class HeadTest:
    """The pairs with ``common bits of the heads >= need(left) + need(right)``.

    The need of a filter with ``c`` bits set, ``h`` of them in the head, is
    ``floor(per_bit * c + per_head_bit * h + constant)``; a filter without any bit passes never,
    unless ``takes_empty``.

    Attributes:
        name: for logs.
        bit_order: bit numbers of the head, a multiple of 64; ``None`` for the filter as it is.
        n_words: of the head.
        bounded_by_rest: whether bits outside the head count as common: as many of them as the side
            with fewer has set.
        takes_empty: whether filters without any bit may be in a pair.
        miss_probability: at most this for each pair that meets the rule; 0 for an exact test.
    """

    name: str
    bit_order: I64 | None
    n_words: int
    per_bit: float
    per_head_bit: float = 0.0
    constant: float = 0.0
    bounded_by_rest: bool = False
    takes_empty: bool = False
    miss_probability: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Heads of some filters, and what the test needs of each.

    Attributes:
        words: ``(n, n_words) uint64``.
        counts: ``(n,) int64``, bits set in the whole filter.
        need: ``(n,) int64``.
        rest: ``(n,) int64``, what the rest may add; zeros where the test does not count it.
    """

    words: U64
    counts: I64
    need: I64
    rest: I64


def full_head(rule: Rule, n_words: int) -> HeadTest:
    """The test that reads all words: the rule itself, up to rounding."""
    if rule.most_distance >= 0:
        # A distance of d leaves (c + c' - d) / 2 bits in common.
        constant = -rule.most_distance / 4
        return HeadTest("full", None, n_words, 0.5, constant=constant, takes_empty=True)
    return HeadTest("full", None, n_words, rule.least_dice / 2)


def heads_of(filters: U64, test: HeadTest) -> Heads:
    """Heads of filters ``(n, n_words) uint64``."""
    words = filters if test.bit_order is None else select_bits(filters, test.bit_order)
    counts = bit_counts(filters)
    in_head = counts if test.bit_order is None else bit_counts(words)
    rest = counts - in_head if test.bounded_by_rest else np.zeros_like(counts)
    return Heads(words, counts, need_of(counts, in_head, test), rest)


def need_of(counts: I64, in_head: I64, test: HeadTest) -> I64:
    """Need of filters with so many bits set, in all and in their heads."""
    exact = test.per_bit * counts + test.per_head_bit * in_head + test.constant
    need = np.floor(exact - _SLACK).astype(np.int64)
    return need if test.takes_empty else np.where(counts > 0, need, NEVER)


def pass_rates(tests: Sequence[HeadTest], left: U64, right: U64, crew: Crew | None = None) -> F64:
    """Share of all pairs of two samples that pass each test."""

    def count(test: HeadTest) -> int:
        return _n_passing(*_of(left, test), *_of(right, test))

    passing = (crew or Crew(1)).each(count, tests)
    return np.array(passing) / (len(left) * len(right))


def _of(filters: U64, test: HeadTest) -> tuple[U64, I64, I64]:
    heads = heads_of(filters, test)
    return heads.words, heads.need, heads.rest


@kernel
def _n_passing(
    left: U64, left_need: I64, left_rest: I64, right: U64, right_need: I64, right_rest: I64
) -> int:
    n_passing = 0
    for row in range(len(left)):
        for column in range(len(right)):
            common = min(left_rest[row], right_rest[column])
            for word in range(left.shape[1]):
                common += population(left[row, word] & right[column, word])
            n_passing += common >= left_need[row] + right_need[column]
    return n_passing


def samples(left: U64, right: U64) -> tuple[U64, U64]:
    """Evenly spread filters of both sides, few beside the work of comparing all."""
    n_sampled = min(_MOST_SAMPLED, max(_LEAST_SAMPLED, isqrt(len(left) * len(right)) // 32))
    some_left, some_right = (side[:: -(-len(side) // n_sampled) or 1] for side in (left, right))
    return np.ascontiguousarray(some_left), np.ascontiguousarray(some_right)


def fastest(
    tests: Sequence[HeadTest], left: U64, right: U64, words_a_finish: int, crew: Crew
) -> HeadTest:
    """The test that should take the least time, judged by a trial on samples of both sides.

    The choice is a matter of time only: it does not change what is found, unless a test may miss.
    """
    words = np.array([test.n_words for test in tests])
    rates = pass_rates(tests, *samples(left, right), crew)
    return tests[int(np.argmin(words + words_a_finish * rates))]
