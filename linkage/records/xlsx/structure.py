"""What a workbook consists of: its sheets, where their parts lie, which styles are dates.

ECMA-376 part 1, 18.2 (workbook), 18.8 (styles); part 2, 9.3 (relationships), in the transitional
and the strict variant alike: names are compared without their namespaces.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.parsers import expat

from linkage.records.workbook_errors import damaged_workbook, large_workbook
from linkage.records.xlsx.package import Package

MAX_PART_BYTES = 32 << 20
"""Of a part other than sheets and shared strings."""

PLAIN, MOMENT, DURATION = range(3)
"""What a number with a style is: itself, a date or time of day, or a time span."""

# ECMA-376 18.8.30: everywhere, and where the language is Chinese, Japanese or Korean. Those say
# "general" elsewhere, and no other format is stored under their numbers.
_BUILT_IN_MOMENTS = frozenset([*range(14, 23), 45, 47, *range(27, 37), *range(50, 59)])
_BUILT_IN_DURATION = 46

_SHOWN_AS_IT_IS = re.compile(r'"[^"]*(?:"|$)|[\\_*].?', re.DOTALL)
_FORMAT_TOKEN = re.compile(
    r"\[(?P<span>h+|m+|s+)\]|\[[^\]]*(?:\]|$)|(?P<moment>[dmyhs]|am/pm|a/p|aaa)", re.DOTALL
)


class Structure(NamedTuple):
    """Of a workbook.

    Attributes:
        sheets: name and part of each sheet, in the order in which they are shown.
        strings: part of the shared strings, or ``None``.
        styles: part of the styles, or ``None``.
        is_1904: whether days are counted from 1904 on.
    """

    sheets: tuple[tuple[str, str], ...]
    strings: str | None
    styles: str | None
    is_1904: bool


class _Element(NamedTuple):
    parent: str
    name: str
    attributes: Mapping[str, str]


def read_structure(package: Package) -> Structure:
    """Find out what is where.

    Raises:
        RecordsError: the archive is no workbook, or is damaged.
    """
    root = _relations(package, "")
    book = next((target for kind, target in root.values() if kind == "officeDocument"), None)
    if book is None:
        raise damaged_workbook()
    relations = _relations(package, book)
    parts = {kind: target for kind, target in relations.values() if target in package}
    sheets = []
    is_1904 = False
    for element in _elements(package, book):
        if element.name == "sheet" and element.parent == "sheets":
            # A sheet whose part is missing is an error only for who reads it.
            _, part = relations.get(element.attributes.get("id", ""), ("", ""))
            sheets.append((element.attributes.get("name", ""), part))
        elif element.name == "workbookPr":
            is_1904 = element.attributes.get("date1904", "") in ("1", "true", "on")
    return Structure(tuple(sheets), parts.get("sharedStrings"), parts.get("styles"), is_1904)


def read_styles(package: Package, part: str | None) -> list[int]:
    """For the number of each style: what numbers with it are.

    Raises:
        RecordsError: the part is damaged.
    """
    if part is None:
        return []
    formats: dict[str, str] = {}
    kinds: list[int] = []
    for element in _elements(package, part):
        if element.name == "numFmt" and element.parent == "numFmts":
            number = element.attributes.get("numFmtId", "")
            formats[number] = element.attributes.get("formatCode", "")
        elif element.name == "xf" and element.parent == "cellXfs":
            number = element.attributes.get("numFmtId", "0")
            code = formats.get(number)
            kinds.append(_built_in(number) if code is None else kind_of_format(code))
    return kinds


def _built_in(number: str) -> int:
    if not number.isdecimal() or len(number) > 4:
        return PLAIN
    if int(number) == _BUILT_IN_DURATION:
        return DURATION
    return MOMENT if int(number) in _BUILT_IN_MOMENTS else PLAIN


def kind_of_format(code: str) -> int:
    """What a number is by the code of its format (ECMA-376 18.8.31): its first section decides."""
    section = _SHOWN_AS_IT_IS.sub("", code).partition(";")[0].casefold()
    for token in _FORMAT_TOKEN.finditer(section):
        if token["span"]:
            return DURATION
        if token["moment"]:
            return MOMENT
    return PLAIN


# --- XML --------------------------------------------------------------------------------------


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Id -> last word of the kind, and the part that is meant."""
    folder, name = posixpath.split(part)
    found = {}
    for element in _elements(package, posixpath.join(folder, "_rels", f"{name}.rels")):
        if element.name == "Relationship" and element.attributes.get("TargetMode") != "External":
            target = posixpath.join("/", folder, element.attributes.get("Target", ""))
            kind = element.attributes.get("Type", "").rpartition("/")[2]
            found[element.attributes.get("Id", "")] = kind, posixpath.normpath(target).lstrip("/")
    return found


def _elements(package: Package, part: str) -> Iterator[_Element]:
    """Elements of a part, without prefixes of names; no document type, so no entity is declared."""
    parser = expat.ParserCreate("utf-8")
    path = [""]
    begun: list[_Element] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        known = {_local(key): value for key, value in attributes.items()}
        begun.append(_Element(path[-1], local, known))
        path.append(local)

    def refuse(*_: object) -> None:
        raise damaged_workbook()

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _name: path.pop()
    parser.StartDoctypeDeclHandler = refuse
    n_bytes = 0
    try:
        for block in package.blocks(part):
            n_bytes += len(block)
            if n_bytes > MAX_PART_BYTES:
                raise large_workbook()
            parser.Parse(block)
            yield from begun
            begun.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise damaged_workbook() from error


def _local(name: str) -> str:
    return name.rpartition(":")[2]
