"""The compiled scanner beside the plain one: the same cells of any XML, in blocks of any size."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.records.xlsx.plain_scanner import plain_scan
from linkage.records.xlsx.scanned import MAX_CELL_BYTES, SHARED, Cells, ScanError
from linkage.records.xlsx.scanner import scan
from tests.linkage.records.xlsx.books import sheet_xml, strings_xml

SIGNS = "王a é𠮷\t\n&<>\"'_x0D ]1"


def blocks_of(xml: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(xml), size):
        yield xml[start : start + size]


def found(scanned: Iterator[Cells], *, is_sheet: bool) -> list[tuple[object, ...]] | None:
    """Cells with their texts, or shared strings; ``None`` if the XML is refused."""
    cells: list[tuple[object, ...]] = []
    try:
        for part in scanned:
            for *place, kind, style, start, stop in part.table.tolist():
                text = start if kind == SHARED and is_sheet else part.text[start:stop].decode()
                cells.append((*place, kind, max(style, -1), text) if is_sheet else (text,))
    except (ScanError, UnicodeDecodeError):
        return None
    return cells


def both(
    xml: bytes, size: int = 1 << 20, *, is_sheet: bool = True
) -> list[tuple[object, ...]] | None:
    plain = found(plain_scan(blocks_of(xml, size), is_sheet=is_sheet), is_sheet=is_sheet)
    compiled = found(scan(blocks_of(xml, size), is_sheet=is_sheet), is_sheet=is_sheet)
    assert plain == compiled
    return plain


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Text as XML: entities, numbered characters, comments, CDATA and escapes in it."""
    parts = draw(
        st.lists(
            st.one_of(
                st.text(SIGNS, max_size=6).map(
                    lambda t: t.replace("&", "&amp;").replace("<", "&lt;").replace("]", "")
                ),
                st.sampled_from(
                    [
                        "&#13;", "&#x4e2D;", "&#128512;", "&quot;&apos;&gt;", "\r\n", "\r", "  ",
                        "<!-- </t> -->", "<![CDATA[<v>&amp;\r\n]]>", "<?x </v> ?>",
                        "_x000D_", "_x000a_", "_x005F_x000D_", "_x00", "_x00zz_", "_x00E9_",
                    ]
                ),
            ),
            max_size=4,
        )
    )  # fmt: skip
    return "".join(parts)


@st.composite
def items(draw: st.DrawFn, prefix: str = "") -> str:
    """The inside of a string item: plain, rich, with phonetic runs, with what nobody knows."""

    def string() -> str:
        space = draw(st.sampled_from(["", ' xml:space="preserve"', " xml:space = 'default'"]))
        return f"<{prefix}t{space}>{draw(texts())}</{prefix}t>"

    parts = []
    for kind in draw(
        st.lists(st.sampled_from(["t", "r", "rPh", "phoneticPr", "ext", " "]), max_size=4)
    ):
        if kind == "t":
            parts.append(string())
        elif kind == "r":
            parts.append(
                f"<{prefix}r><{prefix}rPr><{prefix}b/></{prefix}rPr>{string()}</{prefix}r>"
            )
        elif kind == "rPh":
            parts.append(f'<{prefix}rPh sb="0" eb="1">{string()}</{prefix}rPh>')
        elif kind == "ext":
            parts.append(f"<y:ext xmlns:y='z'><y:r>{string()}</y:r><c/><si/></y:ext>")
        else:
            parts.append(f"<{prefix}phoneticPr/>" if kind == "phoneticPr" else "\n ")
    return "".join(parts)


@st.composite
def sheets(draw: st.DrawFn) -> bytes:
    prefix = draw(st.sampled_from(["", "x:"]))
    rows, number = [], 0
    for _ in range(draw(st.integers(0, 4))):
        number += draw(st.integers(1, 3))
        attribute = draw(
            st.sampled_from(["", f' r="{number}"', f" spans='1:3' r='{number}' ht=\"2\""])
        )
        cells = "".join(draw(cell(prefix, number)) for _ in range(draw(st.integers(0, 4))))
        rows.append(
            f"<{prefix}row{attribute}>{cells}</{prefix}row>"
            if cells
            else f"<{prefix}row{attribute}/>"
        )
    blank = draw(st.sampled_from(["", "\n  ", "<!-- <row> -->"]))
    end = draw(
        st.sampled_from(["", "<y:more xmlns:y='z'><row r='1'><c><v>9</v></c></row></y:more>"])
    )
    name = "xmlns:x" if prefix else "xmlns"
    return (
        f"<?xml version='1.0'?>{blank}<{prefix}worksheet {name}='m'>"
        f"<{prefix}cols><{prefix}c/></{prefix}cols>"
        f"<{prefix}sheetData>{blank.join(rows)}</{prefix}sheetData>{end}</{prefix}worksheet>"
    ).encode()


