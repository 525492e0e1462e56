"""Agreement of candidate pairs: one small integer for each feature of each pair.

A feature is a thing that two records may agree on: what groups of the profile speak of (``name``,
``birth`` ...) or something that a salt implies (``identity``).  Its level comes from what the
encodings of the pair show, strongest evidence first:

1. tags equal in a view that *implies* the feature: :data:`EQUAL`;
2. filters of each group that speaks of it, in every view where the pair's tags are equal and both
   records have the filter: the mean correlation, cut into levels (filters under different salts are
   independent, so the mean has less noise than any one of them).  Of several groups, such as the
   characters and the sounds of a name, the strongest level counts, but the feature is
   :data:`EQUAL` only where all of them are, and else :data:`CLOSE` at most.  A name whose
   characters are swapped is whole as a set of characters; in one filter with their places it would
   resemble nothing, since diffusion leaves next to nothing of partial agreement;
3. tags present and different in a view that *refutes* the feature: :data:`DIFFERS`;
4. otherwise :data:`MISSING`, which is evidence of nothing.

For filters of ``m`` bits at Hamming distance ``h`` the correlation is ``1 - 2 h / m``.  Under
diffusion with ``t`` inputs a bit (Armknecht, Heng, Schnell, PoPETs 2023) it is about the ``t``-th
power of the correlation of the undiffused filters, and 0 +- ``1/sqrt(m)`` for unlike ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from linkage.matching.candidates import CandidatePairs
from linkage.matching.join_loops import hamming_rows
from linkage.types import F64, I64, U64, Bools, ViewLayout

MISSING, DIFFERS, UNLIKE, VAGUE, FAINT, SIMILAR, CLOSE, EQUAL = range(8)
"""Levels, weakest to strongest evidence of agreement; MISSING is no evidence at all.

VAGUE is what one unlike pair in fifteen reaches by chance, and two in three of those that agree in
two thirds of a filter; how much it is worth is learned.
"""

N_LEVELS = 8
_PAIRS_AT_ONCE = 1 << 18
_VAGUE_SIGMAS, _NOISE_SIGMAS = 1.5, 3.0
_SIMILAR, _CLOSE = 0.25, 0.5

Levels = npt.NDArray[np.int8]


class Rows(Protocol):
    """Rows of a column: an array, or one that is read when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of a row."""

    def __getitem__(self, numbers: I64, /) -> Any:
        """The rows of these numbers, in the order asked for."""


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """One view of all records of all datasets, numbered through.

    Attributes:
        layout: names and lengths.
        tags: ``(n,) uint64`` or None.
        present: ``(n,) bool``.
        filters: group -> ``(n, words) uint64``.
        filter_present: group -> ``(n,) bool``.
    """

    layout: ViewLayout
    tags: U64 | None
    present: Bools
    filters: Mapping[str, Rows]
    filter_present: Mapping[str, Rows]


def feature_names(layouts: Sequence[ViewLayout]) -> tuple[str, ...]:
    """Features of a profile, in the order of their first mention."""
    names: dict[str, None] = {}
    for layout in layouts:
        for name in (*layout.implies, *layout.refutes):
            names.setdefault(name)
        for group in layout.groups:
            names.setdefault(group.speaks_of)
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a distance is kept: one filter of one view.

    Attributes:
        view: number of the view.
        group: name of the filter.
        filter_bits: its length.
        feature: what it speaks of.
    """

    view: int
    group: str
    filter_bits: int
    feature: str


