"""Rows of a delimited text file in blocks: the text of many rows, and where each cell lies in it.

What the rows and cells are is said by :func:`linkage.records.text_files.read_text_rows`.  Most rows
of most files have no quotation marks and as many cells as headings; those are cut at their
separators, all at once.  Every other row goes through the csv module, and a test compares both ways
on any text.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from linkage.columns import code_points
from linkage.errors import RecordsError
from linkage.records.text_files import (
    MAX_LINE_CHARACTERS,
    TEXT_ENCODINGS,
    invalid_text_error,
    unpaired_quotes_error,
)
from linkage.records.xlsx import OnRead
from linkage.types import I64, U32, Bools

_CHUNK_CHARACTERS = 1 << 18
_MAX_BLOCK_CHARACTERS = 1 << 23
_LINE_FEED, _RETURN, _QUOTE = 10, 13, 34


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Consecutive rows of a file, blank ones included.

    Attributes:
        text: holds all cells, in any order.
        points: ``(p,) uint32``, its code points.
        starts, stops: ``(n, width) int64``, where each cell lies in it; cells that a row lacks, and
            those of rows in ``others``, are empty.
        others: number of each row (from 0) that has another number of cells -> its cells.
        numbers: row and column (from 0) of each cell of a workbook that is a number which cleaning
            does not take as it takes its text -> the number.
    """

    text: str
    points: U32
    starts: I64
    stops: I64
    others: dict[int, list[str]]
    numbers: Mapping[tuple[int, int], float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    def numbers_in(self, rows: I64, index: int) -> dict[int, float]:
        """Which of the cells at ``index`` in some rows are such numbers, and what they are."""
        if not self.numbers:
            return {}
        found = ((i, self.numbers.get((row, index))) for i, row in enumerate(rows.tolist()))
        return {i: number for i, number in found if number is not None}


class TextBlocks:
    """Reads a text file in blocks; blocks are at most as long as asked for.

    Args:
        encoding, delimiter: as ``read_text_rows`` takes them.
        width: cells that a row should have.
        skip_rows: rows at the beginning that are left out.
        on_read: is told how many bytes of the file were read, and how many there are.
    """

    def __init__(
        self,
        path: Path,
        encoding: str,
        delimiter: str,
        width: int,
        skip_rows: int,
        on_read: OnRead | None = None,
    ) -> None:
        self._path = path
        self._codec = TEXT_ENCODINGS[encoding]
        self._delimiter = delimiter
        self._width = width
        self.skip_rows = skip_rows
        self._rest = ""
        self._lines_read = 0
        self._is_plain = True
        self._on_read = on_read

    def read(self, block_rows: int) -> Iterator[TextBlock]:
        """All rows in blocks.

        Raises:
            RecordsError: as ``read_text_rows``, or the file cannot be read.
        """
        try:
            yield from self._read(block_rows)
        except OSError as error:
            raise RecordsError(
                f"The file cannot be read: {error.strerror}.", code="unreadable-file"
            ) from error

    def _read(self, block_rows: int) -> Iterator[TextBlock]:
        with (
            self._path.open("rb") as raw,
            io.TextIOWrapper(raw, encoding=self._codec, errors="strict", newline="") as file,
        ):
            try:
                list(self._rows_by_csv(file, self.skip_rows))
                n_bytes = self._path.stat().st_size
                while True:
                    block = self._plain_block(file, block_rows) if self._is_plain else None
                    if block is None:
                        block = self._block_of(list(self._rows_by_csv(file, block_rows)))
                    if not len(block):
                        return
                    n_read = min(raw.tell(), n_bytes)
                    yield block
                    if self._on_read is not None:
                        self._on_read(n_read, n_bytes)
            except UnicodeError as error:
                raise invalid_text_error(self._lines_read) from error

    # --- by the csv module --------------------------------------------------------------------

    def _rows_by_csv(self, file: TextIO, n_rows: int) -> Iterator[list[str]]:
        """The next rows, and not a line more."""
        held = io.StringIO(self._rest, newline="")
        self._rest = ""

        def lines() -> Iterator[str]:
            while line := held.readline(MAX_LINE_CHARACTERS):
                if line[-1] not in "\r\n" and len(line) < MAX_LINE_CHARACTERS:
                    line += file.readline(MAX_LINE_CHARACTERS - len(line))
                yield line
            while line := file.readline(MAX_LINE_CHARACTERS):
                yield line

        reader = csv.reader(lines(), delimiter=self._delimiter, quotechar='"', strict=True)
        try:
            for _ in range(n_rows):
                row = next(reader, None)
                if row is None:
                    break
                yield row
        except csv.Error as error:
            raise unpaired_quotes_error(self._lines_read + reader.line_num) from error
        finally:
            self._lines_read += reader.line_num
            self._rest = held.read()

    def _block_of(self, rows: Sequence[list[str]]) -> TextBlock:
        width = self._width
        regular = [row if len(row) == width else [""] * width for row in rows]
        cells = [cell for row in regular for cell in row]
        lengths = np.fromiter(map(len, cells), np.int64, len(cells))
        stops = np.cumsum(lengths)
        text = "".join(cells)
        return TextBlock(
            text=text,
            points=code_points(text),
            starts=(stops - lengths).reshape(len(rows), width),
            stops=stops.reshape(len(rows), width),
            others={i: row for i, row in enumerate(rows) if len(row) != width},
        )

    # --- all at once --------------------------------------------------------------------------

    def _plain_block(self, file: TextIO, block_rows: int) -> TextBlock | None:
        """The next block, or ``None`` where its rows must be read by the csv module."""
        n_lines = self._rest.count("\n")
        parts, size = [self._rest], len(self._rest)
        while n_lines < block_rows and size < _MAX_BLOCK_CHARACTERS:
            chunk = file.read(_CHUNK_CHARACTERS)
            # A return is no line's end before it is known that no line feed follows.
            while chunk.endswith("\r") and (following := file.read(1)):
                chunk += following
            if not chunk:
                break
            parts.append(chunk)
            n_lines += chunk.count("\n")
            size += len(chunk)
            if "\r" in chunk and chunk.count("\r") != chunk.count("\r\n"):
                self._is_plain = False  # lines that end with a return alone
                break
        self._rest = "".join(parts)
        if not self._is_plain:
            return None
        at_end = n_lines < block_rows and size < _MAX_BLOCK_CHARACTERS
        points = code_points(self._rest)
        ends = np.flatnonzero(points == _LINE_FEED)[:block_rows]
        if at_end and (not len(ends) or ends[-1] < len(points) - 1) and len(points):
            ends = np.append(ends, len(points))
        if not len(ends):
            return None if len(points) else self._block_of([])
        used = int(ends[-1]) + 1
        text, points = self._rest[:used], points[:used]
        block = self._cut(text, points, ends)
        if block is not None:
            self._rest = self._rest[used:]
            self._lines_read += len(ends)
        return block

    def _cut(self, text: str, points: U32, ends: I64) -> TextBlock | None:
        begins = np.concatenate(([0], ends[:-1] + 1)).astype(np.int64)
        # A line's text: without the return before its line feed.
        last = np.maximum(ends - 1, 0)
        stops = ends - ((ends > begins) & (points[last] == _RETURN))
        if int((stops - begins).max()) > csv.field_size_limit():
            return None
        marks = np.flatnonzero(points == ord(self._delimiter))
        bounds = np.searchsorted(marks, np.stack([begins, stops]))
        n_marks = bounds[1] - bounds[0]
        regular: Bools = (n_marks == self._width - 1) & (stops > begins)
        if '"' in text:
            quotes = np.flatnonzero(points == _QUOTE)
            n_quotes = np.diff(np.searchsorted(quotes, np.stack([begins, ends]), "left"), axis=0)[0]
            if (n_quotes % 2).any():
                return None
            regular &= n_quotes == 0
        if not regular.all():
            marks = marks[np.repeat(regular, n_marks)]
        inner = marks.reshape(int(regular.sum()), self._width - 1)
        shape = (len(ends), self._width)
        cell_starts, cell_stops = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        cell_starts[regular, 0] = begins[regular]
        cell_starts[regular, 1:] = inner + 1
        cell_stops[regular, :-1] = inner
        cell_stops[regular, -1] = stops[regular]
        return self._with_others(text, points, cell_starts, cell_stops, regular, begins, stops)

    def _with_others(
        self,
        text: str,
        points: U32,
        cell_starts: I64,
        cell_stops: I64,
        regular: Bools,
        begins: I64,
        stops: I64,
    ) -> TextBlock | None:
        """Add the rows that the csv module must look at, one by one."""
        others: dict[int, list[str]] = {}
        added, size = [text], len(text)
        for i in np.flatnonzero(~regular).tolist():
            line = text[begins[i] : stops[i]]
            try:
                rows = list(csv.reader([line], delimiter=self._delimiter, strict=True))
            except csv.Error:
                return None
            row = rows[0] if rows else []
            if len(row) != self._width:
                others[i] = row
                continue
            lengths = np.fromiter(map(len, row), np.int64, len(row))
            cell_stops[i] = size + np.cumsum(lengths)
            cell_starts[i] = cell_stops[i] - lengths
            added += row
            size += int(lengths.sum())
        if len(added) > 1:
            text = "".join(added)
            points = np.concatenate([points, code_points("".join(added[1:]))])
        return TextBlock(text, points, cell_starts, cell_stops, others)
