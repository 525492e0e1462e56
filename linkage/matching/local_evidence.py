"""What one view alone can say of a pair: which pairs of a tag group need not be kept.

Nearly all pairs whose tags agree in one view agree in no other, so the view's own filters are all
the evidence for them, and their log odds follow from a small table.  Pairs under the floor are
dropped where they are met.  Of those, nearly all are dropped by a quicker look still: where both
records have certain filters and tags, and all filters are further apart than some distance, the
pair is under the floor in whatever combination.  A view has a few such looks, for records that
have their telephone number and for those that have not.

Dropping is exact: a pair that agrees in another view too is never dropped here, and the table is
made by the very functions that judge pairs later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from linkage.matching.compare import (
    MISSING,
    N_LEVELS,
    Levels,
    Measured,
    distance_slots,
    feature_names,
    levels_of,
)
from linkage.matching.score import EvidenceModel
from linkage.types import F64, I64, U64, Bools, ViewLayout

_MAX_TABLE = 1 << 21
_MOST_LOOKS = 3
_MOST_REQUIRED = 3
_MOST_PRESENCES = 12
_COST_OF_SURVIVOR = 400.0
"""What a close look costs, in words compared."""

FIRST_VIEW_BIT = 16
"""Presence of a record: bit f for filter f of the view, bit 16 + v for its tag of view v."""


@dataclass(frozen=True, slots=True)
class LocalRule:
    """How pairs of one view's tag groups are told that may be dropped.

    There are k filters, which speak of q features, and t other views.

    Attributes:
        slots: ``(k,)`` of this view among all slots of :func:`distance_slots`.
        first_word: ``(k + 1,)``, where each filter's words begin in a row.
        others: the other tagged views.
        other_bit, other_code: ``(t,)``: bit of each, and what its disagreement adds to the row of
            ``keep`` to look at.
        n_earlier: how many of ``others`` come before this view.
        level_index: ``(k, most bits + 1) int64``: place of each distance's level; 0 stands for an
            absent filter.
        feature_of, radix: ``(k,)``: the feature that each filter speaks of, and by what its places
            count in the feature's code.
        place_of: ``(q, most codes) int64``: place of the feature's level for each code; 0 stands
            for an absent feature.
        strides: ``(q,)`` by which features' places add up to a column of ``keep``.
        keep: ``(codes, patterns) bool``.
        required: ``(looks,)`` presence that both records of a pair must have for a quick look.
        tests: ``(looks + 1,)``, where each quick look's tests begin.
        tested, most: ``(n_tests,)``: a filter, and the distance up to which a pair passes.
    """

    slots: I64
    first_word: I64
    others: tuple[int, ...]
    other_bit: I64
    other_code: I64
    n_earlier: int
    level_index: I64
    feature_of: I64
    radix: I64
    place_of: I64
    strides: I64
    keep: Bools
    required: I64
    tests: I64
    tested: I64
    most: U64

    @property
    def compiled(self) -> tuple[I64 | int | Bools, ...]:
        """What the compiled loops take, in their order."""
        return (
            self.first_word,
            self.other_bit,
            self.other_code,
            self.n_earlier,
            self.level_index,
            self.feature_of,
            self.radix,
            self.place_of,
            self.strides,
            self.keep,
        )


@dataclass(frozen=True, slots=True)
class SeenPairs:
    """What pairs of a view mostly look like: decides how fast they are dropped, never which.

    Attributes:
        shares: for each bit of presence the share of the view's records that have it.
        distances: for each filter the distances of some pairs.
    """

    shares: Mapping[int, float]
    distances: Mapping[str, npt.NDArray[np.int16]]


def local_rule(
    layouts: tuple[ViewLayout, ...],
    view: int,
    model: EvidenceModel | None,
    floor: float,
    seen: "SeenPairs | None" = None,
) -> LocalRule:
    """The rule of a tagged view.

    Args:
        layouts: of all views.
        view: number of the view.
        model: judges levels; ``None`` keeps every pair.
        floor: log odds under which a pair may be dropped.
        seen: what pairs of this view mostly look like.
    """
    filters = _filters_of(layouts, view, seen or SeenPairs({}, {}))
    features = _features_of(layouts, view, filters)
    others = tuple(v for v, layout in enumerate(layouts) if layout.tagged and v != view)
    refuting = [v for v in others if layouts[v].refutes]
    sizes = [len(feature.levels) for feature in features]
    # An untagged view may find any pair of this one too, which no tag gives away.
    all_tagged = all(layout.tagged for layout in layouts)
    n_patterns = np.prod(sizes, dtype=np.float64) * 2.0 ** len(refuting)
    if model is None or not all_tagged or n_patterns > _MAX_TABLE:
        refuting, odds = [], np.full((1, *sizes), np.inf)
    else:
        odds = _log_odds_of_patterns(layouts, view, filters, features, refuting, model)
    strides = np.cumprod([1, *sizes[::-1]])[:-1][::-1] if sizes else np.empty(0)
    bits = [*range(len(filters)), *(FIRST_VIEW_BIT + v for v in refuting)]
    shares = {} if seen is None else seen.shares
    looks = _choose_looks(
        _possible_looks(odds, floor, filters, features, bits),
        [shares.get(bit, 1.0) for bit in bits],
        bits,
    )
    words = [each.n_words for each in filters]
    return LocalRule(
        slots=np.array([each.slot for each in filters], dtype=np.int64),
        first_word=np.cumsum([0, *words]).astype(np.int64),
        others=others,
        other_bit=np.array([1 << v for v in others], dtype=np.int64),
        other_code=np.array(
            [1 << refuting.index(v) if v in refuting else 0 for v in others], dtype=np.int64
        ),
        n_earlier=sum(v < view for v in others),
        level_index=_padded([each.places for each in filters]),
        feature_of=np.array([each.feature for each in filters], dtype=np.int64),
        radix=np.array([each.radix for each in filters], dtype=np.int64),
        place_of=_padded([feature.place_of for feature in features]),
        strides=strides.astype(np.int64),
        keep=(odds >= floor).reshape(len(odds), -1),
        required=np.array(
            [sum(1 << bit for bit in look.required) for look in looks], dtype=np.int64
        ),
        tests=np.cumsum([0, *(len(look.tested) for look in looks)]).astype(np.int64),
        tested=np.array([f for look in looks for f in look.tested], dtype=np.int64),
        most=np.array([d for look in looks for d in look.most], dtype=np.uint64),
    )


@dataclass(frozen=True, slots=True)
class _Filter:
    """A filter of the view.

    Attributes:
        slot: its number among all slots.
        n_words: its length.
        feature: number of the feature that it speaks of, among those of the view.
        radix: by what its places count in the feature's code.
        levels: ``(bits + 1,)``, the level that it shows by itself at each distance.
        values: its levels, weakest first.
        first: the smallest distance of each of them.
        places: ``(bits + 1,)``, the place of each distance's level in ``values``, from 1.
        shares_above: for each level the share of unlike pairs that have a stronger one.
    """

    slot: int
    n_words: int
    feature: int
    radix: int
    levels: Levels
    values: tuple[int, ...]
    first: tuple[int, ...]
    places: I64
    shares_above: F64

    def most(self, level: int) -> int:
        """The distance up to which it shows more than a level."""
        return int(np.flatnonzero(self.levels > level).max())


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature that filters of the view speak of.

    Attributes:
        filters: numbers of the filters.
        levels: level of each place; place 0 stands for its absence.
        distances: for each place distances of the filters that show its level; -1 if absent.
        place_of: ``(codes,)``: place for each combination of the filters' places.
    """

    filters: tuple[int, ...]
    levels: tuple[int, ...]
    distances: tuple[tuple[int, ...], ...]
    place_of: I64


