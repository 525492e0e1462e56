"""Large invented registers for the encoding benchmark, written once and never held in memory.

The people come from ``linkage.quality.synthetic``.  Inventing a million of them takes minutes, so
a register is made of copies of one of :data:`BASE_ROWS` rows at most, in which every copy has
other ID numbers, telephone numbers and record ids: what makes encoding dear, distinct values, is
as distinct as in a real register.
"""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.encoding_workbooks import write_workbook
from linkage.quality.synthetic import Register, generate
from linkage.records.mapping import ColumnMapping
from linkage.records.resident_id import check_character

BASE_ROWS = 60_000
_OFFICE = "chengdu-police"
_CHILDREN_PER_ROW = 1.4


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """A written register.

    Attributes:
        path: of the file.
        mapping: where its fields are.
        n_rows: records in it.
    """

    path: Path
    mapping: ColumnMapping
    n_rows: int


def write_register(path: Path, n_rows: int, encoding: str = "utf-8") -> BenchmarkFile:
    """Write a register as CSV in an encoding, or as a workbook if the name ends in ``.xlsx``."""
    register = _base_register(min(n_rows, BASE_ROWS))
    if path.suffix == ".xlsx":
        write_workbook(path, register.headings, _rows(register, n_rows))
    else:
        with path.open("w", encoding=encoding, newline="") as stream:
            writer = csv.writer(stream, lineterminator="\r\n")
            writer.writerow(register.headings)
            writer.writerows(_rows(register, n_rows))
    return BenchmarkFile(path, ColumnMapping(dict(register.mapping)), n_rows)


@cache
def _base_register(n_rows: int) -> Register:
    return generate(int(n_rows * _CHILDREN_PER_ROW) + 10, seed=1)[_OFFICE]


def _rows(register: Register, n_rows: int) -> Iterator[list[str]]:
    fields = list(register.office.headings.values())
    at_id, at_phone, at_record = (
        fields.index(name) for name in ("id_number", "guardian_phone", "record_id")
    )
    draw = random.Random(n_rows)  # noqa: S311  # invented people, not keys
    base = [["" if cell is None else str(cell) for cell in r.cells] for r in register.records]
    for number in range(n_rows):
        row = list(base[number % len(base)])
        if number >= len(base):
            row[at_id] = _another_id(row[at_id], draw)
            row[at_phone] = _another_phone(row[at_phone], draw)
        row[at_record] = f"CDGA-{number:07d}"
        yield row


def _another_id(text: str, draw: random.Random) -> str:
    """Another number of the same place, birth date and sex; what is no number stays as it is."""
    if (
        len(text) != 18
        or not text.isascii()
        or not text[:17].isdecimal()
        or check_character(text) != text[17]
    ):
        return text
    order = draw.randrange(int(text[16]) % 2, 1000, 2)
    digits = f"{text[:4]}{draw.randrange(1, 29):02d}{text[6:14]}{order:03d}"
    return digits + check_character(digits)


def _another_phone(text: str, draw: random.Random) -> str:
    digits = len(text) == 11 and text.isascii() and text.isdecimal()
    return f"{text[:3]}{draw.randrange(10**8):08d}" if digits else text
