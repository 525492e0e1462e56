"""The tagged join: all pairs of records with equal tags in a view, in chunks that fit memory.

A view's records are cut into buckets by tag, so that a tag group is never cut; a bucket's rows are
gathered from the mapped files, front to back, into one array sorted by (tag, number), and every
pair inside a group is compared there (:mod:`linkage.matching.join_loops`).  A bucket with very many
pairs is compared in several parts: the blocks of 64 columns of each group are dealt out among them,
so a group that is as large as a whole register is shared too.

A chunk is a pure function of the files, the rule and its numbers: it can be computed anywhere, and
any number of times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from linkage.errors import MatchingError
from linkage.matching.join_loops import fill_noise, join_groups, take_rows
from linkage.matching.local_evidence import FIRST_VIEW_BIT, LocalRule
from linkage.matching.numbering import NumberedRecords
from linkage.types import I64, U64

BUCKET_BYTES = 1 << 29
PAIRS_OF_A_CHUNK = 4_000_000_000
PAIRS_OF_A_CALL = 20_000_000
"""Some tenths of a second."""

# Of real registers some three pairs a record are kept.  Of a file whose records are all alike it
# would be all pairs, which fill any memory.
_KEPT_A_RECORD, _KEPT_ANYHOW = 64, 1_000_000

_PAIRS_AT_ONCE = 1 << 17
_BUCKET_OVERHEAD = 96
"""Bytes a record beside its filters and tags: orders, places, flags."""


@dataclass(frozen=True, slots=True, order=True)
class JoinChunk:
    """One task of the join: a part of a bucket of a view.

    Attributes:
        n_pairs: how many pairs it looks at; where a bucket has several parts, about.
    """

    view: int
    bucket: int
    n_buckets: int
    part: int
    n_parts: int
    n_pairs: int

    @property
    def name(self) -> str:
        """Tells it from all other chunks of a run."""
        return f"join-{self.view}-{self.bucket}of{self.n_buckets}-{self.part}of{self.n_parts}"


@dataclass(frozen=True, slots=True)
class PairRun:
    """Pairs that a chunk kept, ascending by (left, right).

    Attributes:
        view: number of the view.
        rows: ``(m,)`` of :func:`run_dtype`.
        n_candidates: pairs that no earlier view meets, kept or not.
        n_across: those of them between datasets.
        n_compared: pairs looked at.
    """

    view: int
    rows: npt.NDArray[np.void]
    n_candidates: int
    n_across: int
    n_compared: int


def run_dtype(n_filters: int) -> np.dtype[np.void]:
    """A pair of record numbers, and the distances of a view's filters, -1 where one is absent."""
    return np.dtype([("left", "<u4"), ("right", "<u4"), ("distances", "<i2", (n_filters,))])