def _filters_of(layouts: tuple[ViewLayout, ...], view: int, seen: SeenPairs) -> tuple[_Filter, ...]:
    slots = distance_slots(layouts)
    names = list(dict.fromkeys(group.speaks_of for group in layouts[view].groups))
    radix = dict.fromkeys(names, 1)
    found = []
    for slot, entry in enumerate(slots):
        if entry.view != view:
            continue
        distances = np.full((entry.filter_bits + 1, len(slots)), -1, dtype=np.int16)
        distances[:, slot] = np.arange(entry.filter_bits + 1)
        column = feature_names(layouts).index(entry.feature)
        levels = levels_of(layouts, _agreeing_here(view, distances))[:, column]
        values, first = np.unique(levels, return_index=True)
        found.append(
            _Filter(
                slot=slot,
                n_words=entry.filter_bits // 64,
                feature=names.index(entry.feature),
                radix=radix[entry.feature],
                levels=levels,
                values=tuple(values.tolist()),
                first=tuple(first.tolist()),
                places=(np.searchsorted(values, levels) + 1).astype(np.int64),
                shares_above=_shares_above(seen.distances.get(entry.group), levels),
            )
        )
        radix[entry.feature] *= len(values) + 1
    return tuple(found)


def _features_of(
    layouts: tuple[ViewLayout, ...], view: int, filters: tuple[_Filter, ...]
) -> tuple[_Feature, ...]:
    """How the levels of several filters make a feature's: found by trying all combinations."""
    slots, names = distance_slots(layouts), feature_names(layouts)
    found = []
    for number in sorted({each.feature for each in filters}):
        mine = [f for f, each in enumerate(filters) if each.feature == number]
        # In the order of their codes: the last filter's radix is the largest.
        options = [[-1, *filters[f].first] for f in reversed(mine)]
        combined = np.array(list(product(*options)), dtype=np.int16)[:, ::-1]
        distances = np.full((len(combined), len(slots)), -1, dtype=np.int16)
        distances[:, [filters[f].slot for f in mine]] = combined
        column = names.index(slots[filters[mine[0]].slot].feature)
        levels = levels_of(layouts, _agreeing_here(view, distances))[:, column]
        values, first = np.unique(levels[1:], return_index=True)
        place_of = np.concatenate(([0], np.searchsorted(values, levels[1:]) + 1))
        found.append(
            _Feature(
                filters=tuple(mine),
                levels=(MISSING, *values.tolist()),
                distances=tuple(map(tuple, combined[[0, *(first + 1)]].tolist())),
                place_of=place_of.astype(np.int64),
            )
        )
    return tuple(found)


