"""What the rarity of equal salts says: two people called Neumann are one sooner than two Smiths.

The model learns what it is worth that two records have the same surname, whichever it is.  For a
value that a share ``f`` of the records has it is worth more or less by the factor ``F / f``, where
``F`` is the chance that two records drawn at random agree, the sum of all ``f * f``: a right pair
has the value with probability ``f``, a pair of strangers that agrees at all with ``f * f / F``
(Winkler 1989; term frequencies in Splink).  Shares are counted on salt tags, so nobody needs a list
of names, and a profile names the views for which it is done (``rarity`` under ``[evidence]``).
"""

from collections.abc import Mapping

import numpy as np

from linkage.types import F64, I64, U64

NOT_SHOWN = -np.inf
"""In place of a weight where a pair's tags are not equal."""


def rarity_of_tags(tags: U64) -> F64:
    """What is added to the log odds of a pair with each record's tag, ``(n,)``; 0 where absent."""
    weights = np.zeros(len(tags))
    there = np.flatnonzero(tags)
    if len(there):
        _, number, counts = np.unique(tags[there], return_inverse=True, return_counts=True)
        share = counts / len(there)
        weights[there] = (np.log(share @ share) - np.log(share))[number]
    return weights


def shown_rarity(rarity: Mapping[int, F64], left: I64, agreeing: I64) -> F64:
    """Weights of pairs, ``(m, v)`` for v views; ``NOT_SHOWN`` where tags are not equal.

    Args:
        rarity: number of each view, and what :func:`rarity_of_tags` gives for it.
        left: ``(m,)`` record numbers.
        agreeing: ``(m,)``, bit v set where the tags of view v are equal.
    """
    shown = np.full((len(left), len(rarity)), NOT_SHOWN)
    for column, (view, weights) in enumerate(rarity.items()):
        equal = agreeing >> view & 1 == 1
        shown[equal, column] = weights[left[equal]]
    return shown


def added_by_rarity(shown: F64) -> F64:
    """What rarity adds to the log odds of pairs, ``(m,)``, from their weights ``(m, v)``."""
    return np.asarray(np.where(shown > NOT_SHOWN, shown, 0.0).sum(axis=1), dtype=np.float64)
