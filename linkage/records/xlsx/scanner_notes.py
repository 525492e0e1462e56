"""What a scan takes down at the tags of a sheet or of shared strings."""

from linkage.compiled import kernel
from linkage.records.xlsx.markup import (
    BAD,
    behind_name,
    key_of,
    name_key,
    next_attribute,
    parse_digits,
    put_code_point,
)
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
    TYPE_NAMES,
)
from linkage.types import I64, U8

OUTSIDE, SHEET, ROW, CELL, VALUE, ITEM, RUN, STRING = range(8)
"""Where a scan is; as far as ``ROW`` it can stop, and go on with the next block."""

N_REMEMBERED = 9
STATE, DEPTH, SKIPPED, HAS_BEGUN, IS_OVER, ROW_NOW, COLUMN_NOW, N_CELLS, N_TEXT = range(
    N_REMEMBERED
)
"""What a scan knows at each place: rows and columns from 0; ``N_TEXT`` below 0 is an error."""

N_OF_CELL = 10
IS_INLINE, IN_RUN, _KEEPS_BLANKS, _STRING_START = range(6, N_OF_CELL)
"""What it knows of the cell that it is in, behind the columns of the table."""

_R, _S, _T, _SPACE, _PRESERVE = (key_of(n) for n in ("r", "s", "t", "xml:space", "preserve"))
_TYPE_KEYS = tuple(key_of(name) for name in TYPE_NAMES)
_UNDERSCORE, _ZERO, _X = ord("_"), ord("0"), ord("x")
_UPPER, _BEFORE_A = 0xDF, ord("A") - 1
_ESCAPE_BYTES = len("_x000D_")


@kernel
def begin(xml: U8, at: int, behind: int, entered: int, now: I64, cell: I64) -> None:
    """Take down what the start tag of something says."""
    is_good = True
    if entered == ROW:
        is_good = _begin_row(xml, at, behind, now)
    elif entered == CELL:
        cell[START_AT] = now[N_TEXT]
        is_good = _begin_cell(xml, at, behind, now, cell)
    elif entered == VALUE:
        now[N_TEXT] = cell[START_AT]  # the last value counts
        cell[IS_INLINE] = 0
    elif entered == ITEM:
        if now[STATE] == OUTSIDE:
            cell[START_AT] = now[N_TEXT]
        now[N_TEXT] = cell[START_AT]
        cell[IS_INLINE], cell[IN_RUN] = 1, 0
    elif entered == RUN:
        cell[IN_RUN] = 1
    elif entered == STRING:
        cell[_STRING_START] = now[N_TEXT]
        is_good = _begin_string(xml, at, behind, cell)
    if not is_good:
        now[N_TEXT] = BAD


@kernel
def _begin_row(xml: U8, at: int, behind: int, now: I64) -> bool:
    now[COLUMN_NOW] = 0
    i = behind_name(xml, at)
    while i < behind:
        key, start, stop, i = next_attribute(xml, i, behind)
        if key == BAD:
            return False
        if key == _R:
            now[ROW_NOW] = parse_digits(xml, start, stop, 10) - 1
    return bool(0 <= now[ROW_NOW] < MAX_ROWS)


@kernel
def _begin_cell(xml: U8, at: int, behind: int, now: I64, cell: I64) -> bool:
    cell[ROW_AT], cell[TYPE_AT], cell[STYLE_AT] = now[ROW_NOW], NUMBER, -1
    cell[IS_INLINE] = 0
    i = behind_name(xml, at)
    while i < behind:
        key, start, stop, i = next_attribute(xml, i, behind)
        if key == BAD:
            return False
        if key == _R:
            column = 0
            while start < stop and column < MAX_COLUMNS and _is_letter(xml[start]):
                column = column * 26 + (int(xml[start]) & _UPPER) - _BEFORE_A
                start += 1
            now[COLUMN_NOW] = column - 1
            cell[ROW_AT] = parse_digits(xml, start, stop, 10) - 1
        elif key == _S:
            cell[STYLE_AT] = parse_digits(xml, start, stop, 10)
        elif key == _T:
            cell[TYPE_AT] = _type_of(name_key(xml, start, stop))
    cell[COLUMN_AT] = now[COLUMN_NOW]
    has_place = 0 <= cell[ROW_AT] < MAX_ROWS and 0 <= cell[COLUMN_AT] < MAX_COLUMNS
    return bool(has_place and cell[TYPE_AT] >= 0)


