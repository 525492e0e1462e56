"""Rows of a file as they stand in it, nothing cleaned, for formats that have rules of their own."""

import csv
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from linkage.errors import RecordsError
from linkage.records.cells import Cell, cell_text
from linkage.records.text_files import (
    DELIMITERS,
    MAX_LINE_CHARACTERS,
    TEXT_ENCODINGS,
    detect_text_encoding,
)
from linkage.records.workbooks import is_workbook, read_workbook_rows
from linkage.records.xlsx import OnRead

_Rows = Iterator[list[str]]


class UntouchedRows(AbstractContextManager["UntouchedRows"]):
    """All rows of a text file or workbook, the first one (headings, maybe) included.

    Text is read in whichever encoding it is in, a byte order mark left out, and line breaks inside
    cells as ``\\n``.  Cells are separated by what gives the first row ``n_columns`` cells: a comma,
    else a semicolon or a tab.  Cells of a workbook that are numbers or dates become text as a
    clerk sees them; rows are filled up with empty cells to ``n_columns``, and empty rows at the end
    are left out.

    Args:
        path: of the file.
        n_columns: that the rows should have; rows with other counts come as they are.

    Raises:
        RecordsError: the file is empty, damaged, or neither text nor workbook; also while rows are
            read.
    """

    def __init__(self, path: Path, n_columns: int) -> None:
        try:
            with path.open("rb") as file:
                head = file.read(8)
            if not head:
                raise RecordsError("The file is empty. Export it again.", code="empty-file")
            self._read, self._all = 0, path.stat().st_size
            self._file: TextIO | None = None
            if is_workbook(head):
                self._rows = _workbook_rows(path, n_columns, self._tell)
            else:
                codec = TEXT_ENCODINGS[detect_text_encoding(path)]
                # Universal line breaks: cells are then the same whichever system wrote the file.
                self._file = path.open("r", encoding=codec, errors="strict", newline=None)
                self._rows = _text_rows(self._file, n_columns)
        except OSError as error:
            raise RecordsError(
                f"The file cannot be read: {error.strerror}.", code="unreadable-file"
            ) from error

    def __iter__(self) -> _Rows:
        return self._rows

    def share_read(self) -> float | None:
        """How much of the file has been read, from 0 to 1; ``None`` if that is not known."""
        if self._file is not None and not self._file.closed:
            self._read = self._file.buffer.tell()
        return min(1.0, self._read / self._all) if self._read and self._all else None

    def _tell(self, done: int, total: int) -> None:
        self._read, self._all = done, total

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _text_rows(file: TextIO, n_columns: int) -> _Rows:
    lines = iter(partial(file.readline, MAX_LINE_CHARACTERS), "")
    first = next(lines, "")
    delimiter = next((d for d in DELIMITERS if _n_cells(first, d) == n_columns), DELIMITERS[0])
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise RecordsError(
            f"The quotation marks near line {reader.line_num} of the file do not pair, so that it "
            "is unclear where a cell ends. Correct that line, or export the file again.",
            code="unpaired-quotes",
            line=reader.line_num,
        ) from error
    except UnicodeError as error:
        raise RecordsError(
            f"The file is damaged near line {reader.line_num}: it is not valid text there. Export "
            "it again as CSV in UTF-8.",
            code="damaged-text",
            line=reader.line_num,
        ) from error


def _n_cells(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), []))


def _workbook_rows(path: Path, n_columns: int, on_read: OnRead) -> _Rows:
    n_empty = 0
    for cells in read_workbook_rows(path, 1, on_read):
        row = [_text(cell) for cell in cells]
        row += [""] * (n_columns - len(row))
        while len(row) > n_columns and not row[-1]:
            row.pop()
        if not any(row):
            n_empty += 1
            continue
        yield from ([""] * n_columns for _ in range(n_empty))
        n_empty = 0
        yield row


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell_text(cell)
