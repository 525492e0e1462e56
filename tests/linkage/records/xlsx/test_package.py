"""Archives that are damaged, locked, of another kind, or made to exhaust memory."""

import zipfile
from pathlib import Path

import pytest

from linkage.errors import RecordsError
from linkage.records.workbooks import read_workbook_rows, sheet_names
from linkage.records.xlsx import package, structure
from tests.linkage.records.xlsx.books import parts_of, sheet_xml, styles_xml, write_parts

ROWS = "<row><c t='str'><v>王小明</v></c></row>" * 2000


def read(path: Path) -> int:
    return sum(1 for _ in read_workbook_rows(path, 1))


def good_parts() -> dict[str, str | bytes]:
    return parts_of({"a": sheet_xml(ROWS)}, styles=styles_xml([14]))


@pytest.mark.parametrize(
    "part",
    ["_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml"],
)
def test_a_workbook_that_lacks_a_part_or_whose_part_is_no_xml_is_refused(
    tmp_path: Path, part: str
) -> None:
    parts = good_parts()
    del parts[part]
    with pytest.raises(RecordsError, match="damaged"):
        read(write_parts(tmp_path / "a.xlsx", parts))
    for content in ("", "x", "<a>", "<!DOCTYPE a><a/>"):
        with pytest.raises(RecordsError, match="damaged"):
            read(write_parts(tmp_path / "a.xlsx", good_parts() | {part: content}))


def test_styles_with_a_document_type_are_refused(tmp_path: Path) -> None:
    bomb = "<!DOCTYPE a [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><styleSheet>&b;</styleSheet>"
    with pytest.raises(RecordsError, match="damaged"):
        read(write_parts(tmp_path / "a.xlsx", good_parts() | {"xl/styles.xml": bomb}))


def test_small_parts_have_a_limit_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parts(tmp_path / "a.xlsx", good_parts())
    monkeypatch.setattr(structure, "MAX_PART_BYTES", 50)
    with pytest.raises(RecordsError, match="too large"):
        sheet_names(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_every_byte_of_the_sheet_counts(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in good_parts().items():
            archive.writestr(name, content)
        entry = archive.getinfo("xl/worksheets/sheet1.xml")
    assert read(path) == 2000
    written = bytearray(path.read_bytes())
    middle = entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2
    written[middle] ^= 1
    path.write_bytes(written)
    with pytest.raises(RecordsError, match="damaged"):
        read(path)


def test_what_stands_behind_the_rows_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    sheet = sheet_xml(ROWS, after="<!-- the end -->")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (good_parts() | {"xl/worksheets/sheet1.xml": sheet}).items():
            archive.writestr(name, content)
    path.write_bytes(path.read_bytes().replace(b"the end", b"the und"))
    with pytest.raises(RecordsError, match="damaged"):
        read(path)


@pytest.mark.parametrize("claimed", [0, 1, 100, 2**32 - 2])
def test_sizes_that_lie_are_found_out(tmp_path: Path, claimed: int) -> None:
    path = write_parts(tmp_path / "a.xlsx", good_parts())
    content = path.read_bytes()
    true = len(sheet_xml(ROWS).encode()).to_bytes(4, "little")
    assert content.count(true) == 2
    path.write_bytes(content.replace(true, claimed.to_bytes(4, "little")))
    if claimed > len(ROWS):
        assert read(path) == 2000  # too great a size spoils nothing: the sum is right
    else:
        with pytest.raises(RecordsError):
            read(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_no_workbook_uses_are_refused_before_they_inflate(
    tmp_path: Path, method: int
) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in good_parts().items():
            archive.writestr(name, content)
    with pytest.raises(RecordsError, match="damaged"):
        read(path)


def test_a_workbook_that_inflates_without_end_is_refused_while_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MAX_INFLATED_BYTES", 3 << 20)
    parts = good_parts() | {"xl/worksheets/sheet1.xml": sheet_xml(" " * (8 << 20))}
    with pytest.raises(RecordsError, match="too large"):
        read(write_parts(tmp_path / "a.xlsx", parts))


def test_what_is_not_read_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_INFLATED_BYTES", 3 << 20)
    parts = good_parts() | {"xl/media/image1.bmp": bytes(8 << 20)}
    assert read(write_parts(tmp_path / "a.xlsx", parts)) == 2000


def test_a_sheet_whose_part_is_missing_spoils_no_other(tmp_path: Path) -> None:
    parts = parts_of({"a": sheet_xml(ROWS), "b": sheet_xml("")})
    del parts["xl/worksheets/sheet2.xml"]
    path = write_parts(tmp_path / "a.xlsx", parts)
    assert sheet_names(path) == ("a", "b")
    assert read(path) == 2000
    with pytest.raises(RecordsError, match="damaged"):
        list(read_workbook_rows(path, 2))
