import stat
import tempfile
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
import python_calamine

from api.office.workbook import ListSheet, raw_text, streamed_workbook

NASTY = [
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "#N/A",
    "510104201503070014",
    "007",
    "1E5",
    "2015-03-07",
    "张三·阿依古丽",
    "𠮷",
    " spaces ",
    "",
]  # fmt: skip


def _write(path: Path, rows: list[list[str | int | float]], **options: int) -> None:
    with streamed_workbook(path) as workbook:
        sheet = ListSheet(workbook, "名单", ["甲", "乙"], [["x" * 100, "y"]], **options)
        for row in rows:
            sheet.append(row)
        sheet.finish()


def test_text_stays_text_whatever_it_looks_like(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    _write(path, [[text, 0.5] for text in NASTY])
    sheet = openpyxl.load_workbook(path)["名单"]
    read = [cell for (cell,) in sheet.iter_rows(min_row=2, max_col=1)]
    assert [cell.value or "" for cell in read] == NASTY
    assert {cell.data_type for cell in read if cell.value is not None} == {"s"}
    assert all(cell.number_format == "@" for cell in read)
    for cell in read:
        assert bool(cell.quotePrefix) == str(cell.value or "").startswith(tuple("=+-@\t"))


def test_numbers_of_our_own_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    _write(path, [["x", 0.98], ["y", 3]])
    cells = [row[1] for row in openpyxl.load_workbook(path)["名单"].iter_rows(min_row=2)]
    assert [cell.value for cell in cells] == [0.98, 3]
    assert {cell.data_type for cell in cells} == {"n"}


def test_every_reader_of_excel_files_reads_the_text_that_was_written(tmp_path: Path) -> None:
    """``_x0041_`` is how such files write an A, and a bare carriage return is lost in XML."""
    path = tmp_path / "list.xlsx"
    texts = ["x_x0041_y", "_x005F_x0041_", "_x005f_", "A\rB", "A\r\nB", "A\nB", "_x000D_"]
    _write(path, [[text, 0.5] for text in texts])
    with python_calamine.load_workbook(path) as workbook:
        rows = workbook.get_sheet_by_name("名单").to_python()
    assert [row[0] for row in rows[1:]] == texts


def test_what_a_workbook_cannot_hold_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    _write(path, [["a\x00b\x0bc\ud800d\uffff", "x" * 40_000]])
    row = next(openpyxl.load_workbook(path)["名单"].iter_rows(min_row=2, values_only=True))
    assert row == ("abcd", "x" * 32_767)


def test_a_list_is_easy_to_read(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    _write(path, [["x", "y"]])
    sheet = openpyxl.load_workbook(path)["名单"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:B2"
    assert sheet["A1"].font.bold
    assert sheet.column_dimensions["A"].width == 40
    assert sheet.column_dimensions["B"].width == 8


def test_a_list_too_long_for_one_sheet_goes_on_on_the_next(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    _write(path, [[str(number), number] for number in range(7)], max_rows=4)
    workbook = openpyxl.load_workbook(path)
    assert workbook.sheetnames == ["名单", "名单 2", "名单 3"]
    rows = [row for sheet in workbook for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert rows == [(str(number), number) for number in range(7)]
    assert [sheet["A1"].value for sheet in workbook] == ["甲"] * 3
    assert workbook["名单 3"].auto_filter.ref == "A1:B2"


def test_half_written_rows_are_private_and_do_not_survive_an_error(tmp_path: Path) -> None:
    folders: list[Path] = []

    def break_off() -> None:
        with streamed_workbook(tmp_path / "list.xlsx") as workbook:
            ListSheet(workbook, "名单", ["甲"]).append(["x"])
            folders.extend(tmp_path.iterdir())
            assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700
            assert list(folders[0].iterdir())
            raise RuntimeError

    before = tempfile.gettempdir()
    with pytest.raises(RuntimeError):
        break_off()
    assert len(folders) == 1
    assert not list(tmp_path.iterdir())
    assert tempfile.gettempdir() == before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("  as it is ", "  as it is "),
        (510104201503070014, "510104201503070014"),
        (13800000000.0, "13800000000"),
        (1.5, "1.5"),
        (5.1e17, "5.1e+17"),
        (date(2015, 3, 7), "2015-03-07"),
        (datetime(2015, 3, 7), "2015-03-07"),  # noqa: DTZ001 - as a workbook holds it
        (datetime(2015, 3, 7, 8, 30), "2015-03-07 08:30:00"),  # noqa: DTZ001
    ],
)
def test_a_cell_is_written_as_a_clerk_sees_it(value: object, text: str) -> None:
    assert raw_text(value) == text
