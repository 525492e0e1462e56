"""The exchange file: what is written comes back, and nothing hostile gets in or brings it down."""

import functools
import hashlib
import io
import json
import os
import stat
import struct
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.errors import TqeFormatError
from linkage.manifest import MAX_MANIFEST_BYTES, manifest_to_json, parse_manifest
from linkage.tqe import (
    MANIFEST_KEY,
    content_sha256,
    open_tqe,
    read_manifest,
    read_verified_manifest,
    write_tqe,
)
from linkage.types import EncodedDataset, EncodedView, Evidence, GroupLayout, Manifest, ViewLayout

LAYOUT = (
    ViewLayout("number", True, (GroupLayout("name", 128), GroupLayout("birth", 64)), ("number",)),
    ViewLayout("open", False, (GroupLayout("name", 192, "person"),)),
    ViewLayout("phone", True, ()),
)


def example_manifest(n_records: int, **changes: Any) -> Manifest:
    manifest = Manifest(
        profile_name="cn-child-v1",
        profile_sha256="ab" * 32,
        cleaning_version="cn-1",
        encoder_version="0.1.0",
        context="sichuan-children/2026-h2",
        key_confirmation="cd" * 16,
        created_at="2026-01-01T00:00:00Z",
        n_records=n_records,
        diffusion=5,
        views=LAYOUT,
        statistics={
            "fill": {"number/name": 0.25, "number/birth": 0, "open/name": 0.125},
            "missing": {"number": 0, "open": 0, "phone": 0},
            "problems": {"id-wrong-length": 3},
        },
        evidence=Evidence(household=("phone",), twins=("number",)),
    )
    return replace(manifest, **changes)


