"""The exchange file: what is written comes back, and nothing wrong is written."""

import hashlib
import json
import os
import stat
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rfc8785

from linkage.errors import TqeFormatError
from linkage.manifest import manifest_to_json
from linkage.tqe import content_sha256, open_tqe, read_manifest, read_verified_manifest, write_tqe
from linkage.types import EncodedDataset
from tests.linkage.tqe_examples import LAYOUT, example_dataset, example_manifest, same


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
