"""The problem report: a workbook with one row for each problem, for a clerk to work through.

Rows have the numbers that the spreadsheet itself shows, and advice is in Chinese and English.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from linkage.records.advice_zh import ADVICE_ZH
from linkage.types import Problem

# Chinese first: it is a clerk who mends the file. The code is for who helps the clerk.
_HEADINGS = (
    "行 Row",
    "列 Column",
    "内容（已遮盖） Value (masked)",
    "怎样处理",
    "What to do",
    "另见行 See row",
    "字段 Field",
    "代码 Code",
)
_WIDTHS = (9, 22, 28, 64, 72, 16, 20, 30)
_SHEET_ROWS = 1_048_576
# What XML 1.0 cannot hold (production 2).
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class KeptProblems:
    """Problems in a file, so that memory does not grow with them."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, problem: Problem) -> None:
        """Keep one more."""
        self._file.write(json.dumps(astuple(problem)) + "\n")

    def __iter__(self) -> Iterator[Problem]:
        """All of them, in the order in which they came."""
        self._file.seek(0)
        return (Problem(*json.loads(line)) for line in self._file)


@contextmanager
def keeping_problems() -> Iterator[KeptProblems]:
    """Keep problems in a temporary file without a name.

    Where the system has such files (all but Windows, which deletes it when the program ends), a
    program that is ended in the middle leaves nothing behind.
    """
    with TemporaryFile("w+", encoding="ascii") as file:
        yield KeptProblems(file)


def write_problem_report(
    path: Path, problems: Iterable[Problem], headings: Mapping[str, str]
) -> None:
    """Write the workbook; one without problems has headings only.

    Args:
        path: of the workbook.
        problems: in the order of its rows; a full sheet is followed by another.
        headings: canonical field -> heading in the file, shown beside the field.

    Raises:
        OSError: the file cannot be written.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    try:
        _fill(book, problems, headings)
        with path.open("wb") as file:
            book.save(file)
    except BaseException:
        # Ctrl-C too: half-written sheets that nobody closes complain when they are thrown away.
        for sheet in book.worksheets:
            with suppress(Exception):
                sheet.close()
        raise


def _fill(book: Any, problems: Iterable[Problem], headings: Mapping[str, str]) -> None:
    sheet, n_rows = _started_sheet(book), 1
    for problem in problems:
        if n_rows >= _SHEET_ROWS:
            sheet, n_rows = _started_sheet(book), 1
        _append(
            sheet,
            problem.row,
            headings.get(problem.field, ""),
            problem.masked,
            ADVICE_ZH[problem.code],
            problem.advice,
            problem.other_row,
            problem.field,
            problem.code,
        )
        n_rows += 1


def _started_sheet(book: Any) -> Any:
    sheet = book.create_sheet(f"problems {len(book.sheetnames) + 1}")
    for letter, width in zip("ABCDEFGH", _WIDTHS, strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    _append(sheet, *_HEADINGS)
    return sheet


def _append(sheet: Any, *values: int | str | None) -> None:
    from openpyxl.cell import WriteOnlyCell

    cells = []
    for value in values:
        shown = _NOT_IN_XML.sub("", value) if isinstance(value, str) else value
        cell = WriteOnlyCell(sheet, shown)
        if isinstance(value, str):
            cell.data_type = "s"  # a heading or value that begins with = is no formula
        cells.append(cell)
    sheet.append(cells)
