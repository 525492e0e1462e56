"""Large workbooks as Excel saves them: one sheet whose texts stand in a table of shared strings.

``openpyxl`` would take minutes for a million rows, and writes texts into the cells.
"""

import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO
from xml.sax.saxutils import escape

MAX_ROWS = 1_048_576
"""Rows of a sheet, headings included: Excel has no more."""

_ROWS_AT_ONCE = 5_000
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}worksheet+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_TYPE}sharedStrings+xml"/>'
        "</Types>"
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>"
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="登记表" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
        "</Relationships>"
    ),
}


def write_workbook(path: Path, headings: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    """Write rows of texts, at most :data:`MAX_ROWS` with their headings; empty ones as no cell."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, _HEAD + text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            strings = _write_sheet(part, chain([headings], rows))
        with archive.open("xl/sharedStrings.xml", "w", force_zip64=True) as part:
            _write_strings(part, strings)


def _write_sheet(part: IO[bytes], rows: Iterator[Sequence[str]]) -> dict[str, int]:
    """Returns the number of each text."""
    strings: dict[str, int] = {}
    part.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
    first = 1
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        written = []
        for number, row in enumerate(block, first):
            cells = "".join(
                f'<c r="{chr(65 + i)}{number}" t="s">'
                f"<v>{strings.setdefault(text, len(strings))}</v></c>"
                for i, text in enumerate(row)
                if text
            )
            written.append(f'<row r="{number}">{cells}</row>')
        part.write("".join(written).encode())
        first += len(block)
    part.write(b"</sheetData></worksheet>")
    return strings


def _write_strings(part: IO[bytes], strings: dict[str, int]) -> None:
    part.write(f'{_HEAD}<sst xmlns="{_MAIN}" uniqueCount="{len(strings)}">'.encode())
    texts = iter(strings)
    while block := list(islice(texts, _ROWS_AT_ONCE)):
        part.write("".join(f"<si><t>{escape(text)}</t></si>" for text in block).encode())
    part.write(b"</sst>")
