"""Mappings proposed for the files of five departments, and problems counted."""

from datetime import date
from pathlib import Path

import openpyxl
import pytest

from linkage.errors import RecordsError
from linkage.profile import load_profile
from linkage.records import (
    ColumnMapping,
    Inspection,
    inspect_file,
    keeping_problems,
    parse_mapping,
    read_records,
    write_problem_report,
)
from linkage.records.advice_zh import ADVICE_ZH
from linkage.types import Problem
from tests.linkage.records.files import CHILD_FIELDS, id_number, write_csv, write_xlsx

TODAY = date(2025, 6, 1)


def child(i: int) -> dict[str, str]:
    birth = date(2012 + i % 10, 1 + i % 12, 1 + i % 28)
    return {
        "name": "王李张刘陈"[i % 5] + "小明晓东子涵"[i % 6] + "华",
        "sex": "男女"[i % 2],
        "birth_date": birth.isoformat(),
        "id_number": id_number(birth.isoformat(), i % 500 * 2 + 1 - i % 2),
        "guardian_name": "赵钱孙周"[i % 4] + "大山",
        "guardian_id": id_number(f"198{i % 10}-05-06", i % 900),
        "guardian_phone": f"173{61028473 + i * 37:08d}"[:11],
        "hukou": "510623",
        "residence": "510104000000",
        "id": f"R{i:05d}",
        "note": "",
    }


def register(headings: dict[str, str], n: int = 40) -> list[list[str]]:
    return [list(headings), *[[child(i)[key] for key in headings.values()] for i in range(n)]]


CIVIL = {
    "登记编号": "id", "儿童姓名": "name", "性别": "sex", "出生日期": "birth_date",
    "身份证号": "id_number", "监护人姓名": "guardian_name",
    "监护人身份证号": "guardian_id", "联系电话": "guardian_phone",
    "户籍地区划": "hukou", "现居住地区划": "residence", "备注": "note",
}  # fmt: skip
SCHOOL = {
    "XJH": "id", "XM": "name", "XBM": "sex", "CSRQ": "birth_date", "SFZJH": "id_number",
    "JHRXM": "guardian_name", "JHRSFZJH": "guardian_id", "LXDH": "guardian_phone",
    "HKSZDQH": "hukou", "XZZQH": "residence",
}  # fmt: skip
POLICE = {
    "RYBH": "id", "GMSFHM": "id_number", "XM": "name", "XB": "sex", "CSRQ": "birth_date",
    "JHRXM": "guardian_name", "JHRGMSFHM": "guardian_id", "LXDH": "guardian_phone",
    "HJDXZQH": "hukou", "XZZXZQH": "residence",
}  # fmt: skip
CLINIC = {
    "监护人证件号码": "guardian_id", "受种者编码": "note", "接种卡号": "id", "受种者姓名": "name",
    "受种者性别": "sex", "受种者出生日期": "birth_date", "证件号码": "id_number",
    "母亲姓名": "guardian_name",
    "母亲电话": "guardian_phone", "户籍地址区划代码": "hukou", "现住址区划代码": "residence",
}  # fmt: skip
INSURANCE = {
    "参保人员姓名": "name", "个人编号": "id", "公民身份号码": "id_number", "性别代码": "sex",
    "出生年月日": "birth_date", "户主姓名": "guardian_name", "手机号码": "guardian_phone",
    "户口所在地行政区划代码": "hukou", "常住地行政区划代码": "residence",
}  # fmt: skip


