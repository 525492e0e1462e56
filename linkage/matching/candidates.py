"""Candidate pairs: records that are comparable in at least one view.

A tagged view is joined on its salt tag: a sort brings equal tags together, and every pair inside a
group is a candidate.  Cost is linear in the records and in the pairs that come out.  An untagged
view compares all pairs, so it is quadratic; pairs under a similarity are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from linkage.errors import MatchingError
from linkage.types import I64, U64, Bools

MAX_VIEWS = 16
MIN_CORRELATION = 0.5
"""Pairs whose first filters of an untagged view correlate less are not comparable in it."""

_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Distinct pairs of records, ascending by (left, right).

    Attributes:
        left, right: ``(m,) int64`` record numbers, left < right.
        views: ``(m,) uint16``, bit ``v`` set where the pair is comparable in view ``v``.
    """

    left: I64
    right: I64
    views: np.ndarray[tuple[int], np.dtype[np.uint16]]

    def __len__(self) -> int:
        return int(self.left.shape[0])


def pairs_with_equal_tags(tags: U64, present: Bools) -> tuple[I64, I64]:
    """All pairs of present records whose tags are equal.

    Args:
        tags: ``(n,) uint64``.
        present: ``(n,) bool``.

    Returns:
        ``left, right``, each ``(m,) int64``, left < right, in no particular order.
    """
    numbers = np.flatnonzero(present).astype(np.int64)
    order = np.argsort(tags[numbers], kind="stable")
    numbers = numbers[order]
    sorted_tags = tags[numbers]
    lefts: list[I64] = []
    rights: list[I64] = []
    # Records at distance d in the sorted order are in one group iff their tags are equal; once no
    # pair is left at some distance there is none at a larger one.
    still = np.arange(len(numbers), dtype=np.int64)
    distance = 1
    while True:
        still = still[still + distance < len(numbers)]
        still = still[sorted_tags[still] == sorted_tags[still + distance]]
        if not len(still):
            break
        lefts.append(numbers[still])
        rights.append(numbers[still + distance])
        distance += 1
    if not lefts:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty
    # A stable sort keeps numbers ascending inside a group, so left < right holds already.
    return np.concatenate(lefts), np.concatenate(rights)


def pairs_by_similarity(
    filters: U64, present: Bools, min_correlation: float
) -> Iterator[tuple[I64, I64]]:
    """All pairs of present records whose filters correlate at least ``min_correlation``.

    The correlation of two filters of ``m`` bits at Hamming distance ``h`` is ``1 - 2 h / m``.

    Args:
        filters: ``(n, words) uint64``.
        present: ``(n,) bool``.
        min_correlation: from -1 to 1.

    Yields:
        ``left, right`` for one block of rows, each ``(m,) int64``.
    """
    numbers = np.flatnonzero(present).astype(np.int64)
    rows = filters[numbers]
    max_distance = most_distance(filters.shape[1] * 64, min_correlation)
    for start in range(0, len(numbers), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        distance = np.zeros((len(block), len(rows) - start), dtype=np.int32)
        for word in range(rows.shape[1]):
            differing = block[:, word, None] ^ rows[None, start:, word]
            distance += np.bitwise_count(differing)
        left, right = np.nonzero(distance <= max_distance)
        ahead = left < right
        yield numbers[start + left[ahead]], numbers[start + right[ahead]]


def most_distance(filter_bits: int, min_correlation: float) -> int:
    """Largest Hamming distance at which filters still correlate so much."""
    return int(np.floor((1.0 - min_correlation) * filter_bits / 2))


def merge_candidates(
    per_view: list[tuple[int, I64, I64]], n_records: int, dataset_of: I64 | None
) -> CandidatePairs:
    """Merge the pairs of several views into distinct pairs with a bit for each view.

    Args:
        per_view: (view number, left, right) for each view; a view may occur more than once.
        n_records: in all datasets together.
        dataset_of: ``(n_records,) int64``; if given, pairs inside one dataset are left out.

    Raises:
        MatchingError: more views than bits.
    """
    if any(view >= MAX_VIEWS for view, _, _ in per_view):
        raise MatchingError(f"A profile may have {MAX_VIEWS} views at most. Use fewer views.")
    keys: list[I64] = []
    bits: list[np.ndarray[tuple[int], np.dtype[np.uint16]]] = []
    for view, left, right in per_view:
        if dataset_of is not None:
            across = dataset_of[left] != dataset_of[right]
            left, right = left[across], right[across]
        keys.append(left * np.int64(n_records) + right)
        bits.append(np.full(len(left), 1 << view, dtype=np.uint16))
    if not keys or not sum(len(key) for key in keys):
        empty = np.empty(0, dtype=np.int64)
        return CandidatePairs(empty, empty, np.empty(0, dtype=np.uint16))
    key = np.concatenate(keys)
    bit = np.concatenate(bits)
    order = np.argsort(key, kind="stable")
    key, bit = key[order], bit[order]
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    distinct = key[starts]
    return CandidatePairs(
        left=distinct // n_records,
        right=distinct % n_records,
        views=np.bitwise_or.reduceat(bit, starts),
    )