def distance_slots(layouts: Sequence[ViewLayout]) -> tuple[Slot, ...]:
    """Every filter of every view, in the order of the views."""
    return tuple(
        Slot(number, group.name, group.filter_bits, group.speaks_of)
        for number, layout in enumerate(layouts)
        for group in layout.groups
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """All that the encodings say of m pairs; levels follow from this alone.

    Attributes:
        agreeing: ``(m,) int64``, bit v set where the pair is comparable in view v.
        differing: ``(m,) int64``, bit v set where both have a tag in view v, and they differ.
        distances: ``(m, n_slots) int16``, Hamming distance of each filter, as
            :func:`distance_slots` orders them; -1 where the pair is not comparable in the view
            or one of the two lacks the filter.
    """

    agreeing: I64
    differing: I64
    distances: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return int(self.agreeing.shape[0])


def measure_pairs(views: Sequence[ViewColumns], left: I64, right: I64, agreeing: I64) -> Measured:
    """Measure pairs that are comparable in the views that ``agreeing`` says; all ``(m,)``."""
    slots = distance_slots([view.layout for view in views])
    distances = np.full((len(left), len(slots)), -1, dtype=np.int16)
    for column, slot in enumerate(slots):
        view = views[slot.view]
        both = (agreeing >> slot.view) & 1 == 1
        both &= view.filter_present[slot.group][left] & view.filter_present[slot.group][right]
        which = np.flatnonzero(both)
        filters = view.filters[slot.group]
        distances[which, column] = hamming(filters, left[which], right[which])
    differing = np.zeros(len(left), dtype=np.int64)
    for number, view in enumerate(views):
        if view.tags is not None:
            both = view.present[left] & view.present[right]
            both &= view.tags[left] != view.tags[right]
            differing |= both.astype(np.int64) << number
    return Measured(agreeing, differing, distances)


def levels_of(layouts: Sequence[ViewLayout], measured: Measured) -> Levels:
    """Levels of measured pairs, ``(m, n_features) int8``, as :func:`feature_names` orders them.

    A function of each pair's measurements alone: whoever measures, and in whatever pieces, gets
    the same levels.
    """
    slots = distance_slots(layouts)
    features = feature_names(layouts)
    levels = np.full((len(measured), len(features)), MISSING, dtype=np.int8)
    for column, feature in enumerate(features):
        refuting = sum(1 << v for v, layout in enumerate(layouts) if feature in layout.refutes)
        implying = sum(1 << v for v, layout in enumerate(layouts) if feature in layout.implies)
        levels[measured.differing & refuting != 0, column] = DIFFERS
        resembling = _resemblance(slots, feature, measured)
        levels[:, column] = np.where(resembling != MISSING, resembling, levels[:, column])
        levels[measured.agreeing & implying != 0, column] = EQUAL
    return levels


def _resemblance(slots: Sequence[Slot], feature: str, measured: Measured) -> Levels:
    """What the filters that speak of a feature show, ``(m,)``; MISSING where there are none."""
    strongest = np.full(len(measured), MISSING, dtype=np.int8)
    all_equal = np.ones(len(measured), dtype=bool)
    for group in dict.fromkeys(slot.group for slot in slots if slot.feature == feature):
        total = np.zeros(len(measured), dtype=np.int64)
        bits = np.zeros(len(measured), dtype=np.int64)
        for number, slot in enumerate(slots):
            if slot.group == group:
                distance = measured.distances[:, number].astype(np.int64)
                total += np.where(distance >= 0, slot.filter_bits - 2 * distance, 0)
                bits += np.where(distance >= 0, slot.filter_bits, 0)
        seen = bits > 0
        level = np.full(len(measured), MISSING, dtype=np.int8)
        level[seen] = _cut(total[seen] / bits[seen], bits[seen])
        np.maximum(strongest, level, out=strongest)
        all_equal &= ~seen | (level == EQUAL)
    strongest[(strongest == EQUAL) & ~all_equal] = CLOSE
    return strongest


def compare_pairs(views: Sequence[ViewColumns], pairs: CandidatePairs) -> Levels:
    """Levels of agreement: every pair measured, then cut.

    Args:
        views: in the order that the bits of ``pairs.views`` refer to.
        pairs: m candidate pairs.

    Returns:
        ``(m, n_features) int8`` of levels, features as :func:`feature_names` orders them.
    """
    layouts = [view.layout for view in views]
    levels = np.zeros((len(pairs), len(feature_names(layouts))), dtype=np.int8)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        agreeing = pairs.views[part].astype(np.int64)
        measured = measure_pairs(views, pairs.left[part], pairs.right[part], agreeing)
        levels[part] = levels_of(layouts, measured)
    return levels


def hamming(filters: Rows, left: I64, right: I64) -> I64:
    """Hamming distances of pairs of filters, ``(m,)``."""
    distances = np.empty(len(left), dtype=np.int64)
    if isinstance(filters, np.ndarray):
        hamming_rows(filters, left, right, distances)
    else:
        distances[:] = np.bitwise_count(filters[left] ^ filters[right]).sum(axis=1)
    return distances


def _cut(correlation: F64, bits: npt.NDArray[np.int64]) -> Levels:
    levels = np.full(len(correlation), UNLIKE, dtype=np.int8)
    levels[correlation >= _VAGUE_SIGMAS / np.sqrt(bits)] = VAGUE
    levels[correlation >= _NOISE_SIGMAS / np.sqrt(bits)] = FAINT
    levels[correlation >= _SIMILAR] = SIMILAR
    levels[correlation >= _CLOSE] = CLOSE
    levels[correlation >= 1.0] = EQUAL
    return levels
