"""The exchange file ``.tqe``: an Arrow IPC file with a manifest; TQE.md specifies the bytes.

The matcher maps the file into memory and copies nothing.  A file comes from another office, so
everything is checked before it is believed: Arrow checks its own framing, this module the rest.
"""

import hashlib
import mmap
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from linkage.errors import TqeFormatError
from linkage.manifest import MAX_MANIFEST_BYTES, hashed_manifest, manifest_to_json, parse_manifest
from linkage.types import U8, U64, Bools, EncodedDataset, EncodedView, Manifest, ViewLayout

MANIFEST_KEY = b"tongqiao.manifest"
PSEUDONYM_BYTES = 16
TAG_BYTES = 8

CONTENT_LABEL = b"tongqiao/v1/tqe-content"
_MAGIC = b"ARROW1"
_HEAD_BYTES = 8
_TAIL_BYTES = 4 + len(_MAGIC)
_FRAMING_BYTES = 8
_MAX_METADATA_BYTES = MAX_MANIFEST_BYTES + 256 * 1024
_ALIGNMENT = 64
_BLOCK_ROWS = 16_384


def write_tqe(path: Path, dataset: EncodedDataset) -> str:
    """Write an encoded dataset, all or nothing, readable by its owner only.

    Returns:
        SHA-256 of the file, hex.

    Raises:
        TqeFormatError: the dataset is not what TQE.md allows in a file.
        OSError: the file cannot be written.
    """
    _check_dataset(dataset)
    manifest = replace(dataset.manifest, content_sha256=content_sha256(dataset))
    schema = file_schema(manifest.views).with_metadata({MANIFEST_KEY: manifest_to_json(manifest)})
    batch = pa.record_batch(_arrays(dataset), schema=schema)
    with _replacing(path) as temporary:
        options = pa.ipc.IpcWriteOptions(compression=None)
        with (
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, schema, options=options) as writer,
        ):
            writer.write_batch(batch)
        with temporary.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            os.fsync(written.fileno())
    return sha256


def open_tqe(path: Path, *, name: str | None = None, verify: bool = True) -> EncodedDataset:
    """Open an encoded file, memory-mapped; its arrays are read-only.

    Args:
        path: of the file, which must not change while the dataset is in use.
        name: of the dataset; the file's stem if ``None``.
        verify: also read every byte and check the content hash, and that what is absent is zero.
            Leave it out only for a file that was verified before and kept out of others' reach.

    Raises:
        TqeFormatError: the file is truncated, altered, of another version, or none of the kind.
        OSError: the file cannot be read.
    """
    buffer = _mapped(path)
    with _refusing():
        schema_message, batch_message = _messages(buffer)
        manifest = _manifest_of(schema_message)
        batch = _read_batch(batch_message, manifest)
        rows = range(batch.num_rows)
        dataset = _dataset(path.stem if name is None else name, batch, manifest, rows)
    _check_dataset(dataset, absent_is_zero=verify)
    if verify and content_sha256(dataset) != manifest.content_sha256:
        raise _altered()
    return dataset


