"""A column mapping proposed from headings, and confirmed by what stands below them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from linkage.records.cells import Cell, cell_text
from linkage.records.cleaning import ColumnCleaner, cleaning_version
from linkage.records.dates import adult_cutoff
from linkage.records.heading_rows import heading_key, several_of_one
from linkage.records.headings import meanings
from linkage.records.mapping import RECORD_ID, ColumnMapping
from linkage.records.resident_id import birth_date_of
from linkage.records.tables import Row
from linkage.types import FieldKind, FieldSpec

SAMPLE_ROWS = 500

# Share of the filled cells that must be what the heading promises.
_ENOUGH: Mapping[FieldKind, float] = {
    "chinese-name": 0.5,
    "latin-name": 0.5,
    "date": 0.5,
    "resident-id": 0.25,
    "phone": 0.3,
    "division": 0.5,
    "sex": 0.5,
}
_SURELY_IDS = 0.6


@dataclass(frozen=True, slots=True)
class Proposal:
    """What ``tongqiao inspect`` proposes.

    Attributes:
        mapping: has no ``record_id`` if no column identifies a record.
        absent: fields of the profile that no column was found for.
        unplaced: headings that no field uses, those not recognised and those of other meaning.
        notes: field -> remark for the mapping's comments.
    """

    mapping: ColumnMapping
    absent: tuple[str, ...]
    unplaced: tuple[str, ...]
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Candidate:
    rank: int
    column: int
    field: str


def propose_mapping(
    headings: Sequence[str],
    sample: Sequence[Row],
    fields: Sequence[FieldSpec],
    today: date,
    *,
    cleaning: str | None = None,
    sheet: int = 1,
) -> Proposal:
    """Propose which column holds what, from the headings and a sample of rows.

    Every column serves one field and every field has one column; a better heading wins, then the
    column further left. A column whose cells are not what its heading promises is not used.
    """
    columns = [
        [row[index] if index < len(row) else None for row in sample]
        for index in range(len(headings))
    ]
    contents = _Contents(columns, fields, today, cleaning)
    placed = _place(headings, fields, contents)
    notes: dict[str, str] = {}
    _place_ids_by_contents(headings, fields, contents, placed, notes)
    for heading, numbered in several_of_one(headings).items():
        for field in {meaning.field for meaning in meanings(heading)} - placed.keys():
            notes[field] = "choose: " + " or ".join(f'"{name}"' for name in numbered)
    record_id = _find_record_id(headings, columns, set(placed.values()))
    if record_id is None:
        record_id = _find_record_id(headings, columns, set())
    for field, index in placed.items():
        if contents.share(field, index) is None:
            notes[field] = "empty in the first rows of the file"
    ordered = {RECORD_ID: headings[record_id]} if record_id is not None else {}
    ordered |= {f.name: headings[placed[f.name]] for f in fields if f.name in placed}
    used = {*placed.values(), record_id}
    return Proposal(
        mapping=ColumnMapping(ordered, sheet=sheet),
        absent=tuple(field.name for field in fields if field.name not in placed),
        unplaced=tuple(h for i, h in enumerate(headings) if h and i not in used),
        notes=notes,
    )


class _Contents:
    """What the sampled cells of a column are, for each field that might use it."""

    def __init__(
        self,
        columns: Sequence[Sequence[Cell]],
        fields: Sequence[FieldSpec],
        today: date,
        cleaning: str | None,
    ) -> None:
        version = cleaning_version(cleaning, fields)
        self._columns = columns
        self._kinds = {field.name: field.kind for field in fields}
        self._cleaners = {
            field.name: ColumnCleaner(field.kind, version, today, {}) for field in fields
        }
        self._cutoff = adult_cutoff(today)

    def share(self, field: str, column: int) -> float | None:
        """Share of the filled cells that the field could use; ``None`` where none is filled."""
        filled = [cell for cell in self._columns[column] if cell_text(cell)]
        if not filled:
            return None
        cleaned = self._cleaners[field].clean(filled)
        return sum(value is not None for value, _ in cleaned) / len(filled)

    def fits(self, field: str, column: int) -> bool:
        """Whether a column may hold a field; an empty one may."""
        share = self.share(field, column)
        return share is None or share >= _ENOUGH.get(self._kinds[field], 0.0)

    def children_ids(self, field: str, column: int) -> float:
        """Share of the filled cells that are ID numbers of children."""
        filled = [cell for cell in self._columns[column] if cell_text(cell)]
        numbers = [value for value, _ in self._cleaners[field].clean(filled) if value]
        young = sum(birth_date_of(number) > self._cutoff for number in numbers)
        return young / len(filled) if filled else 0.0


def _place(
    headings: Sequence[str], fields: Sequence[FieldSpec], contents: _Contents
) -> dict[str, int]:
    names = {field.name for field in fields}
    keys = [heading_key(heading) for heading in headings]
    ambiguous = _ambiguous(headings)
    candidates = []
    for index, heading in enumerate(headings):
        if not heading or heading in ambiguous:
            continue
        if keys[index] in names:
            candidates.append(_Candidate(-1, index, keys[index]))
        candidates += [
            _Candidate(meaning.rank, index, meaning.field)
            for meaning in meanings(heading)
            if meaning.field in names
        ]
    placed: dict[str, int] = {}
    taken: set[int] = set()
    for candidate in sorted(candidates, key=lambda c: (c.rank, c.column)):
        if candidate.field in placed or candidate.column in taken:
            continue
        if contents.fits(candidate.field, candidate.column):
            placed[candidate.field] = candidate.column
            taken.add(candidate.column)
    return placed


def _ambiguous(headings: Sequence[str]) -> set[str]:
    """Which of several columns of one heading is meant, a person has to say."""
    return {heading for numbered in several_of_one(headings).values() for heading in numbered}


def _place_ids_by_contents(
    headings: Sequence[str],
    fields: Sequence[FieldSpec],
    contents: _Contents,
    placed: dict[str, int],
    notes: dict[str, str],
) -> None:
    """A column full of children's ID numbers is the child's, if its heading says nothing else.

    Numbers of disability certificates begin with the ID number; such a column may identify the
    records too.
    """
    for field in fields:
        if field.kind != "resident-id" or field.name in placed or field.name != "id_number":
            continue
        for index, heading in enumerate(headings):
            if not heading or index in placed.values():
                continue
            if any(meaning.field != RECORD_ID for meaning in meanings(heading)):
                continue
            if contents.children_ids(field.name, index) >= _SURELY_IDS:
                placed[field.name] = index
                notes[field.name] = "by its contents, not its heading: check it"
                break


def _find_record_id(
    headings: Sequence[str], columns: Sequence[Sequence[Cell]], taken: set[int]
) -> int | None:
    """The best-named column that is filled and different in every row of the sample."""
    ambiguous = _ambiguous(headings)
    candidates = []
    for index, heading in enumerate(headings):
        if index in taken or heading in ambiguous:
            continue
        ranks = [m.rank for m in meanings(heading) if m.field == RECORD_ID]
        texts = [cell_text(cell) for cell in columns[index]]
        filled = [text for text in texts if text]
        if ranks and len(set(filled)) == len(filled) and len(filled) >= 0.95 * len(texts):
            candidates.append((ranks[0], index))
    return min(candidates)[1] if candidates else None
