"""Files of records: every record comes, cleaned, with an id of its own and its problems."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records import ColumnMapping, read_raw_records, read_records
from linkage.records.reading import MAX_BATCH_CELLS
from linkage.types import FieldSpec, Problem, RecordBatch
from tests.linkage.records.files import (
    CHILD_FIELDS,
    COLUMNS,
    HEADINGS,
    id_number,
    write_csv,
    write_xlsx,
)

TODAY = date(2025, 6, 1)
BOY = id_number("2015-03-07", 1)
MAPPING = ColumnMapping(COLUMNS)
RECORD = ("A1", "王小明", "男", "2015-03-07", BOY, "王大山", "17361028473")


def read(
    path: Path, mapping: ColumnMapping = MAPPING, *, batch_rows: int = 1000
) -> list[RecordBatch]:
    return list(read_records(path, mapping, CHILD_FIELDS, batch_rows=batch_rows, today=TODAY))


def ids_and_problems(path: Path) -> tuple[list[str], list[tuple[int, str, str]]]:
    batches = read(path)
    problems: list[Problem] = [p for batch in batches for p in batch.problems]
    return (
        [text for batch in batches for text in batch.record_ids],
        # These tests' rows are all of one child.
        [(p.row, p.field, p.code) for p in problems if p.code != "child-twice"],
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_record_of_a_text_file(tmp_path: Path, codec: str) -> None:
    path = write_csv(tmp_path / "x.csv", [HEADINGS, RECORD], codec)
    [batch] = read(path)
    assert batch.first_row == 2
    assert batch.record_ids == ("A1",)
    assert batch.problems == ()
    assert {name: values[0] for name, values in batch.columns.items()} == {
        "name": "王小明",
        "sex": "M",
        "birth_date": "2015-03-07",
        "id_number": BOY,
        "guardian_name": "王大山",
        "guardian_phone": "17361028473",
        "hukou_division": None,
        "residence_division": None,
    }


def test_a_record_of_a_workbook_with_dates_and_numbers(tmp_path: Path) -> None:
    rows = [
        HEADINGS,
        (17, "王小明", 1, date(2015, 3, 7), BOY, "王大山", 17361028473),
        (18, "王小亮", "女", 42070, int(BOY), None, "028-85123467"),
    ]
    [batch] = read(write_xlsx(tmp_path / "x.xlsx", rows))
    assert batch.record_ids == ("17", "18")
    assert batch.columns["sex"] == ("M", "F")
    assert batch.columns["birth_date"] == ("2015-03-07", "2015-03-07")
    assert batch.columns["id_number"] == (BOY, None)
    assert batch.columns["guardian_phone"] == ("17361028473", "02885123467")
    assert [(p.row, p.code) for p in batch.problems] == [(3, "id-lost-by-spreadsheet")]


def test_batches_are_consecutive_and_cover_every_record(tmp_path: Path) -> None:
    rows = [[f"A{i}", "王小明", "男", "2015-03-07", "", "", ""] for i in range(25)]
    batches = read(write_csv(tmp_path / "x.csv", [HEADINGS, *rows]), batch_rows=10)
    assert [(b.first_row, len(b)) for b in batches] == [(2, 10), (12, 10), (22, 5)]
    assert [i for b in batches for i in b.record_ids] == [f"A{i}" for i in range(25)]
    with pytest.raises(ValueError, match="batch_rows"):
        read(tmp_path / "x.csv", batch_rows=0)


def test_a_file_of_headings_only_has_no_records(tmp_path: Path) -> None:
    assert read(write_csv(tmp_path / "x.csv", [HEADINGS])) == []


def test_blank_rows_are_no_records_but_count(tmp_path: Path) -> None:
    blank: list[str] = [""] * 7
    rows = [HEADINGS, RECORD, [], blank, ["  "] + [""] * 6, ("A2", *RECORD[1:3], "x", "", "", "")]
    ids, problems = ids_and_problems(write_csv(tmp_path / "x.csv", rows))
    assert ids == ["A1", "A2"]
    assert problems == [(6, "birth_date", "date-not-understood")]


def test_missing_ids_are_row_numbers_and_repeated_ones_get_it_added(tmp_path: Path) -> None:
    rest = RECORD[1:]
    rows = [
        ("A1", *rest),
        ("", *rest),
        ("A1", *rest),
        ("无", *rest),
        ("row-3", *rest),
        ("A1", *rest),
    ]
    rows.append(("row-8", *rest))
    ids, problems = ids_and_problems(write_csv(tmp_path / "x.csv", [HEADINGS, *rows]))
    assert ids == ["A1", "row-3", "A1@row-4", "row-5", "row-3@row-6", "A1@row-7", "row-8"]
    assert problems == [
        (3, "record_id", "record-id-missing"),
        (4, "record_id", "record-id-twice"),
        (5, "record_id", "record-id-missing"),
        (6, "record_id", "record-id-twice"),
        (7, "record_id", "record-id-twice"),
    ]


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["", "A", "row-1", "row-03", "row-3", "A@row-2", "A@row-3", "row-1@row-2"]),
        max_size=9,
    ),
    st.integers(1, 4),
)
def test_ids_are_unique_and_do_not_depend_on_the_batches(
    tmp_path_factory: pytest.TempPathFactory, given_ids: list[str], batch_rows: int
) -> None:
    path = tmp_path_factory.mktemp("ids") / "x.csv"
    write_csv(path, [HEADINGS, *[(text, *RECORD[1:]) for text in given_ids]])
    ids = [i for batch in read(path, batch_rows=batch_rows) for i in batch.record_ids]
    assert len(ids) == len(set(ids)) == len(given_ids)
    _, raw = read_raw_records(path, MAPPING)
    assert [i for batch in raw for i in batch.record_ids] == ids


def test_raw_records_are_the_files_own_rows_under_the_same_ids(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [HEADINGS, RECORD, [], ("", *RECORD[1:3])])
    headings, batches = read_raw_records(path, MAPPING)
    [batch] = batches
    assert headings == HEADINGS
    assert batch.rows == [2, 4]
    assert batch.record_ids == ["A1", "row-4"]
    assert list(batch.cells[0]) == list(RECORD)
    assert list(batch.cells[1]) == ["", "王小明", "男", None, None, None, None]


def test_rows_of_another_length_are_kept_and_reported(tmp_path: Path) -> None:
    rows = [
        HEADINGS,
        RECORD[:3],
        (*RECORD, "", ""),
        ("A3", *RECORD[1:], "left over"),
    ]
    rows[2] = ("A2", *rows[2][1:])
    ids, problems = ids_and_problems(write_csv(tmp_path / "x.csv", rows))
    assert ids == ["A1", "A2", "A3"]
    assert problems == [
        (2, "row", "row-has-wrong-number-of-cells"),
        (4, "row", "row-has-wrong-number-of-cells"),
    ]


def test_nul_bytes_are_left_out_and_reported(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [HEADINGS, ("A1", "王\x00小明", *RECORD[2:])])
    [batch] = read(path)
    assert batch.columns["name"] == ("王小明",)
    assert [(p.field, p.code) for p in batch.problems] == [("name", "control-characters")]


def test_a_missing_heading_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [("登记编号", "姓名"), ("A1", "王小明")])
    with pytest.raises(RecordsError, match="'儿童姓名'") as refusal:
        read(path, ColumnMapping({"record_id": "登记编号", "name": "儿童姓名"}))
    assert "登记编号, 姓名" in str(refusal.value)
    assert "王小明" not in str(refusal.value)


def test_a_mapped_heading_that_stands_twice_is_refused_another_is_not(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "x.csv", [("编号", "姓名", "备注", "备注"), ("A1", "王小明", "", "")]
    )
    mapping = ColumnMapping({"record_id": "编号", "name": "姓名"})
    assert read(path, mapping)[0].columns["name"] == ("王小明",)
    with pytest.raises(RecordsError, match="stands 2 times"):
        read(path, ColumnMapping({"record_id": "编号", "name": "备注"}))


def test_headings_match_whatever_blanks_are_in_them(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [("rec_id", " Given_Name"), ("A1", " anna")])
    mapping = ColumnMapping({"record_id": "REC_ID", "given_name": "given_name"})
    fields = [FieldSpec("given_name", "latin-name")]
    [batch] = read_records(path, mapping, fields)
    assert batch.columns == {"given_name": ("anna",)}


def test_a_mapping_without_record_id_cannot_be_read_by(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [HEADINGS, RECORD])
    with pytest.raises(RecordsError, match="record_id"):
        read(path, ColumnMapping({"name": "儿童姓名"}))


def test_errors_of_the_file_come_at_the_call_or_when_they_are_met(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(RecordsError, match="cannot be read"):
        read_records(path, MAPPING, CHILD_FIELDS)
    write_csv(path, [HEADINGS, *[RECORD] * 50])
    path.write_text(path.read_text(encoding="utf-8") + 'A9,"王小明', encoding="utf-8")
    batches = read_records(path, MAPPING, CHILD_FIELDS, batch_rows=10, today=TODAY)
    assert len(next(batches)) == 10
    with pytest.raises(RecordsError, match="quotation"):
        list(batches)


def test_problems_are_masked_and_in_the_order_of_rows(tmp_path: Path) -> None:
    rows = [
        ("A1", "王小明", "男", "2015-02-30", BOY[:-1], "", "123"),
        ("A2", "王某之女", "甲", "2999-01-01", "G" + BOY, "王芳", "00000000000"),
    ]
    [batch] = read(write_csv(tmp_path / "x.csv", [HEADINGS, *rows]))
    assert [p.row for p in batch.problems] == sorted(p.row for p in batch.problems)
    found = {(p.row, p.code) for p in batch.problems}
    assert found == {
        (2, "date-impossible"),
        (2, "id-wrong-length"),
        (2, "phone-wrong-length"),
        (3, "placeholder-name"),
        (3, "sex-not-understood"),
        (3, "date-in-future"),
        (3, "not-a-resident-id"),
        (3, "placeholder-phone"),
    }
    for problem in batch.problems:
        raw = dict(zip(COLUMNS, rows[problem.row - 2], strict=True))[problem.field]
        assert raw not in problem.masked
        assert raw not in repr(batch)


def test_an_id_number_used_twice_is_found_across_batches(tmp_path: Path) -> None:
    filler = [(f"B{i}", "李四", "女", "2016-01-01", "", "", "") for i in range(30)]
    twin = ("A2", "王小亮", *RECORD[2:])
    path = write_csv(tmp_path / "x.csv", [HEADINGS, RECORD, *filler, twin])
    problems = [p for b in read(path, batch_rows=7) for p in b.problems]
    assert [(p.row, p.code, p.other_row) for p in problems] == [(33, "id-used-twice", 2)]


def test_values_of_the_mapping_translate_before_cleaning(tmp_path: Path) -> None:
    mapping = ColumnMapping(COLUMNS, {"sex": {"甲": "M"}, "guardian_phone": {"同上": ""}})
    row = ("A1", "王小明", "甲", "2015-03-07", BOY, "", "同上")
    [batch] = read(write_csv(tmp_path / "x.csv", [HEADINGS, row]), mapping)
    assert batch.columns["sex"] == ("M",)
    assert batch.columns["guardian_phone"] == (None,)
    assert batch.problems == ()


def test_a_latin_register_has_no_rules_for_children(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "x.csv", [("rec_id", "date_of_birth", "ssn"), ("r1", "19590414", "5304218")]
    )
    fields = [FieldSpec("birth_date", "date"), FieldSpec("soc_sec_id", "identifier")]
    mapping = ColumnMapping(
        {"record_id": "rec_id", "birth_date": "date_of_birth", "soc_sec_id": "ssn"}
    )
    for cleaning in (None, "latin-1"):
        [batch] = read_records(path, mapping, fields, today=TODAY, cleaning=cleaning)
        assert batch.columns == {"birth_date": ("1959-04-14",), "soc_sec_id": ("5304218",)}
        assert batch.problems == ()
    with pytest.raises(RecordsError, match="cleaning rules"):
        read_records(path, mapping, fields, cleaning="cn-0")


def test_a_sheet_with_thousands_of_columns_comes_in_small_batches(tmp_path: Path) -> None:
    headings = [*HEADINGS, *(f"x{i}" for i in range(4000))]
    rows = [[str(i), "王小明", "男"] for i in range(1200)]
    path = write_xlsx(tmp_path / "x.xlsx", [headings, *rows])
    told: list[tuple[int, int]] = []
    batches = list(
        read_records(path, MAPPING, CHILD_FIELDS, on_read=lambda *how_far: told.append(how_far))
    )
    assert told[-1][0] == told[-1][1]
    assert sum(map(len, batches)) == 1200
    assert max(map(len, batches)) * len(headings) <= MAX_BATCH_CELLS
