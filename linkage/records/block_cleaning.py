"""Cleaning of whole columns of a text block: the usual cells at once, all others by their rule.

Each rule of ``linkage.records.cleaning`` leaves the usual cell as it is: a name of two to four
standard characters, a mobile number, a valid ID number.  Such cells are told by looking at code
points and are never made into strings.  Columns whose values repeat (dates, sexes, divisions) have
each distinct text cleaned once.  What comes out is what the rules give cell by cell; a contract
suite compares them on any text.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from linkage.columns import CodedColumn, TextColumn, code_points
from linkage.records.cells import Cell
from linkage.records.cleaning import ColumnCleaner
from linkage.records.dates import EARLIEST
from linkage.records.names import is_plain_name
from linkage.records.phones import PLACEHOLDERS
from linkage.records.resident_id import CHECK_CHARACTERS, ROUNDED, WEIGHTS
from linkage.records.text_blocks import TextBlock
from linkage.types import I32, I64, U8, U32, Bools, FieldKind

CellProblems = list[tuple[int, tuple[str, ...]]]
"""Number of a record in the block, and codes of what is wrong with its cell."""

DISTINCT_KINDS = frozenset[FieldKind]({"chinese-name", "phone", "resident-id", "identifier"})
"""Kinds of which nearly every record has another value."""

_MEMO_ENTRIES = 1 << 16
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FFF
_ZERO = 0x30


class Additions:
    """Texts that are added to a block's: cleaned values that do not stand in the file so."""

    def __init__(self, block: TextBlock) -> None:
        self._points = block.points
        self._size = len(block.points)
        self._texts: list[str] = []

    def add(self, text: str) -> tuple[int, int]:
        """Where the text will lie."""
        start = self._size
        self._size += len(text)
        self._texts.append(text)
        return start, self._size

    def points(self) -> U32:
        """Code points of the block and all additions so far."""
        if self._texts:
            self._points = np.concatenate([self._points, code_points("".join(self._texts))])
            self._texts = []
        return self._points


class DraftColumn:
    """A text column whose values may still be left out or replaced."""

    def __init__(self, starts: I64, stops: I64) -> None:
        self.starts = starts
        self.stops = stops

    def put(self, record: int, value: str | None, additions: Additions) -> None:
        """Replace a value."""
        self.starts[record], self.stops[record] = additions.add(value) if value else (0, 0)

    def finish(self, points: U32) -> TextColumn:
        """The column, over the points of the block and its additions."""
        return TextColumn(points, self.starts, self.stops)


class DistinctCleaner:
    """Cleans a column of names or numbers.

    Args:
        kind: one of :data:`DISTINCT_KINDS`.
        cleaner: the rule, cell by cell.
        today: the last day that is no future.
    """

    def __init__(self, kind: FieldKind, cleaner: ColumnCleaner, today: date) -> None:
        self._cleaner = cleaner
        self._names = _PlainNames() if kind == "chinese-name" else None
        self._days = _days_until(today) if kind == "resident-id" else None
        self._is_phone = kind == "phone"

    def clean(
        self, block: TextBlock, rows: I64, index: int, additions: Additions
    ) -> tuple[DraftColumn, CellProblems]:
        """The column of the cells at ``index`` in some rows of a block."""
        starts, stops = block.starts[rows, index], block.stops[rows, index]
        plain = self._plain(block.points, starts, stops)
        numbers = block.numbers_in(rows, index)
        plain[list(numbers)] = False
        odd = np.flatnonzero(~plain & (stops > starts)).tolist()
        column = DraftColumn(starts, stops)
        cells = [numbers.get(i, block.text[starts[i] : stops[i]]) for i in odd]
        problems: CellProblems = []
        for i, cell, (value, codes) in zip(odd, cells, self._cleaner.clean(cells), strict=True):
            if value != cell:
                column.put(i, value, additions)
            if codes:
                problems.append((i, codes))
        return column, problems

    def _plain(self, points: U32, starts: I64, stops: I64) -> Bools:
        """Cells that the rule would leave as they are."""
        if self._cleaner.translates:
            return np.zeros(len(starts), dtype=np.bool_)
        if self._names is not None:
            return self._names.are_plain(points, starts, stops)
        if self._days is not None:
            return _plain_resident_ids(points, starts, stops, self._days)
        if self._is_phone:
            return _plain_phones(points, starts, stops)
        return np.zeros(len(starts), dtype=np.bool_)


class CodedCleaner:
    """Cleans a column whose values repeat: each distinct text once."""

    def __init__(self, cleaner: ColumnCleaner) -> None:
        self.values: list[str] = []
        self._cleaner = cleaner
        self._start()

    def _start(self) -> None:
        # Columns that were given out keep the old list.
        self.values = []
        self._numbers: dict[str, int] = {}
        self._entries = _Entries(self)
        self._codes: list[int] = []
        self._problems: dict[int, tuple[str, ...]] = {}

    def clean(self, block: TextBlock, rows: I64, index: int) -> tuple[CodedColumn, CellProblems]:
        """The column of the cells at ``index`` in some rows of a block."""
        if len(self._entries) >= _MEMO_ENTRIES or len(self.values) >= _MEMO_ENTRIES:
            self._start()
        cells: list[Cell] = [*cells_of(block, rows, index)]
        for i, number in block.numbers_in(rows, index).items():
            cells[i] = number
        entries = np.fromiter(map(self._entries.__getitem__, cells), np.int64, len(cells))
        codes: I32 = np.array(self._codes, dtype=np.int32)[entries] if len(cells) else _NO_CODES
        problems: CellProblems = []
        if self._problems:
            wrong = np.isin(entries, np.fromiter(self._problems, np.int64))
            problems = [(i, self._problems[entries[i]]) for i in np.flatnonzero(wrong).tolist()]
        return CodedColumn(codes, self.values), problems

    def code_of(self, value: str | None) -> int:
        """Number of a cleaned value, -1 for ``None``."""
        if value is None:
            return -1
        code = self._numbers.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def enter(self, cell: Cell) -> int:
        """Clean a cell that was not met yet, and number it."""
        [(value, codes)] = self._cleaner.clean([cell])
        entry = len(self._codes)
        self._codes.append(self.code_of(value))
        if codes:
            self._problems[entry] = codes
        return entry


