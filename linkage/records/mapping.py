"""The column mapping: which column of a file holds which field (``MAP.toml``)."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkage.errors import RecordsError
from linkage.records.cells import cell_text
from linkage.records.heading_rows import heading_key
from linkage.records.tables import ENCODINGS

RECORD_ID = "record_id"

_FIELD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MAX_MAPPING_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Where in a file each canonical field is.

    Attributes:
        columns: canonical field, or ``record_id`` -> heading.
        values: canonical field -> raw value -> the value to read in its place.
        encoding: one of :data:`linkage.records.tables.ENCODINGS`.
        sheet: of a workbook, from 1.
    """

    columns: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    encoding: str = "auto"
    sheet: int = 1


def load_mapping(path: Path | str) -> ColumnMapping:
    """Read a mapping from a file.

    Raises:
        RecordsError: the file cannot be read, or as :func:`parse_mapping`.
    """
    try:
        data = Path(path).read_bytes()[: _MAX_MAPPING_BYTES + 1]
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise RecordsError(f"The mapping cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecordsError("The mapping is not UTF-8 text. Save it as UTF-8.") from error
    if len(data) > _MAX_MAPPING_BYTES:
        raise RecordsError("The mapping is far too long for one. Name the right file.")
    return parse_mapping(text)


def parse_mapping(text: str) -> ColumnMapping:
    """Parse a mapping from TOML.

    Raises:
        RecordsError: it is no TOML, lacks ``record_id``, names a column twice, or has keys that
            mean nothing.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecordsError(f"The mapping is not valid TOML: {error}.") from error
    _expect_keys(document, "The mapping", {"source", "columns", "values"})
    source = _table(document.get("source", {}), "[source]")
    _expect_keys(source, "[source]", {"encoding", "sheet"})
    if "columns" not in document:
        raise RecordsError("The mapping has no [columns]. Let 'tongqiao inspect' propose one.")
    return ColumnMapping(
        columns=_parse_columns(document["columns"]),
        values=_parse_values(document.get("values", {})),
        encoding=_parse_encoding(source.get("encoding", "auto")),
        sheet=_parse_sheet(source.get("sheet", 1)),
    )


def _parse_encoding(value: Any) -> str:
    encoding = value.lower() if isinstance(value, str) else ""
    if encoding not in ENCODINGS:
        raise RecordsError(f"'encoding' under [source] must be one of {', '.join(ENCODINGS)}.")
    return encoding


def _parse_sheet(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecordsError("'sheet' under [source] must be the sheet's number, from 1.")
    return value


def _parse_columns(value: Any) -> dict[str, str]:
    columns = {}
    for name, heading in _table(value, "[columns]").items():
        _expect_field(name, "[columns]")
        if not isinstance(heading, str) or not heading.strip():
            raise RecordsError(
                f"'{name}' under [columns] must be a heading of the file, in quotation marks. "
                "Delete the line if the file has no such column."
            )
        columns[name] = heading
    if RECORD_ID not in columns:
        raise RecordsError(
            "The mapping names no record_id. Add under [columns] which column identifies a record, "
            'such as record_id = "登记编号".'
        )
    places: dict[str, str] = {}
    for name, heading in columns.items():
        other = places.setdefault(heading_key(heading), name) if name != RECORD_ID else name
        if other != name:
            raise RecordsError(
                f"'{other}' and '{name}' under [columns] name the same column. Correct one."
            )
    return columns


def _parse_values(value: Any) -> dict[str, dict[str, str]]:
    values = {}
    for name, translations in _table(value, "[values]").items():
        _expect_field(name, "[values]")
        table = _table(translations, f"[values.{name}]")
        if not all(isinstance(to, str) for to in table.values()):
            raise RecordsError(f'Every line of [values.{name}] must be like "from" = "to".')
        values[name] = dict(table)
    return values


def _expect_field(name: str, where: str) -> None:
    if not _FIELD.fullmatch(name):
        raise RecordsError(
            f"{where} has a field whose name is not like 'birth_date'. On the left stand fields, "
            "on the right headings of the file."
        )


def _expect_keys(table: Mapping[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        raise RecordsError(
            f"{where} has what is not known there: {', '.join(unknown)}. "
            f"Known are: {', '.join(sorted(known))}."
        )


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RecordsError(f"{where} of the mapping must be a table.")
    return value


def mapping_to_toml(
    mapping: ColumnMapping,
    *,
    absent: Sequence[str] = (),
    unplaced: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
) -> str:
    """The mapping as TOML with comments that say what each part is for.

    ``absent`` fields become commented lines to fill in, ``unplaced`` headings are listed, and
    ``notes`` stand behind the line of their field. :func:`parse_mapping` reads it back.
    """
    lines = [
        "# Which column of the file holds what. Check each line, correct it, and keep this file",
        "# for the next time.",
        "[source]",
        _line("encoding", mapping.encoding)
        + "  # auto, utf-8, gb18030, utf-16, xlsx ...: how the file is written",
        _line("sheet", mapping.sheet) + "  # of a workbook, from 1",
        "",
        "# Left: the field. Right: the heading in the file, in quotation marks. Delete a line if",
        "# the file has no such column.",
        "[columns]",
    ]
    if RECORD_ID not in mapping.columns:
        lines.append(f'# {RECORD_ID} = "..."  # needed: the column that identifies a record')
    for name, heading in mapping.columns.items():
        note = (notes or {}).get(name)
        lines.append(_line(name, heading) + (f"  # {note}" if note else ""))
    lines += [
        f'# {name} = "..."  # {(notes or {}).get(name, "not found in the file")}' for name in absent
    ]
    if unplaced:
        lines += ["", "# Headings that are not used:"]
        lines += [f"#   {' '.join(cell_text(heading).split())}" for heading in unplaced]
    for name, table in mapping.values.items():
        lines += ["", "# Left: as it stands in the file. Right: what it means.", f"[values.{name}]"]
        lines += [_line(raw, meaning) for raw, meaning in table.items()]
    return "\n".join(lines) + "\n"


def _line(key: str, value: str | int) -> str:
    import tomli_w

    return tomli_w.dumps({key: value}).rstrip("\n")
