"""The cells of a sheet, and a workbook's shared strings, scanned from XML block by block.

A scan goes once over the bytes of ``sheet1.xml`` or ``sharedStrings.xml`` (ECMA-376 part 1, 18.3
and 18.4) and tells where each cell stands, of which type and style it is, and its text: entities
resolved, rich text joined, phonetic runs left out.  Nothing of a document is held but the cell that
is being read.  It is compiled, because a register of a million records has fifty million tags.

Elements that say nothing about a cell's value are passed over with all that they hold; prefixes of
names are not resolved.
"""

from collections.abc import Iterator

import numpy as np

from linkage.compiled import kernel
from linkage.records.xlsx.markup import (
    BAD,
    CDATA,
    CDATA_HEAD,
    CDATA_TAIL,
    EMPTY,
    END,
    START,
    copy_cdata,
    copy_characters,
    element_key,
    key_of,
    next_markup,
    next_tag,
)
from linkage.records.xlsx.scanned import INLINE, MAX_CELL_BYTES, TYPE_AT, Cells, ScanError
from linkage.records.xlsx.scanner_notes import (
    CELL,
    DEPTH,
    HAS_BEGUN,
    IN_RUN,
    IS_OVER,
    ITEM,
    N_CELLS,
    N_OF_CELL,
    N_REMEMBERED,
    N_TEXT,
    OUTSIDE,
    ROW,
    RUN,
    SHEET,
    SKIPPED,
    STATE,
    STRING,
    VALUE,
    begin,
    finish,
)
from linkage.records.xlsx.usual_cells import OTHER, usual_cell, usual_string
from linkage.types import I64, U8

_LEAST_CELL_BYTES = len("<si/>")
_SHEET_DATA, _SI, _ROW, _C, _V, _IS, _R, _T = (
    key_of(name) for name in ("sheetData", "si", "row", "c", "v", "is", "r", "t")
)


