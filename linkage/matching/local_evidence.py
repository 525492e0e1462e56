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

from linkage.matching.compare import Measured, distance_slots, feature_names, levels_of
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
    """How pairs of one view's tag groups are told that may be dropped; k filters, t other views.

    Attributes:
        slots: ``(k,)`` of this view among all slots of :func:`distance_slots`.
        first_word: ``(k + 1,)``, where each filter's words begin in a row.
        others: the other tagged views.
        other_bit, other_code: ``(t,)``: bit of each, and what its disagreement adds to the row of
            ``keep`` to look at.
        n_earlier: how many of ``others`` come before this view.
        level_index: ``(k, most bits + 1) int64``: column of ``keep`` for each distance; 0 stands
            for an absent filter.
        strides: ``(k,)`` by which level indices add up to a column of ``keep``.
        keep: ``(codes, patterns) bool``.
        required: ``(q,)`` presence that both records of a pair must have for a quick look.
        tests: ``(q + 1,)``, where each quick look's tests begin.
        tested, most: ``(n_tests,)``: a filter, and the distance up to which a pair passes.
    """

    slots: I64
    first_word: I64
    others: tuple[int, ...]
    other_bit: I64
    other_code: I64
    n_earlier: int
    level_index: I64
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
    slots = [i for i, slot in enumerate(distance_slots(layouts)) if slot.view == view]
    words = [group.filter_bits // 64 for group in layouts[view].groups]
    others = tuple(v for v, layout in enumerate(layouts) if layout.tagged and v != view)
    by_level = [_distances_by_level(layouts, view, slot) for slot in slots]
    options = [[-1, *first] for first, _ in by_level]
    refuting = [v for v in others if layouts[v].refutes]
    sizes = [len(option) for option in options]
    # An untagged view may find any pair of this one too, which no tag gives away.
    all_tagged = all(layout.tagged for layout in layouts)
    n_patterns = np.prod(sizes, dtype=np.float64) * 2.0 ** len(refuting)
    if model is None or not all_tagged or n_patterns > _MAX_TABLE:
        refuting, odds = [], np.full((1, *sizes), np.inf)
    else:
        odds = _log_odds_of_patterns(layouts, view, slots, options, refuting, model)
    strides = np.cumprod([1, *sizes[::-1]])[:-1][::-1] if sizes else np.empty(0)
    bits = [*range(len(slots)), *(FIRST_VIEW_BIT + v for v in refuting)]
    index_of = [index for _, index in by_level]
    seen = seen or SeenPairs({}, {})
    passing = [
        _shares_above(seen.distances.get(group.name), index)
        for group, index in zip(layouts[view].groups, index_of, strict=True)
    ]
    looks = _choose_looks(
        _possible_looks(odds, floor, words, index_of, bits, passing),
        [seen.shares.get(bit, 1.0) for bit in bits],
        bits,
    )
    return LocalRule(
        slots=np.array(slots, dtype=np.int64),
        first_word=np.cumsum([0, *words]).astype(np.int64),
        others=others,
        other_bit=np.array([1 << v for v in others], dtype=np.int64),
        other_code=np.array(
            [1 << refuting.index(v) if v in refuting else 0 for v in others], dtype=np.int64
        ),
        n_earlier=sum(v < view for v in others),
        level_index=_padded([index for _, index in by_level]),
        strides=strides.astype(np.int64),
        keep=(odds >= floor).reshape(len(odds), -1),
        required=np.array(
            [sum(1 << bit for bit in look.required) for look in looks], dtype=np.int64
        ),
        tests=np.cumsum([0, *(len(look.tested) for look in looks)]).astype(np.int64),
        tested=np.array([f for look in looks for f in look.tested], dtype=np.int64),
        most=np.array([d for look in looks for d in look.most], dtype=np.uint64),
    )


def _distances_by_level(
    layouts: tuple[ViewLayout, ...], view: int, slot: int
) -> tuple[list[int], I64]:
    """The smallest distance of each level, weakest first; for each distance its place among them.

    Places count from 1.
    """
    entry = distance_slots(layouts)[slot]
    column = feature_names(layouts).index(entry.group)
    distances = np.full((entry.filter_bits + 1, len(distance_slots(layouts))), -1, dtype=np.int16)
    distances[:, slot] = np.arange(entry.filter_bits + 1)
    levels = levels_of(layouts, _agreeing_here(view, distances))[:, column]
    values, first = np.unique(levels, return_index=True)
    return first.tolist(), (np.searchsorted(values, levels) + 1).astype(np.int64)


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
    slots: list[int],
    options: list[list[int]],
    refuting: list[int],
    model: EvidenceModel,
) -> F64:
    """Log odds for each set of refuting views and each combination of levels."""
    combined = list(product(*options))
    patterns = np.array(combined, dtype=np.int16).reshape(len(combined), len(options))
    distances = np.full((len(patterns), len(distance_slots(layouts))), -1, dtype=np.int16)
    distances[:, slots] = patterns
    rows = []
    for code in range(1 << len(refuting)):
        bits = sum(1 << v for i, v in enumerate(refuting) if code >> i & 1)
        differing = np.full(len(patterns), bits, dtype=np.int64)
        measured = _agreeing_here(view, distances, differing)
        rows.append(model.log_odds(levels_of(layouts, measured)))
    return np.stack(rows).reshape(-1, *(len(option) for option in options))


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
    words: list[int],
    level_index: list[I64],
    bits: list[int],
    passing: list[F64],
) -> list[_Look]:
    """For each set of required presence the cheapest look, if there is any.

    A box of level patterns, each filter up to some level, holds nothing worth keeping when the
    highest log odds in it is under the floor.  A required filter is not absent, a required tag is
    not absent either, and differs, since the pair agrees in this view alone.
    """
    looks = []
    k = odds.ndim - 1
    codes = np.arange(len(odds))
    for n_required in range(_MOST_REQUIRED + 1):
        for places in combinations(range(len(bits)), n_required):
            differing = sum(1 << (place - k) for place in places if place >= k)
            least = [1 if f in places else 0 for f in range(k)]
            inside = odds[codes & differing == differing][
                (slice(None), *(slice(low, None) for low in least))
            ]
            look = _cheapest_box(inside.max(axis=0), floor, words, level_index, least, passing)
            if look is not None:
                looks.append(replace(look, required=tuple(bits[place] for place in places)))
    return looks


