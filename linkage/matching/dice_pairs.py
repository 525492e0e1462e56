"""All pairs of filters whose Dice coefficient reaches a threshold: reference and fast version.

Contract, the same for :func:`dice_pairs_reference` and :func:`dice_pairs`:

- Filters are ``(n, n_words) uint64``, ``64 * n_words`` bits, of 64 to 8192 bits, the same on both
  sides.
- A pair counts iff ``2.0 * common / (c + c') >= threshold`` in double precision, where ``common``
  bits are set in both, ``c`` in one and ``c'`` in the other; the score is the left side of this.
  A filter without any bit set is similar to nothing, not to another one either.
- Pairs come in ascending order of (left row, right row), so ties of the score need no rule.
- Without a right side, the pairs within the left one: each once, with left row < right row.

The fast version finds the same pairs and the same scores to the bit, whatever the method, the
processor and the number of threads, with one exception: the method ``sketch`` misses a pair with
the probability that was asked for (``linkage.matching.sketch``).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.abandon import abandoning_heads
from linkage.matching.head_test import HeadTest, fastest, full_head
from linkage.matching.packing import bit_counts
from linkage.matching.scan import CELL_ROWS, FoundPairs, Scanner
from linkage.matching.sketch import DEFAULT_MISS_PROBABILITY, sketch_heads
from linkage.matching.tile import TileVariant, fitting_variant, variant_called
from linkage.types import U64

_log = logging.getLogger(__name__)

Method = Literal["auto", "full", "abandon", "sketch"]
Progress = Callable[[int, int], None]
"""Called with the number of pairs compared so far, and the number of all."""

MAX_FILTER_BITS = 8192
_REFERENCE_ROWS = 256
# Under so many pairs, tuning takes longer than what it saves.
_WORTH_TUNING = 1 << 22


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How pairs are looked for; only ``sketch`` changes what is found.

    Attributes:
        method: ``full`` reads all bits; ``abandon`` reads the telling ones first and stops where
            the rest cannot matter; ``sketch`` reads a sample of the bits; ``auto`` is the faster
            of the first two, by a trial.
        miss_probability: of a pair that reaches the threshold, for ``sketch``.
        tile: name of a variant of ``linkage.matching.tile``; ``None`` for the one that fits this
            processor.
        n_threads: 1 or more.
    """

    method: Method = "auto"
    miss_probability: float = DEFAULT_MISS_PROBABILITY
    tile: str | None = None
    n_threads: int = 1


def dice_pairs_reference(left: U64, right: U64 | None, threshold: float) -> FoundPairs:
    """All pairs by plain NumPy, in time and clarity; see the module's text for the contract.

    Raises:
        MatchingError: arrays or a threshold outside the contract.
    """
    verify_scannable(left, right, threshold)
    others = left if right is None else right
    left_counts = np.bitwise_count(left).sum(axis=1, dtype=np.int64)
    right_counts = np.bitwise_count(others).sum(axis=1, dtype=np.int64)
    parts = []
    for start in range(0, len(left), _REFERENCE_ROWS):
        rows = slice(start, start + _REFERENCE_ROWS)
        common = np.zeros((len(left[rows]), len(others)), dtype=np.int64)
        for word in range(left.shape[1]):
            common += np.bitwise_count(left[rows, word, None] & others[None, :, word])
        both = left_counts[rows, None] + right_counts[None, :]
        dice = np.where(both > 0, 2.0 * common / np.maximum(both, 1), 0.0)
        row, column = np.nonzero(dice >= threshold)
        ahead = row + start < column if right is None else np.ones(len(row), dtype=bool)
        parts.append(FoundPairs(row[ahead] + start, column[ahead], dice[row, column][ahead]))
    return join_parts(parts)


def dice_pairs(
    left: U64, right: U64 | None, threshold: float, options: ScanOptions | None = None
) -> FoundPairs:
    """All pairs, fast; see the module's text for the contract.

    Raises:
        MatchingError: arrays, a threshold or options outside the contract.
    """
    found = join_parts(list(iterate_dice_pairs(left, right, threshold, options)))
    order = np.lexsort((found.right, found.left))
    return FoundPairs(found.left[order], found.right[order], found.dice[order])