def read_verified_manifest(path: Path) -> Manifest:
    """Read the manifest of a file that is whole, in memory that does not grow with the file.

    Checks all that :func:`open_tqe` checks, for who does not use the columns: each is read once
    for the content hash and once with the others, a block of rows at a time.

    Returns:
        What the file says of itself, which is true of its columns.

    Raises:
        TqeFormatError: as :func:`open_tqe`.
        OSError: the file cannot be read.
    """
    mapping = _map(path)
    buffer = _checked_ends(pa.py_buffer(mapping))
    with _refusing():
        schema_message, batch_message = _messages(buffer)
        manifest = _manifest_of(schema_message)
        batch = _read_batch(batch_message, manifest)
        _let_go(mapping)
        for rows in _blocks(batch.num_rows):
            # One row more, so that the order of pseudonyms is checked across blocks.
            block = range(max(0, rows.start - 1), rows.stop)
            part = replace(manifest, n_records=len(block))
            _check_dataset(_dataset(path.stem, batch, part, block))
            _let_go(mapping)
        digest = _new_content_hash(manifest, batch.num_rows)
        for index, field in enumerate(batch.schema):
            _hash_framed(digest, field.name.encode("ascii"))
            for rows in _blocks(batch.num_rows):
                digest.update(_packed(_column(batch, index, rows)[1]))
            for rows in _blocks(batch.num_rows):
                digest.update(_column(batch, index, rows)[0].data)
                _let_go(mapping)
        if digest.hexdigest() != manifest.content_sha256:
            raise _altered()
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Read what an encoded file says of itself; neither columns nor content hash are looked at.

    Raises:
        TqeFormatError: the file is not one, or its manifest is not what TQE.md allows.
        OSError: the file cannot be read.
    """
    buffer = _mapped(path)
    with _refusing():
        return _manifest_of(_messages(buffer)[0])


def content_sha256(dataset: EncodedDataset) -> str:
    """Hash of the manifest and all columns, hex; however the rows are cut into blocks (TQE.md)."""
    digest = _new_content_hash(dataset.manifest, dataset.n_records)
    for column, values, valid in _columns(dataset):
        _hash_framed(digest, column.encode("ascii"))
        digest.update(_packed(valid))
        for rows in _blocks(dataset.n_records):
            digest.update(np.ascontiguousarray(values[rows.start : rows.stop]).data)
    found: str = digest.hexdigest()
    return found


def _new_content_hash(manifest: Manifest, n_records: int) -> Any:
    digest = hashlib.sha256()
    _hash_framed(digest, CONTENT_LABEL)
    _hash_framed(digest, hashed_manifest(manifest))
    digest.update(n_records.to_bytes(8, "little"))
    return digest


def _blocks(n_records: int) -> Iterator[range]:
    """Rows, some at a time; every block but the last fills whole bytes of bits."""
    for start in range(0, n_records, _BLOCK_ROWS):
        yield range(start, min(start + _BLOCK_ROWS, n_records))


def _packed(valid: Bools) -> bytes:
    return np.packbits(valid, bitorder="little").tobytes()


def _hash_framed(digest: Any, part: bytes) -> None:
    digest.update(len(part).to_bytes(4, "little") + part)


# --- what the columns are -------------------------------------------------------------------


def file_schema(views: tuple[ViewLayout, ...]) -> pa.Schema:
    """Arrow schema of a file with these views, without metadata."""
    fields = [pa.field("pseudonym", pa.binary(PSEUDONYM_BYTES), nullable=False)]
    for view in views:
        if view.tagged:
            fields.append(pa.field(f"{view.name}.tag", pa.binary(TAG_BYTES)))
        else:
            fields.append(pa.field(f"{view.name}.present", pa.bool_(), nullable=False))
        fields += [
            pa.field(f"{view.name}.{group.name}", pa.binary(group.filter_bits // 8))
            for group in view.groups
        ]
    return pa.schema(fields)


def _columns(dataset: EncodedDataset) -> Iterator[tuple[str, np.ndarray, Bools]]:
    """Name, ``(n, width) uint8`` values and ``(n,) bool`` validity of each column, in order.

    The column of an untagged view's presence has no bytes of its own: it is its validity.
    """
    everywhere = np.ones(dataset.n_records, dtype=np.bool_)
    yield "pseudonym", dataset.pseudonyms, everywhere
    for view in dataset.views:
        if view.tags is not None:
            yield f"{view.layout.name}.tag", _as_bytes(view.tags[:, None]), view.present
        else:
            nothing = np.zeros((dataset.n_records, 0), dtype=np.uint8)
            yield f"{view.layout.name}.present", nothing, view.present
        for group in view.layout.groups:
            yield (
                f"{view.layout.name}.{group.name}",
                _as_bytes(view.filters[group.name]),
                view.filter_present[group.name],
            )


def _as_bytes(words: U64) -> U8:
    little = np.ascontiguousarray(words).astype("<u8", copy=False)
    return little.view(np.uint8).reshape(len(words), words.shape[1] * 8)


def _arrays(dataset: EncodedDataset) -> list[pa.Array]:
    arrays = []
    for name, values, valid in _columns(dataset):
        bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
        n = dataset.n_records
        if name.endswith(".present"):
            arrays.append(pa.Array.from_buffers(pa.bool_(), n, [None, bits]))
        else:
            validity = None if name == "pseudonym" else bits
            data = pa.py_buffer(np.ascontiguousarray(values))
            arrays.append(pa.Array.from_buffers(pa.binary(values.shape[1]), n, [validity, data]))
    return arrays


# --- reading what may be hostile ------------------------------------------------------------


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever Arrow raises on bytes that it does not like into one error.

    Arrow calls a malformed message an ``OSError``; no file is touched inside.
    """
    try:
        yield
    except (pa.ArrowException, OSError, struct.error, ValueError, IndexError, MemoryError) as error:
        raise TqeFormatError(
            "The file is not a .tqe file, or it is truncated or altered. Get it again, or encode "
            "the records again."
        ) from error


def _mapped(path: Path) -> pa.Buffer:
    _check_size(path.stat().st_size)
    with pa.memory_map(str(path)) as source:
        return _checked_ends(source.read_buffer())


def _map(path: Path) -> mmap.mmap:
    """The file mapped so that pages that were read can be given back."""
    with path.open("rb") as file:
        _check_size(os.fstat(file.fileno()).st_size)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _let_go(mapping: mmap.mmap) -> None:
    """Give back what was read, which else counts as this process's memory until the end."""
    if sys.platform != "win32":
        mapping.madvise(mmap.MADV_DONTNEED)


