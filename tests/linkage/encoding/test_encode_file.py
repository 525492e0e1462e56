"""Straight to a file: the encodings that come in memory, whatever the size, engine and disk."""

import random
from pathlib import Path

import numpy as np
import pytest

from linkage.encoding.encode import Engine
from linkage.encoding.encode_file import EncodedTqe, RiskyFileError, encode_to_tqe
from linkage.errors import EncodingError
from linkage.profile import load_profile, parse_profile
from linkage.tqe import open_tqe
from linkage.types import U8, EncodedDataset
from tests.linkage.encoding.records import (
    EVERY_KIND,
    ROUND_KEY,
    Record,
    batch_of,
    encode,
    invented_record,
)
from tests.linkage.encoding.test_encode_records import CHILDREN

PROFILE = parse_profile(EVERY_KIND.replace("diffusion = 3", "diffusion = 9"))


def invented(n: int) -> list[Record]:
    draw = random.Random(n)
    return [invented_record(draw) for _ in range(n)]


def write(
    path: Path,
    records: list[Record],
    *,
    engine: Engine = "compiled",
    max_records: int | None = None,
) -> tuple[EncodedTqe, dict[str, str]]:
    path.touch()
    pseudonym_of: dict[str, str] = {}

    def told(pseudonyms: U8, record_ids: object) -> None:
        assert isinstance(record_ids, tuple | list)
        for pseudonym, record_id in zip(pseudonyms, record_ids, strict=True):
            pseudonym_of[record_id] = bytes(pseudonym).hex()

    written = encode_to_tqe(
        [batch_of(records[:30], PROFILE), batch_of(records[30:], PROFILE, 31)],
        PROFILE,
        ROUND_KEY,
        path,
        context="offline",
        key_confirmation="0" * 32,
        encoder_version="0.1.0",
        created_at="2026-01-01T00:00:00Z",
        on_records=told,
        engine=engine,
        max_records=max_records,
    )
    return written, pseudonym_of


def assert_holds(dataset: EncodedDataset, expected: EncodedDataset, rows: list[int]) -> None:
    """Row ``i`` of what was expected is row ``rows[i]`` of the dataset."""
    for got, wanted in zip(dataset.views, expected.views, strict=True):
        assert np.array_equal(got.present[rows], wanted.present)
        if got.tags is None or wanted.tags is None:
            assert got.tags is wanted.tags
        else:
            assert np.array_equal(got.tags[rows], wanted.tags)
        for group in wanted.filters:
            assert np.array_equal(got.filters[group][rows], wanted.filters[group])
            assert np.array_equal(got.filter_present[group][rows], wanted.filter_present[group])


@pytest.mark.parametrize("memory_bytes", [1, 1 << 30])
@pytest.mark.parametrize("engine", ["plain", "compiled"])
def test_the_file_holds_what_comes_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine, memory_bytes: int
) -> None:
    monkeypatch.setattr("linkage.shuffle.MEMORY_BYTES", memory_bytes)
    records = invented(90)
    written, pseudonym_of = write(tmp_path / "x.tqe", records, engine=engine)
    assert written.engine == engine
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.tqe"]
    dataset = open_tqe(tmp_path / "x.tqe")
    batches = [batch_of(records[:30], PROFILE), batch_of(records[30:], PROFILE, 31)]
    expected = encode(batches, PROFILE, engine="plain")
    row_of = {dataset.pseudonym(row): row for row in range(90)}
    rows = [row_of[pseudonym_of[record_id]] for record_id in expected.record_ids]
    assert_holds(dataset, expected.dataset, rows)
    assert dataset.manifest.statistics == expected.dataset.manifest.statistics


def test_no_records_and_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="no records"):
        write(tmp_path / "x.tqe", [])
    with pytest.raises(EncodingError, match="more records than the terms allow"):
        write(tmp_path / "y.tqe", invented(40), max_records=39)
    assert not (tmp_path / "y.tqe").stat().st_size


def test_a_refusal_has_its_report_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.tqe"
    path.touch()
    child = load_profile("cn-child-v1")
    with pytest.raises(RiskyFileError, match="repeat an earlier one") as refusal:
        encode_to_tqe(
            [batch_of([CHILDREN[0]] * 60, child)],
            child,
            ROUND_KEY,
            path,
            context="offline",
            key_confirmation="0" * 32,
            encoder_version="0.1.0",
        )
    assert {finding.check for finding in refusal.value.report.of("refused")} == {"duplicates"}
    assert not path.stat().st_size
    for value in CHILDREN[0].values():
        assert value is None or len(value) == 1 or value not in str(refusal.value)
