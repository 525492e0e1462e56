"""Exact early abandonment: read the telling bits first, and stop where the rest cannot matter.

After the first words, two filters with ``r`` and ``r'`` bits set in the rest have at most
``min(r, r')`` more bits in common.  How soon that rules a pair out depends on the order of the
bits.  By entropy (bits that half of the records have set come first) is good; better is to ask the
pairs that are hard to rule out: among the pairs of a sample, the most similar ones show which bits
tell even them apart.  Measured on children's registers (Dice 0.80, eight words of 16), a third as
many pairs pass by this order as by entropy.
"""

from dataclasses import replace

import numpy as np

from linkage.compiled import kernel
from linkage.matching.finish import Rule
from linkage.matching.head_test import HeadTest, full_head, samples
from linkage.matching.packing import bit_frequencies, population
from linkage.types import I64, U64

_HARD_ONE_IN = 20
_LENGTHS = 15


def abandoning_heads(left: U64, right: U64, rule: Rule) -> list[HeadTest]:
    """Tests of several lengths of the head, all exact, from one word to all but one."""
    full = full_head(rule, left.shape[1])
    order = telling_order(left, right)
    n_words = left.shape[1]
    lengths = np.unique(np.linspace(1, n_words - 1, min(n_words - 1, _LENGTHS)).astype(int))
    return [
        replace(
            full,
            name=f"the {words} most telling of {n_words} words",
            bit_order=order[: 64 * words],
            n_words=words,
            bounded_by_rest=True,
        )
        for words in lengths.tolist()
    ]


def telling_order(left: U64, right: U64) -> I64:
    """Bit numbers, first those that tell similar pairs of a sample apart; ties by number."""
    some_left, some_right = samples(left, right)
    distance = _distances(some_left, some_right)
    n_hard = -(-distance.size // _HARD_ONE_IN)
    hard = np.argpartition(distance, n_hard - 1)[:n_hard] if n_hard else np.empty(0, np.int64)
    row, column = np.divmod(hard, max(1, len(some_right)))
    differing = bit_frequencies(some_left[row] ^ some_right[column])
    return np.argsort(-differing, kind="stable").astype(np.int64)


@kernel
def _distances(left: U64, right: U64) -> I64:
    distances = np.empty(len(left) * len(right), dtype=np.int64)
    for row in range(len(left)):
        for column in range(len(right)):
            distance = 0
            for word in range(left.shape[1]):
                distance += population(left[row, word] ^ right[column, word])
            distances[row * len(right) + column] = distance
    return distances
