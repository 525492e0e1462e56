"""Writes a ``.tqe`` file from packed rows, piece by piece, in memory that does not grow with it.

Arrow lays the file out: it is asked to write a batch whose columns are empty space, and what it
would put where is noted.  Then the columns are filled in, each at its place.  The bytes are those
that ``linkage.tqe.write_tqe`` writes from a dataset in memory (a test compares them).
"""

import hashlib
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from linkage.encoded_rows import RowColumn, RowLayout
from linkage.errors import TqeFormatError
from linkage.manifest import hashed_manifest, manifest_to_json
from linkage.tqe import CONTENT_LABEL, MANIFEST_KEY, file_schema
from linkage.types import U8, U64, Bools, Manifest

_CHUNK_BYTES = 4 << 20
_NO_HASH = "0" * 64


class TqeWriter:
    """One file that is being written.

    Args:
        path: a new or empty file, for the writer alone; ``finish`` makes it whole.
        manifest: of the file, without content hash.
        valid_counts: for each column but the pseudonym, how many records have a value.
    """

    def __init__(self, path: Path, manifest: Manifest, valid_counts: Mapping[str, int]) -> None:
        self._manifest = manifest
        self._layout = RowLayout(manifest.views)
        self._n = manifest.n_records
        self._done = 0
        self._nulls = {name: self._n - n for name, n in valid_counts.items()}
        self._places = _Places()
        self._lay_out(replace(manifest, content_sha256=_NO_HASH), self._places)
        self._buffers = self._assign()
        self._bits = {
            column.name: np.zeros(0, dtype=np.bool_) for column in self._layout.columns[1:]
        }
        self._file: IO[bytes] = path.open("rb+", buffering=0)
        self._file.truncate(self._places.size)

    def close(self) -> None:
        """Close the file, whole or not."""
        self._file.close()

    def add(self, rows: U64) -> None:
        """Write the next rows, which ascend by pseudonym from piece to piece.

        Raises:
            OSError: the disk is full.
        """
        for column in self._layout.columns:
            validity, values = self._buffers[column.name]
            if values is not None:
                words = np.ascontiguousarray(
                    rows[:, column.first_word : column.first_word + column.n_words]
                )
                data = words.astype("<u8", copy=False).view(np.uint8)
                self._write(values + self._done * column.n_words * 8, data)
            if validity is not None:
                self._add_bits(column, validity, self._layout.validity(rows, column))
        self._done += len(rows)

    def finish(self) -> str:
        """Write the framing, the content hash included.

        Returns:
            SHA-256 of the file, hex.

        Raises:
            TqeFormatError: other rows were written than the manifest and the counts announced, or
                the manifest is not what TQE.md allows.
        """
        if self._done != self._n:
            raise TqeFormatError("The number of records is not the one in the manifest.")
        for column in self._layout.columns[1:]:
            validity, _ = self._buffers[column.name]
            bits = self._bits[column.name]
            if validity is not None and len(bits):
                at = validity + (self._n - len(bits)) // 8
                self._write(at, np.packbits(bits, bitorder="little"))
        content = self._content_sha256()
        framing = _Places()
        self._lay_out(replace(self._manifest, content_sha256=content), framing)
        if framing.columns != self._places.columns:
            raise TqeFormatError("The file's framing changed its size.")
        for at, data in framing.pieces:
            self._write(at, np.frombuffer(data, dtype=np.uint8))
        os.fsync(self._file.fileno())
        digest = hashlib.sha256()
        for chunk in self._chunks(0, framing.size):
            digest.update(chunk)
        return digest.hexdigest()

    # --- layout -------------------------------------------------------------------------------

    def _lay_out(self, manifest: Manifest, places: "_Places") -> None:
        schema = file_schema(manifest.views).with_metadata(
            {MANIFEST_KEY: manifest_to_json(manifest)}
        )
        longest = max((c.n_words for c in self._layout.columns), default=1) * 8 * self._n
        with mmap.mmap(-1, max(longest, 1)) as space:
            arrays = [self._hollow(column, space) for column in self._layout.columns]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            options = pa.ipc.IpcWriteOptions(compression=None)
            sink = pa.PythonFile(places, mode="w")
            with pa.ipc.new_file(sink, schema, options=options) as writer:
                writer.write_batch(batch)
            del arrays, batch

    def _hollow(self, column: RowColumn, space: mmap.mmap) -> pa.Array:
        """A column of the right size whose bytes nobody looks at."""
        address = np.frombuffer(space, dtype=np.uint8).ctypes.data
        bits = pa.foreign_buffer(address, -(-self._n // 8))
        if column.n_words == 0:
            return pa.Array.from_buffers(pa.bool_(), self._n, [None, bits], null_count=0)
        nulls = self._nulls.get(column.name, 0)
        data = pa.foreign_buffer(address, self._n * column.n_words * 8)
        return pa.Array.from_buffers(
            pa.binary(column.n_words * 8),
            self._n,
            [bits if nulls else None, data],
            null_count=nulls,
        )

    def _assign(self) -> dict[str, tuple[int | None, int | None]]:
        """Where in the file each column's validity bits and values are."""
        found = iter(self._places.columns)
        buffers: dict[str, tuple[int | None, int | None]] = {}
        for column in self._layout.columns:
            sizes = [-(-self._n // 8)] if self._has_bits(column) else []
            sizes += [self._n * column.n_words * 8] if column.n_words else []
            at = []
            for size in sizes:
                place, found_size = next(found, (0, -1))
                if found_size != size:
                    raise TqeFormatError("The installed pyarrow lays files out in another way.")
                at.append(place)
            validity = at.pop(0) if self._has_bits(column) else None
            buffers[column.name] = (validity, at[0] if at else None)
        if next(found, None) is not None:
            raise TqeFormatError("The installed pyarrow lays files out in another way.")
        return buffers

    def _has_bits(self, column: RowColumn) -> bool:
        return column.n_words == 0 or self._nulls.get(column.name, 0) > 0

    # --- writing and reading ------------------------------------------------------------------

    def _add_bits(self, column: RowColumn, validity: int, valid: Bools) -> None:
        held = self._bits[column.name]
        bits = np.concatenate([held, valid])
        whole = len(bits) // 8 * 8
        at = validity + (self._done - len(held)) // 8
        self._write(at, np.packbits(bits[:whole], bitorder="little"))
        self._bits[column.name] = bits[whole:]

    def _write(self, at: int, data: U8) -> None:
        self._file.seek(at)
        view = np.ascontiguousarray(data).reshape(-1).data
        while view:
            view = view[self._file.write(view) :]

    def _chunks(self, at: int, size: int) -> Iterator[bytes]:
        self._file.seek(at)
        while size:
            chunk = self._file.read(min(size, _CHUNK_BYTES))
            if not chunk:
                raise OSError("the file was cut off while it was written")
            size -= len(chunk)
            yield chunk

    def _content_sha256(self) -> str:
        digest = hashlib.sha256()
        for part in (CONTENT_LABEL, hashed_manifest(self._manifest)):
            digest.update(len(part).to_bytes(4, "little") + part)
        digest.update(self._n.to_bytes(8, "little"))
        every = np.packbits(np.ones(self._n, dtype=np.bool_), bitorder="little").tobytes()
        for column in self._layout.columns:
            validity, values = self._buffers[column.name]
            name = column.name.encode("ascii")
            digest.update(len(name).to_bytes(4, "little") + name)
            n_bits_bytes = -(-self._n // 8)
            for chunk in [every] if validity is None else self._chunks(validity, n_bits_bytes):
                digest.update(chunk)
            if values is not None:
                for chunk in self._chunks(values, self._n * column.n_words * 8):
                    digest.update(chunk)
        return digest.hexdigest()


class _Places:
    """A file for Arrow to write to, which keeps the framing and notes where columns belong.

    Attributes:
        pieces: position and bytes of all that is no column.
        columns: position and size of each column's buffers, in order.
        size: of the whole file.
    """

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.columns: list[tuple[int, int]] = []
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Arrow passes columns as buffers, everything else as bytes."""
        if isinstance(data, pa.Buffer):
            self.columns.append((self.size, data.size))
            self.size += data.size
            return int(data.size)
        self.pieces.append((self.size, bytes(data)))
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        """Position of the next byte."""
        return self.size

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
        self.closed = True

    def readable(self) -> bool:
        """Not for reading."""
        return False

    def writable(self) -> bool:
        """For writing."""
        return True

    def seekable(self) -> bool:
        """Written from its beginning to its end."""
        return False
