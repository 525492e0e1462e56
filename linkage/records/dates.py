"""Dates, in all the ways in which registers write them, as ``YYYY-MM-DD``."""

import re
from datetime import date, datetime, timedelta

from linkage.records.cells import MISSING, Cell, Cleaned, cell_text, is_null_marker

EARLIEST = date(1900, 1, 1)
ADULT_AGE_YEARS = 18

# Day 0 of Excel's 1900 system, for days after its invented 29 February 1900 (ECMA-376 18.17.4.1).
_SERIAL_ZERO = date(1899, 12, 30)
# 1954-10-03 to 2119-06-19: five digits that are no other way to write a date.
_SERIAL_RANGE = range(20_000, 80_000)

_TIME = r"(?:[T ]\s*\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?\s*(?:Z|AM|PM|[+-]\d\d:?\d\d)?)?"
_SEPARATED = re.compile(rf"(\d{{4}})\s*[-/.]\s*(\d{{1,2}})\s*[-/.]\s*(\d{{1,2}}){_TIME}", re.I)
_CHINESE = re.compile(rf"(\d{{4}})\s*年\s*(\d{{1,2}})\s*月\s*(\d{{1,2}})\s*[日号]?{_TIME}", re.I)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[T ]?\d{2}:?\d{2}:?\d{2})?")
_INCOMPLETE = re.compile(r"\d{4}\s*(?:年|[-/.]?\s*\d{1,2}\s*月?|年\s*\d{1,2}\s*月?)?")
_LUNAR = re.compile("农历|阴历|旧历|正月|冬月|腊月|闰|初[一二三四五六七八九十]|廿")
_DASHES = str.maketrans("‐‑‒–—―−~", "--------")
_DIGITS = {digit: str(value % 10) for value, digit in enumerate("〇一二三四五六七八九")} | {
    "零": "0",
    "○": "0",
    "元": "1",
}
_CHINESE_NUMERALS = re.compile(
    r"([〇零○一二三四五六七八九]{4})年([元一二三四五六七八九十]{1,3})月([一二三四五六七八九十廿]{1,3})[日号]?"
)
_PLACEHOLDERS = frozenset(
    {"1900-01-01", "1899-12-30", "1899-12-31", "1900-01-00", "0000-00-00", "0001-01-01"}
)


def clean_date(cell: Cell, today: date) -> Cleaned:
    """A date from 1900 to ``today`` as ``YYYY-MM-DD``.

    Understands ``2015-03-07``, ``2015/3/7``, ``2015.3.7``, ``20150307``, ``2015年3月7日``,
    ``二〇一五年三月七日``, each with or without a time, true date cells, and Excel's serial numbers
    (five digits). Day-month orders are refused: which comes first cannot be known.
    """
    if isinstance(cell, datetime):
        return _judge(cell.year, cell.month, cell.day, today)
    if isinstance(cell, date):
        return _judge(cell.year, cell.month, cell.day, today)
    if isinstance(cell, float) and not cell.is_integer():
        cell = int(cell) if 0 < cell < 1e6 else cell  # a serial number with a time of day
    text = cell_text(cell).translate(_DASHES)
    if is_null_marker(text) or text == "0":
        return MISSING
    if text.isascii() and text.isdigit() and len(text) == 5 and int(text) in _SERIAL_RANGE:
        day = _SERIAL_ZERO + timedelta(days=int(text))
        return _judge(day.year, day.month, day.day, today)
    match = _COMPACT.fullmatch(text) or _SEPARATED.fullmatch(text) or _CHINESE.fullmatch(text)
    if match:
        return _judge(int(match[1]), int(match[2]), int(match[3]), today)
    return _clean_unusual(text, today)


def _clean_unusual(text: str, today: date) -> Cleaned:
    if _LUNAR.search(text):
        return None, ("date-of-lunar-calendar",)
    if "*" in text:
        return None, ("masked-value",)
    match = _CHINESE_NUMERALS.fullmatch(text)
    if match:
        year = int("".join(_DIGITS[digit] for digit in match[1]))
        return _judge(year, _chinese_number(match[2]), _chinese_number(match[3]), today)
    if _INCOMPLETE.fullmatch(text):
        return None, ("date-incomplete",)
    return None, ("date-not-understood",)


def _judge(year: int, month: int, day: int, today: date) -> Cleaned:
    written = f"{year:04d}-{month:02d}-{day:02d}"
    if written in _PLACEHOLDERS:
        return None, ("placeholder-date",)
    try:
        value = date(year, month, day)
    except ValueError:
        return None, ("date-impossible",)
    if value > today:
        return None, ("date-in-future",)
    if value < EARLIEST:
        return None, ("date-impossible",)
    return written, ()


def _chinese_number(text: str) -> int:
    """1 to 39, as months and days are written: 三, 十, 十二, 二十, 二十一, 廿一."""
    text = text.replace("廿", "二十")
    if "十" not in text:
        return int("".join(_DIGITS[digit] for digit in text))
    tens, _, ones = text.partition("十")
    if any(part not in _DIGITS for part in (tens, ones) if part):
        return 0
    return int(_DIGITS.get(tens, "1")) * 10 + int(_DIGITS.get(ones, "0"))


def adult_cutoff(today: date) -> str:
    """The latest birth date, ``YYYY-MM-DD``, of those who are adults on ``today``.

    A person comes of age at the start of the eighteenth birthday (Civil Code of China, article
    17); who is born on 29 February does so on 1 March of a common year.
    """
    year = today.year - ADULT_AGE_YEARS
    return f"{year:04d}-{today.month:02d}-{today.day:02d}"
