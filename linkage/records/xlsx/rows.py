"""Rows of a sheet, streamed: what is held is the shared strings and a megabyte of the sheet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from linkage.records.cells import Cell
from linkage.records.workbook_errors import damaged_workbook, no_such_sheet
from linkage.records.xlsx.package import Package
from linkage.records.xlsx.plain_scanner import plain_scan
from linkage.records.xlsx.scanned import COLUMN_AT, ROW_AT, Cells, ScanError
from linkage.records.xlsx.strings import SharedStrings
from linkage.records.xlsx.structure import read_structure, read_styles
from linkage.records.xlsx.values import CellValues

OnRead = Callable[[int, int], None]
"""Gets how many bytes of a workbook's parts were read, and how many there are."""

PLAIN_BYTES = 8 << 20
"""A part of at most so many bytes, some 20,000 rows, is scanned by the plain scanner.

It needs no compiler, and is done in the second in which compiled code is loaded.
"""

_Row = list[Cell]


def sheet_names(file: BinaryIO) -> tuple[str, ...]:
    """Names of the sheets, in their order.

    Raises:
        RecordsError: the file is damaged or locked.
    """
    with Package(file) as package:
        return tuple(name for name, _ in read_structure(package).sheets)


def read_rows(file: BinaryIO, sheet: int, on_read: OnRead | None = None) -> Iterator[list[Cell]]:
    """Rows of a sheet (from 1), each up to its last cell, from row 1 on; missing ones are empty.

    Raises:
        RecordsError: while iterating: the file is damaged, locked or too large, or has no such
            sheet.
    """
    with open_sheet(file, sheet, on_read) as (scanned, values):
        yield from _rows(scanned, values)


@contextmanager
def open_sheet(
    file: BinaryIO, sheet: int, on_read: OnRead | None = None
) -> Iterator[tuple[Iterator[Cells], CellValues]]:
    """Cells of a sheet (from 1) as they are scanned, and what makes values of them.

    Raises:
        RecordsError: as :func:`read_rows`.
    """
    with Package(file) as package:
        structure = read_structure(package)
        if not 1 <= sheet <= len(structure.sheets):
            raise no_such_sheet(len(structure.sheets), sheet)
        _, part = structure.sheets[sheet - 1]
        styles = read_styles(package, structure.styles)
        n_bytes = package.n_bytes(structure.strings) + package.n_bytes(part)
        reading = _Reading(package, n_bytes, on_read)
        scanned = reading.scanned(structure.strings, is_sheet=False)
        try:
            with SharedStrings(scanned) as strings:
                values = CellValues(strings, styles, structure.is_1904)
                yield reading.scanned(part, is_sheet=True), values
                strings.read_all()
        except (ScanError, UnicodeDecodeError) as error:
            raise damaged_workbook() from error


class _Reading:
    """Scans parts of a workbook, and tells how much has been read."""

    def __init__(self, package: Package, n_bytes: int, on_read: OnRead | None) -> None:
        self._package = package
        self._n_bytes = n_bytes
        self._done = 0
        self._on_read = on_read

    def scanned(self, part: str | None, *, is_sheet: bool) -> Iterator[Cells]:
        if part is None:
            return iter(())
        blocks = self._watched(self._package.blocks(part))
        if self._package.n_bytes(part) <= PLAIN_BYTES:
            return plain_scan(blocks, is_sheet=is_sheet)
        from linkage.records.xlsx.scanner import scan  # loads the compiler, which takes a second

        return scan(blocks, is_sheet=is_sheet)

    def _watched(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            yield block
            self._done += len(block)
            if self._on_read is not None:
                self._on_read(min(self._done, self._n_bytes), self._n_bytes)


def _rows(scanned: Iterator[Cells], values: CellValues) -> Iterator[_Row]:
    """Raises ScanError where a row stands behind one with a greater number."""
    number, row = 0, _Row()
    for cells in scanned:
        found = values.of(cells)
        for at, start, stop, is_plain in _spans(cells):
            if at < number:
                raise ScanError
            if at > number:
                if number:
                    yield row
                yield from ([] for _ in range(number + 1, at))
                number, row = at, _Row()
            if is_plain and not row:
                row = found[start:stop]
            else:
                _put(row, cells.table[start:stop, COLUMN_AT].tolist(), found[start:stop])
    if number:
        yield row


def _spans(cells: Cells) -> Iterator[tuple[int, int, int, bool]]:
    """Row's number, its first cell, the one behind its last, and whether they fill A, B, C ..."""
    numbers, columns = cells.table[:, ROW_AT], cells.table[:, COLUMN_AT]
    begins = np.concatenate(([True], numbers[1:] != numbers[:-1]))
    starts = np.flatnonzero(begins)
    expected = np.concatenate(([0], columns[:-1]))
    expected[starts] = 0
    gaps = np.add.reduceat(columns != expected + 1, starts, dtype=np.int64)
    stops = np.append(starts[1:], len(columns))
    return zip(
        numbers[starts].tolist(), starts.tolist(), stops.tolist(), (gaps == 0).tolist(), strict=True
    )


def _put(row: _Row, columns: list[int], found: _Row) -> None:
    row.extend([None] * (max(columns) - len(row)))
    for column, value in zip(columns, found, strict=True):
        row[column - 1] = value