@st.composite
def cell(draw: st.DrawFn, prefix: str, row: int) -> str:
    kind = draw(st.sampled_from(["", "n", "s", "str", "inlineStr", "b", "e", "d"]))
    columns = st.sampled_from(["A", "b", "Z", "AA", "XFD"])
    place = draw(st.one_of(st.just(""), columns.map(lambda c: f' r="{c}{row}"')))
    attributes = (
        place + (f' t="{kind}"' if kind else "") + draw(st.sampled_from(["", ' s="1"', ' s="x"']))
    )
    value = draw(st.integers(0, 99).map(str)) if kind == "s" else draw(texts())
    blank = draw(st.sampled_from(["", " ", "\n"]))
    inside = draw(
        st.sampled_from(
            [
                "",
                f"<{prefix}v>{blank}{value}{blank}</{prefix}v>",
                f"<{prefix}f t='shared'>A1&lt;2</{prefix}f><{prefix}v>{value}</{prefix}v>",
                f"<{prefix}is>{draw(items(prefix))}</{prefix}is>",
                f"<{prefix}v/>",
                f"<{prefix}v>1</{prefix}v><{prefix}v>2</{prefix}v><{prefix}extLst><v>3</v></{prefix}extLst>",
            ]
        )
    )
    return f"<{prefix}c{attributes}>{inside}</{prefix}c>" if inside else f"<{prefix}c{attributes}/>"


USUAL = [
    '<c r="A{0}" t="s"><v>7</v></c>', '<c r="C{0}" s="12" t="s"><v>1234567890</v></c>',
    '<c r="B{0}" s="1"/>', '<c r="B{0}"><v>-1.5E-7</v></c>', '<c r="B{0}"><v>x</v></c>',
    '<c r="ZZ{0}" t="inlineStr"><is><t>王 明</t></is></c>', '<c r="b{0}"><v>1</v></c>',
    '<c r="D{0}" t="inlineStr"><is><t> a</t></is></c>', '<c r="D{0}"><v></v></c>',
    '<c r="E{0}" t="inlineStr"><is><t>_x000D_</t></is></c>', '<c r="XFE{0}"><v>1</v></c>',
    '<c r="F{0}" t="inlineStr"><is><t>a&amp;b</t></is></c>', '<c r="{0}"><v>1</v></c>',
    '<c r="G{0}" t="s"><v>99999999999</v></c>', '<c r="H{0}" t="s"><v/></c>', '<c><v>5</v></c>',
    '<c r="I{0}" s="x"><v>5</v></c>', '<c r="J{0}" t="b"><v>1</v></c>',
    '<c r="A" t="s"><v>7</v></c>',
    '<c r="K{0}" t="inlineStr"><is><t>a</t><t>b</t></is></c>', '<c r="L{0}"><v>1</v><v>2</v></c>',
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(USUAL), max_size=6),
    st.integers(1, 300),
    st.sampled_from(["1", "9", "x", "0"]),
)
def test_cells_written_as_programs_do(written: list[str], size: int, row: str) -> None:
    cells = "".join(cell.format(row) for cell in written)
    xml = sheet_xml(
        f'<row r="{row}">{cells}</row><row r="12"><c r="A12"><v>1</v></c></row>'
    ).encode()
    whole = both(xml)
    assert found(scan(blocks_of(xml, size), is_sheet=True), is_sheet=True) == whole


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["王", "a b", " a", "a ", "", "_x", "&amp;", "a\rb", "𠮷", "]"]), max_size=4
    ),
    st.integers(1, 100),
)
def test_strings_written_as_programs_do(texts: list[str], size: int) -> None:
    xml = strings_xml([f"<t>{text}</t>" for text in texts]).encode()
    whole = both(xml, is_sheet=False)
    assert whole is not None
    assert found(scan(blocks_of(xml, size), is_sheet=False), is_sheet=False) == whole


@settings(max_examples=40, deadline=None)
@given(sheets(), st.integers(1, 400))
def test_any_sheet_gives_the_same_cells_in_blocks_of_any_size(xml: bytes, size: int) -> None:
    whole = both(xml)
    assert found(scan(blocks_of(xml, size), is_sheet=True), is_sheet=True) == whole


