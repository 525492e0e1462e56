"""Columns cleaned at once: the same values, ids and problems as cell by cell, on any text."""

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.profile import load_profile
from linkage.quality.synthetic import generate, write_registers
from linkage.records.mapping import ColumnMapping
from linkage.records.reading import clean_file
from linkage.types import FieldSpec, RecordBatch
from tests.linkage.records.files import CHILD_FIELDS, COLUMNS, HEADINGS, id_number

TODAY = date(2025, 6, 1)
EVERY_KIND = (
    FieldSpec("name", "chinese-name"),
    FieldSpec("latin", "latin-name"),
    FieldSpec("birth_date", "date"),
    FieldSpec("id_number", "resident-id"),
    FieldSpec("code", "identifier"),
    FieldSpec("phone", "phone"),
    FieldSpec("place", "division"),
    FieldSpec("sex", "sex"),
    FieldSpec("note", "text"),
)


def read(
    path: Path,
    mapping: ColumnMapping,
    fields: Sequence[FieldSpec],
    *,
    row_by_row: bool,
    batch_rows: int = 7,
) -> list[RecordBatch] | str:
    try:
        return list(
            clean_file(
                path,
                mapping,
                fields,
                batch_rows=batch_rows,
                today=TODAY,
                cleaning="cn-2",
                row_by_row=row_by_row,
            )
        )
    except RecordsError as error:
        return str(error)


def joined(batches: list[RecordBatch] | str) -> object:
    if isinstance(batches, str):
        return batches
    names = list(batches[0].columns) if batches else []
    return (
        [record_id for batch in batches for record_id in batch.record_ids],
        {name: [value for batch in batches for value in batch.columns[name]] for name in names},
        [problem for batch in batches for problem in batch.problems],
    )


def assert_same(
    path: Path, mapping: ColumnMapping, fields: Sequence[FieldSpec], batch_rows: int = 7
) -> None:
    slow = read(path, mapping, fields, row_by_row=True, batch_rows=batch_rows)
    fast = read(path, mapping, fields, row_by_row=False, batch_rows=batch_rows)
    assert joined(fast) == joined(slow)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_registers_of_every_office(tmp_path: Path, scale: float, suffix: str) -> None:
    registers = generate(400, seed=3, error_scale=scale)
    profile = load_profile("cn-child-v1")
    files = [file for file in write_registers(registers, tmp_path) if file.path.suffix == suffix]
    assert files
    for file in files:
        mapping = ColumnMapping(dict(registers[file.office_id].mapping))
        assert_same(file.path, mapping, profile.fields, batch_rows=150)


_CELLS = st.one_of(
    st.text(max_size=12),
    st.text("王小明欧阳某之女曾單·  〓?xX*'=\"(),", max_size=6),
    st.text("0123456789-/.年月日 +eE", max_size=19),
    st.sampled_from(
        (
            "",
            "无",
            "王小明",
            "王小明 ",
            "單雄信",
            "王某之女",
            "15812345678",
            "13800138000",
            "15811111111",
            "158-1234-5678",
            "1",
            "女",
            "2015-03-07",
            "20150307",
            "2015/3/7",
            "1990-01-01",
            id_number("2015-03-07", 1),
            id_number("2015-03-07", 2),
            id_number("2015-03-08", 1).lower(),
            id_number("1990-01-01", 1),
            id_number("2026-01-01", 1),
            "1.1010519491231e+17",
            "510104",
            "510104000000",
            "成都市武侯区",
            "A1",
            "row-2",
            "王\x00明",
            "#REF!",
        )
    ),
)


@settings(max_examples=80)
@given(
    st.lists(st.lists(_CELLS, min_size=0, max_size=12), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_any_cells(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], newline: str, padded: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.csv"
    names = ["record_id", *(field.name for field in EVERY_KIND)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=newline)
    writer.writerow(names)
    writer.writerows((row + [""] * 10)[:10] if padded else row for row in rows)
    path.write_bytes(text.getvalue().encode("utf-8", "replace"))
    mapping = ColumnMapping({name: name for name in names}, encoding="utf-8")
    assert_same(path, mapping, EVERY_KIND)
    some = {name: name for name in names if name not in ("birth_date", "sex")}
    assert_same(path, ColumnMapping(some, encoding="utf-8"), EVERY_KIND)
    assert_same(path, mapping, EVERY_KIND[3:5])


def test_translated_values_and_no_record_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [HEADINGS, *[["A", "王小明", "甲", "2015-03-07", "", "王大山", "158"]] * 9]
    with path.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows(rows)
    columns = {name: heading for name, heading in COLUMNS.items() if name != "record_id"}
    values = {"sex": {"甲": "男"}, "name": {"王小明": "李雷"}, "guardian_phone": {"158": ""}}
    mapping = ColumnMapping(columns, values)
    assert_same(path, mapping, CHILD_FIELDS)
    batches = read(path, mapping, CHILD_FIELDS, row_by_row=False)
    assert not isinstance(batches, str)
    last = batches[-1]
    assert last.columns["name"] == ("李雷",) * 2
    assert last.columns["sex"] == ("M",) * 2


def test_bounded_memory_of_values_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    rows = [["record_id", "born"], *[[str(i), f"2015-03-{1 + i % 28:02d}"] for i in range(100)]]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    mapping = ColumnMapping({"record_id": "record_id", "birth_date": "born"})
    monkeypatch.setattr("linkage.records.block_cleaning._MEMO_ENTRIES", 3)
    assert_same(path, mapping, [FieldSpec("birth_date", "date")])


def test_progress_ends_with_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("record_id,born\n" + "1,2015-03-07\n" * 1000, encoding="utf-8")
    told: list[tuple[int, int]] = []
    list(
        clean_file(
            path,
            ColumnMapping({"record_id": "record_id", "birth_date": "born"}),
            [FieldSpec("birth_date", "date")],
            batch_rows=100,
            today=TODAY,
            cleaning=None,
            on_read=lambda done, total: told.append((done, total)),
        )
    )
    assert len(told) == 10
    assert told == sorted(told)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