def scan(blocks: Iterator[bytes], *, is_sheet: bool) -> Iterator[Cells]:
    """Cells of a sheet, or shared strings, from blocks of XML in UTF-8; all blocks are asked for.

    Raises:
        ScanError: while iterating.
    """
    memory = np.zeros(N_REMEMBERED, dtype=np.int64)
    rest, table, text = b"", np.empty((0, 6), np.int64), np.empty(0, np.uint8)
    for block in blocks:
        if memory[IS_OVER]:
            continue  # behind the rows: taken only so that the archive can check its sum
        rest += block
        xml = np.frombuffer(rest, dtype=np.uint8)
        if len(text) < len(rest):  # else the same memory does for this block
            table = np.empty((len(rest) // _LEAST_CELL_BYTES + 1, 6), dtype=np.int64)
            text = np.empty(len(rest), dtype=np.uint8)
        used = scan_block(xml, memory, is_sheet, table, text)
        rest = rest[used:]
        if used < 0 or len(rest) > MAX_CELL_BYTES:
            raise ScanError
        if memory[N_CELLS]:
            yield Cells(table[: memory[N_CELLS]].copy(), text[: memory[N_TEXT]].tobytes())
    if not memory[IS_OVER] and (rest or memory[DEPTH] or not memory[HAS_BEGUN]):
        raise ScanError


@kernel
def scan_block(xml: U8, memory: I64, is_sheet: bool, table: I64, text: U8) -> int:
    """Scan all of a block that is whole.

    Args:
        xml: ``(n,) uint8``.
        memory: ``(9,) int64``, begins with zeros and is kept for the next block; tells the numbers
            of cells and of bytes of text.
        is_sheet: or shared strings.
        table: ``(n // 5 + 1, 6) int64``, written, as :class:`Cells` has it.
        text: ``(n,) uint8``, written.

    Returns:
        Number of bytes used: the others belong to a cell that does not end here.  ``BAD`` if the
        XML is bad.
    """
    now, cell = memory.copy(), np.zeros(N_OF_CELL, dtype=np.int64)
    now[N_CELLS] = now[N_TEXT] = 0
    i = used = 0
    while not now[IS_OVER]:
        at = next_tag(xml, i)
        if now[STATE] <= ROW:
            behind = _take_usual(xml, at, is_sheet, now, table, text)
            if behind >= 0:
                i = behind
                continue
            used = at
            memory[:] = now
        kind, behind = next_markup(xml, at)
        if behind < 0:
            return BAD if behind == BAD else used
        if not now[SKIPPED] and now[STATE] in (VALUE, STRING):
            now[N_TEXT] = copy_characters(xml, i, at, text, now[N_TEXT])
            if kind == CDATA and now[N_TEXT] >= 0:
                start, stop = at + CDATA_HEAD, behind - CDATA_TAIL
                now[N_TEXT] = copy_cdata(xml, start, stop, text, now[N_TEXT])
        if kind in (START, EMPTY):
            _take_start(xml, at, behind, is_sheet, now, cell)
        if kind in (END, EMPTY):
            name = element_key(xml, at + 2, behind) if kind == END else -1
            _take_end(name, is_sheet, now, cell, table, text)
        if now[N_TEXT] < 0 or now[DEPTH] < 0:
            return BAD
        i = behind
    memory[:] = now
    return i


@kernel
def _take_usual(xml: U8, at: int, is_sheet: bool, now: I64, table: I64, text: U8) -> int:
    if now[SKIPPED]:
        return OTHER
    if now[STATE] == ROW:
        return usual_cell(xml, at, now, table, text)
    if now[STATE] == OUTSIDE and not is_sheet:
        return usual_string(xml, at, now, table, text)
    return OTHER


@kernel
def _take_start(xml: U8, at: int, behind: int, is_sheet: bool, now: I64, cell: I64) -> None:
    now[HAS_BEGUN] = 1
    now[DEPTH] += 1
    entered = -1
    if not now[SKIPPED]:
        entered = _entered(now[STATE], is_sheet, cell, element_key(xml, at + 1, behind))
    if entered < 0:
        now[SKIPPED] += 1
        return
    begin(xml, at, behind, entered, now, cell)
    now[STATE] = entered


@kernel
def _take_end(name: int, is_sheet: bool, now: I64, cell: I64, table: I64, text: U8) -> None:
    """``name`` is -1 where the start tag is the end as well."""
    now[DEPTH] -= 1
    state = now[STATE]
    if now[SKIPPED]:
        now[SKIPPED] -= 1
    elif state != OUTSIDE and now[N_TEXT] >= 0:
        if name not in (-1, _name_of(state, is_sheet)):
            now[N_TEXT] = BAD
            return
        finish(state, is_sheet, now, cell, table, text)
        now[STATE] = _left(state, is_sheet, cell)


@kernel
def _entered(state: int, is_sheet: bool, cell: I64, name: int) -> int:
    """Where a start tag leads to; -1 to nowhere that counts."""
    if state == OUTSIDE:
        if is_sheet:
            return SHEET if name == _SHEET_DATA else OUTSIDE
        return ITEM if name == _SI else OUTSIDE
    if state == SHEET and name == _ROW:
        return ROW
    if state == ROW and name == _C:
        return CELL
    if state == CELL:
        if name == _V and cell[TYPE_AT] != INLINE:
            return VALUE
        if name == _IS:
            return ITEM
    if state == ITEM and name == _R:
        return RUN
    if state in (ITEM, RUN) and name == _T:
        return STRING
    return -1


@kernel
def _left(state: int, is_sheet: bool, cell: I64) -> int:
    """Where an end tag leads to."""
    if state == STRING:
        return RUN if cell[IN_RUN] else ITEM
    if state == RUN:
        return ITEM
    if state == VALUE or (state == ITEM and is_sheet):
        return CELL
    if state == CELL:
        return ROW
    return SHEET if state == ROW else OUTSIDE


@kernel
def _name_of(state: int, is_sheet: bool) -> int:
    if state == SHEET:
        return _SHEET_DATA
    if state == ROW:
        return _ROW
    if state == CELL:
        return _C
    if state == VALUE:
        return _V
    if state == ITEM:
        return _IS if is_sheet else _SI
    return _R if state == RUN else _T
