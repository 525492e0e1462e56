"""Sorts packed rows by their random pseudonyms in bounded memory.

Pseudonyms are uniform, so their first byte divides any number of rows into 256 parts of nearly
equal size.  Rows are held until they fill the memory given; then they, and all that come after,
are written to a temporary file, each lot part by part.  In the end each part is read back and
sorted by itself.  A few rows never touch the disk.  What is written are encodings, never
plaintext; the file has no name that anybody could open, and is gone when the program ends,
however it ends.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from linkage.encoded_rows import RowLayout, ascending
from linkage.errors import EncodingError
from linkage.types import I64, U64

MEMORY_BYTES = 16 << 20
_PARTS = 256


class RowShuffle:
    """Takes rows in any order and gives them back by ascending pseudonym.

    Args:
        layout: of the rows.
        folder: where the temporary file goes, if one is needed; best the disk of the output.
        memory_bytes: of rows that are held at most before they are written out; by default
            :data:`MEMORY_BYTES`.
    """

    def __init__(
        self, layout: RowLayout, folder: Path | None, *, memory_bytes: int | None = None
    ) -> None:
        self.n_rows = 0
        self._layout = layout
        self._folder = folder
        self._memory_bytes = MEMORY_BYTES if memory_bytes is None else memory_bytes
        self._held: list[U64] = []
        self._held_bytes = 0
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, I64]] = []

    def __enter__(self) -> "RowShuffle":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget all rows."""
        self._held = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, rows: U64) -> None:
        """Take rows, which must not change any more.

        Raises:
            OSError: the disk is full.
        """
        self.n_rows += len(rows)
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes > self._memory_bytes or self._file is not None:
            self._write_out()

    def in_order(self) -> Iterator[U64]:
        """All rows by ascending pseudonym, in pieces.

        Raises:
            EncodingError: two rows have the same pseudonym.
        """
        if self._file is None:
            rows = np.concatenate([self._layout.empty_rows(0), *self._held])
            self._held, self._held_bytes = [], 0
            yield from self._sorted(rows)
            return
        for part in range(_PARTS):
            yield from self._sorted(self._read(part))

    def _write_out(self) -> None:
        if self._file is None:
            # Lives as long as the shuffle; ``close`` ends it.
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        for rows in self._held:
            part = (rows[:, 0] & np.uint64(0xFF)).astype(np.uint8)
            order = np.argsort(part, kind="stable")
            start = self._file.seek(0, 2)
            _write_all(self._file, rows[order])
            ends = np.searchsorted(part[order], np.arange(_PARTS + 1))
            self._runs.append((start, ends.astype(np.int64)))
        self._held, self._held_bytes = [], 0

    def _read(self, part: int) -> U64:
        if self._file is None:
            raise ValueError("the shuffle is closed")
        n_rows = sum(int(ends[part + 1] - ends[part]) for _, ends in self._runs)
        rows = self._layout.empty_rows(n_rows)
        at = 0
        for start, ends in self._runs:
            n = int(ends[part + 1] - ends[part])
            if n == 0:
                continue
            self._file.seek(start + int(ends[part]) * rows.itemsize * rows.shape[1])
            _read_all(self._file, rows[at : at + n])
            at += n
        return rows

    def _sorted(self, rows: U64) -> Iterator[U64]:
        if len(rows):
            rows = rows[ascending(rows)]
            if (rows[1:, :2] == rows[:-1, :2]).all(axis=1).any():
                raise EncodingError("The source of pseudonyms repeats itself. Try again.")
            yield rows


def _write_all(file: IO[bytes], rows: U64) -> None:
    view = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
    while view:
        view = view[file.write(view) :]


def _read_all(file: IO[bytes], rows: U64) -> None:
    view = rows.reshape(-1).view(np.uint8).data
    while view:
        n = file.readinto(view)  # type: ignore[attr-defined]  # unbuffered, so a raw file
        if not n:
            raise OSError("a temporary file was cut off")
        view = view[n:]
