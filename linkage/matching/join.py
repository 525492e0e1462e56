"""The fast way to scored pairs: join every view in chunks, then merge what the chunks kept.

:mod:`linkage.matching.reference` is the plain way; both give the same pairs to the byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from linkage.matching.chunk_store import ChunkStore
from linkage.matching.compare import ViewColumns, hamming, measure_pairs
from linkage.matching.engines import Engine
from linkage.matching.local_evidence import FIRST_VIEW_BIT, LocalRule, SeenPairs, local_rule
from linkage.matching.numbering import NumberedRecords
from linkage.matching.score import EvidenceModel
from linkage.matching.scored import ScoredPairs, agreeing_views, merge_range, ranges_of_left
from linkage.matching.similar_pairs import SimilarPairs
from linkage.matching.tagged_join import (
    PAIRS_OF_A_CALL,
    JoinChunk,
    PairRun,
    join_chunk,
    run_dtype,
    sorted_run,
)
from linkage.types import I64

PAIRS_OF_A_RANGE = 2_000_000
_ROWS_LOOKED_AT = 20_000
_TAGS_LOOKED_AT = 16

TellJoin = Callable[[int, int, int], None]
"""Told of the join: pairs looked at so far, those of them in chunks that were finished before, and
pairs kept so far."""

TellMerge = Callable[[int, int, int, int], None]
"""Told of the merge: ranges done, those of them that were done before, ranges in all, and pairs
kept so far."""


class JoinWatch:
    """How far chunks are that this process computes, for who tells of it from another thread."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[int, int]] = {}
        self._stopped = False

    def note(self, chunk: JoinChunk, n_compared: int, n_kept: int) -> None:
        """Take a report of a chunk.

        Raises:
            JoinStoppedError: nobody wants the rest.
        """
        if self._stopped:
            raise JoinStoppedError("the join was stopped")
        self._under_way[chunk.name] = n_compared, n_kept

    def forget(self, chunk: JoinChunk) -> None:
        """The chunk is finished."""
        self._under_way.pop(chunk.name, None)

    def under_way(self) -> tuple[int, int]:
        """Pairs looked at and kept so far, in chunks that are not finished."""
        seen = list(self._under_way.values())
        return sum(compared for compared, _ in seen), sum(kept for _, kept in seen)

    def stop(self) -> None:
        """Let chunks under way end soon."""
        self._stopped = True


class JoinStoppedError(Exception):
    """A chunk was given up because the whole match was."""


@dataclass(frozen=True, slots=True)
class JoinTask:
    """What a chunk of the join is computed from; the same on every machine.

    Attributes:
        records: gives the records; on another machine they are opened there.
        rules: for each view; ``None`` for untagged ones.
        across_only: leave out pairs inside a dataset.
        watch: told of chunks that this process computes; ``None`` for other machines.
        pairs_of_a_call: how often it is told.
    """

    records: Callable[[], NumberedRecords]
    rules: tuple[LocalRule | None, ...]
    across_only: bool
    watch: JoinWatch | None = None
    pairs_of_a_call: int = PAIRS_OF_A_CALL

    def __call__(self, chunk: JoinChunk) -> PairRun:
        """Compute a chunk."""
        rule = self.rules[chunk.view]
        if rule is None:
            raise ValueError("an untagged view has no chunks of the tagged join")
        told = None if self.watch is None else partial(self.watch.note, chunk)
        return join_chunk(
            self.records(),
            chunk,
            rule,
            across_only=self.across_only,
            told=told,
            pairs_of_a_call=self.pairs_of_a_call,
        )


@dataclass(frozen=True, slots=True)
class KeptPairs:
    """All pairs whose log odds reach the floor, and what was counted on the way.

    Attributes:
        parts: each ascending by (left, right), and ascending from part to part.
        n_candidates: pairs that are comparable in some view.
        n_across: those of them between datasets.
        n_compared: pairs looked at, once for each view that they share.
    """

    parts: tuple[ScoredPairs, ...]
    n_candidates: int
    n_across: int
    n_compared: int


def rules_of(
    records: NumberedRecords, model: EvidenceModel, floor: float
) -> tuple[LocalRule | None, ...]:
    """The rule of each tagged view."""

    def rule(view: int) -> LocalRule:
        # A rule sees levels only: what may be added for the rarest tag must not be missed.
        weights = records.rarity.get(view)
        most = 0.0 if weights is None or not len(weights) else max(0.0, float(weights.max()))
        return local_rule(records.layouts, view, model, floor - most, _look_at(records, view))

    return tuple(
        rule(view) if layout.tagged else None for view, layout in enumerate(records.layouts)
    )


def _look_at(records: NumberedRecords, view: int) -> SeenPairs:
    """What records and pairs of a view mostly look like, from records here and there."""
    columns = records.views[view]
    tags = records.tags_of(view)
    n = records.n_records
    some = np.unique(np.linspace(0, max(n - 1, 0), min(n, _ROWS_LOOKED_AT), dtype=np.int64))
    some = some[columns.present[some]]
    if not len(some):
        return SeenPairs({}, {})
    shares = {
        f: float(columns.filter_present[group.name][some].mean())
        for f, group in enumerate(columns.layout.groups)
    }
    for other, found in enumerate(records.tags):
        if found is not None and other != view:
            shares[FIRST_VIEW_BIT + other] = float((found[some] != 0).mean())
    # Neighbours among records sorted by tag: pairs of large groups, as most pairs are.
    wanted = np.isin(tags, tags[some[:_TAGS_LOOKED_AT]])
    members = np.flatnonzero(wanted).astype(np.int64)
    members = members[np.argsort(tags[members], kind="stable")]
    left, right = members[:-1], members[1:]
    equal = tags[left] == tags[right]
    left, right = left[equal], right[equal]
    return SeenPairs(shares, _distances_of(columns, left, right))


