"""Cells and strings written as most are, read in one go; all others the scanner takes apart.

Programs write ``<c r="B7" s="1" t="s"><v>42</v></c>`` and ``<si><t>text</t></si>``, with no blank
more.  What follows takes such a piece down in one step, several times quicker than tag by tag, and
leaves alone whatever else there may be: entities, blanks at an end, escapes.  The scanner's
contract suite holds for both ways.
"""

import numpy as np

from linkage.compiled import kernel
from linkage.records.xlsx.scanned import (
    COLUMN_AT,
    MAX_COLUMNS,
    MAX_ROWS,
    NUMBER,
    ROW_AT,
    SHARED,
    START_AT,
    STOP_AT,
    STYLE_AT,
    TEXT,
    TYPE_AT,
)
from linkage.records.xlsx.scanner_notes import COLUMN_NOW, N_CELLS, N_TEXT
from linkage.types import I64, U8

OTHER = -1
"""In place of an index: the piece is written in another way."""

_MARGIN_BYTES = 96
_MAX_VALUE_BYTES = 32


def _bytes(text: str) -> U8:
    return np.frombuffer(text.encode(), dtype=np.uint8)


_CELL, _STYLE, _SHARED, _INLINE = map(_bytes, ('<c r="', ' s="', ' t="s"', ' t="inlineStr"'))
_EMPTY, _VALUE, _VALUE_END = map(_bytes, ("/>", "><v>", "</v></c>"))
_ITEM, _ITEM_END = map(_bytes, ("><is><t>", "</t></is></c>"))
_STRING, _STRING_END = map(_bytes, ("<si><t>", "</t></si>"))
_QUOTE, _LT, _AMPERSAND, _RETURN, _UNDERSCORE, _BLANK = (ord(sign) for sign in '"<&\r_ ')
_FIRST_LETTER, _LAST_LETTER, _FIRST_DIGIT, _LAST_DIGIT = (ord(sign) for sign in "AZ09")
_DOT, _PLUS, _MINUS, _E = (ord(sign) for sign in ".+-E")


@kernel
def usual_cell(xml: U8, at: int, now: I64, table: I64, text: U8) -> int:
    """Take down the cell that begins at ``at``; the index behind it, or ``OTHER``."""
    if at + _MARGIN_BYTES > len(xml):
        return OTHER
    row, column, style, i = _place(xml, at)
    if i < 0 or row < 1 or row > MAX_ROWS or column < 1 or column > MAX_COLUMNS:
        return OTHER
    kind, start, stop = NUMBER, now[N_TEXT], now[N_TEXT]
    behind = _after(xml, i, _EMPTY)
    if behind > i:
        now[COLUMN_NOW] = column
        return behind
    after_type = _after(xml, i, _SHARED)
    if after_type > i:
        kind = SHARED
        i = _after(xml, after_type, _VALUE)
        start, behind = _digits(xml, i)
        stop = start + 1
        if i == after_type or behind == i:
            return OTHER
    else:
        after_type = _after(xml, i, _INLINE)
        if after_type > i:
            kind = TEXT
            i = _after(xml, after_type, _ITEM)
            if i == after_type:
                return OTHER
            behind = _copy_text(xml, i, text, stop)
        else:
            i = _after(xml, i, _VALUE)
            behind = _copy_number(xml, i, text, stop)
        stop += behind - i
    end = _ITEM_END if kind == TEXT else _VALUE_END
    if stop <= start or behind + len(end) > len(xml):
        return OTHER
    after = _after(xml, behind, end)
    if after == behind:
        return OTHER
    if kind != SHARED:
        now[N_TEXT] = stop
    n_cells = now[N_CELLS]
    table[n_cells, ROW_AT], table[n_cells, COLUMN_AT] = row, column
    table[n_cells, TYPE_AT], table[n_cells, STYLE_AT] = kind, style
    table[n_cells, START_AT], table[n_cells, STOP_AT] = start, stop
    now[N_CELLS] += 1
    now[COLUMN_NOW] = column
    return after


@kernel
def usual_string(xml: U8, at: int, now: I64, table: I64, text: U8) -> int:
    """Take down the shared string that begins at ``at``; the index behind it, or ``OTHER``."""
    if at + _MARGIN_BYTES > len(xml):
        return OTHER
    start = _after(xml, at, _STRING)
    if start == at:
        return OTHER
    stop = _copy_text(xml, start, text, now[N_TEXT])
    if stop < 0 or stop + len(_STRING_END) > len(xml):
        return OTHER
    behind = _after(xml, stop, _STRING_END)
    if behind == stop:
        return OTHER
    table[now[N_CELLS], START_AT] = now[N_TEXT]
    now[N_TEXT] += stop - start
    table[now[N_CELLS], STOP_AT] = now[N_TEXT]
    now[N_CELLS] += 1
    return behind


@kernel
def _place(xml: U8, at: int) -> tuple[int, int, int, int]:
    """Row, column, style (-1: none), and the index behind them or ``OTHER``."""
    i = _after(xml, at, _CELL)
    if i == at:
        return 0, 0, -1, OTHER
    column = 0
    while _FIRST_LETTER <= xml[i] <= _LAST_LETTER and column < MAX_COLUMNS:
        column = column * 26 + int(xml[i]) - _FIRST_LETTER + 1
        i += 1
    row, i = _digits(xml, i)
    is_whole = xml[i] == _QUOTE
    style = -1
    after = _after(xml, i + 1, _STYLE)
    if after > i + 1:
        style, i = _digits(xml, after)
        is_whole = is_whole and i > after and xml[i] == _QUOTE
    return row, column, style, (i + 1 if is_whole else OTHER)


@kernel
def _digits(xml: U8, at: int) -> tuple[int, int]:
    """The number of up to nine digits that begins there, and the index behind it."""
    number = 0
    i = at
    while _FIRST_DIGIT <= xml[i] <= _LAST_DIGIT and i < at + 9:
        number = number * 10 + int(xml[i]) - _FIRST_DIGIT
        i += 1
    return number, i


@kernel
def _copy_number(xml: U8, at: int, text: U8, n_text: int) -> int:
    """Copy signs that numbers are written with; the index behind them."""
    i = at
    while i < at + _MAX_VALUE_BYTES and (
        _FIRST_DIGIT <= xml[i] <= _LAST_DIGIT or xml[i] in (_DOT, _PLUS, _MINUS, _E)
    ):
        text[n_text + i - at] = xml[i]
        i += 1
    return i


@kernel
def _copy_text(xml: U8, at: int, text: U8, n_text: int) -> int:
    """Copy text up to the next tag; its index, or ``OTHER`` if signs in it mean something else."""
    i = at
    while i < len(xml) and xml[i] != _LT:
        sign = xml[i]
        if sign in (_AMPERSAND, _RETURN, _UNDERSCORE):
            return OTHER
        text[n_text + i - at] = sign
        i += 1
    if i == at or i == len(xml) or xml[at] <= _BLANK or xml[i - 1] <= _BLANK:
        return OTHER
    return i


@kernel
def _after(xml: U8, at: int, expected: U8) -> int:
    """Index behind what is expected, or ``at`` if something else stands there."""
    for i in range(len(expected)):
        if xml[at + i] != expected[i]:
            return at
    return at + len(expected)
