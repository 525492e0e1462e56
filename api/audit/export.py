"""Entries as files for other programs: CSV, JSON Lines and Excel.

No cell can be taken for a formula, whatever it holds.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from api.audit.events import Entry
from api.audit.listing import COLUMNS, cells

FORMATS: Final = ("csv", "jsonl", "xlsx")
MAX_XLSX_ROWS: Final = 1_048_575
"""Rows of a sheet of Excel, without the heading."""

_FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class TooManyRowsError(Exception):
    """A sheet of Excel cannot hold so many entries."""


def safe_cell(value: str | int | None) -> str | int | None:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what could be."""
    if isinstance(value, str) and value.startswith(_FORMULA_BEGINS):
        return f"'{value}"
    return value


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """A heading and one line an entry, without line ends; details as JSON in the last column."""
    yield _csv_line(COLUMNS)
    for entry in entries:
        yield _csv_line(
            tuple("" if cell is None else str(safe_cell(cell)) for cell in cells(entry))
        )


def write_export(pairs: Iterable[tuple[Entry, str]], path: Path, form: str) -> int:
    """Write entries (each with its text) to a new file; returns how many.

    Args:
        form: one of :data:`FORMATS`; ``jsonl`` gives the entries exactly as they were hashed.

    Raises:
        TooManyRowsError: more than a sheet of Excel holds.
        OSError: the file exists or cannot be written.
    """
    if form == "xlsx":
        return _write_workbook(pairs, path)
    n_entries = 0

    def counted() -> Iterator[tuple[Entry, str]]:
        nonlocal n_entries
        for pair in pairs:
            n_entries += 1
            yield pair

    # A mark at the beginning, by which Excel knows UTF-8.
    encoding = "utf-8-sig" if form == "csv" else "ascii"
    with path.open("x", encoding=encoding, newline="") as file:
        if form == "csv":
            for line in csv_lines(entry for entry, _ in counted()):
                file.write(f"{line}\r\n")
        else:
            for _, text in counted():
                file.write(f"{text}\n")
    return n_entries


def _write_workbook(pairs: Iterable[tuple[Entry, str]], path: Path) -> int:
    with path.open("xb") as file:
        try:
            return _save_workbook(pairs, file)
        except BaseException:
            path.unlink()
            raise


def _save_workbook(pairs: Iterable[tuple[Entry, str]], file: BinaryIO) -> int:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    sheet = book.create_sheet("log")
    sheet.freeze_panes = "A2"
    heading = []
    for name in COLUMNS:
        cell = WriteOnlyCell(sheet, value=name)
        cell.font = Font(bold=True)
        heading.append(cell)
    sheet.append(heading)
    n_entries = 0
    for entry, _ in pairs:
        n_entries += 1
        if n_entries > MAX_XLSX_ROWS:
            sheet.close()
            raise TooManyRowsError
        row = []
        for value in cells(entry):
            cell = WriteOnlyCell(sheet, value=safe_cell(value))
            if isinstance(value, str):
                # Text, whatever it begins with.
                cell.data_type = "s"
            row.append(cell)
        sheet.append(row)
    book.save(file)
    return n_entries


def _csv_line(row: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(row)
    return buffer.getvalue()