def inspect(path: Path, **options: object) -> Inspection:
    return inspect_file(path, CHILD_FIELDS, today=TODAY, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("headings", [CIVIL, SCHOOL, POLICE, CLINIC, INSURANCE])
def test_the_mapping_of_every_department_is_found(tmp_path: Path, headings: dict[str, str]) -> None:
    path = write_csv(tmp_path / "x.csv", register(headings), "gb18030")
    inspection = inspect(path)
    where = {key: heading for heading, key in headings.items()}
    assert inspection.mapping.columns == {
        "record_id": where["id"],
        "name": where["name"],
        "sex": where["sex"],
        "birth_date": where["birth_date"],
        "id_number": where["id_number"],
        "guardian_name": where["guardian_name"],
        "guardian_phone": where["guardian_phone"],
        "hukou_division": where["hukou"],
        "residence_division": where["residence"],
    }
    unused = [h for h, key in headings.items() if key in ("guardian_id", "note")]
    assert list(inspection.unplaced) == unused
    assert inspection.format == ("gb18030", ",")
    assert inspection.n_records == 40
    assert all(field.n_filled == 40 for field in inspection.fields)
    assert inspection.problems == ()
    assert parse_mapping(inspection.mapping_toml) == inspection.mapping
    [batch] = read_records(path, parse_mapping(inspection.mapping_toml), CHILD_FIELDS, today=TODAY)
    assert len(batch) == 40


def test_the_guardians_number_is_not_taken_where_the_child_has_none(tmp_path: Path) -> None:
    headings = {"编号": "id", "姓名": "name", "监护人身份证号": "guardian_id"}
    inspection = inspect(write_csv(tmp_path / "x.csv", register(headings)))
    assert inspection.mapping.columns == {"record_id": "编号", "name": "姓名"}
    assert inspection.unplaced == ("监护人身份证号",)
    assert '# id_number = "..."' in inspection.mapping_toml


def test_a_column_of_adults_numbers_under_an_odd_heading_is_not_the_childs(tmp_path: Path) -> None:
    headings = {"编号": "id", "姓名": "name", "F7": "guardian_id"}
    inspection = inspect(write_csv(tmp_path / "x.csv", register(headings)))
    assert "id_number" not in inspection.mapping.columns


def test_a_column_of_childrens_numbers_is_found_by_its_contents(tmp_path: Path) -> None:
    headings = {"编号": "id", "姓名": "name", "F7": "id_number"}
    inspection = inspect(write_csv(tmp_path / "x.csv", register(headings)))
    assert inspection.mapping.columns["id_number"] == "F7"
    assert "by its contents" in inspection.mapping_toml
    filled = {field.name: field.n_filled for field in inspection.fields}
    assert filled["birth_date"] == filled["sex"] == 40  # from the numbers


def test_a_heading_that_its_contents_belie_is_not_used(tmp_path: Path) -> None:
    rows = [["编号", "姓名", "户籍地", "性别"]]
    rows += [[str(i), "王小明", "武侯区某街道1号", "2015-03-07"] for i in range(20)]
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert inspection.mapping.columns == {"record_id": "编号", "name": "姓名"}
    assert inspection.unplaced == ("户籍地", "性别")


def test_an_empty_column_is_placed_by_its_heading_and_noted(tmp_path: Path) -> None:
    rows = [["编号", "姓名", "身份证号"]] + [[str(i), "王小明", ""] for i in range(5)]
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert inspection.mapping.columns["id_number"] == "身份证号"
    assert "empty in the first rows" in inspection.mapping_toml


def test_the_record_id_is_a_column_that_tells_records_apart(tmp_path: Path) -> None:
    rows = [["序号", "登记编号", "档案号", "姓名"]]
    rows += [[str(i), "same", "" if i % 2 else str(i), "王小明"] for i in range(20)]
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert inspection.mapping.columns["record_id"] == "序号"


def test_without_a_record_id_the_file_is_looked_at_but_not_ready(tmp_path: Path) -> None:
    rows = [["姓名", "性别"]] + [["王小明", "男"]] * 3
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert not inspection.has_record_id
    assert inspection.n_records == 3
    assert "# record_id" in inspection.mapping_toml


def test_columns_of_the_same_heading_are_not_proposed(tmp_path: Path) -> None:
    rows = [["编号", "姓名", "姓名"]] + [[str(i), "王小明", "李四"] for i in range(5)]
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert "name" not in inspection.mapping.columns


def test_a_profile_of_the_program_fits_its_own_register(tmp_path: Path) -> None:
    profile = load_profile("febrl4")
    headings = "rec_id, given_name, surname, street_number, address_1, address_2, suburb, postcode"
    path = tmp_path / "x.csv"
    path.write_text(
        f"{headings}, state, date_of_birth, soc_sec_id\n"
        "rec-1-org, anna, smith, 8, stanley street, miami, sydney, 4223, nsw, 19151111, 5304218\n"
        "rec-2-org, , smith, 9, stanley street, miami, sydney, 4223, nsw, 19151131, 5304219\n",
        encoding="utf-8",
    )
    inspection = inspect_file(path, profile.fields, cleaning=profile.cleaning, today=TODAY)
    assert set(inspection.mapping.columns) == {f.name for f in profile.fields} | {"record_id"}
    assert inspection.unplaced == ("address_2", "state")
    assert [(p.code, p.first_rows) for p in inspection.problems] == [("date-impossible", (3,))]


def test_problems_are_counted_with_their_first_rows(tmp_path: Path) -> None:
    rows = register(CIVIL)
    for row in rows[3:9]:
        row[3] = "2015-02-30"
    rows[5][7] = "123"
    seen: list[Problem] = []
    counted: list[int] = []
    path = write_csv(tmp_path / "x.csv", rows)
    inspection = inspect(path, on_problem=seen.append, on_progress=counted.append)
    assert [(p.field, p.code, p.count, p.first_rows) for p in inspection.problems] == [
        ("birth_date", "date-impossible", 6, (4, 5, 6)),
        ("guardian_phone", "phone-wrong-length", 1, (6,)),
    ]
    assert len(seen) == 7
    assert counted == [40]


def test_a_given_mapping_is_checked_and_not_changed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", register(CIVIL))
    mapping = ColumnMapping({"record_id": "登记编号", "name": "监护人姓名"})
    inspection = inspect(path, mapping=mapping)
    assert inspection.mapping is mapping
    assert "儿童姓名" in inspection.unplaced
    with pytest.raises(RecordsError, match="no heading"):
        inspect(path, mapping=ColumnMapping({"record_id": "x"}))


def test_the_sheet_is_part_of_the_proposal(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "x.xlsx", [["说明", "见下页"]], register(CIVIL))
    inspection = inspect(path, sheet=2)
    assert inspection.mapping.sheet == 2
    assert inspection.n_records == 40
    assert parse_mapping(inspection.mapping_toml).sheet == 2


def test_without_a_sheet_the_one_with_the_register_is_found(tmp_path: Path) -> None:
    notes = [["填表说明"], ["1. 每月五日前报送。"]]
    full = [["登记表（第三季度）"], ["填报单位：某局", "", "2026年9月28日"], *register(CIVIL)]
    inspection = inspect(write_xlsx(tmp_path / "x.xlsx", notes, [], full, register(CIVIL)[:3]))
    assert (inspection.mapping.sheet, inspection.n_records) == (3, 40)
    assert inspection.mapping.columns["name"] == "儿童姓名"
    lone = inspect(write_xlsx(tmp_path / "notes.xlsx", notes))
    assert (lone.mapping.sheet, lone.has_record_id) == (1, False)
    with pytest.raises(RecordsError, match="holds no table"):
        inspect(write_xlsx(tmp_path / "empty.xlsx", [], []))


def test_nothing_of_an_inspection_holds_a_value(tmp_path: Path) -> None:
    rows = register(CIVIL)
    rows[1][4] = rows[1][4][:-1] + "0"
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    shown = repr(inspection)
    for row in rows[1:]:
        assert not any(cell in shown for cell in row if len(cell) > 1)


def test_the_report_has_a_row_for_each_problem_and_no_formula(tmp_path: Path) -> None:
    problems = [
        Problem(3, "name", "not-a-name", "=1*****", "Do that."),
        Problem(4, "row", "not-a-name", "\ufffe", "Do that.", 3),
    ]
    write_problem_report(tmp_path / "p.xlsx", problems, {"name": "=cmd()"})
    sheet = openpyxl.load_workbook(tmp_path / "p.xlsx").worksheets[0]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert [str(heading).split()[0] for heading in rows[0][:2]] == ["行", "列"]
    advice = ADVICE_ZH["not-a-name"]
    assert rows[1] == [3, "=cmd()", "=1*****", advice, "Do that.", None, "name", "not-a-name"]
    assert rows[2][:2] == [4, None]
    assert rows[2][5:] == [3, "row", "not-a-name"]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_problems_are_kept_in_a_file_that_nobody_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is ended in the middle left masked values in the temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    problems = [
        Problem(row, "name", "not-a-name", "王\udc80**\n", "Do that.", row % 3 or None)
        for row in range(1, 9000)
    ]
    with keeping_problems() as kept:
        for problem in problems:
            kept.add(problem)
        assert list(kept) == problems
        assert list(tmp_path.iterdir()) == []


def test_a_full_sheet_of_the_report_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.records.problem_report._SHEET_ROWS", 3)
    problems = [Problem(row, "name", "not-a-name", "*", "Do that.") for row in range(1, 6)]
    write_problem_report(tmp_path / "p.xlsx", problems, {})
    book = openpyxl.load_workbook(tmp_path / "p.xlsx")
    assert [sheet.max_row for sheet in book.worksheets] == [3, 3, 2]


def test_children_who_may_be_migrants_are_counted(tmp_path: Path) -> None:
    rows = register(CIVIL)
    rows[1][9] = rows[1][8]  # lives where the hukou is
    rows[2][3], rows[2][4] = "2008-03-07", ""  # seventeen
    rows[3][3], rows[3][4] = "", ""
    rows[4][8], rows[4][9] = "510107", "510106"  # two districts of Chengdu
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert inspection.n_possible_migrants == 36
    assert inspection.n_unjudged == 1
    few = {"编号": "id", "姓名": "name", "户籍地区划": "hukou"}
    inspection = inspect(write_csv(tmp_path / "y.csv", register(few)))
    assert inspection.n_possible_migrants is None


def test_who_cannot_be_judged_is_counted_apart(tmp_path: Path) -> None:
    """A zero would be read as: none of them is a migrant child."""
    places = {"编号": "id", "姓名": "name", "户籍地区划": "hukou", "现居住地区划": "residence"}
    inspection = inspect(write_csv(tmp_path / "x.csv", register(places)))
    assert inspection.n_possible_migrants is None  # nothing says how old they are
    rows = register(CIVIL)
    rows[1][8] = ""
    rows[2][9] = rows[2][8][:4] + "00"  # the city that the hukou's county belongs to
    rows[3][8], rows[3][3], rows[3][4] = "", "2008-03-07", ""  # seventeen, wherever it lives
    inspection = inspect(write_csv(tmp_path / "y.csv", rows))
    assert (inspection.n_possible_migrants, inspection.n_unjudged) == (37, 2)


def test_a_disability_certificate_gives_the_id_number_and_identifies_the_record(
    tmp_path: Path,
) -> None:
    headings = {"残疾人证号": "id_number", "姓名": "name", "性别": "sex", "出生日期": "birth_date"}
    rows = register(headings)
    for row in rows[1:]:
        row[0] += "43"  # category and grade
    inspection = inspect(write_csv(tmp_path / "x.csv", rows))
    assert inspection.mapping.columns["id_number"] == "残疾人证号"
    assert inspection.mapping.columns["record_id"] == "残疾人证号"
    assert {f.name: f.n_filled for f in inspection.fields}["id_number"] == len(rows) - 1
    parse_mapping(inspection.mapping_toml)


def test_lines_that_are_no_records_take_no_part_in_the_proposal(tmp_path: Path) -> None:
    """Of a short list an id without a value in the line of totals was not proposed."""
    headings = {"序号": "note", "登记编号": "id", "儿童姓名": "name", "出生日期": "birth_date"}
    rows = register(headings, 6)
    rows[1:] = [[str(i), *row[1:]] for i, row in enumerate(rows[1:], 1)]
    rows.insert(1, ["示例", "R00000", "王小明", "2015-03-07"])
    rows.append(["合计", "", "6人", ""])
    found = inspect_file(write_csv(tmp_path / "x.csv", rows), CHILD_FIELDS, today=TODAY)
    assert found.mapping.columns["record_id"] == "登记编号"
