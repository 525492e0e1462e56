"""A workbook's shared strings, side by side in UTF-8: a fifth of what Python's strings would take.

A register of a million people has three or four million of them, some 70 MB.  Where they are more
than :data:`MAX_MEMORY_BYTES`, they lie in a file without a name in the system's folder for
temporary files; no other process can open it, and it ends with this one.
"""

import mmap
import tempfile
from collections.abc import Iterable
from typing import IO

import numpy as np

from linkage.records.workbook_errors import large_workbook
from linkage.records.xlsx.scanned import START_AT, STOP_AT, Cells
from linkage.types import I64

MAX_MEMORY_BYTES = 256 << 20
MAX_STRINGS = 1 << 25
"""As many as a sheet has rows, for each of 32 columns."""


class SharedStrings:
    """The strings of a workbook by their numbers, from 0.

    Args:
        scanned: all of them, in their order.

    Raises:
        RecordsError: they are more than any register has.
    """

    def __init__(self, scanned: Iterable[Cells]) -> None:
        sizes = [np.zeros(0, dtype=np.uint32)]
        n_strings = 0
        with tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES) as file:
            for cells in scanned:
                n_strings += len(cells.table)
                if n_strings > MAX_STRINGS:
                    raise large_workbook()
                lengths = cells.table[:, STOP_AT] - cells.table[:, START_AT]
                sizes.append(lengths.astype(np.uint32))
                file.write(cells.text)
            self._texts = _held(file)
        self._stops = np.cumsum(np.concatenate(sizes), dtype=np.int64)

    def __len__(self) -> int:
        return len(self._stops)

    def texts(self, numbers: I64) -> list[str]:
        """The strings with these numbers.

        Raises:
            IndexError: there is none with one of them.
            UnicodeDecodeError: one is no UTF-8.
        """
        distinct, places = np.unique(numbers, return_inverse=True)
        stops = self._stops[distinct]
        starts = np.where(distinct > 0, self._stops[distinct - 1], 0)
        texts = self._texts
        found = [
            texts[start:stop].decode()
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        return [found[place] for place in places.tolist()]


def _held(file: IO[bytes]) -> bytes | mmap.mmap:
    if file.tell() > MAX_MEMORY_BYTES:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # stays when the file closes
    file.seek(0)
    return file.read()
