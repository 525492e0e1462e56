"""Raw cells of a file, and their plain text.

A cell of a text file is a ``str``; one of a workbook may be a number or a true date.
"""

import re
import unicodedata
from datetime import date, datetime, time, timedelta

Cell = str | int | float | date | datetime | None
"""What a row of :func:`linkage.records.tables.read_table` holds."""

Cleaned = tuple[str | None, tuple[str, ...]]
"""A canonical value or ``None``, and the codes of the problems found."""

MISSING: Cleaned = (None, ())

_NULL_WORDS = r"""
- -- --- — —— ―― / // \ \n . .. * _ ? ？ 无 無 空 未填 未填写 暂无 不详 不祥 未知 未采集 待补 待填
null none nil nan n/a #n/a na (null) (空) <null>
"""
_NULL_MARKERS = frozenset(_NULL_WORDS.split())
LONGEST_NULL_MARKER = max(map(len, _NULL_MARKERS))
"""Characters of the longest text that only says that there is no value."""
_ERROR_WORDS = "#value! #ref! #name? #div/0! #num! #null! #spill! #calc! #getting_data"
_ERROR_MARKERS = frozenset(_ERROR_WORDS.split())
# Tabs and line breaks separate; they are blanks, not garbage.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# U+200B..F, the bidi controls, the word joiner and the byte order mark show nothing; U+3164 and
# U+2800 look like blanks and are not blanks to Unicode.
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u3164\uffa0\u2800]"
)
_FORMULA_TEXT = re.compile(r'="([^"]*)"')


def cell_text(cell: Cell) -> str:
    """The text of a cell as a clerk sees it: NFKC, nothing invisible, no blanks at the ends.

    Whole numbers come without a decimal point, dates as ``YYYY-MM-DD``. What protects digits from
    a spreadsheet (``="0123"``, a leading apostrophe) is taken off.
    """
    if isinstance(cell, str):
        text = cell
        if not text.isprintable():
            text = _CONTROL.sub("", text)
        if not text.isascii():
            text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
        text = text.strip()
        if text.startswith(("'", "=")):
            match = _FORMULA_TEXT.fullmatch(text)
            text = match[1].strip() if match else text.removeprefix("'").strip()
        return text
    if cell is None:
        return ""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell)


def has_control_characters(cell: Cell) -> bool:
    """Whether a text cell holds NUL or other control characters."""
    return isinstance(cell, str) and not cell.isprintable() and bool(_CONTROL.search(cell))


def is_null_marker(text: str) -> bool:
    """Whether a text only says that there is no value: empty, ``-``, ``无``, ``NULL`` ..."""
    return not text or text.lower() in _NULL_MARKERS


def is_spreadsheet_error(text: str) -> bool:
    """Whether a text is an error value of a spreadsheet, such as ``#REF!``."""
    return text.startswith("#") and text.strip().lower() in _ERROR_MARKERS


def plain_cell(value: object) -> Cell:
    """A workbook reader's value as a cell: what is no text, number or date becomes text."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str | int | float | date):
        return value
    if isinstance(value, time | timedelta):
        return str(value)
    return str(value)
