"""Codes of administrative divisions."""

import pytest

from linkage.records.cells import Cell
from linkage.records.divisions import clean_division


@pytest.mark.parametrize(
    "cell",
    ["510107", " 510107 ", "５１０１０７", 510107, 510107.0, "510107000000", "510107001002",
     "510107001", "510107 武侯区", "510107-武侯区", "510107(武侯区)"],
)  # fmt: skip
def test_one_county_however_it_is_written(cell: Cell) -> None:
    assert clean_division(cell) == ("510107", ())


def test_withdrawn_codes_are_valid() -> None:
    assert clean_division("510122") == ("510122", ())  # Shuangliu County, until 2015


@pytest.mark.parametrize(
    ("cell", "value"), [("510100", "510100"), ("51", "510000"), ("5101", "510100")]
)
def test_larger_places_are_kept_and_reported(cell: str, value: str) -> None:
    assert clean_division(cell) == (value, ("division-not-a-county",))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("990107", "division-unknown"),
        ("170101", "division-unknown"),
        ("51010", "division-not-understood"),
        ("5101070", "division-not-understood"),
        ("武侯区大道1号", "division-not-understood"),
    ],
)
def test_what_is_wrong_is_named(cell: str, code: str) -> None:
    assert clean_division(cell) == (None, (code,))


@pytest.mark.parametrize("cell", ["", None, "无"])
def test_empty_cells_are_no_problem(cell: Cell) -> None:
    assert clean_division(cell) == (None, ())
