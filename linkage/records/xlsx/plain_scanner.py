"""The scan of ``scanner``, by the standard library's parser of XML.

It is the reference for the compiled one, and quicker for a workbook of some thousand rows: those
are read before compiled code is loaded.
"""

import re
from collections.abc import Iterator, Mapping
from xml.parsers import expat

import numpy as np

from linkage.records.xlsx.scanned import (
    INLINE,
    MAX_CELL_BYTES,
    MAX_COLUMNS,
    MAX_ROWS,
    SHARED,
    TEXT,
    TYPE_NAMES,
    Cells,
    ScanError,
)

_INSIDE: Mapping[str, tuple[str, ...]] = {
    "sheetData": ("row",),
    "row": ("c",),
    "c": ("v", "is"),
    "is": ("r", "t"),
    "si": ("r", "t"),
    "r": ("t",),
}
_BLANKS = " \t\r\n"
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,10})", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)
_ESCAPE = re.compile(r"_x00([0-9A-F]{2})_", re.ASCII | re.IGNORECASE)


def plain_scan(blocks: Iterator[bytes], *, is_sheet: bool) -> Iterator[Cells]:
    """Cells of a sheet, or shared strings, from blocks of XML in UTF-8; all blocks are asked for.

    Raises:
        ScanError: while iterating.
    """
    reading = _Reading("sheetData" if is_sheet else "si")
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reading.begin
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.add
    parser.StartDoctypeDeclHandler = _refuse
    try:
        for block in blocks:
            if not reading.is_over:
                parser.Parse(block)
                yield from reading.taken()
        if not reading.is_over:
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ScanError from error


def _refuse(*_: object) -> None:
    raise ScanError


class _Reading:
    """Where a parser is, and what it has found."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._path: list[str] = []
        self._skipped = 0
        self._row = self._column = 0  # from 0
        self._cell = (0, 0, 0, -1)
        self._is_inline = self._keeps_blanks = False
        self._value = self._string = ""
        self._table: list[tuple[int, int, int, int, int, int]] = []
        self._text = bytearray()
        self.is_over = False

    def taken(self) -> Iterator[Cells]:
        """What was found since the last call."""
        if self._table:
            yield Cells(np.array(self._table, dtype=np.int64), bytes(self._text))
            self._table, self._text = [], bytearray()

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(":")[2]
        if self.is_over or (not self._path and local != self._root):
            return
        inside = _INSIDE.get(self._path[-1], ()) if self._path else (self._root,)
        if self._skipped or local not in inside or (local == "v" and self._cell[2] == INLINE):
            self._skipped += 1
            return
        self._path.append(local)
        if local == "row":
            self._begin_row(attributes)
        elif local == "c":
            self._begin_cell(attributes)
        elif local in ("v", "t"):
            self._string = ""
            self._keeps_blanks = attributes.get("xml:space") == "preserve"
        elif local in ("is", "si"):
            self._value, self._is_inline = "", True

    def add(self, text: str) -> None:
        if self._path and self._path[-1] in ("v", "t") and not self._skipped:
            self._string += text
            if len(self._value) + len(self._string) > MAX_CELL_BYTES:
                raise ScanError

    def end(self, name: str) -> None:
        if self.is_over or not self._path:
            return
        if self._skipped:
            self._skipped -= 1
            return
        local = self._path.pop()
        if local == "t":
            string = self._string if self._keeps_blanks else self._string.strip(_BLANKS)
            self._value += _unescaped(string)
        elif local == "v":
            is_text = self._cell[2] == TEXT
            self._value = _unescaped(self._string) if is_text else self._string.strip(_BLANKS)
        elif local == "si":
            self._put(0, 0, TEXT, -1)
        elif local == "c":
            self._column += 1
            if self._value:
                self._put(*self._cell)
        elif local == "row":
            self._row += 1
        self.is_over = local == "sheetData"

    def _begin_row(self, attributes: Mapping[str, str]) -> None:
        self._column = 0
        self._row = _number(attributes["r"]) - 1 if "r" in attributes else self._row
        if not 0 <= self._row < MAX_ROWS:
            raise ScanError

    def _begin_cell(self, attributes: Mapping[str, str]) -> None:
        row = self._row
        if "r" in attributes:
            match = _REFERENCE.fullmatch(attributes["r"])
            if match is None:
                raise ScanError
            self._column, row = _column_number(match[1]) - 1, int(match[2]) - 1
        kind = attributes.get("t", "n")
        if kind not in TYPE_NAMES or not (0 <= row < MAX_ROWS and self._column < MAX_COLUMNS):
            raise ScanError
        style = attributes.get("s", "")
        self._cell = (
            row + 1,
            self._column + 1,
            TYPE_NAMES.index(kind),
            int(style) if _DIGITS.fullmatch(style) else -1,
        )
        self._value, self._is_inline = "", False

    def _put(self, row: int, column: int, kind: int, style: int) -> None:
        if kind == SHARED and not self._is_inline:
            start = _number(self._value)
            stop = start + 1
        else:
            kind = TEXT if self._is_inline else kind
            start = len(self._text)
            self._text += self._value.encode()
            stop = len(self._text)
        self._table.append((row, column, kind, style, start, stop))


def _unescaped(text: str) -> str:
    """``_x000D_`` and the like (ECMA-376 22.9.2.19) as the signs that they stand for."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _number(digits: str) -> int:
    if not _DIGITS.fullmatch(digits):
        raise ScanError
    return int(digits)


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number