def _agreeing_here(
    view: int, distances: npt.NDArray[np.int16], differing: I64 | None = None
) -> Measured:
    none = np.zeros(len(distances), dtype=np.int64)
    return Measured(
        agreeing=none + (1 << view),
        differing=none if differing is None else differing,
        distances=distances,
    )


def _log_odds_of_patterns(
    layouts: tuple[ViewLayout, ...],
    view: int,
    filters: tuple[_Filter, ...],
    features: tuple[_Feature, ...],
    refuting: list[int],
    model: EvidenceModel,
) -> F64:
    """Log odds for each set of refuting views and each combination of the features' places."""
    sizes = [len(feature.levels) for feature in features]
    places = np.array(list(product(*map(range, sizes))), dtype=np.int64).T
    distances = np.full((places.shape[1], len(distance_slots(layouts))), -1, dtype=np.int16)
    for feature, place in zip(features, places, strict=True):
        slots = [filters[f].slot for f in feature.filters]
        distances[:, slots] = np.array(feature.distances, dtype=np.int16)[place]
    rows = []
    for code in range(1 << len(refuting)):
        bits = sum(1 << v for i, v in enumerate(refuting) if code >> i & 1)
        differing = np.full(len(distances), bits, dtype=np.int64)
        measured = _agreeing_here(view, distances, differing)
        rows.append(model.log_odds(levels_of(layouts, measured)))
    return np.stack(rows).reshape(-1, *sizes)


@dataclass(frozen=True, slots=True)
class _Look:
    """A test that only pairs under the floor fail, if both records have what it requires.

    Attributes:
        required: bits of presence.
        tested, most: filters, and the distance up to which each lets a pair pass.
        n_words: compared for each pair.
        passing: about the share of unlike pairs that pass.
    """

    required: tuple[int, ...]
    tested: tuple[int, ...]
    most: tuple[int, ...]
    n_words: int
    passing: float


def _possible_looks(
    odds: F64,
    floor: float,
    filters: tuple[_Filter, ...],
    features: tuple[_Feature, ...],
    bits: list[int],
) -> list[_Look]:
    """For each set of required presence the cheapest look, if there is any.

    A box of level patterns, each feature up to some level, holds nothing worth keeping when the
    highest log odds in it is under the floor.  A feature of a required filter is not absent; a
    required tag is not absent either, and differs, since the pair agrees in this view alone.
    """
    looks = []
    k = len(filters)
    codes = np.arange(len(odds))
    for n_required in range(_MOST_REQUIRED + 1):
        for places in combinations(range(len(bits)), n_required):
            differing = sum(1 << (place - k) for place in places if place >= k)
            there = {filters[place].feature for place in places if place < k}
            least = [int(number in there) for number in range(len(features))]
            inside = odds[codes & differing == differing][
                (slice(None), *(slice(low, None) for low in least))
            ]
            look = _cheapest_box(inside.max(axis=0), floor, filters, features, least)
            if look is not None:
                looks.append(replace(look, required=tuple(bits[place] for place in places)))
    return looks


