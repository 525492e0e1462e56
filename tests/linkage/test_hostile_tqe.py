"""Exchange files of somebody hostile: none gets in, and none brings anything down."""

import io
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.errors import TqeFormatError
from linkage.tqe import MANIFEST_KEY, open_tqe, read_manifest, read_verified_manifest
from tests.linkage.tqe_examples import example_bytes, example_dataset, same
from tests.linkage.tqe_forgeries import arrow_file, column, refused, rewritten


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


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(middle=st.binary(max_size=300))
def test_nothing_made_up_is_a_file(tmp_path: Path, middle: bytes) -> None:
    refused(tmp_path, b"ARROW1\0\0" + middle + b"\x10\0\0\0ARROW1")
