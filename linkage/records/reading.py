"""Reading a file of records: mapped, cleaned, validated, in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path

from linkage.errors import RecordsError
from linkage.records.cleaning import ColumnCleaner, cleaning_version
from linkage.records.consistency import ChildRules, Column
from linkage.records.han import verify_folding
from linkage.records.heading_rows import heading_key, several_of_one
from linkage.records.mapping import RECORD_ID, ColumnMapping
from linkage.records.problems import ROW_FIELD, make_problem
from linkage.records.record_ids import RecordIds
from linkage.records.rows import UNLINKABLE_KINDS, NoRecords, fit_row, is_blank
from linkage.records.sheet_blocks import SheetBlocks
from linkage.records.tables import Row, Table, read_table
from linkage.records.text_blocks import TextBlocks
from linkage.records.text_records import Blocks, TextRecords
from linkage.records.xlsx import OnRead
from linkage.types import FieldSpec, Problem, RecordBatch

__all__ = ["RawBatch", "read_raw_records", "read_records", "read_table", "today_in_china"]

DEFAULT_BATCH_ROWS = 10_000

MAX_BATCH_CELLS = 2_000_000
"""A batch of a table with more than 200 columns has fewer rows than were asked for."""


def today_in_china() -> date:
    """Today's date at UTC+8, so that a computer's own time zone changes no result."""
    return datetime.now(timezone(timedelta(hours=8))).date()


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Consecutive records as they stand in the file; no blank rows, all rows padded.

    One without records tells of rows that are none.

    Attributes:
        rows: row number of each record, as :class:`linkage.types.Problem` counts.
        record_ids: the ids that :class:`linkage.types.RecordBatch` has for them.
        cells: for each record one cell a heading.
        problems: of ids and rows, not of cells.
    """

    rows: list[int]
    record_ids: list[str]
    cells: list[Row]
    problems: list[Problem]


def read_raw_records(
    path: Path, mapping: ColumnMapping, *, batch_rows: int = DEFAULT_BATCH_ROWS
) -> tuple[tuple[str, ...], Iterator[RawBatch]]:
    """Headings, and the file's own rows beside the record ids that encoding uses for them.

    Raises:
        RecordsError: as :func:`read_records`.
    """
    table = read_table(Path(path), mapping.encoding, mapping.sheet)
    places = place_columns(mapping, table.headings)
    return table.headings, _raw_batches(table, places.get(RECORD_ID), batch_rows)


def read_records(
    path: Path,
    mapping: ColumnMapping,
    fields: Sequence[FieldSpec],
    *,
    batch_rows: int = DEFAULT_BATCH_ROWS,
    today: date | None = None,
    cleaning: str | None = None,
    on_read: OnRead | None = None,
) -> Iterator[RecordBatch]:
    """Records of a file, cleaned, in batches of at most ``batch_rows``; every record comes.

    Fields that the mapping lacks are ``None`` throughout. A cell that cannot be used is ``None``
    and a :class:`linkage.types.Problem`. ``today`` (default: the date in China) decides what lies
    in the future and who is a child. ``cleaning`` is the profile's cleaning version; without it the
    one that suits the fields. ``on_read`` is told how much of the file was read, and how much there
    is (bytes of a text file or of an .xlsx's XML; an older .xls is read at once and tells nothing).

    Raises:
        RecordsError: at the call, if the file has no readable table, lacks a mapped heading or the
            cleaning version is unknown; while iterating, if the file turns out to be damaged.
    """
    if RECORD_ID not in mapping.columns:
        raise RecordsError(
            "The mapping names no record_id. Add it under [columns].", code="bad-mapping"
        )
    return clean_file(
        Path(path),
        mapping,
        fields,
        batch_rows=batch_rows,
        today=today,
        cleaning=cleaning,
        on_read=on_read,
    )


