"""Rows of a table that are no records: left out, and told."""

from datetime import date
from pathlib import Path

import pytest

from linkage.records.mapping import ColumnMapping
from linkage.records.reading import clean_file, read_raw_records
from linkage.records.rows import NoRecords
from tests.linkage.records.files import CHILD_FIELDS, id_number, write_csv, write_xlsx

TODAY = date(2026, 6, 1)
HEADINGS = ["序号", "姓名", "性别", "出生日期", "身份证号", "备注"]
CHILD = ["7", "李沐阳", "男", "2015-03-07", id_number("2015-03-07"), ""]
TITLE = ["某县台账", "", "", "", "", ""]
NUMBER = id_number("2014-05-06", 2)


def code_of(cells: str) -> str | None:
    """What a row below these headings is; ``|`` separates its cells."""
    return NoRecords([TITLE, HEADINGS]).code_of(cells.split("|"))


TOTALS = """
合计|8
合 计||8人
总计:8人
共计8人|
|合计|男5女3
本页小计|4
全县合计|||||12
9|合计|8人
共8人
"""
NOTES = f"""
填表人:张三|||审核人:李四
填表人：张三|||2026-05-01
制表时间：2026年5月1日
备注：一式两份
注：1.身份证号请以文本填写
单位负责人(签字):|
填报单位（盖章）：
制表人|张三||审核人|李四
填报日期|2026-05-01
示例|王小明|男|2015-03-07|{NUMBER}
例|王小明|男|2015-03-07|{NUMBER}
例：|王小明|男
填写说明：|一格一值
第1页
|第 2 页，共 3 页
——以下空白——
"""
RECORDS = f"""
7|李沐阳|男|2015-03-07|{NUMBER}
合计|李沐阳|男|2015-03-07|{NUMBER}
合计|李沐阳|男|2015-03-07
总|李沐阳
小计算
全小计|全小计|女|2014-05-06
|单合计|男
1|总经理
备注|李沐阳
注:1|李沐阳|女|2014-05-06|{NUMBER}
1|示例|女
例外|李沐阳
第1页|李沐阳
例12|李沐阳|女|2014-05-06|{NUMBER}
备注:随父亲居住|李沐阳|女|2014-05-06
8||
|姓名|
7|姓名|性别
共|8
|
"""


@pytest.mark.parametrize("cells", TOTALS.split("\n")[1:-1])
def test_totals_are_no_records(cells: str) -> None:
    assert code_of(cells) == "row-of-totals"


def test_totals_of_a_workbook_are_numbers() -> None:
    assert NoRecords([HEADINGS]).code_of([9, "合计", 8]) == "row-of-totals"


@pytest.mark.parametrize("cells", NOTES.split("\n")[1:-1])
def test_what_is_written_below_a_form_is_no_record(cells: str) -> None:
    assert code_of(cells) == "row-of-notes"


@pytest.mark.parametrize(
    "cells",
    ["|".join(HEADINGS), "序号|姓名|性别", "|".join(TITLE), " 序号|姓 名|性别", "序号|姓  名"],
)
def test_headings_of_a_list_that_was_pasted_below_are_no_record(cells: str) -> None:
    assert code_of(cells) == "row-of-headings"


@pytest.mark.parametrize("cells", RECORDS.split("\n")[1:-1])
def test_a_record_stays_one(cells: str) -> None:
    """Better one line too many than a child too few."""
    assert code_of(cells) is None


ROWS = [
    TITLE,
    HEADINGS,
    CHILD,
    ["小计", "", "1人", "", "", ""],
    TITLE,
    HEADINGS,
    ["8", "王芳", "女", "2014-05-06", NUMBER, ""],
    ["", "", "", "", "", ""],
    ["合计", "", "2人", "", "", ""],
    ["填表人:张三", "", "", "审核人:李四", "", ""],
]
TOLD = [
    (4, "row-of-totals", "小*"), (5, "row-of-headings", "某***"), (6, "row-of-headings", "序*"),
    (9, "row-of-totals", "合*"), (10, "row-of-notes", "填****三"),
]  # fmt: skip
MAPPING = ColumnMapping({"record_id": "序号", "name": "姓名", "id_number": "身份证号"})


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("row_by_row", [False, True])
@pytest.mark.parametrize("name", ["x.csv", "x.xlsx", "ragged.csv"])
def test_they_are_left_out_and_told_however_a_file_is_read(
    tmp_path: Path, name: str, row_by_row: bool, batch_rows: int
) -> None:
    rows = ROWS
    if name == "ragged.csv":
        rows = [*ROWS[:3], ["小计", "1人"], *ROWS[4:8], ["合计", "2人"], ["填表人:张三"]]
    write = write_xlsx if name.endswith("xlsx") else write_csv
    path = write(tmp_path / name, rows)
    batches = list(
        clean_file(
            path, MAPPING, CHILD_FIELDS, batch_rows=batch_rows, today=TODAY, cleaning=None,
            row_by_row=row_by_row,
        )
    )  # fmt: skip
    assert [one for batch in batches for one in batch.record_ids] == ["7", "8"]
    assert all(len(batch) for batch in batches)
    told = [(p.row, p.code, p.masked) for batch in batches for p in batch.problems]
    assert told == TOLD
    assert {p.field for batch in batches for p in batch.problems} == {"row"}


def test_the_offices_own_rows_are_the_same_ones(tmp_path: Path) -> None:
    """Links are joined to what was encoded, and not to a line of totals."""
    _, batches = read_raw_records(write_csv(tmp_path / "x.csv", ROWS), MAPPING, batch_rows=3)
    assert [one for batch in batches for one in batch.record_ids] == ["7", "8"]


def test_a_file_of_totals_alone_holds_no_record(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [HEADINGS, ["合计", "0人"]])
    assert (
        list(clean_file(path, MAPPING, CHILD_FIELDS, batch_rows=9, today=TODAY, cleaning=None))
        == []
    )


@pytest.mark.parametrize("row_by_row", [False, True])
def test_rows_that_were_numbered_and_never_filled_in_are_told(
    tmp_path: Path, row_by_row: bool
) -> None:
    """They stay records, but nothing can be linked to them."""
    rows = [
        HEADINGS,
        CHILD,
        ["8", "", "", "", "", ""],
        ["9", "无名氏", "", "", "", ""],
        ["10", "", "男", "", "", ""],
        ["11", "李沐阳", "", "", "", ""],
    ]
    mapping = ColumnMapping({**MAPPING.columns, "sex": "性别"})
    (batch,) = clean_file(
        write_csv(tmp_path / "x.csv", rows), mapping, CHILD_FIELDS, batch_rows=9, today=TODAY,
        cleaning=None, row_by_row=row_by_row,
    )  # fmt: skip
    assert batch.record_ids == ("7", "8", "9", "10", "11")
    assert [(p.row, p.code) for p in batch.problems] == [
        (3, "row-cannot-be-linked"), (4, "placeholder-name"), (4, "row-cannot-be-linked"),
        (5, "row-cannot-be-linked"),
    ]  # fmt: skip
