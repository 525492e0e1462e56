"""Invented registers of Sichuan children, for tests, measurements and the demo.

Five offices hold records of the same invented children, with the errors that such registers have.
Nobody in them is real: names, numbers and homes are drawn at random from the tables in ``data/``
(sources: ``data/SOURCES.md``).  The module never runs on a server (import-linter checks it).
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from linkage.errors import EvaluationError
from linkage.quality.synthetic_draws import Draws
from linkage.quality.synthetic_families import draw_children
from linkage.quality.synthetic_files import TRUTH_FILE, RegisterFile, write_registers
from linkage.quality.synthetic_offices import OFFICES, Office, holding_offices
from linkage.quality.synthetic_people import AS_OF, Child
from linkage.quality.synthetic_records import SyntheticRecord, Writer
from linkage.quality.synthetic_styles import Cell

__all__ = [
    "AS_OF",
    "OFFICES",
    "TRUTH_FILE",
    "Cell",
    "Child",
    "Office",
    "Register",
    "RegisterFile",
    "Registers",
    "SyntheticRecord",
    "generate",
    "is_wrong",
    "lacks_id_number",
    "raw_values",
    "write_registers",
]

_NO_ID = frozenset({"id_number:missing", "id_number:school-number"})
_NOT_WRONG = _NO_ID | {
    "name:dots",
    "name:traditional",
    "name:spaces",
    "birth_date:missing",
    "id_number:lower-case",
    "id_number:written",
}
_JUDGED = ("name:", "birth_date:", "id_number:")


@dataclass(frozen=True)
class Register:
    """One office's register, rows in the order of its file."""

    office: Office
    records: tuple[SyntheticRecord, ...]

    @property
    def n_records(self) -> int:
        """Number of records, duplicates included."""
        return len(self.records)

    @property
    def headings(self) -> tuple[str, ...]:
        """Headings of the columns."""
        return tuple(self.office.headings)

    @property
    def mapping(self) -> Mapping[str, str]:
        """Canonical field -> heading, for the fields of ``cn-child-v1`` and ``record_id``."""
        return {
            field: heading
            for heading, field in self.office.headings.items()
            if not field.startswith("+")
        }

    def column(self, field: str) -> list[Cell]:
        """Raw cells of a canonical field."""
        place = tuple(self.office.headings.values()).index(field)
        return [record.cells[place] for record in self.records]

    def missing_id_share(self) -> float:
        """Share of records without an ID number (blank, a placeholder, a school's number)."""
        return sum(map(lacks_id_number, self.records)) / max(1, self.n_records)

    def wrong_share(self) -> float:
        """Share of records with a false name, birth date or ID number."""
        return sum(map(is_wrong, self.records)) / max(1, self.n_records)


def is_wrong(record: SyntheticRecord) -> bool:
    """Whether name, birth date or ID number is false; styles and blanks do not count."""
    return any(fault.startswith(_JUDGED) and fault not in _NOT_WRONG for fault in record.faults)


def lacks_id_number(record: SyntheticRecord) -> bool:
    """Whether the record holds no ID number at all: blank, placeholder or a school's number."""
    return not _NO_ID.isdisjoint(record.faults)


@dataclass(frozen=True)
class Registers:
    """The registers of all offices and the children behind them."""

    children: tuple[Child, ...]
    registers: tuple[Register, ...]

    def __getitem__(self, office_id: str) -> Register:
        for register in self.registers:
            if register.office.id == office_id:
                return register
        raise KeyError(office_id)

    def truth(self) -> list[tuple[str, str, int]]:
        """Office id, record id and number of the child, one a record."""
        return [
            (register.office.id, record.record_id, record.entity)
            for register in self.registers
            for record in register.records
        ]


def generate(n_children: int, seed: int, *, error_scale: float = 1.0) -> Registers:
    """Registers of five offices about ``n_children`` invented children.

    The same arguments give the same registers.  ``error_scale`` multiplies every rate of error
    and of missing values; the children and the offices that hold them stay the same.

    Raises:
        EvaluationError: if there is no child, or ``error_scale`` is negative.
    """
    if n_children < 1 or error_scale < 0:
        raise EvaluationError("Ask for at least one child and an error_scale of 0 or more.")
    people, *streams = np.random.SeedSequence(seed).spawn(1 + len(OFFICES))
    draws = Draws(people)
    children = tuple(draw_children(draws, n_children))
    held: dict[str, list[Child]] = {office.id: [] for office in OFFICES}
    for child in children:
        for office_id in holding_offices(draws, child):
            held[office_id].append(child)
    registers = tuple(
        _write_register(office, held[office.id], Draws(stream), error_scale)
        for office, stream in zip(OFFICES, streams, strict=True)
    )
    return Registers(children, registers)


def _write_register(
    office: Office, children: list[Child], draws: Draws, error_scale: float
) -> Register:
    writer = Writer(office, draws, error_scale)
    rows = [child for child in children for _ in range(1 + writer.is_duplicated(child))]
    draws.shuffle(rows)
    width = max(6, len(str(len(rows))))
    return Register(
        office=office,
        records=tuple(
            writer.write(child, f"{office.record_prefix}-{AS_OF.year}-{place:0{width}d}")
            for place, child in enumerate(rows, start=1)
        ),
    )


def raw_values(registers: Registers) -> frozenset[str]:
    """Every name, ID number and telephone number of the registers, as written and as meant.

    A test searches a server's folder for them.  Shorter pieces than two Chinese characters, ten
    digits of a telephone or fifteen of an ID number, and numbers that a spreadsheet destroyed, are
    left out: they would be found anywhere.
    """
    values: set[str] = set()
    for child in registers.children:
        values.update((child.name, child.former_name or "", child.alias or ""))
        values.add(child.id_number or "")
        for guardian in child.guardians.values():
            values.update((guardian.name, guardian.id_number))
            values.update((guardian.phone, guardian.former_phone))
    for register in registers.registers:
        for field in ("name", "guardian_name", "id_number", "guardian_phone"):
            written = {str(cell) for cell in register.column(field) if cell is not None}
            values.update(written)
            values.update(unicodedata.normalize("NFKC", cell).strip() for cell in written)
    return frozenset(value for value in values if _is_telling(value))


def _is_telling(value: str) -> bool:
    n_digits = sum(character.isdecimal() for character in value)
    if n_digits == 0:
        return sum("\u4e00" <= character <= "\u9fff" for character in value) >= 2
    return "E+" not in value and n_digits >= 10
