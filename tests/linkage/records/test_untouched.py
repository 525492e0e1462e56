"""Rows come as they stand in the file."""

from datetime import date
from pathlib import Path

import openpyxl
import pytest

from linkage.errors import RecordsError
from linkage.records.untouched import UntouchedRows

TEXT = '编号,name\r\n1," wáng,\r\n芳 "\r\n\r\n2,x\r\n'
ROWS = [["编号", "name"], ["1", " wáng,\n芳 "], [], ["2", "x"]]


def rows_of(path: Path, n_columns: int = 2) -> list[list[str]]:
    with UntouchedRows(path, n_columns) as rows:
        return list(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_in_any_encoding_comes_uncleaned(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode(encoding))
    assert rows_of(path) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_separator_is_the_one_that_gives_the_columns(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"a{delimiter}b\n1{delimiter}|x;;,y|\n".replace("|", '"'), encoding="utf-8")
    assert rows_of(path) == [["a", "b"], ["1", "x;;,y"]]


def test_a_workbook_gives_texts_and_no_empty_rows_at_its_end(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["a", "b", "c"], [" x ", 12, date(2016, 2, 29)], [None, None, None], ["y"], [""]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    assert rows_of(tmp_path / "a.xlsx", 3) == [
        ["a", "b", "c"],
        [" x ", "12", "2016-02-29"],
        ["", "", ""],
        ["y", "", ""],
    ]


def test_the_share_read_rises_to_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" * 100_000, encoding="utf-8")
    shares = []
    with UntouchedRows(path, 2) as rows:
        for number, _ in enumerate(rows):
            if number % 10_000 == 0:
                shares.append(rows.share_read())
        shares.append(rows.share_read())
    assert all(share is not None for share in shares)
    assert shares == sorted(shares, key=lambda share: share or 0.0)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b'a,b\n1,"x\n2,y\n', "quotation marks"),
        ("a,b\n王,芳\n".encode()[:-2] + b"\xff\xff", "text encoding is neither"),
        (b"%PDF-1.4", "PDF"),
    ],
)
def test_damaged_files_are_refused(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(RecordsError, match=told):
        rows_of(path)
