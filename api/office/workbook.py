"""Lists as .xlsx: every cell of a record as text, streamed, in files that only the owner can read.

Excel turns what looks like a number into one and so destroys resident IDs, and runs what starts
like a formula; so text is written as text whatever it looks like.
"""

import contextlib
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter

MAX_SHEET_ROWS = 1_048_576
"""Rows of a sheet in Excel, headings included."""

RawCell = str | int | float | date | datetime | None

_MAX_CELL_CHARACTERS = 32_767
_MAX_EXACT_FLOAT = 2.0**53
_MIN_WIDTH, _MAX_WIDTH = 8, 40
_TEXT_FORMAT = "@"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# What XML 1.0 cannot hold.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What Excel would take for the number of a character (ECMA-376 22.9.2.19, ST_Xstring).
_LIKE_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


def raw_text(value: object) -> str:
    """A cell of a table as the text that a person reads in it, ``""`` for an empty one."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        at_midnight = value.time() == datetime.min.time()
        return value.date().isoformat() if at_midnight else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_EXACT_FLOAT:
        return str(int(value))
    return str(value)


class ListSheet:
    """One list of a workbook, continued on a further sheet when Excel's limit is reached."""

    def __init__(
        self,
        workbook: Workbook,
        title: str,
        headings: Sequence[str],
        sample: Iterable[Sequence[str]] = (),
        *,
        max_rows: int = MAX_SHEET_ROWS,
    ) -> None:
        """Start a list.  ``sample`` holds a few rows, by which the columns' widths are chosen."""
        self._workbook = workbook
        self._title = title
        self._headings = list(headings)
        self._widths = _widths([self._headings, *sample], len(self._headings))
        self._max_rows = max_rows
        self._n_sheets = 0
        self._start_sheet()

    def append(self, values: Iterable[str | int | float]) -> None:
        """Add a row: a string is written as text, a number as a number."""
        if self._n_sheet_rows == self._max_rows:
            self._finish_sheet()
            self._start_sheet()
        self._sheet.append(self._cells(values))
        self._n_sheet_rows += 1

    def finish(self) -> None:
        """End the list; nothing can be added any more."""
        self._finish_sheet()

    def _start_sheet(self) -> None:
        self._n_sheets += 1
        suffix = "" if self._n_sheets == 1 else f" {self._n_sheets}"
        sheet = self._workbook.create_sheet(self._title + suffix)
        sheet.freeze_panes = "A2"
        for number, width in enumerate(self._widths, 1):
            sheet.column_dimensions[get_column_letter(number)].width = width
        self._sheet = sheet
        self._text, self._quoted, self._number = (WriteOnlyCell(sheet) for _ in range(3))
        self._text.number_format = _TEXT_FORMAT
        self._quoted.number_format = _TEXT_FORMAT
        # Excel then keeps it text even when a person edits the cell.
        self._quoted.quotePrefix = True
        sheet.append([self._heading(text) for text in self._headings])
        self._n_sheet_rows = 1

    def _finish_sheet(self) -> None:
        last = get_column_letter(max(len(self._headings), 1))
        self._sheet.auto_filter.ref = f"A1:{last}{self._n_sheet_rows}"
        self._sheet.close()

    def _heading(self, text: str) -> Cell:
        cell = WriteOnlyCell(self._sheet)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="FFDDEBF7")
        cell.number_format = _TEXT_FORMAT
        return _set_text(cell, text)

    def _cells(self, values: Iterable[str | int | float]) -> Iterator[Cell]:
        # A cell is written as soon as it is yielded, so one object serves many and the cost of
        # styling is paid once.
        for value in values:
            if isinstance(value, str):
                prototype = self._quoted if value.startswith(_FORMULA_STARTS) else self._text
                yield _set_text(prototype, value)
            else:
                self._number.value = value
                yield self._number


@contextlib.contextmanager
def streamed_workbook(path: Path) -> Iterator[Workbook]:
    """A workbook that is written to ``path`` at the end of the block.

    openpyxl keeps the rows in temporary files until then; they go to a folder beside ``path`` that
    only the owner can enter, and are gone afterwards, also after an error.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        tempfile.tempdir = folder
        workbook = Workbook(write_only=True)
        try:
            yield workbook
            workbook.save(path)
        finally:
            tempfile.tempdir = before
            _close_sheets(workbook)


def _close_sheets(workbook: Workbook) -> None:
    """Close what an error left open, so that no temporary file stays in use."""
    for sheet in workbook.worksheets:
        if not getattr(sheet, "closed", True):
            with contextlib.suppress(Exception):
                sheet.close()


def _set_text(cell: Cell, text: str) -> Cell:
    text = _NOT_IN_XML.sub("", text)[:_MAX_CELL_CHARACTERS]
    # XML readers make a line feed of a carriage return that is not escaped.
    cell.value = _LIKE_ESCAPE.sub("_x005F_", text).replace("\r", "_x000D_")
    # openpyxl guesses a formula or an error value from the text.
    cell.data_type = "s"
    return cell


def _widths(rows: Iterable[Sequence[str]], n_columns: int) -> list[int]:
    widths = [_MIN_WIDTH] * n_columns
    for row in rows:
        for number, text in enumerate(row[:n_columns]):
            widths[number] = max(widths[number], _display_width(text) + 2)
    return [min(width, _MAX_WIDTH) for width in widths]


def _display_width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text[:_MAX_WIDTH])
