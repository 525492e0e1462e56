"""Compare two sets of filters by a head test, tile by tile, and verify what passes.

The work is cut into *cells* (some ten thousand rows of either side), whose heads are laid out for
the tile, and each cell into *panels* of rows that fit the processor's first cache.  Panels are what
threads share out.  Memory is bounded whatever the number of records and of pairs: the filters of
one cell, and buffers of a fixed largest size; a kernel that has filled its buffers stops, and goes
on where it was when they are emptied.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from linkage.compiled import kernel
from linkage.matching.crew import Crew
from linkage.matching.finish import FINISHED, Output, Rule, Side, keep_matching, stop_at
from linkage.matching.head_test import NEVER, HeadTest, heads_of
from linkage.matching.packing import empty_packed, pack_into
from linkage.matching.products import SPREAD_WORDS, scan_products, spread_into
from linkage.matching.tile import TileVariant, tile_intrinsic
from linkage.types import F64, I64, U64

CELL_ROWS = 1 << 16

Form = Literal["packed", "plain", "spread"]
"""Of heads in memory, as kernels take them."""

_PIECE_ROWS = 1 << 12
_PANELS_A_THREAD = 4
_FIRST_ROOM = 1 << 14
_LARGEST_ROOM = 1 << 21
_TILE_PAIRS = 64
_WAITING_ROOM = 64


@dataclass(frozen=True, slots=True, eq=False)
class FoundPairs:
    """Pairs of rows and their Dice coefficients, ascending by (left, right), each pair once.

    Attributes:
        left, right: ``(m,) int64`` row numbers.
        dice: ``(m,) float64``; not a number where neither filter has a bit.
    """

    left: I64
    right: I64
    dice: F64

    def __len__(self) -> int:
        return len(self.dice)


@cache
def scan_kernel(variant: TileVariant) -> Callable[..., None]:
    """The kernel that scans the rows ``first_block`` to ``stop_block`` of a cell."""
    if variant.counting == "products":
        return scan_products
    tile = tile_intrinsic(variant)
    lanes = variant.columns
    tile_rows = variant.rows

    @kernel
    def scan(
        left: Side,
        right: Side,
        bound_switch: I64,
        n_words: int,
        rule: Rule,
        within: bool,
        first_block: int,
        stop_block: int,
        output: Output,
    ) -> None:
        room = len(output.left) - _TILE_PAIRS * _WAITING_ROOM
        n_left, n_right = len(left.slack) // 2, len(right.slack) // 2
        found, first_column, row_block = output.state[0], output.state[1], output.state[2]
        # Tiles with a pair that passed wait here, so that the loop over tiles stays short.
        masks = np.empty(_WAITING_ROOM, dtype=np.uint64)
        corners = np.empty((_WAITING_ROOM, 2), dtype=np.int64)
        waiting = 0
        n_columns = n_right // lanes
        for column_block in range(first_column, n_columns):
            column = column_block * lanes
            # Within one set, only pairs to the right of the diagonal.
            stop = min(stop_block, column // tile_rows + 1) if within else stop_block
            for block in range(row_block, stop):
                row = block * tile_rows
                by_right = 1 if block >= bound_switch[column_block] else 0
                mask = tile(
                    left.head,
                    row * n_words,
                    right.head,
                    column * n_words,
                    n_words,
                    left.slack,
                    (1 - by_right) * n_left + row,
                    right.slack,
                    by_right * n_right + column,
                )
                if mask:
                    masks[waiting] = mask
                    corners[waiting, 0], corners[waiting, 1] = row, column
                    waiting += 1
                    if waiting == _WAITING_ROOM:
                        if found > room:
                            stop_at(
                                corners[0, 1] // lanes,
                                corners[0, 0] // tile_rows,
                                found,
                                output.state,
                            )
                            return
                        found = keep_matching(
                            left, right, lanes, masks, corners, rule, within, output, found
                        )
                        waiting = 0
            row_block = first_block
        if waiting:
            if found > room:
                stop_at(corners[0, 1] // lanes, corners[0, 0] // tile_rows, found, output.state)
                return
            found = keep_matching(
                left, right, lanes, masks[:waiting], corners, rule, within, output, found
            )
        stop_at(FINISHED, first_block, found, output.state)

    return scan


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """One side of a cell, laid out for the tile.

    Attributes:
        side: arrays for the kernel; filters in ascending order of their rests.
        block_rests: ``(n_blocks,) int64``, the largest rest of each block.
    """

    side: Side
    block_rests: I64


def lay_out(
    filters: U64, first_row: int, test: HeadTest, block: int, crew: Crew, form: Form = "packed"
) -> Laid:
    """Lay out consecutive filters in blocks.

    Args:
        filters: ``(n, n_words) uint64``.
        first_row: row number of the first.
        test: which bits are the head, and what it needs.
        block: rows or columns of the tile; a divisor of :data:`_PIECE_ROWS`.
        crew: shares out the work.
        form: heads packed in blocks, one after the other, or spread to bytes.
    """
    n = len(filters)
    pieces = [slice(start, start + _PIECE_ROWS) for start in range(0, n, _PIECE_ROWS)]
    found = crew.each(lambda piece: heads_of(filters[piece], test), pieces)
    rest, need, counts = (
        np.concatenate([getattr(heads, name) for heads in found])
        for name in ("rest", "need", "counts")
    )
    words = np.concatenate([heads.words for heads in found])
    order = np.argsort(rest.astype(np.uint16), kind="stable")
    padded = -(-n // block) * block
    rest = rest[order]
    slack = np.full((2, padded), -NEVER, dtype=np.int64)
    slack[0, :n] = -need[order]
    slack[1, :n] = rest - need[order]
    head = empty_packed(padded * test.n_words * (SPREAD_WORDS if form == "spread" else 1))
    ordered = np.empty_like(filters, order="C")

    def place(piece: slice) -> None:
        mine = order[piece]
        np.take(filters, mine, axis=0, out=ordered[piece], mode="clip")
        if form == "spread":
            spread_into(head, piece.start, words[mine])
        else:
            pack_into(head, piece.start, words[mine], block if form == "packed" else 1)

    crew.each(place, pieces)
    side = Side(
        head=head,
        slack=slack.reshape(-1),
        filters=ordered,
        counts=counts[order],
        rows=order + first_row,
    )
    return Laid(side, np.maximum.reduceat(rest, np.arange(0, n, block)))


class Scanner:
    """Scans cells by one test, with one variant of the tile."""

    def __init__(self, test: HeadTest, rule: Rule, variant: TileVariant) -> None:
        self._test = test
        self._rule = rule
        self._variant = variant
        self._kernel = scan_kernel(variant)

    def lay_out_rows(self, filters: U64, first_row: int, crew: Crew) -> Laid:
        """The left side of a cell; it may serve for many cells."""
        form: Form = "plain" if self._variant.counting == "products" else "packed"
        return lay_out(filters, first_row, self._test, self._variant.rows, crew, form)

    def lay_out_columns(self, filters: U64, first_row: int, crew: Crew) -> Laid:
        """The right side of a cell."""
        form: Form = "spread" if self._variant.counting == "products" else "packed"
        return lay_out(filters, first_row, self._test, self._variant.columns, crew, form)

    def scan(self, rows: Laid, columns: Laid, crew: Crew, *, within: bool) -> Iterator[FoundPairs]:
        """Pairs of one cell in parts, each in ascending order.

        Args:
            rows, columns: not empty.
            crew: shares out the panels.
            within: both are the same filters, and a pair counts once.
        """
        # Up to the switch, a block of rows has the smaller rests, and so the closer bound.
        switch = np.searchsorted(rows.block_rests, columns.block_rests, side="right")

        def run(first_block: int, stop_block: int, output: Output) -> None:
            self._kernel(
                rows.side,
                columns.side,
                switch,
                self._test.n_words,
                self._rule,
                within,
                first_block,
                stop_block,
                output,
            )

        n_blocks = len(rows.block_rests)
        height = self._panel_height(n_blocks, crew.n_threads)
        return crew.in_turn(
            _Panel(run, start, min(start + height, n_blocks))
            for start in range(0, n_blocks, height)
        )

    def _panel_height(self, n_blocks: int, n_threads: int) -> int:
        fitting = self._variant.panel_bytes // (8 * self._variant.rows * self._test.n_words)
        # Some panels for each thread, so that all end at about the same time.
        shared_out = -(-n_blocks // (_PANELS_A_THREAD * n_threads))
        return max(1, min(fitting, shared_out))


class _Panel:
    """Some rows against all columns of a cell: a computation that can stop and go on."""

    def __init__(
        self, run: Callable[[int, int, Output], None], first_block: int, stop_block: int
    ) -> None:
        self._run = run
        self._blocks = first_block, stop_block
        self._state = np.array([0, 0, first_block], dtype=np.int64)
        self._room = _FIRST_ROOM
        self.finished = False

    def next_part(self) -> FoundPairs:
        """The pairs found until the end, or until the largest buffers are full."""
        output = _new_output(self._room, self._state)
        while True:
            self._run(*self._blocks, output)
            n_found = int(self._state[0])
            self.finished = int(self._state[1]) == FINISHED
            if self.finished or self._room >= _LARGEST_ROOM:
                break
            self._room *= 8
            output = _grown(output, n_found, self._room)
        self._state[0] = 0
        return in_order(
            FoundPairs(output.left[:n_found], output.right[:n_found], output.dice[:n_found])
        )


def _new_output(room: int, state: I64) -> Output:
    return Output(
        np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64), state
    )


def _grown(output: Output, n_found: int, room: int) -> Output:
    larger = _new_output(room, output.state)
    for old, new in zip(output[:3], larger[:3], strict=True):
        new[:n_found] = old[:n_found]
    return larger


def in_order(pairs: FoundPairs) -> FoundPairs:
    """The same pairs, ascending by (left, right)."""
    keys = pairs.left.astype(np.uint64) << np.uint64(32) | pairs.right.astype(np.uint64)
    order = np.argsort(keys)
    return FoundPairs(pairs.left[order], pairs.right[order], pairs.dice[order])