_NO_CODES: I32 = np.zeros(0, dtype=np.int32)


class _Entries(dict[Cell, int]):
    """A cell -> its number."""

    def __init__(self, cleaner: CodedCleaner) -> None:
        super().__init__()
        self._cleaner = cleaner

    def __missing__(self, cell: Cell) -> int:
        entry = self[cell] = self._cleaner.enter(cell)
        return entry


def cells_of(block: TextBlock, rows: I64, index: int) -> list[str]:
    """The cells at ``index`` in some rows."""
    text = block.text
    starts, stops = block.starts[rows, index].tolist(), block.stops[rows, index].tolist()
    return [text[start:stop] for start, stop in zip(starts, stops, strict=True)]


def letters_at(points: U32, starts: I64, width: int) -> U32:
    """``(n, width) uint32`` code points from each start on; they must all be there."""
    letters: U32 = points[starts[:, None] + np.arange(width)]
    return letters


# --- the usual cells --------------------------------------------------------------------------


class _PlainNames:
    """Tells names of two to four characters that cleaning leaves as they are."""

    def __init__(self) -> None:
        # 0: not asked yet, 1: plain, 2: not.
        self._known: U8 = np.zeros(_LAST_HAN - _FIRST_HAN + 1, dtype=np.uint8)

    def are_plain(self, points: U32, starts: I64, stops: I64) -> Bools:
        lengths = stops - starts
        plain: Bools = (lengths >= 2) & (lengths <= 4)
        at = np.flatnonzero(plain)
        if not len(at):
            return plain
        # Positions behind the end repeat the first character.
        offsets = np.where(np.arange(4) < lengths[at][:, None], np.arange(4), 0)
        letters = points[starts[at][:, None] + offsets]
        is_han = (letters >= _FIRST_HAN) & (letters <= _LAST_HAN)
        index = np.where(is_han, letters - np.uint32(_FIRST_HAN), 0)
        self._learn(index[self._known[index] == 0])
        plain[at] = (is_han & (self._known[index] == 1)).all(axis=1)
        return plain

    def _learn(self, indexes: U32) -> None:
        for index in np.unique(indexes).tolist():
            # Whether a name is plain depends on each character by itself.
            self._known[index] = 1 if is_plain_name(2 * chr(index + _FIRST_HAN)) else 2


def _plain_phones(points: U32, starts: I64, stops: I64) -> Bools:
    plain: Bools = stops - starts == 11
    at = np.flatnonzero(plain)
    digits = letters_at(points, starts[at], 11).astype(np.int64) - _ZERO
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    good &= (digits[:, 0] == 1) & (digits[:, 1] >= 3)
    good &= (digits[:, 5:] != digits[:, 4:5]).any(axis=1)
    numbers = digits @ (10 ** np.arange(10, -1, -1))
    plain[at] = good & ~np.isin(numbers, _PLACEHOLDER_NUMBERS)
    return plain


_PLACEHOLDER_NUMBERS = np.array([int(text) for text in PLACEHOLDERS], dtype=np.int64)
_WEIGHTS = np.array(WEIGHTS, dtype=np.int64)
_CHECK = np.frombuffer(CHECK_CHARACTERS.encode("ascii"), dtype=np.uint8)
_EPOCH = EARLIEST.year * 10_000


def _days_until(today: date) -> Bools:
    """Whether ``yyyymmdd - 19000000`` is a day from 1900 to today."""
    n_days = (today - EARLIEST).days + 1
    days = [EARLIEST + timedelta(n) for n in range(max(n_days, 0))]
    numbers = [day.year * 10_000 + day.month * 100 + day.day - _EPOCH for day in days]
    table = np.zeros(max(numbers, default=0) + 1, dtype=np.bool_)
    table[numbers] = True
    return table


def _plain_resident_ids(points: U32, starts: I64, stops: I64, days: Bools) -> Bools:
    plain: Bools = stops - starts == 18
    at = np.flatnonzero(plain)
    letters = letters_at(points, starts[at], 18).astype(np.int64)
    digits = letters[:, :17] - _ZERO
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    digits[~good] = 0
    good &= _CHECK[(digits @ _WEIGHTS) % 11] == letters[:, 17]
    good &= (letters[:, -len(ROUNDED) :] != _ZERO).any(axis=1)
    day = digits[:, 6:14] @ (10 ** np.arange(7, -1, -1)) - _EPOCH
    inside = (day >= 0) & (day < len(days))
    good &= inside & days[np.where(inside, day, 0)]
    plain[at] = good
    return plain


def number_of(letters: U32) -> I64:
    """``(n,) int64`` numbers that rows of digits, given as code points, write."""
    digits = letters.astype(np.int64) - _ZERO
    number: I64 = digits @ (10 ** np.arange(letters.shape[1] - 1, -1, -1))
    return number


def codes_in(values: Sequence[str], meanings: dict[str, int], codes: I32) -> I64:
    """A number for each code: that of its value, 0 where it is missing or means nothing."""
    table = np.array([*(meanings.get(value, 0) for value in values), 0], dtype=np.int64)
    found: I64 = table[codes]
    return found