def plan_join(
    records: NumberedRecords,
    *,
    across_only: bool,
    bucket_bytes: int = BUCKET_BYTES,
    pairs_of_a_chunk: int = PAIRS_OF_A_CHUNK,
) -> tuple[JoinChunk, ...]:
    """Chunks of all tagged views.

    Args:
        records: to be joined.
        across_only: leave out pairs inside a dataset.
        bucket_bytes: most memory that one bucket may take; a single tag group may take more.
        pairs_of_a_chunk: a bucket with more pairs than this is done in several parts.
    """
    chunks = []
    for view, tags in enumerate(records.tags):
        if tags is None:
            continue
        n_buckets = max(1, -(-len(tags) * _record_bytes(records, view) // bucket_bytes))
        pairs = _pairs_by_bucket(tags, records.offsets if across_only else None, n_buckets)
        for bucket, n_pairs in enumerate(pairs.tolist()):
            n_parts = max(1, -(-n_pairs // pairs_of_a_chunk))
            chunks += [
                JoinChunk(view, bucket, n_buckets, part, n_parts, n_pairs // n_parts)
                for part in range(n_parts)
            ]
    return tuple(chunks)


def _record_bytes(records: NumberedRecords, view: int) -> int:
    words = sum(group.filter_bits // 64 for group in records.layouts[view].groups)
    return 8 * (words + len(records.layouts)) + _BUCKET_OVERHEAD


def _pairs_by_bucket(tags: U64, without: I64 | None, n_buckets: int) -> I64:
    """Pairs of equal tags in each bucket.

    Args:
        without: offsets of datasets whose own pairs do not count; ``None``: they do.
    """
    present, counts = np.unique(tags[tags != 0], return_counts=True)
    of_tag = counts * (counts - 1) // 2
    for start, stop in [] if without is None else pairwise(without.tolist()):
        own = tags[start:stop]
        own, counts = np.unique(own[own != 0], return_counts=True)
        of_tag[np.searchsorted(present, own)] -= counts * (counts - 1) // 2
    pairs = np.zeros(n_buckets, dtype=np.int64)
    np.add.at(pairs, _bucket_of(present, n_buckets), of_tag)
    return pairs


def _bucket_of(tags: U64, n_buckets: int) -> I64:
    return (((tags >> np.uint64(32)) * np.uint64(n_buckets)) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A bucket's records that have a partner, sorted by (tag, number)."""

    numbers: I64
    starts: I64
    first_new: I64
    first_across: I64
    rows: U64
    others: U64
    views_present: I64
    filters_present: I64


def join_chunk(
    records: NumberedRecords,
    chunk: JoinChunk,
    rule: LocalRule,
    *,
    across_only: bool,
    told: Callable[[int, int], None] | None = None,
    pairs_of_a_call: int = PAIRS_OF_A_CALL,
) -> PairRun:
    """Compare the pairs of a chunk and keep those that the rule does not drop.

    Args:
        records, chunk, rule, across_only: all that the pairs depend on.
        told: called now and then with the pairs looked at and the pairs kept so far; may raise to
            give up.
        pairs_of_a_call: about how many pairs are looked at between two calls of ``told``.

    Raises:
        MatchingError: far more pairs would be kept than of any real registers.
    """
    bucket = _gather(records, chunk, rule, across_only=across_only)
    counts, state = np.zeros(4, dtype=np.int64), np.zeros(3, dtype=np.int64)
    k = len(rule.slots)
    left = np.empty(_PAIRS_AT_ONCE, dtype=np.int64)
    right = np.empty(_PAIRS_AT_ONCE, dtype=np.int64)
    distances = np.empty((_PAIRS_AT_ONCE, k), dtype=np.int16)
    kept = []
    n_kept = 0
    while not counts[3]:
        n = join_groups(
            (bucket.starts, bucket.first_new, bucket.first_across),
            (
                bucket.rows,
                bucket.others,
                bucket.views_present,
                bucket.filters_present,
                bucket.filters_present | bucket.views_present << FIRST_VIEW_BIT,
            ),
            rule.compiled,
            (rule.required, rule.tests, rule.tested, rule.most),
            (chunk.part, chunk.n_parts),
            (left, right, distances),
            state,
            counts,
            pairs_of_a_call,
        )
        found = np.empty(n, dtype=run_dtype(k))
        found["left"], found["right"] = bucket.numbers[left[:n]], bucket.numbers[right[:n]]
        found["distances"] = distances[:n]
        kept.append(found)
        n_kept += n
        if n_kept > _KEPT_ANYHOW + _KEPT_A_RECORD * len(bucket.numbers):
            raise _too_many_alike(records, chunk.view, bucket)
        if told is not None:
            told(int(counts[2]), n_kept)
    return PairRun(
        view=chunk.view,
        rows=sorted_run(kept, k),
        n_candidates=int(counts[0]),
        n_across=int(counts[1]),
        n_compared=int(counts[2]),
    )


def _too_many_alike(records: NumberedRecords, view: int, bucket: _Bucket) -> MatchingError:
    """Names the dataset with the most records that share one tag."""
    largest = int(np.argmax(np.diff(bucket.starts)))
    alike = bucket.numbers[bucket.starts[largest] : bucket.starts[largest + 1]]
    of_dataset = np.bincount(records.dataset_of(alike))
    dataset = int(np.argmax(of_dataset))
    return MatchingError(
        f"Too many records are alike: dataset '{records.datasets[dataset].name}' has "
        f"{of_dataset[dataset]} records that share one salt of view "
        f"'{records.layouts[view].name}'. No real register looks so. Ask who made the file to look "
        "at its report and to encode it anew."
    )


def sorted_run(parts: Sequence[npt.NDArray[np.void]], n_filters: int) -> npt.NDArray[np.void]:
    """Pairs in ascending order of (left, right)."""
    rows = np.concatenate(parts) if parts else np.empty(0, dtype=run_dtype(n_filters))
    return rows[np.argsort(pair_keys(rows["left"], rows["right"]))]


def pair_keys(left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> U64:
    """One number for each pair, ascending as (left, right) do."""
    return (left.astype(np.uint64) << np.uint64(32)) | right.astype(np.uint64)


def _gather(
    records: NumberedRecords, chunk: JoinChunk, rule: LocalRule, *, across_only: bool
) -> _Bucket:
    numbers, starts = _groups_of_bucket(records, chunk, across_only=across_only)
    m = len(numbers)
    run_end = _ends_of_runs(records.dataset_of(numbers), starts)
    view = records.views[chunk.view]
    rows = np.empty((m, int(rule.first_word[-1])), dtype=np.uint64)
    filters_present = np.zeros(m, dtype=np.int64)
    places = np.argsort(numbers)
    ascending = numbers[places]
    bounds = np.searchsorted(ascending, records.offsets)
    for f, group in enumerate(view.layout.groups):
        first = int(rule.first_word[f])
        for d, dataset in enumerate(records.datasets):
            mine = slice(int(bounds[d]), int(bounds[d + 1]))
            source = dataset.views[chunk.view].filters[group.name]
            take_rows(source, records.offsets[d], ascending[mine], places[mine], rows, first)
        present = view.filter_present[group.name][numbers]
        filters_present |= present.astype(np.int64) << f
        fill_noise(numbers, ~present, rows, first, group.filter_bits // 64)
    others = np.empty((m, len(rule.others)), dtype=np.uint64)
    views_present = np.zeros(m, dtype=np.int64)
    for t, other in enumerate(rule.others):
        found = records.tags_of(other)[numbers]
        views_present |= (found != 0).astype(np.int64) << other
        # An absent tag equals none: it becomes a number that no other record has.
        others[:, t] = np.where(found == 0, numbers.astype(np.uint64) + np.uint64(1), found)
    return _Bucket(
        numbers=numbers,
        starts=starts,
        first_new=run_end if across_only else np.arange(1, m + 1, dtype=np.int64),
        first_across=run_end,
        rows=rows,
        others=others,
        views_present=views_present,
        filters_present=filters_present,
    )


def _groups_of_bucket(
    records: NumberedRecords, chunk: JoinChunk, *, across_only: bool
) -> tuple[I64, I64]:
    """Numbers of the records that have a partner, by (tag, number), and where groups start."""
    tags = records.tags_of(chunk.view)
    inside = tags != 0
    if chunk.n_buckets > 1:
        inside &= _bucket_of(tags, chunk.n_buckets) == chunk.bucket
    numbers = np.flatnonzero(inside).astype(np.int64)
    numbers = numbers[np.argsort(tags[numbers], kind="stable")]
    sorted_tags = tags[numbers]
    starts = np.flatnonzero(sorted_tags[1:] != sorted_tags[:-1]) + 1
    starts = np.concatenate(([0], starts, [len(numbers)]))
    sizes = np.diff(starts)
    paired = sizes > 1
    if across_only and len(numbers):
        dataset = records.dataset_of(numbers)
        paired &= dataset[starts[:-1].clip(max=len(numbers) - 1)] != dataset[starts[1:] - 1]
    numbers = numbers[np.repeat(paired, sizes)]
    return numbers, np.concatenate(([0], np.cumsum(sizes[paired]))).astype(np.int64)


def _ends_of_runs(dataset: I64, starts: I64) -> I64:
    """For each record the place after the last one of its group and dataset."""
    m = len(dataset)
    changes = np.zeros(m + 1, dtype=bool)
    changes[starts] = True
    changes[1:m] |= dataset[1:] != dataset[:-1]
    changes[m] = True
    ends = np.flatnonzero(changes)
    return ends[np.searchsorted(ends, np.arange(m), side="right")].astype(np.int64)
