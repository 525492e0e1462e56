"""Reading exported files back: each row as the entry that it must have been.

A row is read only if the export would write it exactly so; anything else is no row of an export.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from api.audit.errors import EntryError, ExportError
from api.audit.events import MAX_ENTRY_BYTES, Entry, canonical_line, parse_entry
from api.audit.listing import COLUMNS, cells

_NUMBER: Final = COLUMNS.index("index")
_DETAILS: Final = COLUMNS.index("details")


class RowError(ExportError):
    """A row of an export is no entry any more."""


def read_rows(path: Path, form: str) -> Iterator[tuple[Entry, bytes] | None]:
    """Each row as an entry and its bytes; ``None`` for one that is no entry as exported.

    Raises:
        ExportError: the file is no export of this form: damaged, or of other columns.
        OSError: it cannot be read.
    """
    if form == "jsonl":
        for line in _lines(path):
            yield _entry_of(line)
        return
    rows = _workbook_rows(path) if form == "xlsx" else _csv_rows(path)
    heading = next(rows, None)
    if heading is None or tuple(heading) != COLUMNS:
        raise ExportError("The file has not the heading of an export of the log.")
    for row in rows:
        yield _entry_of_cells(row, is_text=form == "csv")


def _entry_of(line: bytes) -> tuple[Entry, bytes] | None:
    try:
        return parse_entry(line), line
    except EntryError:
        return None


def _entry_of_cells(row: Sequence[Any], *, is_text: bool) -> tuple[Entry, bytes] | None:
    """The entry whose cells these are, exactly."""
    if len(row) != len(COLUMNS):
        return None
    given = [None if value == "" and is_text else value for value in row]
    try:
        if is_text:
            given[_NUMBER] = int(str(given[_NUMBER]))
        value = dict(zip(COLUMNS, given, strict=True))
        value["details"] = json.loads(str(value["details"]))
        line = canonical_line(value)
        entry = parse_entry(line)
    except (EntryError, ValueError, TypeError, RecursionError):
        return None
    shown = cells(entry)
    expected = ["" if cell is None else str(cell) for cell in shown] if is_text else list(shown)
    return (entry, line) if list(row) == expected else None


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_ENTRY_BYTES + 1):
            yield line.removesuffix(b"\n") if line.endswith(b"\n") else b""


def _csv_rows(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Read as a whole line first: a quotation mark left open would swallow the file.
            while line := file.readline(4 * MAX_ENTRY_BYTES):
                rows = list(csv.reader(io.StringIO(line), strict=True))
                yield rows[0] if len(rows) == 1 and line.endswith("\r\n") else []
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExportError(_DAMAGED) from error


def _workbook_rows(path: Path) -> Iterator[list[Any]]:
    from openpyxl import load_workbook

    try:
        # Opened here, because the library leaves a damaged workbook open.
        with path.open("rb") as file:
            book = load_workbook(file, read_only=True)
            if book.sheetnames != ["log"]:
                raise ExportError("The file has other sheets than an export of the log.")
            for row in book["log"].iter_rows(values_only=True):
                yield list(row)
    except ExportError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise ExportError(_DAMAGED) from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, SyntaxError) as error:
        raise ExportError(_DAMAGED) from error
    except Exception as error:
        # zlib's own error has no public base of its own; nor have those of what reads XML.
        if type(error).__module__ in ("zlib", "lzma", "xml.etree.ElementTree", "lxml.etree"):
            raise ExportError(_DAMAGED) from error
        raise


_DAMAGED: Final = "The exported file is damaged, or was cut off."