def _cheapest_box(
    odds: F64,
    floor: float,
    filters: tuple[_Filter, ...],
    features: tuple[_Feature, ...],
    least: list[int],
) -> _Look | None:
    """The box whose test costs least: filters are no nearer than its features' levels allow.

    A feature is at most as strong as the strongest of its filters, so all of these are tested.
    """
    highest = odds
    words, shares = np.zeros_like(odds), np.zeros_like(odds)
    for axis, feature in enumerate(features):
        highest = np.maximum.accumulate(highest, axis=axis)
        levels = feature.levels[least[axis] : -1]
        along = [1] * odds.ndim
        along[axis] = odds.shape[axis]
        passing = [sum(float(filters[f].shares_above[v]) for f in feature.filters) for v in levels]
        shares += np.array([*passing, 0.0]).reshape(along)
        n_words = sum(filters[f].n_words for f in feature.filters)
        words += np.array([float(n_words)] * len(levels) + [0.0]).reshape(along)
    shares = np.minimum(shares, 1.0)
    cost = np.where(highest < floor, words + _COST_OF_SURVIVOR * shares, np.inf)
    best = np.unravel_index(int(np.argmin(cost)), cost.shape)
    if not np.isfinite(cost[best]):
        return None
    tests = [
        (f, filters[f].most(feature.levels[place + low]))
        for feature, place, low, size in zip(features, best, least, odds.shape, strict=True)
        if place < size - 1
        for f in feature.filters
    ]
    return _Look(
        required=(),
        tested=tuple(f for f, _ in tests),
        most=tuple(most for _, most in tests),
        n_words=int(words[best]),
        passing=float(shares[best]),
    )


def _choose_looks(looks: list[_Look], shares: list[float], bits: list[int]) -> list[_Look]:
    """A few looks that together leave the fewest pairs to a close look, for what they cost.

    Whether records have one thing is taken to say nothing of whether they have another.
    """
    bits, shares = bits[:_MOST_PRESENCES], shares[:_MOST_PRESENCES]
    presences = np.arange(1 << len(bits))
    chance = np.ones(len(presences))
    for place, share in enumerate(shares):
        there = presences >> place & 1 == 1
        chance *= np.where(there, share**2, 1.0 - share**2)
    passing = np.ones(len(presences))
    chosen: list[_Look] = []
    cost = _COST_OF_SURVIVOR
    while len(chosen) < _MOST_LOOKS:
        best = None
        for look in looks:
            if not set(look.required) <= set(bits):
                continue
            needed = sum(1 << bits.index(bit) for bit in look.required)
            covered = presences & needed == needed
            after = np.where(covered, np.minimum(passing, look.passing), passing)
            total = float(chance @ after) * _COST_OF_SURVIVOR
            total += look.n_words + sum(each.n_words for each in chosen)
            if total < cost:
                best, cost, best_after = look, total, after
        if best is None:
            break
        chosen.append(best)
        passing = best_after
    return chosen


def _shares_above(distances: npt.NDArray[np.int16] | None, levels: Levels) -> F64:
    """For each level, ``(N_LEVELS,)``, the share of pairs of which a filter shows more.

    Where no pairs were seen, chance alone is assumed: the distance of unlike filters of m bits has
    the standard deviation ``sqrt(m) / 2``.
    """
    if distances is not None and len(distances):
        shown = levels[distances]
        return np.array([float((shown > level).mean()) for level in range(N_LEVELS)]) + 1e-4
    bits = len(levels) - 1
    found = np.zeros(N_LEVELS)
    for level in range(N_LEVELS):
        near = np.flatnonzero(levels > level)
        if len(near):
            sigmas = (bits / 2 - float(near.max())) / (np.sqrt(bits) / 2)
            found[level] = np.exp(-0.5 * max(sigmas, 0.0) ** 2) + 1e-3
    return found


def _padded(rows: list[I64]) -> I64:
    padded = np.zeros((len(rows), max((len(row) for row in rows), default=1)), dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
