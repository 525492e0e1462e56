"""Cleaning versions: for each kind of field the one function that every office cleans it by.

A version never changes once records were encoded with it: one rule that differs between two
offices breaks every match. A new rule is a new version.

``cn-2`` (2026-11-27) takes every ID number that ends in 000 as one that a spreadsheet rounded, and
knows withdrawn division codes of all provinces; ``cn-1`` did so where the check character told, and
of Sichuan and Chongqing alone.  Nobody had encoded with it, so the program does not keep it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from linkage.errors import RecordsError
from linkage.records.cells import (
    MISSING,
    Cell,
    Cleaned,
    cell_text,
    has_control_characters,
    is_spreadsheet_error,
)
from linkage.records.dates import clean_date
from linkage.records.divisions import clean_division
from linkage.records.names import clean_chinese_name, clean_latin_name
from linkage.records.phones import clean_phone
from linkage.records.resident_id import clean_resident_id
from linkage.records.texts import clean_identifier, clean_sex, clean_text
from linkage.types import FieldKind, FieldSpec

Clean = Callable[[Cell], Cleaned]

_MEMO_ENTRIES = 1 << 16


@dataclass(frozen=True, slots=True)
class CleaningVersion:
    """One version of the rules.

    Attributes:
        kinds: a function (cell, today) for each kind of field.
        child_rules: whether records are children's, see :mod:`linkage.records.consistency`.
    """

    kinds: Mapping[FieldKind, Callable[[Cell, date], Cleaned]]
    child_rules: bool


def _undated(clean: Clean) -> Callable[[Cell, date], Cleaned]:
    return lambda cell, _today: clean(cell)


_KINDS: Mapping[FieldKind, Callable[[Cell, date], Cleaned]] = {
    "chinese-name": _undated(clean_chinese_name),
    "latin-name": _undated(clean_latin_name),
    "date": clean_date,
    "resident-id": clean_resident_id,
    "identifier": _undated(clean_identifier),
    "phone": _undated(clean_phone),
    "division": _undated(clean_division),
    "sex": _undated(clean_sex),
    "text": _undated(clean_text),
}

CLEANING_VERSIONS: Mapping[str, CleaningVersion] = {
    "cn-2": CleaningVersion(_KINDS, child_rules=True),
    "latin-1": CleaningVersion(
        {
            kind: clean
            for kind, clean in _KINDS.items()
            if kind in ("latin-name", "date", "identifier", "sex", "text")
        },
        child_rules=False,
    ),
}
"""Name, as in ``cleaning`` of a profile -> rules."""


def cleaning_version(name: str | None, fields: Sequence[FieldSpec]) -> CleaningVersion:
    """The rules of a version; without a name, those that suit the kinds of the fields.

    Raises:
        RecordsError: the version is unknown, or has no rules for a kind of the fields.
    """
    if name is None:
        latin = CLEANING_VERSIONS["latin-1"]
        name = "latin-1" if all(field.kind in latin.kinds for field in fields) else "cn-2"
    version = CLEANING_VERSIONS.get(name)
    if version is None:
        raise RecordsError(
            f"The profile asks for cleaning rules that this program does not have. It has: "
            f"{', '.join(CLEANING_VERSIONS)}. Update the program, or correct the profile."
        )
    for field in fields:
        if field.kind not in version.kinds:
            raise RecordsError(
                f"The cleaning rules {name} have none for fields of kind {field.kind}. "
                "Correct the profile."
            )
    return version


# Nearly every value of these kinds is new: remembering them costs more than cleaning.
_UNREPEATED: frozenset[FieldKind] = frozenset({"resident-id", "identifier"})


class ColumnCleaner:
    """Cleans the column of one field, cell by cell, and remembers what it has cleaned.

    Args:
        values: raw text -> the text to read in its place, from ``[values.FIELD]``.
    """

    def __init__(
        self, kind: FieldKind, version: CleaningVersion, today: date, values: Mapping[str, str]
    ) -> None:
        self._clean_kind = version.kinds[kind]
        self._today = today
        self._values = {cell_text(raw): meaning for raw, meaning in values.items()}
        self._remember = kind not in _UNREPEATED
        self._text_memo = _TextMemo(self._clean)

    @property
    def translates(self) -> bool:
        """Whether cells are translated before they are cleaned."""
        return bool(self._values)

    def clean(self, cells: Sequence[Cell]) -> list[Cleaned]:
        """Canonical value and problem codes of each cell."""
        if not self._remember:
            return [self._clean(cell) for cell in cells]
        memo = self._text_memo
        return [memo[cell] if type(cell) is str else self._clean(cell) for cell in cells]

    def _clean(self, cell: Cell) -> Cleaned:
        if cell is None or cell == "":
            return MISSING
        if self._values:
            meaning = self._values.get(cell_text(cell))
            if meaning is not None:
                cell = meaning
        if type(cell) is not str or cell.isprintable():
            if type(cell) is str and cell[:1] == "#" and is_spreadsheet_error(cell):
                return None, ("spreadsheet-error",)
            return self._clean_kind(cell, self._today)
        value, codes = self._clean_kind(cell, self._today)
        return value, (*codes, "control-characters") if has_control_characters(cell) else codes


class _TextMemo(dict[str, Cleaned]):
    """Text cell -> what it cleans to, bounded."""

    def __init__(self, clean: Clean) -> None:
        super().__init__()
        self._clean = clean

    def __missing__(self, cell: str) -> Cleaned:
        if len(self) >= _MEMO_ENTRIES:
            self.clear()
        cleaned = self[cell] = self._clean(cell)
        return cleaned
