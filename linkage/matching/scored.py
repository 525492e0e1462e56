"""Pairs with their log odds: what a solver starts from, and how runs are merged into them.

A pair is *kept* when its log odds reach the floor.  Its levels come from every view in which its
tags agree, so the pieces that the join's chunks found of it, one a view, are brought together
first: chunks' runs are sorted by (left, right), and a range of left numbers is cut out of all of
them at a time.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from linkage.matching.candidates import MIN_CORRELATION, most_distance
from linkage.matching.compare import Measured, distance_slots, hamming, levels_of
from linkage.matching.numbering import NumberedRecords
from linkage.matching.rarity import added_by_rarity, shown_rarity
from linkage.matching.score import EvidenceModel
from linkage.matching.tagged_join import PairRun, pair_keys
from linkage.types import I64

FLOOR_LOG_ODDS = -6.0
"""Pairs under it (about one in four hundred of them right) are not kept."""

SCORED = np.dtype([("left", "<u4"), ("right", "<u4"), ("log_odds", "<f8")])
"""A kept pair."""

ScoredPairs = npt.NDArray[np.void]
"""``(m,)`` of :data:`SCORED`, ascending by (left, right)."""


def scored(
    records: NumberedRecords, left: I64, right: I64, measured: Measured, model: EvidenceModel
) -> ScoredPairs:
    """Pairs with the log odds of their levels, and of how rare their equal tags are."""
    pairs = np.empty(len(left), dtype=SCORED)
    pairs["left"], pairs["right"] = left, right
    pairs["log_odds"] = model.log_odds(levels_of(records.layouts, measured))
    pairs["log_odds"] += added_by_rarity(shown_rarity(records.rarity, left, measured.agreeing))
    return pairs


def merge_range(
    records: NumberedRecords,
    runs: Sequence[PairRun],
    model: EvidenceModel,
    floor: float,
    first: int,
    last: int,
) -> ScoredPairs:
    """The kept pairs whose left number is from ``first`` to below ``last``."""
    slots = distance_slots(records.layouts)
    slots_of = [
        [i for i, slot in enumerate(slots) if slot.view == view]
        for view in range(len(records.layouts))
    ]
    pieces = []
    for run in runs:
        low, high = np.searchsorted(run.rows["left"], [first, last])
        if high > low:
            pieces.append((run.view, np.asarray(run.rows[low:high])))
    if not pieces:
        return np.empty(0, dtype=SCORED)
    keys, place = np.unique(
        np.concatenate([pair_keys(rows["left"], rows["right"]) for _, rows in pieces]),
        return_inverse=True,
    )
    agreeing = np.zeros(len(keys), dtype=np.int64)
    distances = np.full((len(keys), len(slots)), -1, dtype=np.int16)
    done = 0
    for view, rows in pieces:
        mine = place[done : done + len(rows)]
        done += len(rows)
        # A run holds a pair once, so nothing is written over here.
        agreeing[mine] |= 1 << view
        distances[mine[:, None], np.array(slots_of[view], dtype=np.int64)[None, :]] = rows[
            "distances"
        ]
    left = (keys >> np.uint64(32)).astype(np.int64)
    right = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    measured = Measured(agreeing, differing_tags(records, left, right), distances)
    pairs = scored(records, left, right, measured, model)
    return pairs[pairs["log_odds"] >= floor]


def differing_tags(records: NumberedRecords, left: I64, right: I64) -> I64:
    """Bit v set where both records have a tag in view v, and the tags differ."""
    found = np.zeros(len(left), dtype=np.int64)
    for view, tags in enumerate(records.tags):
        if tags is not None:
            a, b = tags[left], tags[right]
            found |= ((a != b) & (a != 0) & (b != 0)).astype(np.int64) << view
    return found


def agreeing_tags(records: NumberedRecords, left: I64, right: I64) -> I64:
    """Bit v set where both records have a tag in view v, and the tags are equal."""
    found = np.zeros(len(left), dtype=np.int64)
    for view, tags in enumerate(records.tags):
        if tags is not None:
            found |= ((tags[left] == tags[right]) & (tags[left] != 0)).astype(np.int64) << view
    return found


def agreeing_views(records: NumberedRecords, left: I64, right: I64) -> I64:
    """Bit v set where a pair is comparable in view v: equal tags, or similar first filters."""
    found = np.zeros(len(left), dtype=np.int64)
    for number, view in enumerate(records.views):
        if view.tags is not None:
            a = view.tags[left]
            agrees = (a == view.tags[right]) & (a != 0)
        else:
            group = view.layout.groups[0]
            agrees = view.filter_present[group.name][left] & view.filter_present[group.name][right]
            distance = hamming(view.filters[group.name], left, right)
            agrees &= distance <= most_distance(group.filter_bits, MIN_CORRELATION)
        found |= agrees.astype(np.int64) << number
    return found


def ranges_of_left(runs: Sequence[PairRun], n_pairs: int) -> list[tuple[int, int]]:
    """Ranges of left numbers that hold about ``n_pairs`` kept pairs each, in ascending order."""
    total = sum(len(run.rows) for run in runs)
    if not total:
        return []
    n_ranges = max(1, -(-total // n_pairs))
    picked = [
        np.asarray(run.rows["left"][:: max(1, total // (64 * n_ranges))], dtype=np.int64)
        for run in runs
    ]
    lefts = np.sort(np.concatenate(picked))
    cuts = np.unique(lefts[np.linspace(0, len(lefts) - 1, n_ranges + 1).astype(np.int64)[1:-1]])
    edges = [0, *cuts.tolist(), 2**32]
    return [(a, b) for a, b in pairwise(edges) if b > a]
