"""Headings as offices write them: groups above in merged cells, one heading over two columns."""

from datetime import date
from pathlib import Path

import pytest

from linkage.errors import RecordsError
from linkage.records.inspection import inspect_file
from linkage.records.mapping import ColumnMapping
from linkage.records.reading import read_records
from linkage.records.tables import read_table
from tests.linkage.records.files import CHILD_FIELDS, id_number, write_csv, write_xlsx

TODAY = date(2026, 6, 1)
RECORD: list[object] = [
    1, "李沐阳", "男", "2015-03-07", id_number("2015-03-07"), "李建国", "父亲", "13981234567", "无",
]  # fmt: skip
TITLE: list[object] = ["某县农村留守儿童信息台账"]
REPORTER: list[object] = ["填报单位:某县民政局", *[None] * 6, "填报时间:2026年5月"]
GROUPS: list[object] = ["序号", "儿童基本信息", None, None, None, "监护人信息", None, None, "备注"]
BELOW: list[object] = [
    None,
    "姓名",
    "性别",
    "出生日期",
    "身份证号码",
    "姓名",
    "与儿童关系",
    "联系电话",
    None,
]
COMBINED = (
    "序号", "儿童基本信息 姓名", "儿童基本信息 性别", "儿童基本信息 出生日期",
    "儿童基本信息 身份证号码", "监护人信息 姓名", "与儿童关系", "监护人信息 联系电话", "备注",
)  # fmt: skip


@pytest.mark.parametrize("above", [[], [TITLE], [TITLE, REPORTER], [TITLE, [], REPORTER]])
def test_headings_in_two_rows_are_put_together(tmp_path: Path, above: list[list[object]]) -> None:
    """Merged cells: what stands over several columns stands in the first of them only."""
    rows = [*above, GROUPS, BELOW, RECORD, RECORD]
    empty = [["" if cell is None else cell for cell in row] for row in rows]
    for path in (write_xlsx(tmp_path / "x.xlsx", rows), write_csv(tmp_path / "x.csv", empty)):
        table = read_table(path)
        assert table.headings == COMBINED
        assert table.rows_above == len(above) + 2
        assert len(list(table.rows)) == 2


@pytest.mark.parametrize(
    "reporter",
    [
        ["填报单位", "某乡", None, None, "填报日期", "2026-05-01"],
        ["填报单位：", "某乡政府", "填表人：", "张三", "电话：", "13812341234"],
    ],
)
@pytest.mark.parametrize("headings", [["姓名", "身份证号码"], ["监护人", "监护人电话"]])
def test_a_full_line_of_who_reports_is_no_heading(
    tmp_path: Path, reporter: list[object], headings: list[str]
) -> None:
    """It was refused as a record, or made into groups where one heading stands twice."""
    named = ["序号", "姓名", "性别", "出生日期", *headings]
    rows: list[list[object]] = [["台账"], reporter, [*named], RECORD[:6], RECORD[:6]]
    table = read_table(write_xlsx(tmp_path / "x.xlsx", rows))
    assert table.rows_above == 3
    assert [heading.partition(" ")[0] for heading in table.headings] == named
    assert "张三" not in "".join(table.headings)


def test_a_record_above_the_headings_is_no_row_of_groups(tmp_path: Path) -> None:
    """Somebody sorted the list with its headings in it; the name stood in a heading."""
    record = ["1", "王小明", "", "2015-03-07"]
    path = write_csv(tmp_path / "x.csv", [record, ["编号", "姓名", "姓名", "出生日期"], record])
    with pytest.raises(RecordsError, match="values, not headings") as caught:
        read_table(path)
    assert "王小明" not in str(caught.value)


