"""Workbooks that are damaged, locked or made to exhaust memory."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records.tables import read_table
from linkage.records.xlsx import package
from tests.linkage.records.files import write_xlsx

ROWS = [["编号", "姓名"], *[[str(i), "王小明"] for i in range(50)]]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_xlsx(tmp_path_factory.mktemp("book") / "x.xlsx", ROWS).read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truncated_and_altered_workbooks_are_refused_or_read(
    good: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("bad") / "x.xlsx"
    if data.draw(st.booleans()):
        content = good[: data.draw(st.integers(4, len(good) - 1))]
    else:
        place = data.draw(st.integers(4, len(good) - 1))
        content = good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :]
    path.write_bytes(content)
    message = ""
    try:
        list(read_table(path).rows)
    except RecordsError as error:
        message = str(error)
    assert "王小明" not in message


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04",
        b"PK\x03\x04" + bytes(5000),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000),
    ],
)
def test_what_only_pretends_to_be_a_workbook(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(content)
    with pytest.raises(RecordsError, match="damaged"):
        read_table(path)


def test_an_archive_that_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(RecordsError, match="damaged"):
        read_table(path)


def _with_sheet(good: bytes, path: Path, sheet: bytes) -> Path:
    source = path.with_suffix(".good")
    source.write_bytes(good)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            is_sheet = entry.filename == "xl/worksheets/sheet1.xml"
            new.writestr(entry.filename, sheet if is_sheet else old.read(entry))
    return path


_SHEET = (
    b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/'
    b'main"><sheetData>%s</sheetData></worksheet>'
)


def _cell(reference: bytes, text: bytes) -> bytes:
    return b'<c r="%s" t="inlineStr"><is><t>%s</t></is></c>' % (reference, text)


@pytest.mark.parametrize(("column", "row"), [(b"XFD", b"1048576"), (b"BZ", b"900000")])
def test_two_cells_far_apart_are_rows_with_nothing_between(
    good: bytes, tmp_path: Path, column: bytes, row: bytes
) -> None:
    body = b'<row r="1">%s%s</row><row r="%s">%s</row>' % (
        _cell(b"A1", b"a"),
        _cell(b"B1", b"b"),
        row,
        _cell(column + row, b"c"),
    )
    *_, last = read_table(_with_sheet(good, tmp_path / "x.xlsx", _SHEET % body)).rows
    assert last[-1] == "c"
    assert not any(last[:-1])


def test_a_sheet_of_usual_width_may_be_long(good: bytes, tmp_path: Path) -> None:
    body = b'<row r="1">%s%s</row><row r="9000">%s</row>' % (
        _cell(b"A1", b"a"),
        _cell(b"B1", b"b"),
        _cell(b"B9000", b"c"),
    )
    table = read_table(_with_sheet(good, tmp_path / "x.xlsx", _SHEET % body))
    assert list(table.rows)[-1] == [None, "c"]


def test_a_workbook_that_inflates_without_end_is_refused(
    good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _with_sheet(good, tmp_path / "x.xlsx", _SHEET % (b" " * 8_000_000))
    monkeypatch.setattr(package, "MAX_INFLATED_BYTES", 4_000_000)
    with pytest.raises(RecordsError, match="too large"):
        read_table(path)


def test_the_size_is_counted_and_not_believed(
    good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _with_sheet(good, tmp_path / "x.xlsx", _SHEET % (b" " * 8_000_000))
    content = path.read_bytes()
    size = len(_SHEET % (b" " * 8_000_000)).to_bytes(4, "little")
    assert size in content
    path.write_bytes(content.replace(size, (1000).to_bytes(4, "little")))
    monkeypatch.setattr(package, "MAX_INFLATED_BYTES", 4_000_000)
    with pytest.raises(RecordsError):
        read_table(path)


def test_a_locked_archive_is_named_so(good: bytes, tmp_path: Path) -> None:
    content = bytearray(good)
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1  # general purpose bit 0 of the first entry: encrypted
    path = tmp_path / "x.xlsx"
    path.write_bytes(bytes(content))
    with pytest.raises(RecordsError, match="password"):
        read_table(path)
