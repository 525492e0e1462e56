"""A workbook's shared strings, side by side in UTF-8: a fifth of what Python's strings would take.

They are read as far as the sheet has asked for them: programs number them in the order of their
first use.  A register of a million people has three or four million of them, some 70 MB.  Where
they are more than :data:`MAX_MEMORY_BYTES`, they lie in a file without a name in the system's
folder for temporary files; no other process can open it, and it ends with this one.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, NamedTuple

import numpy as np

from linkage.records.workbook_errors import large_workbook
from linkage.records.xlsx.scanned import START_AT, STOP_AT, Cells, ScanError
from linkage.types import I64, U32

MAX_MEMORY_BYTES = 256 << 20
MAX_STRINGS = 1 << 25
"""As many as a sheet has rows, for each of 32 columns."""
MAX_TEXT_BYTES = 64 << 20
"""Of the strings that one block of a sheet, some thousand rows, refers to."""


class _Chunk(NamedTuple):
    """Consecutive strings: ``bounds`` (one more than strings) say where each begins.

    ``text`` is UTF-8, or the place in the file where that lies.
    """

    bounds: U32
    text: bytes | int


class SharedStrings(AbstractContextManager["SharedStrings"]):
    """The strings of a workbook by their numbers, from 0.

    Args:
        scanned: all of them, in their order.
    """

    def __init__(self, scanned: Iterator[Cells]) -> None:
        self._scanned = scanned
        self._chunks: list[_Chunk] = []
        self._firsts = [0]  # number of each chunk's first string, and of the next one to be read
        self._n_bytes = 0
        self._file: IO[bytes] | None = None

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def read_all(self) -> None:
        """Read what no cell has asked for, so that the archive can check its sum.

        Raises:
            RecordsError: they are more than any register has.
        """
        self._read_to(MAX_STRINGS)

    def texts(self, numbers: I64) -> list[str]:
        """The strings with these numbers.

        Raises:
            RecordsError: they are longer than any cells of a register are together.
            ScanError: there is none with one of them.
            UnicodeDecodeError: one is no UTF-8.
        """
        distinct, places = np.unique(numbers, return_inverse=True)
        found = [
            text[start:stop].decode()
            for text, starts, stops in self._pieces(distinct)
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        return [found[place] for place in places.tolist()]

    def gathered(self, numbers: I64) -> tuple[bytes, I64, I64]:
        """The strings with these numbers, each once, side by side; start and stop for each number.

        Raises:
            RecordsError, ScanError: as :meth:`texts`.
        """
        distinct, places = np.unique(numbers, return_inverse=True)
        gathered, sizes = [], [np.zeros(0, dtype=np.int64)]
        for text, starts, stops in self._pieces(distinct):
            lengths = stops - starts
            ends = np.cumsum(lengths)
            signs = np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1])
            gathered.append(np.frombuffer(text, dtype=np.uint8)[signs].tobytes())
            sizes.append(lengths)
        lengths = np.concatenate(sizes)
        ends = np.cumsum(lengths)
        return b"".join(gathered), (ends - lengths)[places], ends[places]

    def _pieces(self, distinct: I64) -> Iterator[tuple[bytes, I64, I64]]:
        """Of each chunk with some of these strings: its text, and their starts and stops in it."""
        if not len(distinct):
            return
        self._read_to(int(distinct[-1]))
        if distinct[-1] >= self._firsts[-1]:
            raise ScanError
        chunks = np.searchsorted(self._firsts, distinct, "right") - 1
        n_bytes = 0
        for number in np.unique(chunks).tolist():
            bounds, text = self._chunks[number]
            within = distinct[chunks == number] - self._firsts[number]
            starts, stops = bounds[within].astype(np.int64), bounds[within + 1].astype(np.int64)
            n_bytes += int((stops - starts).sum())
            if n_bytes > MAX_TEXT_BYTES:
                raise large_workbook()
            yield self._content(text, int(bounds[-1])), starts, stops

    def _content(self, text: bytes | int, n_bytes: int) -> bytes:
        if isinstance(text, bytes):
            return text
        if self._file is None:
            raise AssertionError("a text lies in a file that there is not")
        self._file.seek(text)
        return self._file.read(n_bytes)

    def _read_to(self, number: int) -> None:
        while self._firsts[-1] <= number and (cells := next(self._scanned, None)) is not None:
            self._firsts.append(self._firsts[-1] + len(cells.table))
            if self._firsts[-1] > MAX_STRINGS:
                raise large_workbook()
            lengths = cells.table[:, STOP_AT] - cells.table[:, START_AT]
            bounds = np.concatenate(([0], np.cumsum(lengths))).astype(np.uint32)
            self._chunks.append(_Chunk(bounds, self._kept(cells.text)))

    def _kept(self, text: bytes) -> bytes | int:
        """The text, or where it was put in the file once there are too many."""
        self._n_bytes += len(text)
        if self._n_bytes <= MAX_MEMORY_BYTES:
            return text
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the strings
        place = self._file.seek(0, 2)
        self._file.write(text)
        return place
