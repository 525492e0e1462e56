"""Files written piece by piece: the same bytes as from memory, shuffled in bounded memory."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from linkage.encoded_rows import RowLayout, ascending
from linkage.errors import EncodingError, TqeFormatError
from linkage.shuffle import RowShuffle
from linkage.tqe import open_tqe, write_tqe
from linkage.tqe_writer import TqeWriter
from linkage.types import U64, EncodedDataset
from tests.linkage.tqe_examples import example_dataset, same


def packed(dataset: EncodedDataset) -> tuple[RowLayout, U64]:
    layout = RowLayout(dataset.manifest.views)
    rows = layout.empty_rows(dataset.n_records)
    layout.set_pseudonyms(rows, dataset.pseudonyms.tobytes())
    for view in dataset.views:
        presence = layout.presence(view.layout)
        layout.set_validity(rows, presence, view.present)
        if view.tags is not None:
            rows[:, presence.first_word] = view.tags
        for name, words in view.filters.items():
            column = layout.group(view.layout.name, name)
            layout.set_validity(rows, column, view.filter_present[name])
            rows[:, column.first_word : column.first_word + column.n_words] = words
    return layout, rows


def valid_counts(layout: RowLayout, rows: U64) -> dict[str, int]:
    return {column.name: int(layout.validity(rows, column).sum()) for column in layout.columns[1:]}


def write_in_pieces(path: Path, dataset: EncodedDataset, step: int) -> str:
    layout, rows = packed(dataset)
    path.touch()
    writer = TqeWriter(path, dataset.manifest, valid_counts(layout, rows))
    try:
        for start in range(0, len(rows), step):
            writer.add(rows[start : start + step])
        return writer.finish()
    finally:
        writer.close()


def full_dataset(n: int) -> EncodedDataset:
    """One in which nothing is missing, so that Arrow leaves the validity bits out."""
    dataset = example_dataset(n)
    views = []
    for view in dataset.views:
        everywhere = np.ones(n, dtype=np.bool_)
        tags = None if view.tags is None else view.tags | np.uint64(1)
        filter_present = dict.fromkeys(view.filters, everywhere)
        views.append(replace(view, tags=tags, present=everywhere, filter_present=filter_present))
    return replace(dataset, views=tuple(views))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 64, 300])
@pytest.mark.parametrize("step", [1, 5, 8, 64, 1000])
def test_the_bytes_are_those_of_a_file_from_memory(tmp_path: Path, n: int, step: int) -> None:
    for dataset in (example_dataset(n), full_dataset(n)):
        expected = write_tqe(tmp_path / "memory.tqe", dataset)
        assert write_in_pieces(tmp_path / "pieces.tqe", dataset, step) == expected
        data = (tmp_path / "pieces.tqe").read_bytes()
        assert data == (tmp_path / "memory.tqe").read_bytes()
        assert hashlib.sha256(data).hexdigest() == expected
        assert same(open_tqe(tmp_path / "pieces.tqe"), dataset)


def test_other_rows_than_announced_are_refused(tmp_path: Path) -> None:
    dataset = example_dataset(20)
    layout, rows = packed(dataset)
    path = tmp_path / "x.tqe"
    path.touch()
    writer = TqeWriter(path, dataset.manifest, valid_counts(layout, rows))
    writer.add(rows[:19])
    with pytest.raises(TqeFormatError, match="number of records"):
        writer.finish()
    writer.close()


def test_a_manifest_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    dataset = example_dataset(20)
    layout, rows = packed(dataset)
    (tmp_path / "x.tqe").touch()
    manifest = replace(dataset.manifest, accepted_risk="x" * 501)
    with pytest.raises(TqeFormatError, match="accepted risk"):
        TqeWriter(tmp_path / "x.tqe", manifest, valid_counts(layout, rows))


def random_rows(n: int) -> tuple[RowLayout, U64]:
    layout, rows = packed(example_dataset(n))
    draw = np.random.default_rng(n)
    layout.set_pseudonyms(rows, draw.bytes(16 * n))
    return layout, rows


@pytest.mark.parametrize("memory_bytes", [1, 5_000, 1 << 30])
@pytest.mark.parametrize("n", [0, 1, 1_000])
def test_rows_come_back_in_order_whatever_the_memory(
    tmp_path: Path, n: int, memory_bytes: int
) -> None:
    layout, rows = random_rows(n)
    with RowShuffle(layout, tmp_path, memory_bytes=memory_bytes) as shuffle:
        for start in range(0, n, 90):
            shuffle.add(rows[start : start + 90])
        assert shuffle.n_rows == n
        assert not list(tmp_path.iterdir())  # a file without a name
        pieces = list(shuffle.in_order())
    found = np.concatenate([layout.empty_rows(0), *pieces])
    assert np.array_equal(found, rows[ascending(rows)])
    pseudonyms = [bytes(row) for row in layout.pseudonyms(found)]
    assert pseudonyms == sorted(pseudonyms)


@pytest.mark.parametrize("memory_bytes", [1, 1 << 30])
def test_a_pseudonym_that_comes_twice_is_refused(tmp_path: Path, memory_bytes: int) -> None:
    layout, rows = random_rows(50)
    rows[49, :2] = rows[3, :2]
    with RowShuffle(layout, tmp_path, memory_bytes=memory_bytes) as shuffle:
        shuffle.add(rows[:25])
        shuffle.add(rows[25:])
        with pytest.raises(EncodingError, match="repeats"):
            list(shuffle.in_order())
