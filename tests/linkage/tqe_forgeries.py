"""The exchange file of the examples, changed by someone who knows the format."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import rfc8785

from linkage.errors import TqeFormatError
from linkage.tqe import MANIFEST_KEY, open_tqe, read_verified_manifest
from tests.linkage.tqe_examples import example_bytes


def column(table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    index = table.schema.get_field_index(name)
    field = table.schema.field(index)
    return table.set_column(index, field, pa.array(change(table[name].to_pylist()), field.type))


def rewritten(
    change: Callable[[pa.Table], pa.Table] | None = None,
    manifest: Callable[[dict[str, Any]], Any] | None = None,
    *,
    compression: str | None = None,
    rows_per_batch: int | None = None,
) -> bytes:
    """The example file, changed by someone who knows the format."""
    with pa.ipc.open_file(pa.py_buffer(example_bytes())) as reader:
        table = reader.read_all()
    document = json.loads(table.schema.metadata[MANIFEST_KEY])
    if change is not None:
        table = change(table)
    if manifest is not None:
        document = manifest(document) or document
    table = table.replace_schema_metadata({MANIFEST_KEY: rfc8785.dumps(document)})
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=rows_per_batch)
    return sink.getvalue()


def refused(tmp_path: Path, data: bytes, *, verify: bool = True) -> str:
    path = tmp_path / "hostile.tqe"
    path.write_bytes(data)
    with pytest.raises(TqeFormatError) as caught:
        open_tqe(path, verify=verify)
    message = str(caught.value)
    if verify:
        with pytest.raises(TqeFormatError) as caught:
            read_verified_manifest(path)
        assert str(caught.value) == message
    assert str(tmp_path) not in message
    assert len(message) < 300
    return message


def arrow_file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
