"""Putting links beside the office's own records; it needs no server."""

from pathlib import Path

import openpyxl
import pytest
from click.testing import Result

from api.office import list_layout as layout
from tests.cli.office.clerk import failed, invoke, mode

REGISTER = """登记编号,儿童姓名,身份证号
A-1,甲,510104201503070014
A-2,=乙,
A-3,丙,510104201503070022
"""
COLUMNS = '[columns]\nrecord_id = "登记编号"\nname = "儿童姓名"\nid_number = "身份证号"\n'


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The files of an office that has its results."""
    (tmp_path / "register.csv").write_text(REGISTER, encoding="gb18030")
    (tmp_path / "map.toml").write_text(COLUMNS, encoding="utf-8")
    (tmp_path / "x.map.csv").write_text(
        "pseudonym,record_id\n" + "".join(f"{n:032x},A-{n}\n" for n in (1, 2, 3)), encoding="utf-8"
    )
    (tmp_path / "links.csv").write_text(
        f"link,record,counterpart,score,band\na1,{1:032x},health,0.99,certain\n"
        f"a2,{1:032x},education,0.91,probable\n",
        encoding="utf-8",
    )
    return tmp_path


def _join(desk: Path, out: str, *more: str | Path) -> Result:
    return invoke(
        "office", "join", "--links", desk / "links.csv", "--map", desk / "x.map.csv",
        "--records", desk / "register.csv", "--columns", desk / "map.toml",
        "--out", desk / out, *more,
    )  # fmt: skip


def test_join_needs_no_server(desk: Path) -> None:
    result = _join(desk, "joined.xlsx")
    assert result.exit_code == 0, result.output
    assert "3 own records: 1 found at another office" in result.stdout
    out = desk / "joined.xlsx"
    assert mode(out) == 0o600
    workbook = openpyxl.load_workbook(out)
    listed = list(workbook[layout.SHEET_LINKS].iter_rows(values_only=True))
    assert listed[0][:3] == ("登记编号", "儿童姓名", "身份证号")
    assert [row[:5] for row in listed[1:]] == [
        ("A-1", "甲", "510104201503070014", "health", 0.99),
        ("A-1", "甲", "510104201503070014", "education", 0.91),
    ]
    missing = list(workbook[layout.SHEET_NOT_FOUND].iter_rows(values_only=True))
    assert [row[:2] for row in missing[1:]] == [("A-2", "=乙"), ("A-3", "丙")]
    assert not list(desk.glob(".*"))


def test_join_says_what_changed(desk: Path) -> None:
    assert _join(desk, "old.xlsx").exit_code == 0
    (desk / "links.csv").write_text(
        f"link,record,counterpart,score,band\nb1,{1:032x},health,0.98,probable\n"
        f"b2,{3:032x},education,0.91,probable\n",
        encoding="utf-8",
    )
    result = _join(desk, "new.xlsx", "--previous", desk / "old.xlsx")
    assert result.exit_code == 0, result.output
    assert "1 new, 1 unchanged, 1 ended" in result.stdout
    ended = openpyxl.load_workbook(desk / "new.xlsx")[layout.SHEET_ENDED]
    assert [row[0].value for row in ended.iter_rows(min_row=2)] == ["A-1"]


@pytest.mark.parametrize("taken", ["register.csv", "old.xlsx"])
def test_join_never_writes_over_what_it_reads(desk: Path, taken: str) -> None:
    """The register itself is one slip of the hand away: such files are made by hand."""
    assert _join(desk, "old.xlsx").exit_code == 0
    if taken == "register.csv":
        (desk / taken).rename(desk / "register.xlsx")
        taken = "register.xlsx"
    before = (desk / taken).read_bytes()
    given = (
        ("--records", desk / taken) if taken == "register.xlsx" else ("--previous", desk / taken)
    )
    assert "given twice" in failed(_join(desk, taken, "--overwrite", *given), 2)
    assert (desk / taken).read_bytes() == before


def test_join_never_loses_a_list(desk: Path) -> None:
    out = desk / "joined.xlsx"
    out.write_bytes(b"the list of last time")
    assert "exists already" in failed(_join(desk, "joined.xlsx"))
    assert out.read_bytes() == b"the list of last time"
    (desk / "links.csv").write_text("nonsense", encoding="utf-8")
    assert "no file of links" in failed(_join(desk, "joined.xlsx", "--overwrite"))
    assert out.read_bytes() == b"the list of last time"
    assert not list(desk.glob(".*"))


def test_a_failed_join_names_no_child(desk: Path) -> None:
    (desk / "x.map.csv").write_text("pseudonym,record_id\n", encoding="utf-8")
    message = failed(_join(desk, "joined.xlsx"))
    assert "2 of 2 links" in message
    for private in ("A-1", "甲", f"{1:032x}", str(desk)):
        assert private not in message
    assert not (desk / "joined.xlsx").exists()


def test_join_writes_xlsx_only(desk: Path) -> None:
    result = _join(desk, "joined.csv")
    assert result.exit_code == 2
    assert "must end in .xlsx" in result.stderr
