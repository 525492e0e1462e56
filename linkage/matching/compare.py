"""Agreement of candidate pairs: one small integer for each feature of each pair.

A feature is a thing that two records may agree on: a group of the profile (``name``, ``birth`` ...)
or something that a salt implies (``identity``).  Its level comes from what the pair's encodings
show, strongest evidence first:

1. tags equal in a view that *implies* the feature: :data:`EQUAL`;
2. filters of the group, in every view where the pair's tags are equal and both records have the
   filter: the mean correlation, cut into levels (filters under different salts are independent, so
   the mean has less noise than any one of them);
3. tags present and different in a view that *refutes* the feature: :data:`DIFFERS`;
4. otherwise :data:`MISSING`, which is evidence of nothing.

For filters of ``m`` bits at Hamming distance ``h`` the correlation is ``1 - 2 h / m``.  Under
diffusion with ``t`` inputs a bit (Armknecht, Heng, Schnell, PoPETs 2023) it is about the ``t``-th
power of the correlation of the undiffused filters, and 0 +- ``1/sqrt(m)`` for unlike ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.matching.candidates import CandidatePairs
from linkage.types import F64, I64, U64, Bools, ViewLayout

MISSING, DIFFERS, UNLIKE, FAINT, SIMILAR, CLOSE, EQUAL = range(7)
"""Levels, weakest to strongest evidence of agreement; MISSING is no evidence at all."""

N_LEVELS = 7
_PAIRS_AT_ONCE = 1 << 18
_NOISE_SIGMAS = 3.0
_SIMILAR, _CLOSE = 0.25, 0.5

Levels = npt.NDArray[np.int8]


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
    filters: dict[str, U64]
    filter_present: dict[str, Bools]


def feature_names(layouts: Sequence[ViewLayout]) -> tuple[str, ...]:
    """Features of a profile, in the order of their first mention."""
    names: dict[str, None] = {}
    for layout in layouts:
        for name in (*layout.implies, *layout.refutes):
            names.setdefault(name)
        for group in layout.groups:
            names.setdefault(group.name)
    return tuple(names)


def compare_pairs(views: Sequence[ViewColumns], pairs: CandidatePairs) -> Levels:
    """Levels of agreement.

    Args:
        views: in the order that the bits of ``pairs.views`` refer to.
        pairs: m candidate pairs.

    Returns:
        ``(m, n_features) int8`` of levels, features as :func:`feature_names` orders them.
    """
    features = feature_names([view.layout for view in views])
    levels = np.zeros((len(pairs), len(features)), dtype=np.int8)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        left, right = pairs.left[part], pairs.right[part]
        for column, feature in enumerate(features):
            levels[part, column] = _feature_levels(
                views, feature, left, right, pairs.views[part].astype(np.int64)
            )
    return levels


def _feature_levels(
    views: Sequence[ViewColumns], feature: str, left: I64, right: I64, agreeing: I64
) -> Levels:
    n_pairs = len(left)
    total = np.zeros(n_pairs)
    bits = np.zeros(n_pairs, dtype=np.int64)
    refuted = np.zeros(n_pairs, dtype=bool)
    implied = np.zeros(n_pairs, dtype=bool)
    for number, view in enumerate(views):
        agrees = (agreeing >> number) & 1 == 1
        if feature in view.layout.implies:
            implied |= agrees
        if feature in view.layout.refutes and view.tags is not None:
            refuted |= view.present[left] & view.present[right] & ~agrees
        if feature in view.filters:
            both = agrees & view.filter_present[feature][left]
            both &= view.filter_present[feature][right]
            which = np.flatnonzero(both)
            filters = view.filters[feature]
            distance = _hamming(filters, left[which], right[which])
            filter_bits = filters.shape[1] * 64
            total[which] += filter_bits - 2.0 * distance
            bits[which] += filter_bits
    levels = np.full(n_pairs, MISSING, dtype=np.int8)
    levels[refuted] = DIFFERS
    seen = bits > 0
    levels[seen] = _cut(total[seen] / bits[seen], bits[seen])
    levels[implied] = EQUAL
    return levels


def _hamming(filters: U64, left: I64, right: I64) -> npt.NDArray[np.int64]:
    counts = np.bitwise_count(filters[left] ^ filters[right])
    return np.asarray(counts.sum(axis=1), dtype=np.int64)


def _cut(correlation: F64, bits: npt.NDArray[np.int64]) -> Levels:
    levels = np.full(len(correlation), UNLIKE, dtype=np.int8)
    levels[correlation >= _NOISE_SIGMAS / np.sqrt(bits)] = FAINT
    levels[correlation >= _SIMILAR] = SIMILAR
    levels[correlation >= _CLOSE] = CLOSE
    levels[correlation >= 1.0] = EQUAL
    return levels
