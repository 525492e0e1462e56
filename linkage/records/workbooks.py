"""Workbooks (.xlsx, and the older .xls): rows of a sheet with true numbers and dates.

An .xlsx of any length is read row by row (``linkage.records.xlsx``).  The sheet of an .xls is held
whole: such a sheet ends at 65,536 rows of 256 columns.
"""

from collections.abc import Iterator
from pathlib import Path

from linkage.records import xlsx
from linkage.records.cells import Cell, plain_cell
from linkage.records.workbook_errors import damaged_workbook, locked_workbook, no_such_sheet

XLSX_MAGIC = b"PK\x03\x04"
XLS_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def is_workbook(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a workbook, or pretends to be one."""
    return head.startswith((XLSX_MAGIC, XLS_MAGIC))


def sheet_names(path: Path) -> tuple[str, ...]:
    """Names of a workbook's sheets in their order; none for any other file.

    Raises:
        RecordsError: the file is damaged or locked.
    """
    with path.open("rb") as file:
        head = file.read(len(XLS_MAGIC))
        if head.startswith(XLSX_MAGIC):
            return xlsx.sheet_names(file)
    return _xls_sheet_names(path) if is_workbook(head) else ()


def read_workbook_rows(
    path: Path, sheet: int, on_read: xlsx.OnRead | None = None
) -> Iterator[list[Cell]]:
    """Rows of a sheet (from 1), from the sheet's first row on; an empty cell is ``None``.

    Rows may end at their last cell that is not empty. ``on_read`` is told how much was read of an
    .xlsx, and how much there is, in bytes of its XML.

    Raises:
        RecordsError: the file is damaged, locked or too large, or has no such sheet.
    """
    with path.open("rb") as file:
        if file.read(len(XLSX_MAGIC)) == XLSX_MAGIC:
            yield from xlsx.read_rows(file, sheet, on_read)
            return
    yield from _xls_rows(path, sheet)


# --- the older format -------------------------------------------------------------------------


def _xls_sheet_names(path: Path) -> tuple[str, ...]:
    import python_calamine

    try:
        with python_calamine.CalamineWorkbook.from_path(str(path)) as workbook:
            return tuple(workbook.sheet_names)
    except python_calamine.PasswordError as error:
        raise locked_workbook() from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise damaged_workbook() from error


def _xls_rows(path: Path, sheet: int) -> Iterator[list[Cell]]:
    import python_calamine

    try:
        with python_calamine.CalamineWorkbook.from_path(str(path)) as workbook:
            n_sheets = len(workbook.sheet_names)
            if not 1 <= sheet <= n_sheets:
                raise no_such_sheet(n_sheets, sheet)
            rows = workbook.get_sheet_by_index(sheet - 1).iter_rows()
    except python_calamine.PasswordError as error:
        raise locked_workbook() from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise damaged_workbook() from error
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (python_calamine.CalamineError, ValueError, OverflowError) as error:
            raise damaged_workbook() from error
        yield [plain_cell(value) for value in row]
