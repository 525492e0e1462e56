"""Exact early abandonment: read the telling bits first, and stop where the rest cannot matter.

Bits are ordered by entropy over both sides: a bit that half of the records have set separates two
records more often than one that nearly all have or lack.  After the first words, two filters with
``r`` and ``r'`` bits set in the rest have at most ``min(r, r')`` more bits in common.
"""

import numpy as np

from linkage.matching.head_test import HeadTest
from linkage.matching.packing import bit_frequencies
from linkage.types import I64, U64

_N_SAMPLED = 4096
_LENGTHS = 15


def abandoning_heads(left: U64, right: U64, threshold: float) -> list[HeadTest]:
    """Tests of several lengths of the head, all exact, from one word to all but one."""
    order = entropy_order(left, right)
    n_words = left.shape[1]
    lengths = np.unique(np.linspace(1, n_words - 1, min(n_words - 1, _LENGTHS)).astype(int))
    return [
        HeadTest(
            name=f"the {words} most telling of {n_words} words",
            bit_order=order[: 64 * words],
            n_words=words,
            per_bit=threshold / 2,
            bounded_by_rest=True,
        )
        for words in lengths.tolist()
    ]


def entropy_order(left: U64, right: U64) -> I64:
    """Bit numbers, the most telling first; ties by number."""
    sampled = [side[:: -(-len(side) // _N_SAMPLED) or 1] for side in (left, right)]
    frequencies = sum(bit_frequencies(side) for side in sampled)
    share = frequencies / max(1, sum(map(len, sampled)))
    return np.argsort(np.abs(share - 0.5), kind="stable").astype(np.int64)
