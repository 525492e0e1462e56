"""Workbooks put together by hand, in every manner of writing, and what other readers find."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linkage.records.cells import Cell, plain_cell

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
STRICT_MAIN = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_OFFICE = "http://purl.oclc.org/ooxml/officeDocument/relationships"

TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)


def sheet_xml(rows: str, before: str = "", after: str = "", main: str = MAIN) -> str:
    """A sheet with these rows."""
    return f'<worksheet xmlns="{main}">{before}<sheetData>{rows}</sheetData>{after}</worksheet>'


def strings_xml(items: Sequence[str], main: str = MAIN) -> str:
    """Shared strings, each the inside of an ``si``."""
    return f'<sst xmlns="{main}">' + "".join(f"<si>{item}</si>" for item in items) + "</sst>"


def styles_xml(formats: Sequence[str | int]) -> str:
    """One style a format: the code of a custom one, or the number of a built-in one."""
    codes = [code for code in formats if isinstance(code, str)]
    numbers = {code: 164 + i for i, code in enumerate(codes)}
    written = "".join(
        f'<numFmt numFmtId="{number}" formatCode="{escaped(code)}"/>'
        for code, number in numbers.items()
    )
    styles = "".join(
        f'<xf numFmtId="{numbers[code] if isinstance(code, str) else code}"/>' for code in formats
    )
    return (
        f'<styleSheet xmlns="{MAIN}"><numFmts>{written}</numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        f"<cellXfs>{styles}</cellXfs></styleSheet>"
    )


def escaped(text: str) -> str:
    """For an attribute's value or a text."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text


def parts_of(
    sheets: Mapping[str, str | bytes],
    *,
    strings: str | bytes | None = None,
    styles: str | None = None,
    is_1904: bool = False,
    strict: bool = False,
) -> dict[str, str | bytes]:
    """Parts of a workbook as Excel names them; ``sheets`` by their names."""
    main, office = (STRICT_MAIN, STRICT_OFFICE) if strict else (MAIN, OFFICE)
    listed = "".join(
        f'<sheet name="{escaped(name)}" sheetId="{i}" r:id="rId{i}"/>'
        for i, name in enumerate(sheets, 1)
    )
    relations = [
        (f"rId{i}", "worksheet", f"worksheets/sheet{i}.xml") for i in range(1, len(sheets) + 1)
    ]
    relations += [("rId98", "sharedStrings", "sharedStrings.xml")] if strings is not None else []
    relations += [("rId99", "styles", "styles.xml")] if styles is not None else []
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{main}" xmlns:r="{office}">'
            f'<workbookPr date1904="{int(is_1904)}"/><sheets>{listed}</sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        + "".join(
            f'<Relationship Id="{id_}" Type="{office}/{kind}" Target="{target}"/>'
            for id_, kind, target in relations
        )
        + "</Relationships>",
    }
    for i, xml in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{i}.xml"] = xml
    if strings is not None:
        parts["xl/sharedStrings.xml"] = strings
    if styles is not None:
        parts["xl/styles.xml"] = styles
    return parts


def write_parts(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    """Write an archive of these parts and return the path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def write_book(path: Path, rows: str, **more: Any) -> Path:
    """Write a workbook of one sheet with these rows of XML and return the path."""
    return write_parts(path, parts_of({"登记表": sheet_xml(rows)}, **more))


def rows_by_calamine(path: Path, sheet: int = 1) -> list[list[Cell]]:
    """What python-calamine finds, as rows from row 1 and column A on."""
    import python_calamine

    with python_calamine.load_workbook(str(path)) as book:
        found = book.get_sheet_by_index(sheet - 1)
        if found.start is None:
            return []
        first_row, first_column = found.start
        rows = found.to_python(skip_empty_area=True)
    padding: list[Cell] = [None] * first_column
    return [[] for _ in range(first_row)] + [
        padding + [plain_cell(value) for value in row] for row in rows
    ]


def rows_by_openpyxl(path: Path) -> list[list[Cell]]:
    """What openpyxl finds, as rows from row 1 and column A on."""
    from openpyxl import load_workbook

    book = load_workbook(path, data_only=True)
    try:
        return [
            [plain_cell(cell.value) for cell in row]
            for row in book.worksheets[0].iter_rows(min_row=1, min_col=1)
        ]
    finally:
        book.close()


def trimmed(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Rows without the empty cells at their ends, without the empty rows at the end."""
    kept = []
    for row in rows:
        cells = list(row)
        while cells and cells[-1] is None:
            cells.pop()
        kept.append(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept
