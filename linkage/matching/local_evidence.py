"""What one view alone can say of a pair: which pairs of a tag group need not be kept.

Nearly all pairs whose tags agree in one view agree in no other, so the view's own filters are all
the evidence for them, and their log odds follow from a small table.  Pairs under the floor are
dropped where they are met.  Of those, nearly all are dropped by a quicker look still: filters that
are all further apart than some distance are under the floor in whatever combination.

Dropping is exact: a pair that agrees in another view too is never dropped here, and the table is
made by the very functions that judge pairs later.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from linkage.matching.compare import Measured, distance_slots, feature_names, levels_of
from linkage.matching.score import EvidenceModel
from linkage.types import F64, I64, U64, Bools, ViewLayout

EVERY_PAIR = -1

_MAX_TABLE = 1 << 21
_COST_OF_WORD = 1.0
_COST_OF_SURVIVOR = 120.0


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
        tested: filters that the quick look takes; :data:`EVERY_PAIR` if every pair passes it.
        most: distance of each up to which a pair survives the quick look.
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


def local_rule(
    layouts: tuple[ViewLayout, ...], view: int, model: EvidenceModel | None, floor: float
) -> LocalRule:
    """The rule of a tagged view.

    Args:
        layouts: of all views.
        view: number of the view.
        model: judges levels; ``None`` keeps every pair.
        floor: log odds under which a pair may be dropped.
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
    tested, most = _quick_look(odds.max(axis=0), floor, words, [index for _, index in by_level])
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
        tested=tested,
        most=most,
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


def _quick_look(
    odds: F64, floor: float, words: list[int], level_index: list[I64]
) -> tuple[I64, U64]:
    """The cheapest test that only pairs under the floor fail.

    A box of level patterns, each filter up to some level, holds nothing worth keeping when the
    highest log odds in it is under the floor.  Of all such boxes take the one that costs least:
    words to compare, and pairs to look at closely.  Chance alone sets what passes: the standard
    deviation of a distance between unlike filters of m bits is ``sqrt(m) / 2``.
    """
    highest = odds
    for axis in range(odds.ndim):
        highest = np.maximum.accumulate(highest, axis=axis)
    best: tuple[float, tuple[int, ...]] = (np.inf, ())
    for box in np.argwhere(highest < floor).tolist():
        cost = 0.0
        for f, level in enumerate(box):
            if level < odds.shape[f] - 1:
                cost += _COST_OF_WORD * words[f]
                cost += _COST_OF_SURVIVOR * _chance_above(level_index[f], level)
        best = min(best, (cost, tuple(box)))
    cost, chosen = best
    if not np.isfinite(cost):
        return np.array([EVERY_PAIR], dtype=np.int64), np.zeros(1, dtype=np.uint64)
    tested = [f for f, level in enumerate(chosen) if level < odds.shape[f] - 1]
    most = [int(np.flatnonzero(level_index[f] > chosen[f]).max()) for f in tested]
    return np.array(tested, dtype=np.int64), np.array(most, dtype=np.uint64)


def _chance_above(level_index: I64, level: int) -> float:
    bits = len(level_index) - 1
    near = np.flatnonzero(level_index > level)
    if not len(near):
        return 0.0
    sigmas = (bits / 2 - float(near.max())) / (np.sqrt(bits) / 2)
    # A bound on the normal tail, plus what real data has beyond chance.
    return float(np.exp(-0.5 * max(sigmas, 0.0) ** 2)) + 1e-3


def _padded(rows: list[I64]) -> I64:
    padded = np.zeros((len(rows), max((len(row) for row in rows), default=1)), dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
