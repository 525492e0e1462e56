"""The exact look at pairs that passed a head test, and what scanning kernels share."""

from typing import NamedTuple

import numpy as np

from linkage.compiled import kernel
from linkage.matching.packing import population
from linkage.types import F64, I64, U64

FINISHED = -1


class Side(NamedTuple):
    """One side of a cell, in the order in which tiles go through it.

    Attributes:
        head: heads in the layout of the tile, flat.
        slack: ``(2 * padded,) int64``, minus the need: where the other side's rest is the bound,
            then where this side's is.
        filters: ``(n, n_words) uint64``.
        counts: ``(n,) int64`` bits set.
        rows: ``(n,) int64`` row numbers.
    """

    head: U64
    slack: I64
    filters: U64
    counts: I64
    rows: I64


class Rule(NamedTuple):
    """What two filters must fulfil to be a pair.

    Attributes:
        least_dice: ``2.0 * common / (c + c') >= least_dice``; a filter without bits is in no pair.
        most_distance: if not negative, a Hamming distance of so much at most, instead.
    """

    least_dice: float
    most_distance: int = -1


class Output(NamedTuple):
    """Where a kernel writes pairs, and where it stopped: [pairs written, column block, row block].

    The column block is ``FINISHED`` when the scan is finished.
    """

    left: I64
    right: I64
    dice: F64
    state: I64


@kernel
def keep_matching(
    left: Side,
    right: Side,
    lanes: int,
    masks: U64,
    corners: I64,
    rule: Rule,
    within: bool,
    output: Output,
    found: int,
) -> int:
    """Compare the pairs that are marked in masks, and write those that meet the rule.

    Args:
        lanes: bit ``i`` of a mask is the pair ``i // lanes`` rows and ``i % lanes`` columns from
            the mask's corner.
        masks, corners: ``(m,) uint64``; ``(m or more, 2) int64``, row and column of each.
        within: both sides are one, and a pair counts once.
        found: pairs written before.

    Returns:
        Pairs written.  There must be room for every pair that is marked.
    """
    n_words = left.filters.shape[1]
    for place in range(len(masks)):
        mask = masks[place]
        while mask:
            bit = population((mask & (~mask + np.uint64(1))) - np.uint64(1))
            mask &= mask - np.uint64(1)
            i, j = corners[place, 0] + bit // lanes, corners[place, 1] + bit % lanes
            common = 0
            for word in range(n_words):
                common += population(left.filters[i, word] & right.filters[j, word])
            both = left.counts[i] + right.counts[j]
            dice = 2.0 * common / both
            if rule.most_distance >= 0:
                meets = both - 2 * common <= rule.most_distance
            else:
                meets = dice >= rule.least_dice
            if meets and not (within and i >= j):
                first, second = left.rows[i], right.rows[j]
                if within and first > second:
                    first, second = second, first
                output.left[found], output.right[found] = first, second
                output.dice[found] = dice
                found += 1
    return found


@kernel
def stop_at(column_block: int, row_block: int, found: int, state: I64) -> None:
    """Note where the scan goes on when the output was emptied."""
    state[0], state[1], state[2] = found, column_block, row_block