def _cheapest_box(
    odds: F64,
    floor: float,
    words: list[int],
    level_index: list[I64],
    least: list[int],
    passing: list[F64],
) -> _Look | None:
    highest = odds
    for axis in range(odds.ndim):
        highest = np.maximum.accumulate(highest, axis=axis)
    best: tuple[float, _Look] | None = None
    for box in np.argwhere(highest < floor).tolist():
        levels = [level + low for level, low in zip(box, least, strict=True)]
        tested = [f for f in range(odds.ndim) if box[f] < odds.shape[f] - 1]
        share = min(1.0, sum(float(passing[f][levels[f]]) for f in tested))
        n_words = sum(words[f] for f in tested)
        cost = n_words + _COST_OF_SURVIVOR * share
        if best is None or cost < best[0]:
            most = [int(np.flatnonzero(level_index[f] > levels[f]).max()) for f in tested]
            best = cost, _Look((), tuple(tested), tuple(most), n_words, share)
    return None if best is None else best[1]


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


def _shares_above(distances: npt.NDArray[np.int16] | None, level_index: I64) -> F64:
    """For each place of a level the share of pairs with a stronger one.

    Where no pairs were seen, chance alone is assumed: the distance of unlike filters of m bits has
    the standard deviation ``sqrt(m) / 2``.
    """
    n_places = int(level_index.max()) + 1
    if distances is not None and len(distances):
        places = level_index[distances]
        return np.array([float((places > place).mean()) for place in range(n_places)]) + 1e-4
    bits = len(level_index) - 1
    found = np.zeros(n_places)
    for place in range(n_places):
        near = np.flatnonzero(level_index > place)
        if len(near):
            sigmas = (bits / 2 - float(near.max())) / (np.sqrt(bits) / 2)
            found[place] = np.exp(-0.5 * max(sigmas, 0.0) ** 2) + 1e-3
    return found


def _padded(rows: list[I64]) -> I64:
    padded = np.zeros((len(rows), max((len(row) for row in rows), default=1)), dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
