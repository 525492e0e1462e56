"""The written registers: read back with the standard library and openpyxl."""

import csv
from collections.abc import Sequence
from datetime import date, datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from linkage.quality.evaluate import Links, evaluate_links, load_truth
from linkage.quality.synthetic import Cell, RegisterFile, Registers, generate, write_registers

SMALL = generate(250, seed=8)

Rows = list[tuple[object, ...]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registers")


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, RegisterFile]:
    return {file.office_id: file for file in write_registers(SMALL, folder)}


def read_csv(path: Path, encoding: str) -> Rows:
    with path.open(encoding=encoding, newline="") as stream:
        return [tuple(row) for row in csv.reader(stream)]


def read_xlsx(path: Path) -> Rows:
    book = openpyxl.load_workbook(path, read_only=True)
    rows: Rows = [tuple(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    book.close()
    return rows


def as_text(cells: Sequence[Cell]) -> tuple[str, ...]:
    return tuple("" if cell is None else str(cell) for cell in cells)


def test_each_office_has_its_file(files: dict[str, RegisterFile]) -> None:
    assert {name: file.path.name for name, file in files.items()} == {
        "jinjiang-civil": "jinjiang-civil.xlsx",
        "zhongjiang-civil": "zhongjiang-civil.csv",
        "chengdu-education": "chengdu-education.csv",
        "chengdu-police": "chengdu-police.csv",
        "chengdu-health": "chengdu-health.xlsx",
    }
    for name, file in files.items():
        assert file.n_records == SMALL[name].n_records
        assert file.title


@pytest.mark.parametrize(
    ("office_id", "encoding"),
    [
        ("zhongjiang-civil", "gb18030"),
        ("chengdu-education", "utf-8-sig"),
        ("chengdu-police", "utf-8"),
    ],
)
def test_csv_files_hold_the_cells_as_written(
    files: dict[str, RegisterFile], office_id: str, encoding: str
) -> None:
    rows = read_csv(files[office_id].path, encoding)

    assert rows[0] == SMALL[office_id].headings
    assert rows[1:] == [as_text(record.cells) for record in SMALL[office_id].records]


def test_encodings_are_what_they_say(files: dict[str, RegisterFile]) -> None:
    origin = files["zhongjiang-civil"].path.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        origin.decode("utf-8")
    assert b"\r\n" in origin
    assert files["chengdu-education"].path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert not files["chengdu-police"].path.read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("office_id", ["jinjiang-civil", "chengdu-health"])
def test_workbooks_hold_true_date_and_number_cells(
    files: dict[str, RegisterFile], office_id: str
) -> None:
    register = SMALL[office_id]
    rows = read_xlsx(files[office_id].path)

    assert rows[0] == register.headings
    assert len(rows) == register.n_records + 1
    place = register.headings.index(register.mapping["birth_date"])
    for row, record in zip(rows[1:], register.records, strict=True):
        cell, found = record.cells[place], row[place]
        if isinstance(cell, date):
            assert isinstance(found, datetime)
            assert found.date() == cell
        else:
            assert found == cell
    phones = {type(row[register.headings.index("联系电话")]) for row in rows[1:]}
    assert {int, str} <= phones
    numbers = [row[register.headings.index(register.mapping["id_number"])] for row in rows[1:]]
    assert not any(isinstance(number, int | float) for number in numbers)


def test_the_truth_names_every_record_once(files: dict[str, RegisterFile], folder: Path) -> None:
    rows = read_csv(folder / "truth.csv", "utf-8")

    assert rows[0] == ("dataset", "record", "entity")
    assert len(rows) - 1 == sum(register.n_records for register in SMALL.registers)
    assert len({row[:2] for row in rows[1:]}) == len(rows) - 1
    assert {row[0] for row in rows[1:]} == set(files)


def test_links_made_from_the_truth_are_perfect(
    files: dict[str, RegisterFile], folder: Path
) -> None:
    assert files
    true = [
        ((a, x), (b, y))
        for (a, x, m), (b, y, n) in combinations(SMALL.truth(), 2)
        if m == n and a != b
    ]
    links = Links([a for a, _ in true], [b for _, b in true], np.ones(len(true)))

    found = evaluate_links(links, load_truth(folder / "truth.csv"))

    assert found.overall.f1 == 1
    assert found.overall.n_true == len(true) > 500
    assert len(found.by_pair) == 10


def test_writing_is_the_same_each_time(files: dict[str, RegisterFile], tmp_path: Path) -> None:
    again: Registers = generate(250, seed=8)

    for file in write_registers(again, tmp_path / "new" / "folder"):
        if file.path.suffix == ".csv":
            assert file.path.read_bytes() == files[file.office_id].path.read_bytes()
