"""Workbooks cleaned at once: the same values, ids and problems as cell by cell, on any cells."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records import sheet_blocks
from linkage.records.mapping import ColumnMapping
from linkage.records.reading import read_records
from linkage.records.xlsx import package, strings
from tests.linkage.records.files import CHILD_FIELDS, COLUMNS, HEADINGS, id_number, write_xlsx
from tests.linkage.records.test_text_records import EVERY_KIND, TODAY, assert_same, read
from tests.linkage.records.xlsx.books import strings_xml, styles_xml, write_book

MAPPING = ColumnMapping(
    {"record_id": "record_id"} | {field.name: field.name for field in EVERY_KIND}
)
TITLES = list(MAPPING.columns.values())
STYLES = styles_xml(["yyyy-mm-dd", "yyyy-mm-dd hh:mm", "[h]:mm", "h:mm"])


_TEXTS = st.one_of(
    st.text("王小明欧阳某之女曾單·  〓?xX*'=\"(),", max_size=6),
    st.text("0123456789-/.年月日 +eE", max_size=19),
    st.sampled_from(
        [
            "",
            "无",
            "#N/A",
            "#REF!",
            "王小明",
            "15812345678",
            "2015-03-07",
            "42070.5",
            "𠮷",
            "\u200b",
        ]
    ),
    st.just(id_number("2015-03-07")),
)
_NUMBERS = st.one_of(
    st.integers(-10, 99999),
    st.integers(10_000_000_000, 19_999_999_999),
    st.integers(-(10**19), 10**19),
    st.sampled_from(
        ["42070.25", "0.5", "1E5", "-0", "007", "5.11322201503071E+17", "1e999", "x", "1."]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def cells(draw: st.DrawFn) -> str:
    """The attributes and the inside of a cell."""
    kinds = ["inline", "inline", "shared", "number", "number", "moment", "b", "e", "d", ""]
    kind = draw(st.sampled_from(kinds))
    if kind == "inline":
        text = draw(_TEXTS).replace("<", "&lt;")
        return f' t="inlineStr"><is><t xml:space="preserve">{text}</t></is>'
    if kind == "shared":
        return f' t="s"><v>{draw(st.integers(0, 5))}</v>'
    if kind == "number":
        return f"><v>{draw(_NUMBERS)}</v>"
    if kind == "moment":
        serial = draw(st.one_of(_NUMBERS, st.floats(0, 60000)))
        return f' s="{draw(st.integers(0, 5))}"><v>{serial}</v>'
    value = {"b": "1", "e": "#DIV/0!", "d": "2015-03-07T08:30:00", "": ""}[kind]
    return f' t="{kind}"><v>{value}</v>' if kind else ">"


SHARED = strings_xml(
    ["<t>王小明</t>", "<t/>", "<t>2015-03-07</t>", "<t>15812345678</t>", "<t> </t>", "<t>男</t>"]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, 1, 1, 2, 9]), st.lists(cells(), max_size=12)), max_size=9
    ),
    st.sampled_from([60, 1 << 20]),
)
def test_any_cells(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, list[str]]], block_bytes: int
) -> None:
    heading = "".join(f' t="str"><v>{title}</v>|' for title in TITLES).split("|")[:-1]
    number, written = 0, []
    for step, row in [(1, heading), *rows]:
        number += step
        inside = "".join(f"<c{cell}</c>" for cell in row)
        written.append(f'<row r="{number}">{inside}</row>')
    path = tmp_path_factory.mktemp("book") / "x.xlsx"
    write_book(path, "".join(written), strings=SHARED, styles=STYLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "BLOCK_BYTES", block_bytes)
        assert_same(path, MAPPING, EVERY_KIND, batch_rows=3)


def test_what_stands_right_of_the_table_is_reported_and_not_held(tmp_path: Path) -> None:
    row: list[Any] = ["1", "王小明", "男", "2015-03-07"]
    wide = [*row, *[None] * 9000, "x"]
    path = write_xlsx(tmp_path / "x.xlsx", [HEADINGS, row, wide, [*row, None, None, None, "  "]])
    mapping = ColumnMapping(COLUMNS)
    assert_same(path, mapping, CHILD_FIELDS)
    [batch] = read_records(path, mapping, CHILD_FIELDS, today=TODAY)
    codes = [(p.row, p.code) for p in batch.problems if p.field == "row"]
    assert codes == [(3, "row-has-wrong-number-of-cells")]


def test_a_block_ends_where_its_texts_are_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet_blocks, "_MAX_BLOCK_BYTES", 2000)
    monkeypatch.setattr(package, "BLOCK_BYTES", 500)
    rows = [[str(i), "王小明" * 30] for i in range(50)]
    path = write_xlsx(tmp_path / "x.xlsx", [HEADINGS, *rows])
    assert_same(path, ColumnMapping(COLUMNS), CHILD_FIELDS, batch_rows=1000)
    batches = read(path, ColumnMapping(COLUMNS), CHILD_FIELDS, row_by_row=False, batch_rows=1000)
    assert len(batches) > 5


def test_one_long_string_in_many_cells_is_held_once(tmp_path: Path) -> None:
    long = "x" * 100_000
    rows = '<row><c t="str"><v>登记编号</v></c><c t="str"><v>儿童姓名</v></c></row>'
    rows += "<row><c><v>1</v></c><c t='s'><v>0</v></c></row>" * 500
    path = write_book(tmp_path / "a.xlsx", rows, strings=strings_xml([f"<t>{long}</t>"]))
    mapping = ColumnMapping({"record_id": "登记编号", "name": "儿童姓名"})
    assert sum(map(len, read_records(path, mapping, CHILD_FIELDS[:1]))) == 500


def test_strings_that_no_memory_could_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strings, "MAX_TEXT_BYTES", 100_000)
    rows = '<row><c t="str"><v>登记编号</v></c><c t="str"><v>儿童姓名</v></c></row>'
    rows += "".join(f"<row><c><v>1</v></c><c t='s'><v>{i}</v></c></row>" for i in range(20))
    path = write_book(
        tmp_path / "a.xlsx", rows, strings=strings_xml(["<t>" + "x" * 9000 + "</t>"] * 20)
    )
    mapping = ColumnMapping({"record_id": "登记编号", "name": "儿童姓名"})
    for row_by_row in (True, False):
        assert "too large" in str(read(path, mapping, CHILD_FIELDS[:1], row_by_row=row_by_row))


def test_true_dates_and_moments_are_read_as_the_clerk_sees_them(tmp_path: Path) -> None:
    rows = [["1", date(2015, 3, 7)], ["2", datetime(2015, 3, 7, 8, 30)], ["3", 42070.25]]  # noqa: DTZ001
    path = write_xlsx(tmp_path / "x.xlsx", [["登记编号", "出生日期"], *rows])
    mapping = ColumnMapping({"record_id": "登记编号", "birth_date": "出生日期"})
    [batch] = read_records(path, mapping, [CHILD_FIELDS[2]], today=TODAY)
    assert list(batch.columns["birth_date"]) == ["2015-03-07"] * 3


def test_a_damaged_sheet_is_refused_while_it_is_read(tmp_path: Path) -> None:
    rows = '<row><c t="str"><v>登记编号</v></c></row>'
    rows += "".join(f'<row r="{number}"><c><v>1</v></c></row>' for number in (2, 5, 4))
    path = write_book(tmp_path / "a.xlsx", rows)
    with pytest.raises(RecordsError, match="damaged"):
        list(read_records(path, ColumnMapping({"record_id": "登记编号"}), CHILD_FIELDS))