def _check_size(n_bytes: int) -> None:
    if n_bytes < _HEAD_BYTES + _TAIL_BYTES:
        raise TqeFormatError("The file is too short to be a .tqe file.")


def _altered() -> TqeFormatError:
    return TqeFormatError(
        "The file was altered: its content hash differs. Get it again, or encode the records again."
    )


def _checked_ends(buffer: pa.Buffer) -> pa.Buffer:
    if buffer[: len(_MAGIC)].to_pybytes() != _MAGIC or _tail(buffer)[4:] != _MAGIC:
        raise TqeFormatError("The file is not a .tqe file, or its end is missing.")
    return buffer


def _tail(buffer: pa.Buffer) -> bytes:
    tail: bytes = buffer[buffer.size - _TAIL_BYTES :].to_pybytes()
    return tail


def _messages(buffer: pa.Buffer) -> tuple[pa.Message, pa.Message]:
    """The schema and the one record batch; nothing else may be in the file but its footer."""
    reader = pa.ipc.MessageReader.open_stream(buffer[_HEAD_BYTES:])
    messages = list(_at_most(reader, 3))
    if [message.type for message in messages] != ["schema", "record batch"]:
        raise TqeFormatError("The file does not hold one schema and one record batch.")
    used = _HEAD_BYTES + _FRAMING_BYTES
    for message in messages:
        if message.metadata.size > _MAX_METADATA_BYTES:
            raise TqeFormatError("A header in the file is too large.")
        body = 0 if message.body is None else message.body.size
        used += _FRAMING_BYTES + message.metadata.size + body
    footer_bytes = int.from_bytes(_tail(buffer)[:4], "little")
    if footer_bytes > _MAX_METADATA_BYTES or used + footer_bytes + _TAIL_BYTES != buffer.size:
        raise TqeFormatError("The file holds bytes that belong to nothing in it.")
    return messages[0], messages[1]


def _at_most(reader: pa.MessageReader, n: int) -> Iterator[pa.Message]:
    for _ in range(n):
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _manifest_of(message: pa.Message) -> Manifest:
    schema = pa.ipc.read_schema(message)
    metadata = schema.metadata or {}
    if set(metadata) != {MANIFEST_KEY}:
        raise TqeFormatError("The file has no manifest, so it is no .tqe file.")
    manifest = parse_manifest(metadata[MANIFEST_KEY])
    if not schema.remove_metadata().equals(file_schema(manifest.views), check_metadata=True):
        raise TqeFormatError("The file's columns are not those that its manifest lists.")
    return manifest


def _read_batch(message: pa.Message, manifest: Manifest) -> pa.RecordBatch:
    schema = file_schema(manifest.views)
    # Before Arrow looks inside: a compressed buffer could unpack to any size.
    if _is_compressed(message.metadata.to_pybytes()):
        raise TqeFormatError("The file is compressed, which a .tqe file never is.")
    if message.body.size > _most_body_bytes(schema, manifest.n_records):
        raise TqeFormatError("The file is larger than what its manifest lists.")
    batch = pa.ipc.read_record_batch(message, schema)
    batch.validate(full=True)
    if batch.num_rows != manifest.n_records:
        raise TqeFormatError("The file has another number of records than its manifest says.")
    return batch


def _most_body_bytes(schema: pa.Schema, n_records: int) -> int:
    bitmap = -(-n_records // 8) + _ALIGNMENT
    total = 0
    for field in schema:
        width = 0 if pa.types.is_boolean(field.type) else field.type.byte_width
        total += 2 * bitmap + n_records * width + _ALIGNMENT
    return total


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch message names a compression.

    Follows Arrow's ``Message.fbs`` through the flatbuffer: field 2 of ``Message`` is the header,
    field 3 of ``RecordBatch`` the compression.  Arrow has verified the flatbuffer already.
    """
    (message,) = struct.unpack_from("<I", metadata, 0)
    header = _table_field(metadata, message, 2)
    if header is None:
        raise TqeFormatError("The file holds a record batch without a header.")
    (offset,) = struct.unpack_from("<I", metadata, header)
    return _table_field(metadata, header + offset, 3) is not None


def _table_field(data: bytes, table: int, field: int) -> int | None:
    """Position of a field of a flatbuffer table, ``None`` where it is left out."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    (vtable_bytes,) = struct.unpack_from("<H", data, vtable)
    slot = 4 + 2 * field
    if slot + 2 > vtable_bytes:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + slot)
    return table + offset if offset else None