def _distances_of(columns: ViewColumns, left: I64, right: I64) -> dict[str, npt.NDArray[np.int16]]:
    """Distances of filters that both records of a pair have."""
    found = {}
    for name, rows in columns.filters.items():
        both = columns.filter_present[name][left] & columns.filter_present[name][right]
        found[name] = hamming(rows, left[both], right[both]).astype(np.int16)
    return found


def join_views(
    task: JoinTask,
    chunks: Sequence[JoinChunk],
    engine: Engine,
    store: ChunkStore,
    tell: TellJoin,
) -> list[PairRun]:
    """Runs of all chunks; those that the store has already are not computed again."""
    runs = []
    missing = []
    finished = store.names()
    for chunk in heaviest_first(chunks):
        found = store.get(chunk.name) if chunk.name in finished else None
        if found is None:
            missing.append(chunk)
        else:
            runs.append(PairRun(chunk.view, found[0], **found[1]))
    resumed = compared = sum(run.n_compared for run in runs)
    kept = sum(len(run.rows) for run in runs)
    watch = task.watch or JoinWatch()

    def report() -> None:
        compared_now, kept_now = watch.under_way()
        try:
            tell(compared + compared_now, resumed, kept + kept_now)
        except BaseException:
            watch.stop()
            raise

    report()
    for chunk, run in engine.results(task, missing, report):
        figures = {
            "n_candidates": run.n_candidates,
            "n_across": run.n_across,
            "n_compared": run.n_compared,
        }
        runs.append(PairRun(chunk.view, store.put(chunk.name, run.rows, figures), **figures))
        watch.forget(chunk)
        compared += run.n_compared
        kept += len(run.rows)
        report()
    return runs


def heaviest_first(chunks: Sequence[JoinChunk]) -> list[JoinChunk]:
    """Views with the most pairs first, so that what is left of a match is soon known well.

    A view's chunks stay together: they read the same columns.
    """
    pairs_of: dict[int, int] = {}
    for chunk in chunks:
        pairs_of[chunk.view] = pairs_of.get(chunk.view, 0) + chunk.n_pairs
    return sorted(chunks, key=lambda chunk: (-pairs_of[chunk.view], chunk))


def runs_of_similar(records: NumberedRecords, similar: SimilarPairs) -> list[PairRun]:
    """The candidates of untagged views, measured, as runs."""
    runs = []
    for view in similar.by_view:
        left, right = similar.pairs_of(view)
        agreeing = np.full(len(left), 1 << view, dtype=np.int64)
        measured = measure_pairs(records.views, left, right, agreeing)
        first = sum(len(layout.groups) for layout in records.layouts[:view])
        k = len(records.layouts[view].groups)
        rows = np.empty(len(left), dtype=run_dtype(k))
        rows["left"], rows["right"] = left, right
        rows["distances"] = measured.distances[:, first : first + k]
        # Met earlier: in a view before this one.
        new = agreeing_views(records, left, right) & ((1 << view) - 1) == 0
        across = records.dataset_of(left) != records.dataset_of(right)
        runs.append(
            PairRun(
                view,
                sorted_run([rows], k),
                n_candidates=int(new.sum()),
                n_across=int((new & across).sum()),
                n_compared=len(left),
            )
        )
    return runs


def merge_runs(
    records: NumberedRecords,
    runs: Sequence[PairRun],
    model: EvidenceModel,
    floor: float,
    engine: Engine,
    store: ChunkStore,
    tell: TellMerge,
    *,
    pairs_of_a_range: int = PAIRS_OF_A_RANGE,
) -> KeptPairs:
    """Bring the pieces of each pair together, score it, and keep it if it reaches the floor."""
    ranges = ranges_of_left(runs, pairs_of_a_range)
    found: dict[tuple[int, int], ScoredPairs] = {}
    finished = store.names()
    for span in ranges:
        name = _range_name(span)
        chunk = store.get(name) if name in finished else None
        if chunk is not None:
            found[span] = chunk[0]

    def merge(span: tuple[int, int]) -> ScoredPairs:
        return merge_range(records, runs, model, floor, *span)

    resumed, kept = len(found), sum(len(part) for part in found.values())

    def report() -> None:
        tell(len(found), resumed, len(ranges), kept)

    report()
    missing = [span for span in ranges if span not in found]
    for span, pairs in engine.results(merge, missing, report):
        found[span] = store.put(_range_name(span), pairs, {})
        kept += len(pairs)
        report()
    return KeptPairs(
        parts=tuple(found[span] for span in ranges),
        n_candidates=sum(run.n_candidates for run in runs),
        n_across=sum(run.n_across for run in runs),
        n_compared=sum(run.n_compared for run in runs),
    )


def _range_name(span: tuple[int, int]) -> str:
    return f"scored-{span[0]}-{span[1]}"


def all_of(parts: Sequence[ScoredPairs]) -> ScoredPairs:
    """Parts as one array."""
    from linkage.matching.scored import SCORED

    return np.concatenate(parts) if parts else np.empty(0, dtype=SCORED)
