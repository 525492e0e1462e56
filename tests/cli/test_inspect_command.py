"""``tongqiao inspect``: what a clerk types and reads, and what no one ever sees on the screen."""

import stat
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from linkage.records import parse_mapping
from tests.linkage.records.files import COLUMNS, HEADINGS, id_number, write_csv, write_xlsx

ADULT = id_number("1985-03-07")
ROWS: list[tuple[object, ...]] = [
    ("A1", "王小明", "男", "2015-03-07", id_number("2015-03-07", 1), "王大山", "17361028473"),
    ("A2", "李子涵", "女", "2016-02-30", id_number("2016-02-28", 2), "李国强", "123"),
    ("A3", "张某之女", "女", "2017-05-06", ADULT, "张小燕", "028-85123467"),
]


@pytest.fixture
def register(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "register.csv", [HEADINGS, *ROWS], "gb18030")


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["inspect", *map(str, arguments)])


def test_the_mapping_goes_to_stdout_and_the_summary_to_stderr(register: Path) -> None:
    result = inspect(register)
    assert result.exit_code == 0
    assert parse_mapping(result.stdout).columns == COLUMNS
    assert "3 records in a file written as gb18030, separated by commas" in result.stderr
    assert "date-impossible" in result.stderr
    assert "id-of-an-adult" in result.stderr
    assert "placeholder-name" in result.stderr


def test_no_value_of_a_person_is_shown(register: Path, tmp_path: Path) -> None:
    report = tmp_path / "problems.xlsx"
    result = inspect(register, "--report", report)
    sheet = openpyxl.load_workbook(report).worksheets[0]
    shown = result.output + "\n".join(str(c.value) for row in sheet.iter_rows() for c in row)
    for row in ROWS:
        for value in row[1:]:
            assert len(str(value)) < 3 or str(value) not in shown


def test_a_report_is_never_written_over_the_register(register: Path, tmp_path: Path) -> None:
    before = register.read_bytes()
    for options in (
        ("--report", register),
        ("--out", register),
        ("--out", tmp_path / "x", "--report", tmp_path / "folder" / ".." / "x"),
    ):
        result = inspect(register, *options, "--overwrite")
        assert (result.exit_code, "given twice" in result.stderr) == (2, True)
    assert register.read_bytes() == before
    assert not (tmp_path / "x").exists()


def test_mapping_and_report_are_written_for_their_owner_only(
    register: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "map.toml", tmp_path / "problems.xlsx"
    result = inspect(register, "--out", out, "--report", report)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert parse_mapping(out.read_text(encoding="utf-8")).columns == COLUMNS
    sheet = openpyxl.load_workbook(report).worksheets[0]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert [(row[0], row[1], row[7]) for row in rows] == [
        (3, "出生日期", "date-impossible"),
        (3, "联系电话", "phone-wrong-length"),
        (4, "儿童姓名", "placeholder-name"),
        (4, "身份证号", "id-of-an-adult"),
    ]
    assert all(str(row[3]).endswith("。") and str(row[4]).endswith(".") for row in rows)
    for path in (out, report):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_exists_is_replaced_only_when_told(register: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.toml"
    out.write_text("# corrected by hand\n", encoding="utf-8")
    result = inspect(register, "--out", out)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert out.read_text(encoding="utf-8") == "# corrected by hand\n"
    assert inspect(register, "--out", out, "--overwrite").exit_code == 0
    assert "record_id" in out.read_text(encoding="utf-8")


def test_a_corrected_mapping_can_be_checked(register: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "map.toml"
    mapping.write_text('[columns]\nrecord_id = "登记编号"\nname = "监护人姓名"\n', encoding="utf-8")
    result = inspect(register, "--columns", mapping)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "No problems found" in result.stderr
    mapping.write_text('[columns]\nrecord_id = "编号"\n', encoding="utf-8")
    result = inspect(register, "--columns", mapping)
    assert result.exit_code == 1
    assert "no heading '编号'" in result.stderr


def test_a_sheet_can_be_chosen(tmp_path: Path) -> None:
    book = write_xlsx(tmp_path / "x.xlsx", [["说明", "见下页"]], [HEADINGS, *ROWS])
    result = inspect(book, "--sheet", 2)
    assert parse_mapping(result.stdout).sheet == 2
    assert "written as xlsx." in result.stderr


def test_a_file_of_something_else_says_so(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [["x", "y"], ["1", "2"], ["合计", "2"]])
    result = inspect(path)
    assert result.exit_code == 0
    assert "row-of-totals" in result.stderr
    assert "No column was recognised" in result.stderr
    assert "identifies each record" in result.stderr


def test_a_file_without_records_is_not_told_to_have_strange_columns(tmp_path: Path) -> None:
    result = inspect(write_csv(tmp_path / "x.csv", [HEADINGS, ["合计", "0"]]))
    assert result.exit_code == 0
    assert "No record stands below the headings" in result.stderr
    assert "No column was recognised" not in result.stderr


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"\x00\x01\x02" * 99, b"%PDF-1.4"])
def test_a_file_that_cannot_be_read_is_exit_code_1(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "王小明.csv"
    path.write_bytes(content)
    result = inspect(path)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: The ")
    assert "王小明" not in result.stderr


def test_wrong_use_is_exit_code_2(register: Path, tmp_path: Path) -> None:
    assert inspect().exit_code == 2
    assert inspect(tmp_path / "none.csv").exit_code == 2
    assert inspect(register, "--sheet", 0).exit_code == 2
    assert inspect(register, "--columns", register, "--out", tmp_path / "m").exit_code == 2


def test_an_unknown_profile_is_named_with_those_there_are(register: Path) -> None:
    result = inspect(register, "--profile", "none")
    assert result.exit_code == 1
    assert "cn-child-v1" in result.stderr


@pytest.mark.process
def test_the_command_as_a_process_keeps_stdout_clean(register: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from api.cli import main; main()", "inspect", str(register)],
        capture_output=True,
        check=True,
        timeout=60,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"},
        cwd=Path(__file__).parents[2],
    )
    assert parse_mapping(result.stdout).columns == COLUMNS
    assert "Problems" in result.stderr


def test_the_help_has_an_example() -> None:
    result = inspect("--help")
    assert result.exit_code == 0
    assert "tongqiao inspect register.xlsx --out map.toml" in result.output


def test_the_sheet_that_is_a_register_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    """The first sheet often says how to fill in the second."""
    notes = [["填表说明"], ["1. 请如实填写"]]
    book = write_xlsx(tmp_path / "x.xlsx", notes, [HEADINGS, *ROWS], [HEADINGS, *ROWS])
    result = inspect(book)
    assert parse_mapping(result.stdout).sheet == 2
    shown = " ".join(result.stderr.split())
    assert "Only sheet 2 'Sheet1' was read, not: 1 'Sheet', 3 'Sheet2'." in shown


def test_what_heading_stands_over_several_columns_is_told(tmp_path: Path) -> None:
    rows = [["编号", "姓名", "姓名"], ["1", "李沐阳", "李建国"]]
    result = inspect(write_csv(tmp_path / "x.csv", rows))
    shown = " ".join(result.stderr.split())
    assert "counted from the left they are: 姓名 (1), 姓名 (2)." in shown
    assert '# name = "..."  # choose: "姓名 (1)" or "姓名 (2)"' in result.stdout
