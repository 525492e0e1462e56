"""Files of invented records for the tests of reading."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from linkage.types import FieldSpec

CHILD_FIELDS = (
    FieldSpec("name", "chinese-name"),
    FieldSpec("sex", "sex"),
    FieldSpec("birth_date", "date"),
    FieldSpec("id_number", "resident-id"),
    FieldSpec("guardian_name", "chinese-name"),
    FieldSpec("guardian_phone", "phone"),
    FieldSpec("hukou_division", "division"),
    FieldSpec("residence_division", "division"),
)

HEADINGS = ("登记编号", "儿童姓名", "性别", "出生日期", "身份证号", "监护人姓名", "联系电话")
COLUMNS = {
    "record_id": "登记编号",
    "name": "儿童姓名",
    "sex": "性别",
    "birth_date": "出生日期",
    "id_number": "身份证号",
    "guardian_name": "监护人姓名",
    "guardian_phone": "联系电话",
}


def mod_11_2(digits: str) -> str:
    """The check character by ISO 7064's recursive method, to compare with the weighted sum."""
    value = 0
    for digit in digits:
        value = (value + int(digit)) * 2 % 11
    return "0123456789X"[(12 - value) % 11]


def id_number(birth: str, order: int = 1, division: str = "510107") -> str:
    """An invented ID number with a right check character; an odd ``order`` is a boy's."""
    digits = f"{division}{birth.replace('-', '')}{order:03d}"
    return digits + mod_11_2(digits)


def csv_text(rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    """Rows as a delimited file with CR LF."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


def write_csv(
    path: Path,
    rows: Sequence[Sequence[object]],
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> Path:
    """Write rows, headings first, and return the path."""
    path.write_bytes(csv_text(rows, delimiter).encode(encoding))
    return path


def write_xlsx(path: Path, *sheets: Sequence[Sequence[object]]) -> Path:
    """Write a workbook with these sheets and return the path."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path