@kernel
def _is_letter(sign: int) -> bool:
    return 0 < (int(sign) & _UPPER) - _BEFORE_A <= 26


@kernel
def _type_of(name: int) -> int:
    for number in range(len(_TYPE_KEYS)):
        if name == _TYPE_KEYS[number]:
            return number
    return BAD


@kernel
def _begin_string(xml: U8, at: int, behind: int, cell: I64) -> bool:
    cell[_KEEPS_BLANKS] = 0
    i = behind_name(xml, at)
    while i < behind:
        key, start, stop, i = next_attribute(xml, i, behind)
        if key == BAD:
            return False
        if key == _SPACE:
            cell[_KEEPS_BLANKS] = name_key(xml, start, stop) == _PRESERVE
    return True


# --- what is known at an end ------------------------------------------------------------------


@kernel
def finish(state: int, is_sheet: bool, now: I64, cell: I64, table: I64, text: U8) -> None:
    """Take down what is known at the end of something."""
    if state == STRING:
        if not cell[_KEEPS_BLANKS]:
            now[N_TEXT] = _trim(text, cell[_STRING_START], now[N_TEXT])
        now[N_TEXT] = _unescape(text, cell[_STRING_START], now[N_TEXT])
    elif state == RUN:
        cell[IN_RUN] = 0
    elif state == VALUE:
        if cell[TYPE_AT] == TEXT:
            now[N_TEXT] = _unescape(text, cell[START_AT], now[N_TEXT])
        else:
            now[N_TEXT] = _trim(text, cell[START_AT], now[N_TEXT])
    elif state == ROW:
        now[ROW_NOW] += 1
    elif state == SHEET:
        now[IS_OVER] = 1
    elif state == CELL:
        now[COLUMN_NOW] += 1
        if now[N_TEXT] > cell[START_AT]:
            _put_cell(now, cell, table, text)
    elif state == ITEM and not is_sheet:
        table[now[N_CELLS], START_AT] = cell[START_AT]
        table[now[N_CELLS], STOP_AT] = now[N_TEXT]
        now[N_CELLS] += 1


@kernel
def _put_cell(now: I64, cell: I64, table: I64, text: U8) -> None:
    start, stop, kind = cell[START_AT], now[N_TEXT], cell[TYPE_AT]
    if cell[IS_INLINE]:
        kind = TEXT
    elif kind == SHARED:
        now[N_TEXT] = start  # a number is no text
        start = parse_digits(text, start, stop, 10)
        stop = start + 1
        if start < 0:
            now[N_TEXT] = BAD
    row = table[now[N_CELLS]]
    row[ROW_AT], row[COLUMN_AT] = cell[ROW_AT] + 1, cell[COLUMN_AT] + 1
    row[TYPE_AT], row[STYLE_AT] = kind, cell[STYLE_AT]
    row[START_AT], row[STOP_AT] = start, stop
    now[N_CELLS] += 1


@kernel
def _trim(text: U8, start: int, stop: int) -> int:
    """Take blanks off both ends of the text's last part; the number of bytes of text now."""
    first = start
    while first < stop and _is_blank(text[first]):
        first += 1
    while stop > first and _is_blank(text[stop - 1]):
        stop -= 1
    if first > start:
        for i in range(first, stop):
            text[start + i - first] = text[i]
    return start + stop - first


@kernel
def _is_blank(sign: int) -> bool:
    return sign in (32, 9, 10, 13)


@kernel
def _unescape(text: U8, start: int, stop: int) -> int:
    """Resolve ``_x000D_`` (ECMA-376 22.9.2.19) in the last part; the bytes of text now."""
    n_text = start
    i = start
    while i < stop:
        if text[i] == _UNDERSCORE and stop - i >= _ESCAPE_BYTES:
            point = BAD
            if (
                text[i + 1] == _X
                and text[i + 2] == _ZERO
                and text[i + 3] == _ZERO
                and text[i + 6] == _UNDERSCORE
            ):
                point = parse_digits(text, i + 4, i + 6, 16)
            if point >= 0:
                n_text = put_code_point(text, n_text, point)
                i += _ESCAPE_BYTES
                continue
        text[n_text] = text[i]
        n_text += 1
        i += 1
    return n_text
