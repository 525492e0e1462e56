"""Workbooks (.xlsx, and the older .xls): rows of a sheet with true numbers and dates.

A sheet is held in memory whole: its rows point into a table of shared strings, which every reader
holds.  Excel's sheets end at 1,048,576 rows, so memory does too: a million rows of 11 columns take
one gigabyte (``benchmarks.encoding``, ``reading``); CSV of any length takes a sixth of that.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from linkage.errors import RecordsError
from linkage.records.cells import Cell, plain_cell

XLSX_MAGIC = b"PK\x03\x04"
XLS_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

MAX_INFLATED_BYTES = 4 << 30
MAX_CELLS = 40_000_000
"""Greatest rows x columns of a sheet: the reader holds all of them in memory."""

_CHUNK_BYTES = 1 << 18
_WIDE_CELL = re.compile(rb' r="([A-Z]{2,3})[0-9]')
_ROW = re.compile(rb'<(?:x:)?row [^>]*?r="([0-9]{1,8})"')
_SAVE_AS_CSV = "Delete what does not belong to the table, or save the sheet as CSV in UTF-8."
_TOO_LARGE = f"The workbook is too large to be read at once. {_SAVE_AS_CSV}"
_PASSWORD = "The workbook has a password. Save it without one."  # noqa: S105 - no secret
_DAMAGED = "The workbook is damaged or cut off. Copy or export it again, or save it as CSV."


def is_workbook(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a workbook, or pretends to be one."""
    return head.startswith((XLSX_MAGIC, XLS_MAGIC))


def sheet_names(path: Path) -> tuple[str, ...]:
    """Names of a workbook's sheets in their order; none for any other file.

    Raises:
        RecordsError: the file is damaged or locked.
    """
    import python_calamine

    with path.open("rb") as file:
        if not is_workbook(file.read(len(XLS_MAGIC))):
            return ()
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        names = tuple(workbook.sheet_names)
        workbook.close()
    except python_calamine.PasswordError as error:
        raise RecordsError(_PASSWORD, code="password") from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise RecordsError(_DAMAGED, code="damaged-workbook") from error
    return names


def read_workbook_rows(path: Path, sheet: int) -> Iterator[list[Cell]]:
    """Rows of a sheet (from 1), from the sheet's first row on; an empty cell is ``None``.

    Raises:
        RecordsError: the file is damaged, locked or too large, or has no such sheet.
    """
    import python_calamine

    with path.open("rb") as file:
        if file.read(4) == XLSX_MAGIC:
            _check_size(file)
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
        if not 1 <= sheet <= len(names):
            raise RecordsError(
                f"The workbook has {len(names)} sheets, but the mapping asks for sheet {sheet}. "
                "Correct 'sheet' under [source].",
                code="no-sheet",
                n_sheets=len(names),
                sheet=sheet,
            )
        rows = workbook.get_sheet_by_index(sheet - 1).iter_rows()
        workbook.close()
    except python_calamine.PasswordError as error:
        raise RecordsError(_PASSWORD, code="password") from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise RecordsError(_DAMAGED, code="damaged-workbook") from error
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (python_calamine.CalamineError, ValueError, OverflowError) as error:
            raise RecordsError(_DAMAGED, code="damaged-workbook") from error
        yield [plain_cell(value) for value in row]


def _check_size(file: BinaryIO) -> None:
    """Refuse what would not fit in memory, by the bytes that are there and not by the headers."""
    left = MAX_INFLATED_BYTES
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.flag_bits & 1:
                    raise RecordsError(_PASSWORD, code="password")
                is_sheet = entry.filename.startswith("xl/worksheets/")
                if not is_sheet and entry.compress_size * 1032 < left // 64:
                    continue  # deflate cannot make it large (zlib: at most 1032 to 1)
                left = _check_entry(file, entry, left, is_sheet)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise RecordsError(_DAMAGED, code="damaged-workbook") from error


def _check_entry(file: BinaryIO, entry: zipfile.ZipInfo, left: int, is_sheet: bool) -> int:
    columns, rows, tail = 26, 0, b""
    for chunk in _inflated(file, entry):
        left -= len(chunk)
        if left < 0:
            raise RecordsError(_TOO_LARGE, code="large-workbook")
        if not is_sheet:
            continue
        text = tail + chunk
        for letters in set(_WIDE_CELL.findall(text)):
            columns = max(columns, _column_number(letters))
        for match in _ROW.finditer(text):
            rows = max(rows, int(match[1]))
        if rows * columns > MAX_CELLS:
            raise RecordsError(
                f"The sheet reaches to row {rows} and column {columns}. {_SAVE_AS_CSV}",
                code="large-sheet",
                row=rows,
                column=columns,
            )
        tail = text[-256:]
    return left


def _inflated(file: BinaryIO, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != XLSX_MAGIC:
        raise zipfile.BadZipFile
    name_bytes, extra_bytes = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    file.seek(name_bytes + extra_bytes, 1)
    remaining = entry.compress_size
    inflate = zlib.decompressobj(-15) if entry.compress_type == zipfile.ZIP_DEFLATED else None
    while remaining > 0:
        block = file.read(min(_CHUNK_BYTES, remaining))
        if not block:
            raise zipfile.BadZipFile
        remaining -= len(block)
        while block:
            if inflate is None:
                yield block
                break
            yield inflate.decompress(block, 4 * _CHUNK_BYTES)
            block = inflate.unconsumed_tail


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
