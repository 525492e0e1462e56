"""Rows of a workbook's sheet in blocks, as ``text_blocks`` has those of a text file.

Numbers and dates become the text that :func:`linkage.records.cells.cell_text` gives for them, which
every rule of cleaning takes as it takes the number or the date itself.  Two kinds of numbers are
not so (fractions, which may be a date with a time, and those with more digits than a spreadsheet
keeps): a block holds them as numbers beside their texts.  A contract suite compares both ways to
read a workbook, on any cells.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from linkage.columns import code_points
from linkage.errors import RecordsError
from linkage.records.cells import Cell, cell_text
from linkage.records.text_blocks import TextBlock
from linkage.records.workbook_errors import damaged_workbook
from linkage.records.xlsx import OnRead, open_sheet
from linkage.records.xlsx.scanned import (
    COLUMN_AT,
    ERROR,
    NUMBER,
    ROW_AT,
    SHARED,
    START_AT,
    STOP_AT,
    STYLE_AT,
    TEXT,
    TYPE_AT,
    Cells,
)
from linkage.records.xlsx.values import CellValues
from linkage.types import I64, Bools

_MAX_BLOCK_BYTES = 1 << 23
_MEMO_ENTRIES = 1 << 16
_EXACT = 10**15
"""Whole numbers below this have all their digits in a spreadsheet."""


class SheetBlocks:
    """Reads a sheet in blocks; blocks are at most as long as asked for.

    Args:
        width: cells that a row should have.
        skip_rows: rows at the beginning that are left out.
        on_read: is told how much of the workbook has been read.
    """

    def __init__(
        self, path: Path, sheet: int, width: int, skip_rows: int, on_read: OnRead | None
    ) -> None:
        self._path = path
        self._sheet = sheet
        self._width = width
        self.skip_rows = skip_rows
        self._on_read = on_read

    def read(self, block_rows: int) -> Iterator[TextBlock]:
        """All rows in blocks.

        Raises:
            RecordsError: the file is damaged, or cannot be read.
        """
        try:
            with (
                self._path.open("rb") as file,
                open_sheet(file, self._sheet, self._on_read) as (scanned, values),
            ):
                yield from self._blocks(scanned, _Texts(values), block_rows)
        except OSError as error:
            raise RecordsError(
                f"The file cannot be read: {error.strerror}.", code="unreadable-file"
            ) from error

    def _blocks(
        self, scanned: Iterator[Cells], texts: "_Texts", block_rows: int
    ) -> Iterator[TextBlock]:
        first, last = self.skip_rows + 1, 0
        waiting: list[_Located] = []
        for cells in scanned:
            located = texts.of(cells)
            if int(located.rows[0]) < last or (np.diff(located.rows) < 0).any():
                raise damaged_workbook()
            last = int(located.rows[-1])
            waiting.append(located)
            # The last row may go on in the next part.
            size = sum(len(part.text) for part in waiting)
            while last - first >= block_rows or (size > _MAX_BLOCK_BYTES and last > first):
                stop = min(first + block_rows, last)
                yield self._block(waiting, first, stop)
                waiting = [part for part in waiting if part.rows[-1] >= stop]
                first, size = stop, 0
        while first <= last:
            stop = min(first + block_rows, last + 1)
            yield self._block(waiting, first, stop)
            first = stop

    def _block(self, waiting: list["_Located"], first: int, stop: int) -> TextBlock:
        """The rows from ``first`` to before ``stop``."""
        part = _joined([part.between(first, stop) for part in waiting])
        shape = (stop - first, self._width)
        starts, stops = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        rows, columns = part.rows - first, part.columns - 1
        inside: Bools = columns < self._width
        starts[rows[inside], columns[inside]] = part.starts[inside]
        stops[rows[inside], columns[inside]] = part.stops[inside]
        text = part.text.decode()
        others = {
            i: self._wide_row(text, starts[i], stops[i], part, rows == i)
            for i in np.unique(rows[~inside]).tolist()
        }
        for i in others:
            starts[i] = stops[i] = 0
        return TextBlock(
            text,
            code_points(text),
            starts,
            stops,
            others,
            {(int(rows[i]), int(columns[i])): number for i, number in part.numbers.items()},
        )

    def _wide_row(
        self, text: str, starts: I64, stops: I64, part: "_Located", of_row: Bools
    ) -> list[str]:
        """A row's cells, and in one more whatever stands behind the table."""
        cells = [
            text[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        behind = np.flatnonzero(of_row & (part.columns > self._width))
        surplus = "".join(text[part.starts[i] : part.stops[i]] for i in behind)
        return [*cells, surplus]


class _Located(NamedTuple):
    """Cells of consecutive rows.

    Attributes:
        rows, columns: from 1.
        starts, stops: where each cell's text lies in ``text``: bytes, or characters when joined.
        text: UTF-8.
        numbers: index of a cell -> the number that it is and that its text does not stand for.
    """

    rows: I64
    columns: I64
    starts: I64
    stops: I64
    text: bytes
    numbers: dict[int, float]

    def between(self, first: int, stop: int) -> "_Located":
        low, high = np.searchsorted(self.rows, (first, stop)).tolist()
        at = slice(low, high)
        return _Located(
            self.rows[at],
            self.columns[at],
            self.starts[at],
            self.stops[at],
            self.text,
            {i - low: number for i, number in self.numbers.items() if low <= i < high},
        )


def _joined(parts: list[_Located]) -> _Located:
    """All cells of some parts; starts and stops count characters then.

    Raises:
        UnicodeDecodeError: a text is no UTF-8.
    """
    shifts = np.cumsum([0, *(len(part.text) for part in parts)])
    text = b"".join(part.text for part in parts)
    places = [
        np.concatenate([part[i] + shift for part, shift in zip(parts, shifts[:-1], strict=True)])
        for i in (2, 3)
    ]
    signs = np.frombuffer(text, dtype=np.uint8)
    begins: Bools = (signs & 0xC0) != 0x80
    if not begins[places[0][places[1] > places[0]]].all():
        raise UnicodeDecodeError("utf-8", b"", 0, 0, "a text begins in a character")
    characters = np.zeros(len(text) + 1, dtype=np.int32)
    np.cumsum(begins, out=characters[1:])
    numbers: dict[int, float] = {}
    n_cells = 0
    for part in parts:
        numbers |= {i + n_cells: number for i, number in part.numbers.items()}
        n_cells += len(part.rows)
    return _Located(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
        characters[places[0]].astype(np.int64),
        characters[places[1]].astype(np.int64),
        text,
        numbers,
    )


class _Texts:
    """Makes scanned cells into texts that lie side by side."""

    def __init__(self, values: CellValues) -> None:
        self._values = values
        self._memo: dict[tuple[int, int, bytes], tuple[bytes, float | None]] = {}

    def of(self, cells: Cells) -> _Located:
        table = cells.table
        starts, stops = table[:, START_AT].copy(), table[:, STOP_AT].copy()
        shared = np.flatnonzero(table[:, TYPE_AT] == SHARED)
        strings, shared_starts, shared_stops = self._values.strings.gathered(starts[shared])
        size = len(cells.text)
        starts[shared], stops[shared] = shared_starts + size, shared_stops + size
        added, size = [cells.text, strings], size + len(strings)
        numbers: dict[int, float] = {}
        changed = np.flatnonzero(self._need_change(cells))
        columns = (TYPE_AT, STYLE_AT, START_AT, STOP_AT)
        for i, (kind, style, start, stop) in zip(
            changed.tolist(), table[changed][:, columns].tolist(), strict=True
        ):
            text, number = self._written(kind, style, cells.text[start:stop])
            starts[i], stops[i] = size, size + len(text)
            added.append(text)
            size += len(text)
            if number is not None:
                numbers[i] = number
        return _Located(
            table[:, ROW_AT], table[:, COLUMN_AT], starts, stops, b"".join(added), numbers
        )

    def _need_change(self, cells: Cells) -> Bools:
        """Cells whose text in the file is not what a clerk sees."""
        table = cells.table
        kinds, starts, stops = table[:, TYPE_AT], table[:, START_AT], table[:, STOP_AT]
        is_number: Bools = (kinds == NUMBER) & self._values.are_plain(table[:, STYLE_AT])
        is_number &= stops - starts < len(str(_EXACT))
        at = np.flatnonzero(is_number)
        signs = np.frombuffer(cells.text, dtype=np.uint8)
        others = np.concatenate(([0], np.cumsum((signs < ord("0")) | (signs > ord("9")))))
        is_whole = others[stops[at]] == others[starts[at]]
        is_whole &= (signs[starts[at]] != ord("0")) | (stops[at] - starts[at] == 1)
        is_number[at] = is_whole
        return ~is_number & ~np.isin(kinds, (SHARED, TEXT, ERROR))

    def _written(self, kind: int, style: int, text: bytes) -> tuple[bytes, float | None]:
        found = self._memo.get((kind, style, text))
        if found is None:
            value = self._values.one(kind, style, text.decode())
            written = cell_text(value) if not isinstance(value, str) else value
            found = written.encode(), _number_to_keep(value, written)
            if len(self._memo) >= _MEMO_ENTRIES:
                self._memo.clear()
            self._memo[kind, style, text] = found
        return found


def _number_to_keep(value: Cell, written: str) -> float | None:
    if not isinstance(value, float):
        return None
    is_like_its_text = value.is_integer() and len(written) < len(str(_EXACT))
    return None if is_like_its_text else value