def test_columns_under_groups_are_the_childs_and_the_guardians(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "x.xlsx", [TITLE, GROUPS, BELOW, RECORD, [2, *RECORD[1:]]])
    inspection = inspect_file(path, CHILD_FIELDS, today=TODAY)
    assert inspection.mapping.columns == {
        "record_id": "序号",
        "name": "儿童基本信息 姓名",
        "sex": "儿童基本信息 性别",
        "birth_date": "儿童基本信息 出生日期",
        "id_number": "儿童基本信息 身份证号码",
        "guardian_name": "监护人信息 姓名",
        "guardian_phone": "监护人信息 联系电话",
    }
    (batch,) = read_records(path, inspection.mapping, CHILD_FIELDS, today=TODAY)
    assert list(batch.columns["guardian_name"]) == ["李建国"] * 2
    assert batch.first_row == 4


def test_groups_over_all_columns_are_used_where_headings_repeat(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["学生", None, "家长", None],
        ["编号", "姓名", "姓名", "电话"],
        ["1", "李沐阳", "李建国", ""],
    ]
    table = read_table(write_xlsx(tmp_path / "x.xlsx", rows))
    assert table.headings == ("编号", "学生 姓名", "家长 姓名", "家长 电话")


@pytest.mark.parametrize(
    "rows",
    [
        [["编号", "姓名", "性别", None], ["1", "李沐阳", "男", "转学"]],
        [["编号", "姓名", None], ["1", "性别", "出生"], ["2", "李沐阳", "男"]],
        [["编号", "姓名", "电话"], ["1", "姓名", "电话"]],
    ],
)
def test_a_record_below_is_no_second_row_of_headings(
    tmp_path: Path, rows: list[list[object]]
) -> None:
    assert read_table(write_xlsx(tmp_path / "x.xlsx", rows)).rows_above == 1


def test_who_reports_is_no_group(tmp_path: Path) -> None:
    headings = ["序号", "姓名", "性别", "出生日期", "身份证号", "姓名", "关系", "电话"]
    path = write_xlsx(tmp_path / "x.xlsx", [REPORTER, headings, RECORD[:8]])
    assert read_table(path).headings[:2] == ("序号", "姓名 (1)")


# --- one heading over several columns ---------------------------------------------------------

TWICE = [["编号", "姓名", "姓名", "身份证号"], ["1", "李沐阳", "李建国", id_number("2015-03-07")]]


def test_equal_headings_are_told_apart_by_numbers(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", TWICE)
    assert read_table(path).headings == ("编号", "姓名 (1)", "姓名 (2)", "身份证号")
    mapping = ColumnMapping({"record_id": "编号", "name": "姓名 (1)", "guardian_name": "姓名 (2)"})
    (batch,) = read_records(path, mapping, CHILD_FIELDS, today=TODAY)
    assert list(batch.columns["name"]) == ["李沐阳"]
    assert list(batch.columns["guardian_name"]) == ["李建国"]


def test_numbers_never_make_a_heading_that_is_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [["姓名", "姓名 (1)", "姓名", ""], ["1", "2", "3", "x"]])
    assert read_table(path).headings == ("姓名 (2)", "姓名 (1)", "姓名 (3)")


def test_a_mapping_that_does_not_say_which_is_told_so(tmp_path: Path) -> None:
    """Last month's file had the heading once: nothing may be taken by guess."""
    path = write_csv(tmp_path / "x.csv", TWICE)
    mapping = ColumnMapping({"record_id": "编号", "name": "姓名"})
    with pytest.raises(RecordsError, match=r"stands 2 times.*姓名 \(1\)") as caught:
        list(read_records(path, mapping, CHILD_FIELDS, today=TODAY))
    assert caught.value.code == "heading-twice"


def test_no_column_is_guessed_among_equal_headings_and_the_clerk_is_told(tmp_path: Path) -> None:
    inspection = inspect_file(write_csv(tmp_path / "x.csv", TWICE), CHILD_FIELDS, today=TODAY)
    assert "name" not in inspection.mapping.columns
    assert inspection.several == {"姓名": ("姓名 (1)", "姓名 (2)")}
    assert '# name = "..."  # choose: "姓名 (1)" or "姓名 (2)"' in inspection.mapping_toml
