"""Pairs that people have decided, or that an earlier round did: brought to numbers and checked.

A known pair is linked whatever its encodings say.  A refuted one is never linked, nor, in groups,
by way of others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.numbering import NumberedRecords
from linkage.types import F64, I64, RecordPair

CERTAIN = 1e9
"""Log odds of a known pair: above all that encodings can say."""


@dataclass(frozen=True, slots=True)
class DecidedPairs:
    """``(m,) int64`` record numbers, left < right, ascending, each pair once."""

    left: I64
    right: I64

    @classmethod
    def none(cls) -> "DecidedPairs":
        """No pairs."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty)

    def __len__(self) -> int:
        return len(self.left)


def number_pairs(records: NumberedRecords, pairs: Sequence[RecordPair]) -> DecidedPairs:
    """Decided pairs by the numbers of their records.

    Raises:
        MatchingError: a pair names a dataset or a row that there is not, or one record twice.
    """
    offset_of = {
        dataset.name: (int(offset), dataset.n_records)
        for dataset, offset in zip(records.datasets, records.offsets[:-1], strict=True)
    }
    numbers = set()
    for pair in pairs:
        ends = []
        for name, row in pair:
            offset, size = offset_of.get(name, (0, 0))
            if not 0 <= row < size:
                raise MatchingError(
                    "A known or refuted link names a record that is in none of the datasets. "
                    "Give links of these very files."
                )
            ends.append(offset + row)
        if ends[0] == ends[1]:
            raise MatchingError("A known or refuted link names one record twice. Remove it.")
        numbers.add((min(ends), max(ends)))
    if not numbers:
        return DecidedPairs.none()
    left, right = np.array(sorted(numbers), dtype=np.int64).T
    return DecidedPairs(left, right)


def verify_decisions_agree(known: DecidedPairs, refuted: DecidedPairs, *, chained: bool) -> None:
    """Check that no pair is both known and refuted.

    Args:
        known, refuted: pairs.
        chained: known links add up: a with b and b with c make a and c one child.

    Raises:
        MatchingError: one is.
    """
    root: dict[int, int] = {}

    def root_of(record: int) -> int:
        while (above := root.get(record, record)) != record:
            record = above
        return record

    together = set(zip(known.left.tolist(), known.right.tolist(), strict=True))
    for a, b in sorted(together) if chained else ():
        low, high = sorted((root_of(a), root_of(b)))
        root[high] = low
    for a, b in zip(refuted.left.tolist(), refuted.right.tolist(), strict=True):
        if (a, b) in together or (chained and root_of(a) == root_of(b)):
            raise MatchingError(
                "A link is refuted that other links say is known, itself or in a chain of known "
                "links. Decide which of them is right."
            )


def apply_decisions(
    log_odds: F64, left: I64, right: I64, known: DecidedPairs, refuted: DecidedPairs, n_records: int
) -> tuple[F64, I64, I64]:
    """Scored pairs without those that are decided, and with the known ones as certain."""
    keys = left * n_records + right
    decided = np.concatenate(
        (known.left * n_records + known.right, refuted.left * n_records + refuted.right)
    )
    open_ = ~np.isin(keys, decided)
    return (
        np.concatenate((np.full(len(known), CERTAIN), log_odds[open_])),
        np.concatenate((known.left, left[open_])),
        np.concatenate((known.right, right[open_])),
    )
