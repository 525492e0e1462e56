"""All pairs of filters that meet a rule: which test, which tile, cell by cell, on some threads."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.abandon import abandoning_heads
from linkage.matching.crew import Crew
from linkage.matching.finish import Rule
from linkage.matching.head_test import HeadTest, fastest, full_head
from linkage.matching.packing import bit_counts
from linkage.matching.scan import CELL_ROWS, FoundPairs, Laid, Scanner
from linkage.matching.sketch import DEFAULT_MISS_PROBABILITY, sketch_heads
from linkage.matching.tile import TileVariant, fitting_variant, variant_called
from linkage.types import U64

_log = logging.getLogger(__name__)

Method = Literal["auto", "full", "abandon", "sketch"]
Progress = Callable[[int, int], None]
"""Called with the number of pairs compared so far, and the number of all."""

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


def iterate_pairs(
    left: U64,
    right: U64 | None,
    rule: Rule,
    options: ScanOptions,
    on_progress: Progress | None = None,
) -> Iterator[FoundPairs]:
    """All pairs that meet a rule, in parts, each in ascending order.

    Args:
        left, right: ``(n, n_words) uint64``; without a right side, the pairs within the left one.
        rule: which pairs; ``sketch`` is for a Dice coefficient only.
        options: how.
        on_progress: told after each cell.

    Raises:
        MatchingError: options outside the contract.
    """
    variant = chosen_variant(options)
    others = left if right is None else right
    crew = Crew(options.n_threads)
    test = choose_test(left, others, rule, options, variant, crew)
    _log.info(
        "Comparing %d with %d filters of %d bits: %s, tile %s, threads: %d.",
        len(left),
        len(others),
        64 * left.shape[1],
        test.name,
        variant.name,
        options.n_threads,
    )
    return _scan_cells(Scanner(test, rule, variant), crew, left, right, on_progress)


def chosen_variant(options: ScanOptions) -> TileVariant:
    """The variant of the tile that options ask for.

    Raises:
        MatchingError: an option is outside the contract.
    """
    if options.method not in get_args(Method):
        raise MatchingError(f"There is no method '{options.method}'. Use auto.")
    if options.n_threads < 1:
        raise MatchingError("Scanning needs one thread or more.")
    return fitting_variant() if options.tile is None else variant_called(options.tile)


def choose_test(
    left: U64,
    right: U64,
    rule: Rule,
    options: ScanOptions,
    variant: TileVariant,
    crew: Crew | None = None,
) -> HeadTest:
    """The test that options ask for; of several, the one that should take the least time."""
    full = full_head(rule, left.shape[1])
    if options.method == "full":
        return full
    if options.method == "auto" and len(left) * len(right) < _WORTH_TUNING:
        return full
    if not len(left) or not len(right):
        return full
    if options.method == "sketch":
        if rule.most_distance >= 0:
            raise MatchingError("A sketch is for Dice coefficients. Use auto.")
        typical = float(bit_counts(left[:4096]).mean())
        tests = sketch_heads(
            64 * left.shape[1], rule.least_dice, options.miss_probability, typical
        ) or [full]
    else:
        tests = [*abandoning_heads(left, right, rule), full]
    return fastest(tests, left, right, variant.words_a_finish, crew or Crew(1))


def join_parts(parts: list[FoundPairs]) -> FoundPairs:
    """Parts one after the other; empty for none."""
    return FoundPairs(
        np.concatenate([np.empty(0, np.int64), *(part.left for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.right for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.dice for part in parts)]),
    )


def _scan_cells(
    scanner: Scanner, crew: Crew, left: U64, right: U64 | None, on_progress: Progress | None
) -> Iterator[FoundPairs]:
    others = left if right is None else right
    n_all = len(left) * len(others) if right is not None else len(left) * (len(left) - 1) // 2
    n_done = 0
    corners = [
        (start, other)
        for start in range(0, len(left), CELL_ROWS)
        for other in range(0 if right is not None else start, len(others), CELL_ROWS)
    ]

    def lay_out_rows(start: int) -> Laid:
        return scanner.lay_out_rows(left[start : start + CELL_ROWS], start, crew)

    def lay_out_columns(start: int) -> Laid:
        return scanner.lay_out_columns(others[start : start + CELL_ROWS], start, crew)

    with closing(crew):
        rows_at = -1
        for start, other in corners:
            if start != rows_at:
                rows, rows_at = lay_out_rows(start), start
            columns = lay_out_columns(other)
            within = right is None and other == start
            parts = scanner.scan(rows, columns, crew, within=within)
            yield from (part for part in parts if len(part))
            n_rows, n_columns = len(rows.side.rows), len(columns.side.rows)
            n_done += n_rows * (n_rows - 1) // 2 if within else n_rows * n_columns
            if on_progress is not None:
                on_progress(n_done, n_all)
