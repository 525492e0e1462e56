"""What the cells of a sheet are: text, number, true date; as a clerk's program shows them."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from linkage.records.cells import Cell
from linkage.records.xlsx.scanned import (
    BOOLEAN,
    ISO_DATE,
    NUMBER,
    SHARED,
    START_AT,
    STOP_AT,
    STYLE_AT,
    TYPE_AT,
    Cells,
)
from linkage.records.xlsx.strings import SharedStrings
from linkage.records.xlsx.structure import DURATION, PLAIN
from linkage.types import I64, Bools

# Day 0 of the 1900 system behind its invented 29 February 1900, which is day 60, and how many days
# later the 1904 system begins (ECMA-376 18.17.4.1).
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet knows no time zones
_INVENTED_DAY = 60
_DAYS_TO_1904 = 1462
_DAY_MILLISECONDS = 86_400_000

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)


class CellValues:
    """Makes scanned cells into what they are.

    Args:
        strings: the workbook's shared strings.
        styles: for each style: ``PLAIN``, ``MOMENT`` or ``DURATION``.
        is_1904: whether days are counted from 1904 on.
    """

    def __init__(self, strings: SharedStrings, styles: Sequence[int], is_1904: bool) -> None:
        self.strings = strings
        self._styles = styles
        self._are_plain = np.array([kind == PLAIN for kind in styles] + [True])
        self._shift_days = _DAYS_TO_1904 if is_1904 else 0

    def of(self, cells: Cells) -> list[Cell]:
        """One value a cell; an empty text is ``None``.

        Raises:
            ScanError: a cell has the number of a shared string that there is not.
            UnicodeDecodeError: a text is no UTF-8.
        """
        table = cells.table
        values: list[Cell] = [None] * len(table)
        shared = np.flatnonzero(table[:, TYPE_AT] == SHARED)
        texts = self.strings.texts(table[shared, START_AT])
        for i, text in zip(shared.tolist(), texts, strict=True):
            values[i] = text or None
        others = np.flatnonzero(table[:, TYPE_AT] != SHARED)
        columns = (TYPE_AT, STYLE_AT, START_AT, STOP_AT)
        for i, (kind, style, start, stop) in zip(
            others.tolist(), table[others][:, columns].tolist(), strict=True
        ):
            values[i] = self.one(kind, style, cells.text[start:stop].decode())
        return values

    def one(self, kind: int, style: int, text: str) -> Cell:
        """The value of a cell that has no shared string."""
        if kind == NUMBER:
            return self._number(text, style)
        if kind == BOOLEAN:
            return "FALSE" if text in ("0", "false") else "TRUE"
        return _iso_date(text) if kind == ISO_DATE else text

    def are_plain(self, styles: I64) -> Bools:
        """Whether numbers with these styles are themselves."""
        n_styles = len(self._styles)
        known = (styles >= 0) & (styles < n_styles)
        found: Bools = self._are_plain[np.where(known, styles, n_styles)]
        return found

    def _number(self, text: str, style: int) -> Cell:
        if not _NUMBER.fullmatch(text):
            return text
        number = float(text)
        kind = self._styles[style] if 0 <= style < len(self._styles) else PLAIN
        return number if kind == PLAIN else self._moment(number, kind)

    def _moment(self, number: float, kind: int) -> Cell:
        """A date where the number is whole, a time of day below 1, else both; or the number."""
        try:
            if kind == DURATION:
                return str(timedelta(milliseconds=_rounded(number * _DAY_MILLISECONDS)))
            days = number + self._shift_days
            days += days < _INVENTED_DAY
            moment = _DAY_ZERO + timedelta(milliseconds=_rounded(days * _DAY_MILLISECONDS))
        except OverflowError:
            return number
        if number < 1:
            return str(moment.time())
        return moment.date() if number.is_integer() else moment


def _rounded(milliseconds: float) -> int:
    """To the nearest whole one, away from zero in the middle."""
    whole = int(abs(milliseconds) + 0.5)
    return whole if milliseconds >= 0 else -whole


def _iso_date(text: str) -> Cell:
    if not _ISO_DATE.fullmatch(text):
        return text
    try:
        return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
    except ValueError:
        return text