def iterate_dice_pairs(
    left: U64,
    right: U64 | None,
    threshold: float,
    options: ScanOptions | None = None,
    on_progress: Progress | None = None,
) -> Iterator[FoundPairs]:
    """All pairs in parts, for those who cannot hold them all: memory is bounded.

    Each part is in ascending order, and there is none among the parts.  The arrays may be
    memory-mapped.

    Raises:
        MatchingError: arrays, a threshold or options outside the contract.
    """
    verify_scannable(left, right, threshold)
    options = options or ScanOptions()
    variant = _variant(options)
    others = left if right is None else right
    test = _choose_test(left, others, threshold, options, variant)
    _log.info(
        "Comparing %d with %d filters of %d bits: %s, tile %s, threads: %d.",
        len(left),
        len(others),
        64 * left.shape[1],
        test.name,
        variant.name,
        options.n_threads,
    )
    return _scan_cells(
        Scanner(test, threshold, variant, options.n_threads), left, right, on_progress
    )


def verify_scannable(left: U64, right: U64 | None, threshold: float) -> None:
    """Raise unless these arguments fulfil the contract.

    Raises:
        MatchingError: says which does not.
    """
    for side in (left, left if right is None else right):
        if side.dtype != np.uint64 or side.ndim != 2:
            raise MatchingError("Filters must be a two-dimensional array of uint64.")
        if not 64 <= 64 * side.shape[1] <= MAX_FILTER_BITS:
            raise MatchingError(
                f"Filters must have 64 to {MAX_FILTER_BITS} bits, not {64 * side.shape[1]}."
            )
        if side.shape[1] != left.shape[1]:
            raise MatchingError("Filters of both sides must be of the same length.")
    if not 0.0 < threshold <= 1.0:
        raise MatchingError("A threshold on the Dice coefficient must be over 0 and at most 1.")


def join_parts(parts: list[FoundPairs]) -> FoundPairs:
    """Parts one after the other; empty for none."""
    return FoundPairs(
        np.concatenate([np.empty(0, np.int64), *(part.left for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.right for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.dice for part in parts)]),
    )


def _variant(options: ScanOptions) -> TileVariant:
    if options.method not in get_args(Method):
        raise MatchingError(f"There is no method '{options.method}'. Use auto.")
    if options.n_threads < 1:
        raise MatchingError("Scanning needs one thread or more.")
    return fitting_variant() if options.tile is None else variant_called(options.tile)


def _choose_test(
    left: U64, right: U64, threshold: float, options: ScanOptions, variant: TileVariant
) -> HeadTest:
    full = full_head(threshold, left.shape[1])
    if options.method == "full":
        return full
    if options.method == "auto" and len(left) * len(right) < _WORTH_TUNING:
        return full
    if not len(left) or not len(right):
        return full
    if options.method == "sketch":
        typical = float(bit_counts(left[:4096]).mean())
        tests = sketch_heads(64 * left.shape[1], threshold, options.miss_probability, typical) or [
            full
        ]
    else:
        tests = [*abandoning_heads(left, right, threshold), full]
    return fastest(tests, left, right, variant.words_a_finish)


def _scan_cells(
    scanner: Scanner, left: U64, right: U64 | None, on_progress: Progress | None
) -> Iterator[FoundPairs]:
    others = left if right is None else right
    n_all = len(left) * len(others) if right is not None else len(left) * (len(left) - 1) // 2
    n_done = 0
    for start in range(0, len(left), CELL_ROWS):
        rows = scanner.lay_out_rows(left[start : start + CELL_ROWS], start)
        n_rows = len(rows.side.rows)
        for other in range(0 if right is not None else start, len(others), CELL_ROWS):
            columns = scanner.lay_out_columns(others[other : other + CELL_ROWS], other)
            within = right is None and other == start
            yield from (part for part in scanner.scan(rows, columns, within=within) if len(part))
            n_done += n_rows * (n_rows - 1) // 2 if within else n_rows * len(columns.side.rows)
            if on_progress is not None:
                on_progress(n_done, n_all)
