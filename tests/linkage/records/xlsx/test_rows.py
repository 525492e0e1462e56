"""What is read of a workbook is what calamine and openpyxl read, whoever wrote it."""

import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records.cells import Cell
from linkage.records.workbooks import read_workbook_rows, sheet_names
from linkage.records.xlsx import package
from linkage.records.xlsx import rows as xlsx_rows
from linkage.records.xlsx import strings as xlsx_strings
from linkage.records.xlsx.plain_scanner import plain_scan
from linkage.records.xlsx.scanned import Cells
from tests.linkage.records.files import write_xlsx
from tests.linkage.records.xlsx.books import (
    MAIN,
    parts_of,
    rows_by_calamine,
    rows_by_openpyxl,
    sheet_xml,
    strings_xml,
    styles_xml,
    trimmed,
    write_book,
    write_parts,
)


@pytest.fixture(params=["plain", "compiled"], autouse=True)
def scanner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here runs with both scanners."""
    if request.param == "compiled":
        monkeypatch.setattr(xlsx_rows, "PLAIN_BYTES", -1)


def rows_of(path: Path, sheet: int = 1) -> list[list[Cell]]:
    return trimmed(list(read_workbook_rows(path, sheet)))


CELLS = (
    '<row r="2" spans="1:9"><c r="A2" t="s"><v>0</v></c><c r="C2" t="s"><v>2</v></c></row>'
    '<row r="3"><c t="inlineStr"><is><t>王</t></is></c><c><v>13800138000</v></c>'
    '<c t="n"><v>1.5E-3</v></c><c t="b"><v>1</v></c><c t="b"><v>0</v></c></row>'
    "<row/>"
    '<row><c r="B5" t="str"><f>A1&amp;"x"</f><v> a&lt;b\r\n_x000D_ </v></c>'
    '<c t="str"><v/></c></row>'
    '<row r="7" ht="20"><c r="D7" s="0"/><c r="B7"><v>1</v></c><c r="A7"><v>2</v></c></row>'
    '<row r="9"><c r="A9" t="inlineStr"><is><r><rPr><b/></rPr><t>李</t></r><r><t xml:space='
    '"preserve"> 明 </t></r><rPh sb="0" eb="1"><t>リ</t></rPh><phoneticPr fontId="1"/></is></c>'
    '<c r="B9"><v>007</v></c><c r="C9"><v>-0</v></c><c r="D9"><v>511322201503071234</v></c>'
    '<c r="E9"><v>n/a</v></c><c r="F9" t="s"><v>5</v></c></row>'
)
STRINGS = (
    "<t>编号</t>",
    "<t/>",
    '<t xml:space="preserve"> 两 边 </t>',
    "<t>  a\n b </t>",
    "",
    "<r><t>多</t></r><r><rPr><sz val='1'/></rPr><t>_x000D_&#10;音</t></r><rPh><t>x</t></rPh>",
)


def test_every_kind_of_cell_is_as_calamine_has_it(tmp_path: Path) -> None:
    path = write_book(
        tmp_path / "a.xlsx", CELLS, strings=strings_xml(STRINGS), styles=styles_xml([0])
    )
    assert rows_of(path) == trimmed(rows_by_calamine(path))
    assert rows_of(path)[1:5] == [
        ["编号", None, " 两 边 "],
        ["王", 13800138000.0, 0.0015, "TRUE", "FALSE"],
        [],
        [None, " a<b\n\r "],
    ]
    assert rows_of(path)[8] == ["李 明 ", 7.0, 0.0, 5.113222015030712e17, "n/a", "多\r\n音"]


def test_errors_are_told_as_they_are_written_so_that_they_are_found(tmp_path: Path) -> None:
    rows = '<row><c t="e"><f>1/0</f><v>#DIV/0!</v></c><c t="e"><v>#N/A</v></c></row>'
    assert rows_of(write_book(tmp_path / "a.xlsx", rows)) == [["#DIV/0!", "#N/A"]]


@pytest.mark.parametrize("is_1904", [False, True])
@pytest.mark.parametrize(
    ("shown", "is_date"),
    [
        (14, True), (22, True), (45, True), (46, True), (9, False), (10, False), (49, False),
        (0, False), ("yyyy-mm-dd", True), ("yyyy\\年m\\月d\\日", True),
        ('yyyy"年"m"月"d"日";@', True), ("[$-804]yyyy/m/d", True), ("[h]:mm:ss", True),
        ("h:mm AM/PM", True), ("[Red]0.00;yyyy", False), ("0.00%", False), ("General", False),
        ('0"day"', False), ("#,##0_d", False), ("0*m", False), ("G/通用格式", False), ("@", False),
        ("[Blue]#,##0", False), ("mm:ss.0", True), ("0\\d", False),
    ],
)  # fmt: skip
def test_numbers_are_dates_by_their_format(
    tmp_path: Path, shown: str | int, is_date: bool, is_1904: bool
) -> None:
    serials = [0, 0.25, 1, 59, 60, 61, 61.5, 366, 42070, 42070.999999, 45943.541, 2958465]
    serials += [2958465.999, -1, -0.5]
    rows = "".join(f'<row><c s="0"><v>{serial}</v></c></row>' for serial in serials)
    path = write_book(tmp_path / "a.xlsx", rows, styles=styles_xml([shown]), is_1904=is_1904)
    found = rows_of(path)
    assert found == trimmed(rows_by_calamine(path))
    assert isinstance(found[8][0], float) != is_date


@pytest.mark.parametrize("number", [27, 28, 31, 36, 50, 57, 58])
def test_built_in_formats_of_chinese_programs_are_dates(tmp_path: Path, number: int) -> None:
    rows = '<row><c s="0"><v>42070</v></c></row>'
    path = write_book(tmp_path / "a.xlsx", rows, styles=styles_xml([number]))
    assert rows_of(path) == [[date(2015, 3, 7)]]


def test_blanks_around_a_number_are_no_part_of_it(tmp_path: Path) -> None:
    rows = '<row><c t="s"><v> 1 </v></c><c><v>\n2\n</v></c><c t="b"><v> 0</v></c></row>'
    path = write_book(tmp_path / "a.xlsx", rows, strings=strings_xml(["<t>a</t>", "<t>b</t>"]))
    assert rows_of(path) == [["b", 2.0, "FALSE"]]


def test_dates_in_words_of_the_standard(tmp_path: Path) -> None:
    written = ["2015-03-07", "2015-03-07T08:30:00", "2015-03-07T08:30:00.25", "2015-13-07", "x"]
    rows = "".join(f'<row><c t="d"><v>{text}</v></c></row>' for text in written)
    path = write_book(tmp_path / "a.xlsx", rows)
    assert rows_of(path) == trimmed(rows_by_calamine(path))
    assert rows_of(path)[0] == [date(2015, 3, 7)]


_MOMENTS = (datetime(1901, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
VALUES = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Co"]), max_size=6),
    st.sampled_from(
        [" a ", "a\nb", "_x000D_", "_x0041_", "<&>", "a\tb", "'1", "0012", "𠮷", "#N/A"]
    ),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.booleans(),
    st.dates(date(1900, 3, 1), date(2100, 1, 1)),
    st.datetimes(*_MOMENTS).map(lambda moment: moment.replace(microsecond=0)),
    st.times().map(lambda t: t.replace(microsecond=0)),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(VALUES, max_size=5), min_size=1, max_size=6), st.booleans())
def test_what_openpyxl_writes_is_read_as_calamine_reads_it(
    tmp_path_factory: pytest.TempPathFactory, values: list[list[Any]], is_shared: bool
) -> None:
    path = tmp_path_factory.mktemp("book") / "a.xlsx"
    rows = [["编号"], *([v for v in row if not _is_formula(v)] for row in values)]
    (_write_shared if is_shared else write_xlsx)(path, rows)
    found = rows_of(path)
    assert found == trimmed(rows_by_calamine(path)) or _has_error(rows)
    assert [_kinds(row) for row in found] == [
        _kinds(row) for row in trimmed(rows_by_openpyxl(path))
    ]


def _is_formula(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("=")


def _has_error(rows: list[list[Any]]) -> bool:
    return any(isinstance(v, str) and v.startswith("#") for row in rows for v in row)


def _kinds(row: list[Cell]) -> list[str]:
    """Openpyxl neither trims nor resolves escapes, and rounds otherwise: the kinds are left."""
    kinds = {int: "number", float: "number", datetime: "date", date: "date", type(None): "none"}
    return [kinds.get(type(cell), "text") for cell in row]


def _write_shared(path: Path, rows: list[list[Any]]) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def test_times_and_time_spans_are_texts(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [["a", time(8, 30), time(23, 59, 59)]])
    assert rows_of(path) == [["a", "08:30:00", "23:59:59"]]


# --- other ways to write the same -------------------------------------------------------------


def test_the_strict_variant(tmp_path: Path) -> None:
    xml = sheet_xml(
        "<row><c t='s'><v>0</v></c></row>", main="http://purl.oclc.org/ooxml/spreadsheetml/main"
    )
    parts = parts_of({"a": xml}, strings=strings_xml(["<t>王</t>"]), strict=True)
    assert rows_of(write_parts(tmp_path / "a.xlsx", parts)) == [["王"]]


def test_names_with_prefixes_and_parts_in_unusual_places(tmp_path: Path) -> None:
    parts = parts_of({"a": ""}, strings="")
    del parts["xl/worksheets/sheet1.xml"], parts["xl/sharedStrings.xml"]
    parts["xl/_rels/workbook.xml.rels"] = (
        str(parts["xl/_rels/workbook.xml.rels"])
        .replace("worksheets/sheet1.xml", "/XL/Tables/../one.xml")
        .replace('"sharedStrings.xml"', '"./strings/S.xml"')
    )
    parts["xl/workbook.xml"] = (
        str(parts["xl/workbook.xml"]).replace("r:id", "rel:id").replace("xmlns:r=", "xmlns:rel=")
    )
    parts["xl\\one.xml"] = (
        f"<x:worksheet xmlns:x='{MAIN}'><x:sheetData><x:row r='1'><x:c r='A1' t='s'><x:v>0</x:v>"
        "</x:c></x:row></x:sheetData></x:worksheet>"
    )
    parts["xl/Strings/s.xml"] = f"<x:sst xmlns:x='{MAIN}'><x:si><x:t>王</x:t></x:si></x:sst>"
    assert rows_of(write_parts(tmp_path / "a.xlsx", parts)) == [["王"]]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_xml_in_other_encodings(tmp_path: Path, codec: str) -> None:
    head = '<?xml version="1.0" encoding="UTF-16"?>' if "16" in codec else ""
    xml = (head + sheet_xml("<row><c t='str'><v>王𠮷</v></c></row>")).encode(codec)
    path = write_parts(tmp_path / "a.xlsx", parts_of({"a": xml}))
    assert rows_of(path) == [["王𠮷"]]


def test_sheets_have_names_and_the_order_that_is_shown(tmp_path: Path) -> None:
    parts = parts_of({"说明 & <1>": sheet_xml(""), "表二": sheet_xml("<row><c><v>1</v></c></row>")})
    path = write_parts(tmp_path / "a.xlsx", parts)
    assert sheet_names(path) == ("说明 & <1>", "表二")
    assert rows_of(path, 1) == []
    assert rows_of(path, 2) == [[1.0]]
    with pytest.raises(RecordsError, match="2 sheets"):
        rows_of(path, 3)


# --- streaming --------------------------------------------------------------------------------


def test_rows_come_one_by_one_and_gaps_hold_nothing(tmp_path: Path) -> None:
    rows = (
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="30000"><c r="XFD30000"><v>2</v></c></row>'
    )
    path = write_book(tmp_path / "a.xlsx", rows)
    list(read_workbook_rows(path, 1))  # modules are loaded
    tracemalloc.start()
    try:
        n_rows = sum(1 for _ in read_workbook_rows(path, 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_rows == 30_000
    assert peak < 3_000_000


def test_memory_does_not_grow_with_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "BLOCK_BYTES", 20_000)
    peaks = []
    for n_rows in (1_000, 4_000):
        rows = "".join(
            f"<row><c><v>{i}</v></c><c t='str'><v>王{i}</v></c></row>" for i in range(n_rows)
        )
        path = write_book(tmp_path / "a.xlsx", rows)
        del rows
        tracemalloc.start()
        try:
            assert sum(1 for _ in read_workbook_rows(path, 1)) == n_rows
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_how_far_a_workbook_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [f"<t>王{i}</t>" for i in range(30_000)]
    rows = "".join(f"<row><c t='s'><v>{i}</v></c></row>" for i in range(30_000))
    path = write_book(tmp_path / "a.xlsx", rows, strings=strings_xml(items))
    monkeypatch.setattr(package, "BLOCK_BYTES", 200_000)
    told: list[tuple[int, int]] = []
    n_rows = sum(1 for _ in read_workbook_rows(path, 1, lambda *how_far: told.append(how_far)))
    assert n_rows == 30_000
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == (told[0][1], told[0][1])


def test_strings_beyond_what_memory_may_hold_lie_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [f"<t>王{i}</t>" for i in range(5000)]
    rows = "".join(f"<row><c t='s'><v>{4999 - i}</v></c></row>" for i in range(5000))
    path = write_book(tmp_path / "a.xlsx", rows, strings=strings_xml(items))
    monkeypatch.setattr(xlsx_strings, "MAX_MEMORY_BYTES", 1000)
    assert rows_of(path) == [[f"王{4999 - i}"] for i in range(5000)]
    monkeypatch.setattr(xlsx_strings, "MAX_STRINGS", 4999)
    with pytest.raises(RecordsError, match="too large"):
        rows_of(path)


def test_small_workbooks_need_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bool] = []

    def scan(blocks: Iterator[bytes], *, is_sheet: bool) -> Iterator[Cells]:
        used.append(is_sheet)
        return plain_scan(blocks, is_sheet=is_sheet)

    monkeypatch.setattr(xlsx_rows, "PLAIN_BYTES", 4 << 20)
    monkeypatch.setattr(xlsx_rows, "plain_scan", scan)
    rows_of(write_book(tmp_path / "a.xlsx", "<row><c><v>1</v></c></row>"))
    assert used == [True]


# --- what does not fit together ---------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="2"><c><v>1</v></c></row><row r="1"><c><v>1</v></c></row>',
        '<row r="5"><c><v>1</v></c><c r="B4"><v>1</v></c></row>',
        '<row><c t="s"><v>2</v></c></row>',
        '<row><c t="s"><v>4294967296</v></c></row>',
    ],
)
def test_rows_out_of_order_and_strings_that_are_missing_are_refused(
    tmp_path: Path, rows: str
) -> None:
    path = write_book(tmp_path / "a.xlsx", rows, strings=strings_xml(["<t>王</t>", "<t>李</t>"]))
    with pytest.raises(RecordsError, match="damaged") as refusal:
        rows_of(path)
    assert "王" not in str(refusal.value)
    with pytest.raises(RecordsError, match="damaged"):
        rows_of(write_book(tmp_path / "b.xlsx", '<row><c t="s"><v>0</v></c></row>'))


def test_of_two_cells_in_one_place_the_last_counts_and_a_row_may_come_in_parts(
    tmp_path: Path,
) -> None:
    rows = (
        '<row r="1"><c r="B1"><v>1</v></c><c r="B1"><v>2</v></c></row>'
        '<row r="1"><c r="A1"><v>3</v></c></row>'
    )
    assert rows_of(write_book(tmp_path / "a.xlsx", rows)) == [[3.0, 2.0]]


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    for sign in (b"\xff", b"\xed\xa0\x80", "王".encode("gb18030")):
        xml = sheet_xml("<row><c t='str'><v>@</v></c></row>").encode().replace(b"@", sign)
        with pytest.raises(RecordsError, match="damaged"):
            rows_of(write_parts(tmp_path / "a.xlsx", parts_of({"a": xml})))