@settings(max_examples=30, deadline=None)
@given(st.lists(items(), max_size=5), st.integers(1, 200))
def test_any_shared_strings_are_the_same_in_blocks_of_any_size(parts: list[str], size: int) -> None:
    xml = strings_xml(parts).encode()
    whole = both(xml, is_sheet=False)
    assert whole is not None
    assert len(whole) == len(parts)
    assert found(scan(blocks_of(xml, size), is_sheet=False), is_sheet=False) == whole


@settings(max_examples=30, deadline=None)
@given(sheets(), st.data())
def test_any_damage_is_refused_or_read_without_a_crash(xml: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(xml)))
    junk = data.draw(
        st.sampled_from(
            [b"<", b">", b"&", b"'", b'"', b"</c>", b"\x00", b"\xff", b"<!", b"]]>", b"/"]
        )
    )
    length = data.draw(st.integers(0, 12))
    altered = xml[:at] + junk + xml[at + length :]
    for is_sheet in (True, False):
        plain = found(plain_scan(iter([altered]), is_sheet=is_sheet), is_sheet=is_sheet)
        compiled = found(scan(iter([altered]), is_sheet=is_sheet), is_sheet=is_sheet)
        # The parser of XML is the stricter one; what it takes, both read alike or one refuses.
        assert plain is None or compiled is None or plain == compiled


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="0"/>', '<row r="1048577"/>', '<row r="-1"/>', '<row r=""/>', '<row r="1e3"/>',
        '<row r="99999999999999999999"/>', '<row r="1"><c r="A0"><v>1</v></c></row>',
        '<row r="1"><c r="XFE1"><v>1</v></c></row>', '<row r="1"><c r="1"><v>1</v></c></row>',
        '<row r="1"><c r="AAAAAAAA1"><v>1</v></c></row>', '<row r="1"><c r="A"><v>1</v></c></row>',
        '<row r="1"><c r="A1B"><v>1</v></c></row>', '<row r="1"><c r="[1"><v>1</v></c></row>',
        '<row r="1"><c r="A1048577"><v>1</v></c></row>', '<row r="1"><c t="x"><v>1</v></c></row>',
        '<row r="1"><c t="s"><v>x</v></c></row>', '<row r="1"><c t="s"><v>-1</v></c></row>',
        '<row r="1"><c t="s"><v>99999999999</v></c></row>', '<row><c><v>&bomb;</v></c></row>',
        "<row><c><v>&#0;</v></c></row>", "<row><c><v>&#xD800;</v></c></row>",
        "<row><c><v>&#x110000;</v></c></row>", "<row><c><v>1</c></v></row>",
        "<row><c><v>1</v></row>", "<row><c r=A1><v>1</v></c></row>", "<row><c r><v>1</v></c></row>",
        "<row>" + "<c/>" * 16384 + "<c><v>1</v></c></row>", "</row>",
    ],
)  # fmt: skip
def test_what_no_sheet_can_say_is_refused_by_both(rows: str) -> None:
    assert both(sheet_xml(rows).encode()) is None


@pytest.mark.parametrize(
    "xml",
    [
        b"", b"  ", b"no XML", b"<worksheet>", b"<worksheet><sheetData>", b"<a></a></a>", b"<a",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", b"<?xml version='1.0'", b"<a><!-- </a>",
        b"<worksheet><sheetData><row><c><v>1</v></c>",
    ],
)  # fmt: skip
def test_what_is_no_whole_xml_is_refused_by_both(xml: bytes) -> None:
    assert both(xml) is None
    assert both(xml, is_sheet=False) is None


def test_entities_that_grow_are_refused() -> None:
    bomb = b"<!DOCTYPE a [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
    assert both(bomb + sheet_xml("<row><c t='str'><v>&b;</v></c></row>").encode()) is None


def test_a_cell_without_end_is_refused_in_bounded_memory() -> None:
    start = sheet_xml("<row><c t='inlineStr'><is><t>").encode().partition(b"</sheetData>")[0]

    def endless() -> Iterator[bytes]:
        yield start
        for _ in range(2 * MAX_CELL_BYTES >> 20):
            yield b"x" * (1 << 20)
        raise AssertionError("asked for more than a cell can have")

    for scanner in (scan, plain_scan):
        with pytest.raises(ScanError):
            list(scanner(endless(), is_sheet=True))


def test_elements_may_be_as_deep_as_they_like() -> None:
    deep = "<a>" * 50_000 + "</a>" * 50_000
    rows = f"<row>{deep}<c><v>1</v>{deep}</c></row>"
    assert both(sheet_xml(rows).encode()) == [(1, 1, 0, -1, "1")]


def test_a_sheet_without_rows_and_one_that_is_none_have_no_cells() -> None:
    assert both(sheet_xml("").encode()) == []
    assert both(b"<chartsheet><drawing/></chartsheet>") == []
