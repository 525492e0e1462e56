"""Tables read from text files in every encoding, and from workbooks."""

import codecs
import gc
import warnings
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records.heading_rows import heading_key
from linkage.records.tables import detect_format, read_table
from linkage.records.text_files import MAX_LINE_CHARACTERS, TEXT_ENCODINGS
from tests.linkage.records.files import csv_text, id_number, write_csv, write_xlsx

ROWS = [
    ["编号", "姓名", "备注"],
    ["1", "王小明", "a,b"],
    ["2", "李“四”", '说"好"\n第二行'],
    ["3", "", ""],
]
UNICODE_CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x00", exclude_categories=["Cs", "Cn"]),
    max_size=8,
)


def rows_of(path: Path, encoding: str = "auto", sheet: int = 1) -> list[list[object]]:
    return [list(row) for row in read_table(path, encoding, sheet).rows]


@pytest.mark.parametrize(
    ("codec", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("gb18030", "gb18030"),
        ("gbk", "gb18030"),
        ("gb2312", "gb18030"),
        ("utf-16", "utf-16"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encoding_and_separator_are_found(
    tmp_path: Path, codec: str, found: str, delimiter: str
) -> None:
    path = write_csv(tmp_path / "x.csv", ROWS, codec, delimiter)
    assert detect_format(path) == (found, delimiter)
    table = read_table(path)
    assert table.headings == tuple(ROWS[0])
    assert [list(row) for row in table.rows] == ROWS[1:]


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_is_found_without_a_byte_order_mark(tmp_path: Path, order: str) -> None:
    rows = [["rec_id", "name"], ["1", "王小明"]] + [[str(i), "anna"] for i in range(20)]
    path = write_csv(tmp_path / "x.csv", rows, f"utf-16-{order}")
    assert detect_format(path).encoding == f"utf-16-{order}"
    assert rows_of(path) == rows[1:]


@pytest.mark.parametrize(
    "value",
    [
        "510104201503070014", "51010420150307001x", "510104 20150307 0014", "510104850307001",
        "510104************14", "G510104201503070014", "13912340001", "+86 139-1234-0001",
        "(028)85123467", "20150307", "2015-03-07", "2015/3/7", "2015.3.7", "2015年3月7日",
        "2015-03-07 00:00:00", "2015/3/7 0:00", "2015-03-07T00:00:00.000", "二〇一五年三月七日",
    ],
)  # fmt: skip
def test_a_record_in_the_first_row_is_not_shown_as_headings(tmp_path: Path, value: str) -> None:
    """Headings are printed, and written into mappings; beside such a value stands a name."""
    path = write_csv(tmp_path / "x.csv", [["王小明", "男", value]] * 2)
    with pytest.raises(RecordsError, match="values, not headings") as caught:
        read_table(path)
    assert "王小明" not in str(caught.value)


@pytest.mark.parametrize("others", [["三年级"], ["李大山", "父亲"], ["居民身份证", "母亲", "女"]])
def test_a_record_of_few_columns_is_not_shown_as_headings_either(
    tmp_path: Path, others: list[str]
) -> None:
    path = write_csv(tmp_path / "x.csv", [["A1", "王小明", "男", *others]] * 2)
    with pytest.raises(RecordsError, match="values, not headings"):
        read_table(path)
    ticked = write_csv(tmp_path / "y.csv", [["编号", "姓名", "男", "女"], ["1", "王小明", "√", ""]])
    assert read_table(ticked).headings == ("编号", "姓名", "男", "女")


@pytest.mark.parametrize(
    "heading", ["2015年3月", "2015-2016学年", "电话(028)", "身份证号（18位）", "1", "510104", "3.1"]
)
def test_numbers_in_headings_are_no_values_of_a_person(tmp_path: Path, heading: str) -> None:
    path = write_csv(tmp_path / "x.csv", [["编号", heading], ["1", "2"]])
    assert read_table(path).headings[0] == "编号"


def test_signs_in_cells_are_no_separator(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("编号,姓名,备注\n;,;,;\n", encoding="utf-8")
    assert rows_of(path, "utf-8") == [[";", ";", ";"]]


@settings(max_examples=40)
@given(
    st.lists(st.lists(UNICODE_CELLS, min_size=3, max_size=3), max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
)
def test_what_is_written_is_read_in_every_encoding(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], codec: str
) -> None:
    path = tmp_path_factory.mktemp("round") / "x.csv"
    written = [["编号", "姓名", "备注"], *rows]
    path.write_bytes(csv_text(written).encode(codec))
    named = {"utf-8-sig": "utf-8"}.get(codec, codec)
    assert rows_of(path, named) == rows


def test_text_whose_chinese_comes_late_is_read_whole(tmp_path: Path) -> None:
    rows = [["id", "name"], *[[str(i), "x" * 50] for i in range(30_000)], ["z", "王小明"]]
    for codec in ("utf-8", "gb18030"):
        path = write_csv(tmp_path / f"{codec}.csv", rows, codec)
        assert detect_format(path).encoding == codec
        assert rows_of(path)[-1] == ["z", "王小明"]


def test_quoted_cells_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'a,b\r\n"1,5","two\r\nlines ""quoted"""\r\n')
    assert rows_of(path) == [["1,5", 'two\r\nlines "quoted"']]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(newline.join(["a,b", "1,2", "", "3,4"]).encode())
    assert rows_of(path) == [["1", "2"], [], ["3", "4"]]


def test_titles_and_blank_rows_above_the_headings_are_skipped(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [["2025年登记表", "", ""], [], *ROWS])
    assert read_table(path).headings == tuple(ROWS[0])
    assert rows_of(path) == ROWS[1:]
    book = write_xlsx(tmp_path / "x.xlsx", [[], ["2025年登记表"], ["编号", "姓名"], ["1", "王"]])
    assert read_table(book).headings == ("编号", "姓名")
    assert rows_of(book) == [["1", "王"]]


def test_a_table_of_one_column_has_its_first_row_as_heading(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", [["编号"], ["1"], ["2"]])
    assert read_table(path).headings == ("编号",)
    assert rows_of(path) == [["1"], ["2"]]


@pytest.mark.parametrize(
    "first",
    [
        ["1", "王小明", id_number("2015-03-07")],
        ["1", "王小明", "17361028473"],
        ["1", "王小明", "2015-03-07"],
        ["1", "王小明", "20150307"],
    ],
)
def test_a_file_without_headings_is_refused_and_its_values_are_not_shown(
    tmp_path: Path, first: list[str]
) -> None:
    path = write_csv(tmp_path / "x.csv", [first, first])
    with pytest.raises(RecordsError, match="not headings") as refusal:
        read_table(path)
    assert not any(cell in str(refusal.value) for cell in first[1:])


def test_a_true_date_in_the_first_row_is_no_heading(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "x.xlsx", [["1", "王小明", date(2015, 3, 7)]])
    with pytest.raises(RecordsError, match="not headings"):
        read_table(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "no table"),
        (b",,,\r\n,,\r\n", "no table"),
        (b"%PDF-1.7 x", "PDF"),
        (b"\x89PNG\r\n", "picture"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"<html><table>", "web page"),
        (b"  <!DOCTYPE html>", "web page"),
        (b"<?xml version='1.0'?>", "XML"),
        (bytes(range(256)) * 20, "neither UTF-8"),
        (b"\x00" * 500, "not text"),
        (b"a,b\n\xff\xff\xff\xfe,1\n", "neither UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(RecordsError, match=message):
        rows_of(path)


def test_a_file_cut_off_in_a_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("编号,姓名\n".encode() + "1,王小明\n".encode() * 20 + "2,王".encode()[:-1])
    with pytest.raises(RecordsError, match="cut off"):
        read_table(path)


def test_a_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    good = "1,王小明\n".encode()
    path.write_bytes("编号,姓名\n".encode() + good * 20 + b"2,\xff\xff\n" + good)
    with pytest.raises(RecordsError, match="line 22") as refusal:
        read_table(path)
    assert "王" not in str(refusal.value)


def test_an_encoding_that_the_mapping_names_and_the_file_does_not_have(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", ROWS, "gb18030")
    with pytest.raises(RecordsError, match="auto"):
        rows_of(path, "utf-8")


def test_big5_is_read_where_the_mapping_says_so(tmp_path: Path) -> None:
    rows = [["編號", "姓名"], ["1", "張曉東"]]
    path = write_csv(tmp_path / "x.csv", rows, "big5")
    assert rows_of(path, "big5") == [["1", "張曉東"]]


def test_unknown_encodings_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", ROWS)
    for encoding in ("rot13", "zip", "klingon"):
        with pytest.raises(RecordsError, match="unknown encoding"):
            read_table(path, encoding)


@pytest.mark.parametrize("quoted", ['1,"王小明\n2,李四\n', '1,"王"小明\n'])
def test_quotation_marks_that_do_not_pair_swallow_no_rows(tmp_path: Path, quoted: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text("编号,姓名\n0,a\n" * 4 + quoted, encoding="utf-8")
    with pytest.raises(RecordsError, match="quotation marks") as refusal:
        rows_of(path)
    assert "王" not in str(refusal.value)


def test_a_cell_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"' + "x\n" * 400_000, encoding="utf-8")
    with pytest.raises(RecordsError, match="quotation marks"):
        rows_of(path)


def test_a_line_without_end_is_refused_or_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "x" * (MAX_LINE_CHARACTERS + 5), encoding="utf-8")
    with pytest.raises(RecordsError):
        rows_of(path)
    path.write_text("a,b\n" + "x," * MAX_LINE_CHARACTERS, encoding="utf-8")
    assert all(len(row) != 2 for row in rows_of(path))


def test_a_missing_file_is_an_error_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="No such file") as refusal:
        read_table(tmp_path / "王小明.csv")
    assert "王小明" not in str(refusal.value)


@pytest.mark.parametrize("name", ["x.csv", "x.xlsx"])
def test_a_table_that_is_not_read_to_its_end_leaves_nothing_open(tmp_path: Path, name: str) -> None:
    rows = [["编号", "姓名"]] + [[str(i), "王小明"] for i in range(3000)]
    path = tmp_path / name
    write_xlsx(path, rows) if name.endswith("xlsx") else write_csv(path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(path)
        next(table.rows)
        del table
        gc.collect()


def test_headings_are_compared_without_blanks_and_case() -> None:
    assert heading_key(" Rec_ID ") == heading_key("\ufeffrec_id")
    assert heading_key("身份 证号") == heading_key("身份证号\n")
    assert heading_key("姓名") != heading_key("性别")


def test_every_name_of_an_encoding_is_one_that_python_has() -> None:
    for codec in TEXT_ENCODINGS.values():
        assert codecs.lookup(codec)


# Workbooks


def test_workbooks_give_true_dates_and_numbers(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 2, 8, 30)  # noqa: DTZ001
    path = write_xlsx(
        tmp_path / "x.xlsx",
        [
            ["编号", "生日", "号码", "时间", "空", "真"],
            ["1", date(2015, 3, 7), 13800138000, moment, None, True],
            [2, "2015/3/7", 1.1010519491231e17, "", "", 0.5],
        ],
    )
    assert detect_format(path) == ("xlsx", None)
    assert rows_of(path) == [
        ["1", date(2015, 3, 7), 13800138000.0, moment, None, "TRUE"],
        [2.0, "2015/3/7", 1.1010519491231e17, None, None, 0.5],
    ]


def test_sheets_are_counted_from_one(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "x.xlsx", [["a", "b"], ["1", "2"]], [["c", "d"], ["3", "4"]])
    assert read_table(path, "xlsx", 2).headings == ("c", "d")
    with pytest.raises(RecordsError, match="2 sheets"):
        read_table(path, "xlsx", 3)
    with pytest.raises(RecordsError, match="2 sheets"):
        read_table(path, "xlsx", 0)


def test_text_and_workbook_are_not_mixed_up(tmp_path: Path) -> None:
    text = write_csv(tmp_path / "x.xlsx", ROWS)
    book = write_xlsx(tmp_path / "x.csv", ROWS)
    assert detect_format(text).encoding == "utf-8"
    assert detect_format(book).encoding == "xlsx"
    with pytest.raises(RecordsError, match="is none"):
        read_table(text, "xlsx")
    with pytest.raises(RecordsError, match="is a workbook"):
        read_table(book, "utf-8")


@settings(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=60).map(lambda text: text.encode("gb18030", "ignore")),
        st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"\x00", b"\xff", b"\x81", b"a", b"1"]))
        .map(b"".join),
    )
)  # fmt: skip
def test_any_bytes_are_a_table_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.csv"
    path.write_bytes(content)
    for encoding in ("auto", "utf-8", "gb18030", "utf-16", "utf-16-le", "big5", "xlsx"):
        try:
            table = read_table(path, encoding)
            assert all(isinstance(row, list) for row in table.rows)
        except RecordsError:
            pass
