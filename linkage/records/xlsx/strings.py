"""A workbook's shared strings, side by side in UTF-8: a fifth of what Python's strings would take.

They are read as far as the sheet has asked for them: programs number them in the order of their
first use.  A register of a million people has three or four million of them, some 70 MB.  Where
they are more than :data:`MAX_MEMORY_BYTES`, they lie in a file without a name in the system's
folder for temporary files; no other process can open it, and it ends with this one.
"""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO

import numpy as np

from linkage.records.workbook_errors import large_workbook
from linkage.records.xlsx.scanned import START_AT, STOP_AT, Cells, ScanError
from linkage.types import I64

MAX_MEMORY_BYTES = 256 << 20
MAX_STRINGS = 1 << 25
"""As many as a sheet has rows, for each of 32 columns."""
MAX_TEXT_BYTES = 64 << 20
"""Of the strings that one block of a sheet, some thousand rows, refers to."""


class SharedStrings(AbstractContextManager["SharedStrings"]):
    """The strings of a workbook by their numbers, from 0.

    Args:
        scanned: all of them, in their order.
    """

    def __init__(self, scanned: Iterator[Cells]) -> None:
        self._scanned = scanned
        self._texts = _Store()
        self._n_strings = 0
        # Where each string begins; 32 bits are enough for the 4 GiB that are read of a workbook.
        self._bounds = np.zeros(1 << 12, dtype=np.uint32)

    def __exit__(self, *_: object) -> None:
        self._texts.close()

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
        starts, stops, places = self._distinct(numbers)
        texts = self._texts.content()
        found = [
            texts[start:stop].decode()
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        return [found[place] for place in places.tolist()]

    def gathered(self, numbers: I64) -> tuple[bytes, I64, I64]:
        """The strings with these numbers, each once, side by side; start and stop for each number.

        Raises:
            RecordsError, ScanError: as :meth:`texts`.
        """
        starts, stops, places = self._distinct(numbers)
        lengths = stops - starts
        ends = np.cumsum(lengths)
        signs = np.repeat(starts - (ends - lengths), lengths) + np.arange(lengths.sum())
        texts = np.frombuffer(self._texts.content(), dtype=np.uint8)
        return texts[signs].tobytes(), (ends - lengths)[places], ends[places]

    def _distinct(self, numbers: I64) -> tuple[I64, I64, I64]:
        """Starts and stops of the strings with these numbers, and which each number has."""
        distinct, places = np.unique(numbers, return_inverse=True)
        if len(distinct):
            self._read_to(int(distinct[-1]))
            if distinct[-1] >= self._n_strings:
                raise ScanError
        starts = self._bounds[distinct].astype(np.int64)
        stops = self._bounds[distinct + 1].astype(np.int64)
        if (stops - starts).sum() > MAX_TEXT_BYTES:
            raise large_workbook()
        return starts, stops, places

    def _read_to(self, number: int) -> None:
        while self._n_strings <= number and (cells := next(self._scanned, None)) is not None:
            before = self._n_strings
            self._n_strings += len(cells.table)
            if self._n_strings > MAX_STRINGS:
                raise large_workbook()
            while len(self._bounds) <= self._n_strings:
                self._bounds = np.concatenate([self._bounds, np.zeros_like(self._bounds)])
            lengths = cells.table[:, STOP_AT] - cells.table[:, START_AT]
            bounds = int(self._bounds[before]) + np.cumsum(lengths)
            self._bounds[before + 1 : self._n_strings + 1] = bounds
            self._texts.append(cells.text)


class _Store:
    """Bytes that grow: in memory, or in a file if there are many."""

    def __init__(self) -> None:
        self._content: bytearray | mmap.mmap = bytearray()
        self._file: IO[bytes] | None = None

    def append(self, more: bytes) -> None:
        if isinstance(self._content, bytearray):
            self._content += more
            if len(self._content) <= MAX_MEMORY_BYTES:
                return
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the store
            more = bytes(self._content)
        if self._file is not None:
            self._file.write(more)
            self._file.flush()
            self._content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def content(self) -> bytearray | mmap.mmap:
        return self._content

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