def _dataset(name: str, batch: pa.RecordBatch, manifest: Manifest, rows: range) -> EncodedDataset:
    """Some rows of a batch, which are all that the manifest counts."""
    columns = {field.name: _column(batch, i, rows) for i, field in enumerate(batch.schema)}
    return EncodedDataset(
        name=name,
        pseudonyms=columns["pseudonym"][0],
        manifest=manifest,
        views=tuple(_view(layout, columns) for layout in manifest.views),
    )


def _column(batch: pa.RecordBatch, index: int, rows: range) -> tuple[np.ndarray, Bools]:
    """Values and validity of some rows of a column, without a copy of the values.

    Of a column of truth values alone, the values are none: it is its validity.
    """
    array = batch.column(index)
    if pa.types.is_boolean(array.type):
        return np.zeros((len(rows), 0), dtype=np.uint8), _bits(array.buffers()[1], rows)
    validity, data = array.buffers()
    valid = np.ones(len(rows), dtype=np.bool_) if validity is None else _bits(validity, rows)
    width = array.type.byte_width
    if data is None or data.size < rows.stop * width:
        if rows:
            raise TqeFormatError("The file lacks a part of a column.")
        return np.zeros((0, width), dtype=np.uint8), valid
    values = np.frombuffer(
        data, dtype=np.uint8, count=len(rows) * width, offset=rows.start * width
    ).reshape(len(rows), width)
    return values, valid


def _bits(buffer: pa.Buffer | None, rows: range) -> Bools:
    if buffer is None or buffer.size * 8 < rows.stop:
        if rows:
            raise TqeFormatError("The file lacks a part of a column.")
        return np.zeros(0, dtype=np.bool_)
    first, skipped = divmod(rows.start, 8)
    packed = np.frombuffer(buffer, dtype=np.uint8, count=-(-rows.stop // 8) - first, offset=first)
    bits = np.unpackbits(packed, count=skipped + len(rows), bitorder="little")
    return bits[skipped:].view(np.bool_)


def _view(layout: ViewLayout, columns: dict[str, tuple[np.ndarray, Bools]]) -> EncodedView:
    if layout.tagged:
        raw, present = columns[f"{layout.name}.tag"]
        tags: U64 | None = _words(raw)[:, 0]
    else:
        present, tags = columns[f"{layout.name}.present"][1], None
    filters, filter_present = {}, {}
    for group in layout.groups:
        values, valid = columns[f"{layout.name}.{group.name}"]
        filters[group.name] = _words(values)
        filter_present[group.name] = valid
    return EncodedView(layout, tags, present, filters, filter_present)


def _words(values: U8) -> U64:
    words = values.view("<u8")
    # A file from elsewhere may be laid out with its buffers at any address.
    return np.require(words, dtype=np.uint64, requirements=["A", "C"])


# --- what holds of every dataset in a file --------------------------------------------------


def _check_dataset(dataset: EncodedDataset, *, absent_is_zero: bool = True) -> None:
    n = dataset.n_records
    if dataset.manifest.n_records != n:
        raise TqeFormatError("The number of records is not the one in the manifest.")
    if tuple(view.layout for view in dataset.views) != dataset.manifest.views:
        raise TqeFormatError("The views are not those in the manifest.")
    _check_pseudonyms(dataset.pseudonyms)
    for view in dataset.views:
        _check_view(view, n, absent_is_zero=absent_is_zero)


def _check_pseudonyms(pseudonyms: U8) -> None:
    if pseudonyms.dtype != np.uint8 or pseudonyms.shape[1:] != (PSEUDONYM_BYTES,):
        raise TqeFormatError(f"Pseudonyms must have {PSEUDONYM_BYTES} bytes.")
    high, low = np.ascontiguousarray(pseudonyms).view(">u8").T
    rises = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))
    if not rises.all():
        raise TqeFormatError("The records are not in ascending order of distinct pseudonyms.")


def _check_view(view: EncodedView, n: int, *, absent_is_zero: bool) -> None:
    if view.present.shape != (n,) or (view.tags is None) == view.layout.tagged:
        raise TqeFormatError("A view does not have one entry for each record.")
    if view.tags is not None and (
        view.tags.shape != (n,) or not np.array_equal(view.tags != 0, view.present)
    ):
        raise TqeFormatError("A view has tags where it is absent, or none where it is present.")
    for group in view.layout.groups:
        filters = view.filters[group.name]
        valid = view.filter_present[group.name]
        if filters.shape != (n, group.filter_bits // 64) or valid.shape != (n,):
            raise TqeFormatError("A filter does not have its length for each record.")
        if (valid & ~view.present).any():
            raise TqeFormatError("A record has a filter in a view that it does not have.")
        if absent_is_zero and filters[~valid].any():
            raise TqeFormatError("A filter that is absent holds bits.")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that takes its place at the end, or vanishes."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tqe.part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
