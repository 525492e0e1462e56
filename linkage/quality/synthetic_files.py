"""Writes synthetic registers as the files that offices export, with the truth beside them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from linkage.quality.synthetic_offices import Office
from linkage.quality.synthetic_styles import Cell

if TYPE_CHECKING:
    from linkage.quality.synthetic import Register, Registers

TRUTH_FILE = "truth.csv"


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """A written register.

    Attributes:
        office_id: e.g. ``jinjiang-civil``; also the stem of the file.
        path: where it is.
        n_records: number of records, duplicates included.
        title: what people call the office and its register, in Chinese.
    """

    office_id: str
    path: Path
    n_records: int
    title: str


def write_registers(registers: "Registers", directory: Path) -> tuple[RegisterFile, ...]:
    """Write each register into ``directory`` as ``OFFICE.xlsx`` or ``.csv``, and ``truth.csv``.

    ``truth.csv`` is UTF-8 with columns ``dataset,record,entity``: office id, record id, number of
    the child.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = tuple(_write_register(register, directory) for register in registers.registers)
    with (directory / TRUTH_FILE).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("dataset", "record", "entity"))
        writer.writerows(registers.truth())
    return files


def _write_register(register: "Register", directory: Path) -> RegisterFile:
    office = register.office
    suffix = ".xlsx" if office.file_format == "xlsx" else ".csv"
    path = directory / f"{office.id}{suffix}"
    rows = [record.cells for record in register.records]
    if office.file_format == "xlsx":
        _write_xlsx(path, office, rows)
    else:
        _write_csv(path, office, rows)
    return RegisterFile(office.id, path, register.n_records, office.title)


def _write_csv(path: Path, office: Office, rows: Sequence[tuple[Cell, ...]]) -> None:
    # Windows programs write CR LF; a code point that GB18030 lacks does not exist.
    with path.open("w", encoding=office.file_format, newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(office.headings)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)


def _write_xlsx(path: Path, office: Office, rows: Sequence[tuple[Cell, ...]]) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("登记表")
    sheet.append(list(office.headings))

    def styled(cell: Cell) -> object:
        if not isinstance(cell, date):
            return cell
        is_moment = isinstance(cell, datetime)
        written = WriteOnlyCell(sheet)
        written.value = cell
        written.number_format = "yyyy-mm-dd hh:mm" if is_moment else "yyyy-mm-dd"
        return written

    for row in rows:
        sheet.append([styled(cell) for cell in row])
    book.save(path)
