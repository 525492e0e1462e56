"""Looking at a file before encoding: a mapping proposed, fields filled, problems counted."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from linkage.division_table import crosses_county_line
from linkage.errors import RecordsError
from linkage.records.heading_rows import heading_key, several_of_one
from linkage.records.mapping import RECORD_ID, ColumnMapping, mapping_to_toml
from linkage.records.migrants import is_under_16
from linkage.records.problems import ADVICE
from linkage.records.proposal import SAMPLE_ROWS, Proposal, propose_mapping
from linkage.records.reading import DEFAULT_BATCH_ROWS, clean_file, today_in_china
from linkage.records.rows import NoRecords
from linkage.records.tables import Format, detect_format, read_table
from linkage.records.workbooks import sheet_names
from linkage.types import FieldSpec, Problem

NO_TABLE = ("no-table", "no-headings")
"""Codes of a sheet that is no table, where another one may be."""

_EXAMPLE_ROWS = 3
_SURE_FIELDS = 3
_SHEETS_TRIED = 20


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """How full a field is after cleaning: ``n_filled`` usable values, from column ``heading``."""

    name: str
    heading: str | None
    n_filled: int


@dataclass(frozen=True, slots=True)
class ProblemSummary:
    """A kind of problem of a field: how often, what to do, and the first rows that have it."""

    field: str
    code: str
    count: int
    advice: str
    first_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a file; holds no value of a person.

    Attributes:
        format: encoding and separator that were found.
        mapping: given or proposed; a proposed one may lack ``record_id``.
        mapping_toml: the mapping with comments, for a person to check.
        unplaced: headings that no field uses.
        several: heading of several columns -> the headings that tell these apart.
        sheets: names of a workbook's sheets; only ``mapping.sheet`` (from 1) was read.
        n_records: blank rows and lines that are no records are not counted.
        fields: in the order of the profile; values filled in from the ID number count.
        problems: most frequent first.
        n_possible_migrants: children under 16 whose hukou is in another county than their
            residence (:mod:`linkage.records.migrants`); a register does not say since when and with
            whom. ``None`` if the mapping lacks what is needed.
        n_unjudged: records of which that cannot be said: birth date or a place is missing, or a
            place is a whole city that holds the other one.
    """

    format: Format
    mapping: ColumnMapping
    mapping_toml: str
    unplaced: tuple[str, ...]
    several: Mapping[str, tuple[str, ...]]
    sheets: tuple[str, ...]
    n_records: int
    fields: tuple[FieldSummary, ...]
    problems: tuple[ProblemSummary, ...]
    n_possible_migrants: int | None
    n_unjudged: int

    @property
    def n_filled(self) -> int:
        """Number of usable values in all fields."""
        return sum(field.n_filled for field in self.fields)

    @property
    def has_record_id(self) -> bool:
        """Whether the mapping is complete enough to encode with."""
        return RECORD_ID in self.mapping.columns