def clean_file(
    path: Path,
    mapping: ColumnMapping,
    fields: Sequence[FieldSpec],
    *,
    batch_rows: int,
    today: date | None,
    cleaning: str | None,
    on_read: OnRead | None = None,
    row_by_row: bool = False,
) -> Iterator[RecordBatch]:
    """As :func:`read_records`, but a mapping without ``record_id`` is good enough to look.

    ``row_by_row`` reads any file as an older workbook is read: slowly, and the reference for the
    other way.
    """
    if batch_rows < 1:
        raise ValueError("batch_rows must be at least 1")
    today = today or today_in_china()
    version = cleaning_version(cleaning, fields)
    if any(field.kind == "chinese-name" for field in fields):
        verify_folding()
    table = read_table(path, mapping.encoding, mapping.sheet)
    places = place_columns(mapping, table.headings)
    cleaners = {
        field.name: ColumnCleaner(field.kind, version, today, mapping.values.get(field.name, {}))
        for field in fields
    }
    batch_rows = min(batch_rows, max(1, MAX_BATCH_CELLS // len(table.headings)))
    blocks = None if row_by_row else _blocks(path, table, mapping.sheet, on_read)
    if blocks is not None:
        no_records = NoRecords(table.above)
        records = TextRecords(
            blocks, fields, places, cleaners, today, version.child_rules, no_records
        )
        return _with_records(records.batches(batch_rows))
    rules = ChildRules(fields, today) if version.child_rules else None
    raw = _raw_batches(table, places.get(RECORD_ID), batch_rows)
    return _with_records(_clean_batches(raw, fields, places, cleaners, rules))


def _with_records(batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
    """Batches that hold records; what others tell is added to the one before, or the next."""
    held: RecordBatch | None = None
    waiting: tuple[Problem, ...] = ()
    for batch in batches:
        if not len(batch) and held is None:
            waiting += batch.problems
        elif not len(batch) and held is not None:
            held = replace(held, problems=held.problems + batch.problems)
        else:
            if held is not None:
                yield held
            held, waiting = replace(batch, problems=waiting + batch.problems), ()
    if held is not None:
        yield held


def _blocks(path: Path, table: Table, sheet: int, on_read: OnRead | None) -> Blocks | None:
    """The rows below the headings in blocks; ``None`` for a format that is read row by row."""
    width, above = len(table.headings), table.rows_above
    if table.format.delimiter is not None:
        encoding, delimiter = table.format.encoding, table.format.delimiter
        return TextBlocks(path, encoding, delimiter, width, above, on_read)
    if table.format.encoding == "xlsx":
        return SheetBlocks(path, sheet, width, above, on_read)
    return None


def place_columns(mapping: ColumnMapping, headings: Sequence[str]) -> dict[str, int]:
    """Canonical field -> index of its column.

    Raises:
        RecordsError: a mapped heading is missing or stands twice; names it, and all there are.
    """
    indexes: dict[str, list[int]] = {}
    for index, heading in enumerate(headings):
        indexes.setdefault(heading_key(heading), []).append(index)
    places = {}
    several = {heading_key(name): numbered for name, numbered in several_of_one(headings).items()}
    for name, heading in mapping.columns.items():
        found = indexes.get(heading_key(heading), [])
        numbered = several.get(heading_key(heading), ())
        if not found and numbered:
            raise RecordsError(
                f"The heading '{heading}' stands {len(numbered)} times in the file. Say in the "
                f"mapping which one is {name}, counted from the left: {' or '.join(numbered)}.",
                code="heading-twice",
                heading=heading,
                choices=", ".join(numbered),
            )
        if not found:
            listed = ", ".join(heading for heading in headings if heading)
            raise RecordsError(
                f"The file has no heading '{heading}', which the mapping names for {name}. "
                f"Its headings are: {listed}.",
                code="heading-missing",
                heading=heading,
            )
        places[name] = found[0]
    return places


def _raw_batches(table: Table, id_index: int | None, batch_rows: int) -> Iterator[RawBatch]:
    width, ids, row = len(table.headings), RecordIds(), table.rows_above
    no_records = NoRecords(table.above)
    batch_rows = min(batch_rows, max(1, MAX_BATCH_CELLS // width))
    while True:
        batch, above = RawBatch([], [], [], []), row
        for cells in islice(table.rows, batch_rows):
            row += 1
            code = no_records.code_of(cells)
            if code:
                batch.problems.append(no_records.problem(code, cells, row))
                continue
            if len(cells) != width:
                if is_blank(cells):
                    continue
                cells = fit_row(cells, width, row, batch.problems)
            else:
                # Where there is an id, the row is not blank: look at the others no further.
                id_cell = cells[id_index or 0]
                has_id = id_cell.strip() if isinstance(id_cell, str) else id_cell
                if not has_id and is_blank(cells):
                    continue
            batch.rows.append(row)
            batch.cells.append(cells)
        if row == above:
            return
        if id_index is None:
            batch.record_ids.extend(f"row-{number}" for number in batch.rows)
        else:
            assigned, problems = ids.assign([cells[id_index] for cells in batch.cells], batch.rows)
            batch.record_ids.extend(assigned)
            batch.problems.extend(problems)
        if batch.rows or batch.problems:
            yield batch


def _clean_batches(
    batches: Iterator[RawBatch],
    fields: Sequence[FieldSpec],
    places: dict[str, int],
    cleaners: dict[str, ColumnCleaner],
    rules: ChildRules | None,
) -> Iterator[RecordBatch]:
    for batch in batches:
        problems = batch.problems
        columns: dict[str, Column] = {}
        for field in fields:
            if field.name not in places:
                columns[field.name] = [None] * len(batch.rows)
                continue
            index = places[field.name]
            cells = [row[index] for row in batch.cells]
            cleaned = cleaners[field.name].clean(cells)
            columns[field.name] = [value for value, _ in cleaned]
            problems += [
                make_problem(batch.rows[i], field.name, code, cells[i])
                for i, (_, codes) in enumerate(cleaned)
                if codes
                for code in codes
            ]
        if rules:
            problems += rules.apply(columns, batch.rows)
        used = [
            columns[field.name]
            for field in fields
            if field.name in places and field.kind not in UNLINKABLE_KINDS
        ]
        problems += [
            make_problem(row, ROW_FIELD, "row-cannot-be-linked", None)
            for i, row in enumerate(batch.rows)
            if used and all(values[i] is None for values in used)
        ]
        problems.sort(key=lambda problem: problem.row)
        yield RecordBatch(
            first_row=batch.rows[0] if batch.rows else problems[0].row,
            record_ids=tuple(batch.record_ids),
            columns={name: tuple(values) for name, values in columns.items()},
            problems=tuple(problems),
        )