def example_dataset(n: int = 21, seed: int = 1) -> EncodedDataset:
    """Random filters; each third record lacks the first view, each fifth one of its groups."""
    draw = np.random.default_rng(seed)
    numbers = np.arange(n)
    views = []
    for number, layout in enumerate(LAYOUT):
        present = numbers % 3 != number
        tags = np.where(present, draw.integers(1, 2**64, size=n, dtype=np.uint64), np.uint64(0))
        filters, filter_present = {}, {}
        for group in layout.groups:
            has = present & (numbers % 5 != 0)
            words = draw.integers(0, 2**64, size=(n, group.filter_bits // 64), dtype=np.uint64)
            filters[group.name] = np.where(has[:, None], words, np.uint64(0))
            filter_present[group.name] = has
        views.append(
            EncodedView(layout, tags if layout.tagged else None, present, filters, filter_present)
        )
    pseudonyms = np.sort(draw.integers(0, 256, size=n, dtype=np.uint8))[:, None]
    tail = np.stack([numbers >> 8, numbers & 255], axis=1).astype(np.uint8)
    rows = np.concatenate([pseudonyms, tail, np.zeros((n, 13), np.uint8)], axis=1)
    return EncodedDataset("example", rows, example_manifest(n), tuple(views))


def same(one: EncodedDataset, other: EncodedDataset) -> bool:
    return (
        replace(one.manifest, content_sha256="") == replace(other.manifest, content_sha256="")
        and np.array_equal(one.pseudonyms, other.pseudonyms)
        and all(map(same_view, one.views, other.views))
    )


def same_view(one: EncodedView, other: EncodedView) -> bool:
    return (
        one.layout == other.layout
        and np.array_equal(one.present, other.present)
        and ((one.tags is None) == (other.tags is None))
        and (one.tags is None or other.tags is None or np.array_equal(one.tags, other.tags))
        and all(
            np.array_equal(one.filters[group], other.filters[group])
            and np.array_equal(one.filter_present[group], other.filter_present[group])
            for group in other.filters
        )
    )


@functools.cache
def example_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_tqe(Path(folder) / "x.tqe", example_dataset())
        return (Path(folder) / "x.tqe").read_bytes()


# --- what is written comes back -------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 300])
def test_what_is_written_comes_back(tmp_path: Path, n: int) -> None:
    dataset, path = example_dataset(n), tmp_path / "jinjiang.tqe"
    sha256 = write_tqe(path, dataset)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for verify in (True, False):
        opened = open_tqe(path, verify=verify)
        assert opened.name == "jinjiang"
        assert same(opened, dataset)
        for view in opened.views:
            assert view.tags is None or view.tags.dtype == np.uint64
            assert all(words.dtype == np.uint64 for words in view.filters.values())
    assert read_manifest(path) == read_verified_manifest(path) == opened.manifest
    assert opened.manifest.content_sha256 == content_sha256(dataset)


def test_a_name_can_be_given(tmp_path: Path) -> None:
    write_tqe(tmp_path / "x.tqe", example_dataset())
    assert open_tqe(tmp_path / "x.tqe", name="office").name == "office"


def test_columns_are_used_where_they_are_mapped(tmp_path: Path) -> None:
    write_tqe(tmp_path / "x.tqe", example_dataset())
    filters = open_tqe(tmp_path / "x.tqe").views[0].filters["name"]
    assert not filters.flags.owndata
    assert not filters.flags.writeable
    assert filters.flags.aligned


def test_a_mapped_file_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.tqe"
    write_tqe(path, example_dataset(seed=1))
    opened = open_tqe(path)
    write_tqe(path, example_dataset(seed=2))
    assert same(opened, example_dataset(seed=1))
    assert same(open_tqe(path), example_dataset(seed=2))


def test_any_arrow_library_reads_it(tmp_path: Path) -> None:
    dataset, path = example_dataset(), tmp_path / "x.tqe"
    write_tqe(path, dataset)
    with pa.ipc.open_file(str(path)) as reader:
        table = reader.read_all()
    assert table.column_names == [
        "pseudonym",
        "number.tag",
        "number.name",
        "number.birth",
        "open.present",
        "open.name",
        "phone.tag",
    ]
    tags = dataset.views[0].tags
    assert tags is not None
    assert table["number.tag"].to_pylist() == [
        tag.to_bytes(8, "little") if tag else None for tag in tags.tolist()
    ]
    assert table["open.present"].to_pylist() == dataset.views[1].present.tolist()
    first = table["open.name"].to_pylist()[3]
    word = int(dataset.views[1].filters["name"][3, 1])
    assert first[8:16] == word.to_bytes(8, "little")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_is_its_owners_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.tqe"
    write_tqe(path, example_dataset())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.tqe"]


def test_a_failed_write_leaves_nothing_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.tqe"
    write_tqe(path, example_dataset())
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_tqe(path, example_dataset(seed=2))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.tqe"]


def test_the_content_hash_is_what_the_specification_says() -> None:
    dataset = example_dataset(3)
    filled = replace(dataset.manifest, content_sha256="00" * 32)
    expected = hashlib.sha256()

    def framed(text: str) -> bytes:
        return len(text).to_bytes(4, "little") + text.encode()

    text = rfc8785.dumps(json.loads(manifest_to_json(filled)) | {"content_sha256": ""}).decode()
    expected.update(framed("tongqiao/v1/tqe-content") + framed(text) + (3).to_bytes(8, "little"))
    columns: list[tuple[str, list[bytes], list[bool]]] = [
        ("pseudonym", [bytes(row) for row in dataset.pseudonyms], [True] * 3)
    ]
    for view in dataset.views:
        if view.tags is None:
            columns.append((f"{view.layout.name}.present", [b""] * 3, view.present.tolist()))
        else:
            tags = [int(tag).to_bytes(8, "little") for tag in view.tags]
            columns.append((f"{view.layout.name}.tag", tags, view.present.tolist()))
        for group, words in view.filters.items():
            rows = [b"".join(int(w).to_bytes(8, "little") for w in row) for row in words]
            columns.append(
                (f"{view.layout.name}.{group}", rows, view.filter_present[group].tolist())
            )
    for name, values, valid in columns:
        bits = sum(1 << i for i, is_valid in enumerate(valid) if is_valid)
        expected.update(framed(name) + bytes([bits]) + b"".join(values))
    assert content_sha256(dataset) == expected.hexdigest()


def test_the_content_hash_does_not_depend_on_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = example_dataset(50)
    whole = content_sha256(dataset)
    monkeypatch.setattr("linkage.tqe._BLOCK_ROWS", 7)
    assert content_sha256(dataset) == whole


# --- datasets that may not be written -------------------------------------------------------


def with_first_view(dataset: EncodedDataset, **changes: Any) -> EncodedDataset:
    return replace(dataset, views=(replace(dataset.views[0], **changes), *dataset.views[1:]))


def wrong_datasets() -> Mapping[str, EncodedDataset]:
    good = example_dataset()
    view = good.views[0]
    assert view.tags is not None
    twice = good.pseudonyms.copy()
    twice[1] = twice[0]
    filled = {name: words.copy() for name, words in view.filters.items()}
    filled["name"][0] = 1
    everywhere = {name: np.ones_like(has) for name, has in view.filter_present.items()}
    return {
        "count": replace(good, manifest=example_manifest(20)),
        "pseudonyms not in order": replace(good, pseudonyms=good.pseudonyms[::-1].copy()),
        "a pseudonym twice": replace(good, pseudonyms=twice),
        "pseudonyms too short": replace(good, pseudonyms=good.pseudonyms[:, :15]),
        "no tag where present": with_first_view(good, tags=np.zeros_like(view.tags)),
        "no tags in a tagged view": with_first_view(good, tags=None),
        "bits where absent": with_first_view(good, filters=filled),
        "filters without their view": with_first_view(good, filter_present=everywhere),
        "other layout": replace(good, manifest=example_manifest(21, views=LAYOUT[::-1])),
        "too few tags": with_first_view(good, tags=view.tags[:5]),
        "a long text": replace(good, manifest=example_manifest(21, encoder_version="x" * 65)),
    }


@pytest.mark.parametrize("wrong", sorted(wrong_datasets()))
def test_wrong_datasets_are_not_written(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(TqeFormatError):
        write_tqe(tmp_path / "x.tqe", wrong_datasets()[wrong])
    assert not list(tmp_path.iterdir())


# --- hostile files --------------------------------------------------------------------------


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


def test_the_example_rewritten_unchanged_is_accepted(tmp_path: Path) -> None:
    """Else the tests below would refuse for another reason than they say."""
    path = tmp_path / "x.tqe"
    path.write_bytes(rewritten())
    assert same(open_tqe(path), example_dataset())


FORGED: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "compressed by zstd": ("compressed", lambda: rewritten(compression="zstd")),
    "compressed by lz4": ("compressed", lambda: rewritten(compression="lz4")),
    "two batches": ("one record batch", lambda: rewritten(rows_per_batch=10)),
    "a row less": ("number of records", lambda: rewritten(lambda t: t.slice(0, 20))),
    "a row more": (
        "number of records",
        lambda: rewritten(lambda t: pa.concat_tables([t, t.slice(0, 1)])),
    ),
    "rows in another order": (
        "ascending",
        lambda: rewritten(lambda t: t.take(list(range(20, -1, -1)))),
    ),
    "a pseudonym twice": (
        "ascending",
        lambda: rewritten(lambda t: column(t, "pseudonym", lambda v: [v[0], v[0], *v[2:]])),
    ),
    "another tag": (
        "altered",
        lambda: rewritten(lambda t: column(t, "number.tag", lambda v: [*v[:-1], b"12345678"])),
    ),
    "a tag of zero": (
        "tags where",
        lambda: rewritten(lambda t: column(t, "number.tag", lambda v: [*v[:-1], bytes(8)])),
    ),
    "another filter": (
        "altered",
        lambda: rewritten(lambda t: column(t, "open.name", lambda v: [*v[:3], bytes(24), *v[4:]])),
    ),
    "a filter in an absent view": (
        "that it does not have",
        lambda: rewritten(lambda t: column(t, "number.name", lambda v: [bytes(16), *v[1:]])),
    ),
    "a column less": ("columns", lambda: rewritten(lambda t: t.drop_columns(["phone.tag"]))),
    "a column more": (
        "columns",
        lambda: rewritten(lambda t: t.append_column("name", pa.array(["x"] * 21))),
    ),
    "a column of another type": (
        "columns",
        lambda: rewritten(
            lambda t: t.set_column(1, "number.tag", t["number.tag"].cast(pa.binary()))
        ),
    ),
    "something hidden beside a column": (
        "columns",
        lambda: rewritten(
            lambda t: t.set_column(
                1, t.schema.field(1).with_metadata({"note": "hidden"}), t["number.tag"]
            )
        ),
    ),
    "something hidden beside the manifest": (
        "no manifest",
        lambda: arrow_file(
            pa.table({"a": [1]}).replace_schema_metadata({MANIFEST_KEY: b"{}", b"note": b"hidden"})
        ),
    ),
    "a dictionary": (
        "columns|schema",
        lambda: rewritten(
            lambda t: t.set_column(1, "number.tag", pa.array(["x"] * 21).dictionary_encode())
        ),
    ),
    "other names of columns": (
        "columns",
        lambda: rewritten(lambda t: t.rename_columns([name.upper() for name in t.column_names])),
    ),
    "another context": (
        "altered",
        lambda: rewritten(manifest=lambda d: d.update(context="sichuan-children/2027-h1")),
    ),
    "less diffusion": ("altered", lambda: rewritten(manifest=lambda d: d.update(diffusion=0))),
    "no manifest": (
        "no manifest",
        lambda: arrow_file(pa.table({"pseudonym": pa.array([b"x"], pa.binary(1))})),
    ),
    "no columns at all": ("one record batch", lambda: arrow_file(pa.table({}))),
    "the manifest's layout with longer filters": (
        "columns",
        lambda: rewritten(manifest=lambda d: d["views"][0]["groups"][0].update(filter_bits=256)),
    ),
}


def arrow_file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize("forgery", sorted(FORGED))
def test_forged_files_are_refused(tmp_path: Path, forgery: str) -> None:
    reason, make = FORGED[forgery]
    message = refused(tmp_path, make())
    assert any(part in message for part in reason.split("|")), message


def test_bits_hidden_below_a_null_are_refused(tmp_path: Path) -> None:
    dataset = example_dataset()
    absent = int(np.flatnonzero(~dataset.views[1].filter_present["name"])[0])
    data = bytearray(example_bytes())
    present = dataset.views[1].filters["name"].astype("<u8").tobytes()
    at = bytes(data).index(present)
    data[at + absent * 24] = 1
    assert "absent holds bits" in refused(tmp_path, bytes(data))


def test_a_decompression_bomb_is_refused_before_it_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: object, **_keywords: object) -> None:
        raise AssertionError("Arrow was asked to unpack a compressed batch")

    bomb = rewritten(compression="zstd")
    monkeypatch.setattr("pyarrow.ipc.read_record_batch", never)
    assert "compressed" in refused(tmp_path, bomb)


def test_a_count_that_promises_more_than_the_file_holds(tmp_path: Path) -> None:
    """No memory is taken by the manifest's word."""
    refused(tmp_path, rewritten(manifest=lambda d: d.update(n_records=2**31 - 1)))


@pytest.mark.parametrize("data", [b"", b"ARROW1", b"ARROW1\0\0" * 2, b"PK\3\4" * 99, bytes(5000)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data)
    with pytest.raises(TqeFormatError):
        read_manifest(tmp_path / "hostile.tqe")


def test_an_arrow_stream_and_a_json_file_are_refused(tmp_path: Path) -> None:
    table = pa.table({"a": [1]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    refused(tmp_path, sink.getvalue())
    refused(tmp_path, b'{"clks": []}' * 10)


def test_bytes_behind_or_between_are_refused(tmp_path: Path) -> None:
    data = example_bytes()
    refused(tmp_path, data + b"hidden")
    refused(tmp_path, data[:-10] + b"hidden!!" * 10 + data[-10:])
    refused(tmp_path, data[:8] + data[8:-10] + bytes(64) + data[-10:])


@pytest.mark.parametrize("length", [2**31 - 1, -1, -(2**31)])
def test_lying_lengths_are_refused(tmp_path: Path, length: int) -> None:
    data = bytearray(example_bytes())
    struct.pack_into("<i", data, 12, length)  # of the schema message
    refused(tmp_path, bytes(data))
    data = bytearray(example_bytes())
    struct.pack_into("<i", data, len(data) - 10, length)  # of the footer
    refused(tmp_path, bytes(data))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = example_bytes()
    for length in [*range(64), *range(64, len(data), 97), len(data) - 1]:
        refused(tmp_path, data[:length])


def accepted_only_if_unchanged(path: Path, data: bytes) -> None:
    """The one promise to a matcher: an error of ours, or exactly what was written."""
    path.write_bytes(data)
    try:
        opened = open_tqe(path)
    except TqeFormatError:
        with pytest.raises(TqeFormatError):
            read_verified_manifest(path)
        return
    assert read_verified_manifest(path) == opened.manifest
    # Bytes of padding, and of Arrow's footer, mean nothing; all else is covered.
    assert same(opened, example_dataset())


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_change_of_bytes_gives_other_data_or_another_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    original = bytearray(example_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(original) - 1))
        original[position] = data.draw(st.integers(0, 255))
    accepted_only_if_unchanged(tmp_path / "fuzzed.tqe", bytes(original))


def test_no_flip_of_a_bit_in_the_headers_gives_other_data_or_another_error(tmp_path: Path) -> None:
    original = example_bytes()
    draw = np.random.default_rng(11)
    header = original.index(b"ARROW1\0\0") + 8
    body = original.index(bytes(example_dataset().pseudonyms[0]))
    positions = [*range(header, body), *range(len(original) - 2000, len(original))]
    for position in draw.choice(positions, size=900, replace=False).tolist():
        data = bytearray(original)
        data[position] ^= 1 << int(draw.integers(8))
        accepted_only_if_unchanged(tmp_path / "fuzzed.tqe", bytes(data))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(middle=st.binary(max_size=300))
def test_nothing_made_up_is_a_file(tmp_path: Path, middle: bytes) -> None:
    refused(tmp_path, b"ARROW1\0\0" + middle + b"\x10\0\0\0ARROW1")


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_tqe(tmp_path / "none.tqe")
    with pytest.raises(FileNotFoundError):
        read_verified_manifest(tmp_path / "none.tqe")


@pytest.mark.parametrize("n", [7, 8, 9, 300])
def test_a_file_is_verified_block_by_block(
    tmp_path: Path, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of eight rows: what is wrong is found in every one of them, and between two."""
    monkeypatch.setattr("linkage.tqe._BLOCK_ROWS", 8)
    path, dataset = tmp_path / "x.tqe", example_dataset(n)
    write_tqe(path, dataset)
    assert read_verified_manifest(path) == open_tqe(path).manifest
    data = path.read_bytes()
    for row in range(1, n):
        swapped = data.replace(
            bytes(dataset.pseudonyms[row - 1]) + bytes(dataset.pseudonyms[row]),
            bytes(dataset.pseudonyms[row]) + bytes(dataset.pseudonyms[row - 1]),
        )
        assert swapped != data
        path.write_bytes(swapped)
        with pytest.raises(TqeFormatError, match="ascending order"):
            read_verified_manifest(path)


def test_verifying_takes_no_memory_that_grows_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.tqe._BLOCK_ROWS", 1024)
    peaks = []
    for n in (6000, 60_000):
        path = tmp_path / f"{n}.tqe"
        write_tqe(path, example_dataset(n))
        tracemalloc.start()
        try:
            read_verified_manifest(path)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# --- manifests ------------------------------------------------------------------------------


def test_a_manifest_comes_back() -> None:
    manifest = example_manifest(
        3, accepted_risk="只有 3 条记录, 已批准", content_sha256="ef" * 32, context="offline"
    )
    assert parse_manifest(manifest_to_json(manifest)) == manifest


def document(**changes: Any) -> dict[str, Any]:
    manifest = example_manifest(21, content_sha256="00" * 32)
    read: dict[str, Any] = json.loads(manifest_to_json(manifest))
    return {**read, **changes}


WRONG_MANIFESTS: Mapping[str, dict[str, Any]] = {
    "another format": document(format="tongqiao-tqe-v2"),
    "unknown key": document(note="hello"),
    "a terminal's escape": document(encoder_version="\x1b[2J"),
    "markup": document(profile_name="<script>"),
    "long name": document(profile_name="x" * 33),
    "upper-case hex": document(profile_sha256="AB" * 32),
    "short confirmation": document(key_confirmation="ab"),
    "context of three": document(context="a/b/c"),
    "time with a zone": document(created_at="2026-01-01T00:00:00+08:00"),
    "negative count": document(n_records=-1),
    "huge count": document(n_records=2**31),
    "count as a fraction": document(n_records=1.5),
    "count as a truth": document(n_records=True),
    "diffusion out of range": document(diffusion=65),
    "no views": document(views=[]),
    "too many views": document(views=[{"name": f"v{i}"} for i in range(17)]),
    "views as a table": document(views={}),
    "a view twice": document(views=document()["views"] + document()["views"][:1]),
    "odd filter length": document(
        views=[
            {
                "name": "a",
                "tagged": True,
                "groups": [{"name": "b", "filter_bits": 100}],
                "implies": [],
                "refutes": [],
            }
        ]
    ),
    "statistics left out": document(statistics={}),
    "fill above one": document(
        statistics={
            **document()["statistics"],
            "fill": {"number/name": 1.5, "number/birth": 0, "open/name": 0},
        }
    ),
    "missing more than there are": document(
        statistics={**document()["statistics"], "missing": {"number": 22, "open": 0, "phone": 0}}
    ),
    "a person in the problems": document(
        statistics={**document()["statistics"], "problems": {"王小明": 1}}
    ),
    "many problems": document(
        statistics={**document()["statistics"], "problems": {f"p{i}": 1 for i in range(300)}}
    ),
    "no evidence": {key: value for key, value in document().items() if key != "evidence"},
    "unknown evidence": document(evidence={"household": [], "twins": [], "siblings": []}),
    "evidence without a name": document(evidence={"household": [""], "twins": []}),
    "evidence without end": document(evidence={"household": ["a"] * 17, "twins": []}),
    "a long reason": document(accepted_risk="x" * 501),
    "a reason of two lines": document(accepted_risk="a\nb"),
    "an empty reason": document(accepted_risk=""),
    "the usual hash, said": document(keyed_hash="blake2b"),
    "an unknown hash": document(keyed_hash="md5"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG_MANIFESTS))
def test_wrong_manifests_are_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(TqeFormatError):
        parse_manifest(rfc8785.dumps(WRONG_MANIFESTS[wrong]))
    refused(tmp_path, rewritten(manifest=lambda _: WRONG_MANIFESTS[wrong]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"a":NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 5000,
        b'"\xff"',
        b'"' + b"x" * MAX_MANIFEST_BYTES + b'"',
        rfc8785.dumps(document()) + b"\n",
        json.dumps(document()).encode(),
        rfc8785.dumps(document()).replace(b'{"accepted_risk"', b'{"format":"x","accepted_risk"'),
    ],
    ids=range(13),
)
def test_texts_that_are_not_canonical_are_refused(text: bytes) -> None:
    with pytest.raises(TqeFormatError) as caught:
        parse_manifest(text)
    assert len(str(caught.value)) < 200


def test_the_manifest_of_the_tests_is_right() -> None:
    """Else the refusals above could have any reason."""
    assert parse_manifest(rfc8785.dumps(document())).n_records == 21


@settings(max_examples=100, deadline=None)
@given(
    key=st.sampled_from(sorted(document())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=6,
    ),
)
def test_any_value_anywhere_is_taken_or_refused(key: str, value: Any) -> None:
    text = json.dumps({**document(), key: value}, sort_keys=True, separators=(",", ":"))
    try:
        manifest = parse_manifest(text.encode("utf-8", "surrogatepass"))
    except TqeFormatError:
        return
    assert manifest_to_json(manifest) == text.encode()