def inspect_file(
    path: Path,
    fields: Sequence[FieldSpec],
    *,
    mapping: ColumnMapping | None = None,
    cleaning: str | None = None,
    sheet: int | None = None,
    today: date | None = None,
    on_problem: Callable[[Problem], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Inspection:
    """Read a whole file as ``encode`` would, and say what is in it and what is wrong.

    Without ``mapping`` one is proposed from the headings and the first rows of the ``sheet``; of a
    workbook without one, of the first sheet that is surely a register, or else of the likeliest.
    ``on_problem`` gets every problem in the order of rows, ``on_progress`` the number of records
    read so far.

    Raises:
        RecordsError: the file cannot be read as a table, or the mapping does not fit it.
    """
    path = Path(path)
    today = today or today_in_china()
    proposal = _propose(path, fields, today, cleaning, sheet) if mapping is None else None
    used = mapping or (proposal.mapping if proposal else ColumnMapping({}))
    filled: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[int]] = {}
    n_records = n_migrants = n_unjudged = 0
    judges = _says_who_migrates(used.columns.keys())
    batches = clean_file(
        path, used, fields, batch_rows=DEFAULT_BATCH_ROWS, today=today, cleaning=cleaning
    )
    for batch in batches:
        n_records += len(batch)
        for name, values in batch.columns.items():
            filled[name] += len(values) - values.count(None)
        if judges:
            found = _migrants(batch.columns, today)
            n_migrants += found.count(True)
            n_unjudged += found.count(None)
        for problem in batch.problems:
            key = (problem.field, problem.code)
            counts[key] += 1
            rows = examples.setdefault(key, [])
            if len(rows) < _EXAMPLE_ROWS:
                rows.append(problem.row)
            if on_problem:
                on_problem(problem)
        if on_progress:
            on_progress(n_records)
    headings = read_table(path, used.encoding, used.sheet).headings
    return Inspection(
        format=detect_format(path, used.encoding),
        mapping=used,
        mapping_toml=_toml(used, proposal),
        unplaced=proposal.unplaced if proposal else _unused(headings, used),
        several=several_of_one(headings),
        sheets=sheet_names(path),
        n_records=n_records,
        fields=tuple(
            FieldSummary(field.name, used.columns.get(field.name), filled[field.name])
            for field in fields
        ),
        problems=tuple(
            ProblemSummary(field, code, count, ADVICE[code], tuple(examples[field, code]))
            for (field, code), count in counts.most_common()
        ),
        n_possible_migrants=n_migrants if judges else None,
        n_unjudged=n_unjudged,
    )


def _says_who_migrates(columns: Collection[str]) -> bool:
    """Whether a file has both places and a birth date, which the ID number gives too."""
    places = {"hukou_division", "residence_division"} <= set(columns)
    return places and not {"birth_date", "id_number"}.isdisjoint(columns)


def _migrants(columns: Mapping[str, Sequence[str | None]], today: date) -> list[bool | None]:
    """For each record whether it may be a migrant child's; ``None`` if that cannot be known."""
    names = ("birth_date", "hukou_division", "residence_division")
    if not set(names) <= columns.keys():
        return []
    rows = zip(*(columns[name] for name in names), strict=True)
    return [_may_be_migrant(birth, hukou, residence, today) for birth, hukou, residence in rows]


def _may_be_migrant(
    birth: str | None, hukou: str | None, residence: str | None, today: date
) -> bool | None:
    crosses = crosses_county_line(hukou, residence) if hukou and residence else None
    young = is_under_16(date.fromisoformat(birth), today) if birth else None
    if crosses is False or young is False:
        return False
    return None if crosses is None or young is None else True


def _propose(
    path: Path, fields: Sequence[FieldSpec], today: date, cleaning: str | None, sheet: int | None
) -> Proposal:
    if sheet is not None:
        return _propose_for(path, fields, today, cleaning, sheet)
    best: Proposal | None = None
    refusal: RecordsError | None = None
    for number in range(1, min(max(len(sheet_names(path)), 1), _SHEETS_TRIED) + 1):
        try:
            proposal = _propose_for(path, fields, today, cleaning, number)
        except RecordsError as error:
            if error.code not in NO_TABLE:
                raise
            refusal = refusal or error
            continue
        if best is None or len(proposal.absent) < len(best.absent):
            best = proposal
        if len(fields) - len(best.absent) >= _SURE_FIELDS:
            break
    if best is None:
        raise refusal or AssertionError("there is at least one sheet")
    return best


def _propose_for(
    path: Path, fields: Sequence[FieldSpec], today: date, cleaning: str | None, sheet: int
) -> Proposal:
    table = read_table(path, "auto", sheet)
    is_record = NoRecords(table.above).is_record
    sample = [row for row in islice(table.rows, SAMPLE_ROWS) if is_record(row)]
    return propose_mapping(table.headings, sample, fields, today, cleaning=cleaning, sheet=sheet)


def _toml(mapping: ColumnMapping, proposal: Proposal | None) -> str:
    if proposal is None:
        return mapping_to_toml(mapping)
    return mapping_to_toml(
        mapping, absent=proposal.absent, unplaced=proposal.unplaced, notes=proposal.notes
    )


def _unused(headings: Sequence[str], mapping: ColumnMapping) -> tuple[str, ...]:
    used = {heading_key(heading) for heading in mapping.columns.values()}
    return tuple(h for h in headings if h and heading_key(h) not in used)
