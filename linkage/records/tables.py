"""A file as a table: headings and raw rows, whatever format it is in."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from linkage.errors import RecordsError
from linkage.records.cells import Cell, cell_text
from linkage.records.heading_rows import find_headings
from linkage.records.headings import meanings
from linkage.records.text_files import (
    TEXT_ENCODINGS,
    detect_delimiter,
    detect_text_encoding,
    read_text_rows,
)
from linkage.records.workbooks import XLSX_MAGIC, is_workbook, read_workbook_rows

WORKBOOK_ENCODINGS = ("xlsx", "xls")
ENCODINGS = ("auto", *TEXT_ENCODINGS, *WORKBOOK_ENCODINGS)
"""What ``encoding`` under ``[source]`` may be."""

Row = Sequence[Cell]

_MAX_TITLE_ROWS = 20
# A heading that is one of these is a person's value: the file has no headings.
_PERSONAL_NUMBER = re.compile(
    r"[A-Za-z]?[0-9]{11,}[Xx]?|[0-9]{3,}[*×]{3,}[0-9Xx]*|(?:19|20)[0-9]{6}"
)
_PERSONAL_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?"
    r"(?:[T ]?[0-9]{1,2}:[0-9]{2}(?::[0-9.]+)?)?"
    r"|[〇零○一二三四五六七八九]{4}年.{1,3}月.{1,3}[日号]"
)
_SEXES = frozenset("男女")
_ENOUGH_KNOWN = 2
_SIGNS_IN_NUMBERS = re.compile(r"[\s+_()\-‐‑–—.'·]+")


class Table(NamedTuple):
    """Headings, and an iterator over the rows below them, read as it is used.

    A row of text is not padded: one with more or fewer cells than headings comes as it is. Blank
    rows come too, so that the ``i``-th row (from 1) has the number ``rows_above + i`` in a
    spreadsheet.

    Attributes:
        above: rows of the file up to and with the headings.
        format: how the file is written.
    """

    headings: tuple[str, ...]
    rows: Iterator[Row]
    above: tuple[Row, ...]
    format: "Format"

    @property
    def rows_above(self) -> int:
        """Number of rows above the first record."""
        return len(self.above)


class Format(NamedTuple):
    """How a file is written: one of :data:`ENCODINGS` but ``auto``, and the text's separator."""

    encoding: str
    delimiter: str | None


def detect_format(path: Path, encoding: str = "auto") -> Format:
    """Find out how a file is written; ``encoding`` other than ``auto`` is taken as true.

    Raises:
        RecordsError: the file cannot be opened, is empty, or is neither table text nor workbook.
    """
    if encoding not in ENCODINGS:
        raise RecordsError(
            f"The mapping names an unknown encoding. Known are: {', '.join(ENCODINGS)}.",
            code="bad-mapping",
        )
    try:
        with path.open("rb") as file:
            head = file.read(8)
        if not head:
            raise RecordsError("The file is empty. Export it again.", code="empty-file")
        if encoding in WORKBOOK_ENCODINGS or (encoding == "auto" and is_workbook(head)):
            if not is_workbook(head):
                raise RecordsError(
                    "The mapping says that the file is a workbook, but it is none. "
                    'Set encoding = "auto".',
                    code="bad-mapping",
                )
            return Format("xlsx" if head.startswith(XLSX_MAGIC) else "xls", None)
        if is_workbook(head):
            raise RecordsError(
                'The file is a workbook, not text. Set encoding = "xlsx" or "auto" in the mapping.',
                code="bad-mapping",
            )
        if encoding == "auto":
            encoding = detect_text_encoding(path)
        return Format(encoding, detect_delimiter(path, encoding))
    except OSError as error:
        raise RecordsError(
            f"The file cannot be read: {error.strerror}.", code="unreadable-file"
        ) from error


def read_table(path: Path, encoding: str = "auto", sheet: int = 1) -> Table:
    """Headings and rows of a text file (comma, semicolon or tab) or of a workbook's sheet.

    Where the headings are, and what they are called, says :mod:`linkage.records.heading_rows`. Text
    cells are ``str``; a workbook's may be numbers and dates, and ``None`` where empty. Rows are
    read as they are asked for.

    Raises:
        RecordsError: as :func:`detect_format`; the file has no headings; or, while rows are
            read, the file turns out to be damaged.
    """
    path = Path(path)
    form = detect_format(path, encoding)
    rows = _guarded(_raw_rows(path, form, sheet))
    first: list[Row] = list(islice(rows, _MAX_TITLE_ROWS))
    found = find_headings(first)
    if found is None:
        raise RecordsError(
            "The file holds no table: its first rows are empty. Export it again.",
            code="no-table",
        )
    headings, n_above, n_rows = found
    made_of = chain(*first[n_above - n_rows : n_above])
    _refuse_records([cell_text(cell) for cell in made_of], headings)
    below: Iterator[Row] = chain(first[n_above:], rows)
    if form.delimiter is None:
        below = _filled(below, len(headings))
    return Table(headings, below, tuple(first[:n_above]), form)


def _raw_rows(path: Path, form: Format, sheet: int) -> Iterator[Row]:
    if form.delimiter is None:
        return read_workbook_rows(path, sheet)
    return read_text_rows(path, form.encoding, form.delimiter)


def _filled(rows: Iterator[Row], width: int) -> Iterator[Row]:
    """A sheet's rows end at their last cell; what is behind it is empty, not missing."""
    for row in rows:
        missing = width - len(row)
        yield [*row, *[None] * missing] if missing > 0 else row


def _guarded(rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except OSError as error:
        raise RecordsError(
            f"The file cannot be read: {error.strerror}.", code="unreadable-file"
        ) from error


def _refuse_records(cells: Sequence[str], headings: Sequence[str]) -> None:
    """Headings are shown in errors and written to mappings; a person's record must not be."""
    is_record = any(
        _PERSONAL_DATE.fullmatch(cell)
        or _PERSONAL_NUMBER.fullmatch(_SIGNS_IN_NUMBERS.sub("", cell))
        for cell in cells
    )
    # A form may have columns 男 and 女 to be ticked, but then others are headings that we know. Not
    # so 父亲 and 居民身份证, which stand in records too: who the guardian is, what the document is.
    if is_record or (_SEXES.intersection(cells) and len(_known_fields(headings)) < _ENOUGH_KNOWN):
        raise RecordsError(
            "The first row holds values, not headings. Put a row of headings on top of the table.",
            code="no-headings",
        )


def _known_fields(headings: Sequence[str]) -> set[str]:
    """Fields that headings surely name: a guardian's name is named by words that records hold."""
    fields = {meaning.field for heading in headings for meaning in meanings(heading)[:1]}
    return fields - {"guardian_name"}
