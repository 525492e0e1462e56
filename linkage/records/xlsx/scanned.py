"""What a scan of a sheet's or the shared strings' XML gives (ECMA-376 part 1, 18.3 and 18.4)."""

from typing import NamedTuple

from linkage.types import I64

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
"""Of a sheet: Excel has no more."""
MAX_CELL_BYTES = 4 << 20
"""Of a cell's XML with its formats; a cell's text may have 32,767 characters."""

NUMBER, SHARED, TEXT, INLINE, BOOLEAN, ERROR, ISO_DATE = range(7)
"""Types of cells; ``INLINE`` is found to be ``TEXT`` or empty."""
TYPE_NAMES = ("n", "s", "str", "inlineStr", "b", "e", "d")
"""What XML calls them."""

ROW_AT, COLUMN_AT, TYPE_AT, STYLE_AT, START_AT, STOP_AT = range(6)
"""Columns of a table of cells."""


class Cells(NamedTuple):
    """Cells that are not empty, in the order of the file; or shared strings, empty ones as well.

    Attributes:
        table: ``(n, 6) int64``: row and column from 1, type, number of the style (below 0: none),
            start and stop of the text; a ``SHARED`` cell has its string's number as start. Of
            shared strings only start and stop count.
        text: UTF-8, if the file is right.
    """

    table: I64
    text: bytes


class ScanError(Exception):
    """The XML is none, is cut off, or says what no workbook can say."""
