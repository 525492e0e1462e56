"""The problem report: a workbook with one row for each problem, for a clerk to work through.

Rows have the numbers that the spreadsheet itself shows, and advice is in Chinese and English.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


class ProblemReport:
    """Collects problems in a workbook; :meth:`save` writes it.

    What is added goes to a temporary file, so memory does not grow with the number of problems.

    Attributes:
        headings: canonical field -> heading in the file, shown beside the field.
    """

    def __init__(self, headings: Mapping[str, str] | None = None) -> None:
        from openpyxl import Workbook

        self.headings = headings or {}
        self._book = Workbook(write_only=True)
        self._sheet: Any = None
        self._rows = 0

    def add(self, problem: Problem) -> None:
        """Append one row; a full sheet is followed by another."""
        if self._sheet is None or self._rows >= _SHEET_ROWS:
            self._start_sheet()
        self._append(
            problem.row,
            self.headings.get(problem.field, ""),
            problem.masked,
            ADVICE_ZH[problem.code],
            problem.advice,
            problem.other_row,
            problem.field,
            problem.code,
        )

    def save(self, path: Path) -> None:
        """Write the workbook; one without problems has headings only.

        Raises:
            OSError: the file cannot be written.
        """
        if self._sheet is None:
            self._start_sheet()
        with path.open("wb") as file:
            self._book.save(file)

    def _start_sheet(self) -> None:
        self._sheet = self._book.create_sheet(f"problems {len(self._book.sheetnames) + 1}")
        for letter, width in zip("ABCDEFGH", _WIDTHS, strict=True):
            self._sheet.column_dimensions[letter].width = width
        self._sheet.freeze_panes = "A2"
        self._rows = 0
        self._append(*_HEADINGS)

    def _append(self, *values: int | str | None) -> None:
        from openpyxl.cell import WriteOnlyCell

        cells = []
        for value in values:
            shown = _NOT_IN_XML.sub("", value) if isinstance(value, str) else value
            cell = WriteOnlyCell(self._sheet, shown)
            if isinstance(value, str):
                cell.data_type = "s"  # a heading or value that begins with = is no formula
            cells.append(cell)
        self._sheet.append(cells)
        self._rows += 1
