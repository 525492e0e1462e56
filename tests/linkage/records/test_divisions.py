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


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("510122", "510116"),  # Shuangliu County, a district since 2015
        ("510122000000", "510116"),
        ("512081", "510185"),  # Jianyang, first of Ziyang, then of Chengdu
        ("513902", "510185"),
        ("500222", "500110"),
    ],
)
def test_withdrawn_codes_give_their_successors(cell: str, value: str) -> None:
    assert clean_division(cell) == (value, ("division-withdrawn",))


def test_a_withdrawn_code_that_was_divided_stays() -> None:
    assert clean_division("510902") == ("510902", ())


def test_codes_of_other_provinces_stay_whether_known_or_not() -> None:
    assert clean_division("130103") == ("130103", ())  # Qiaodong, divided in 2014
    assert clean_division("710101") == ("710101", ())


def test_a_code_that_the_province_never_had_is_kept_and_reported() -> None:
    assert clean_division("510199") == ("510199", ("division-not-in-table",))


@pytest.mark.parametrize(
    ("cell", "value"), [("510100", "510100"), ("5101", "510100"), ("四川省成都市", "510100")]
)
def test_cities_are_kept_and_reported(cell: str, value: str) -> None:
    assert clean_division(cell) == (value, ("division-not-a-county",))


@pytest.mark.parametrize("cell", ["51", "510000", "四川省", "四川", "重庆市"])
def test_provinces_say_too_little(cell: str) -> None:
    assert clean_division(cell) == (None, ("division-not-a-county",))


def test_cities_without_counties_are_counties() -> None:
    assert clean_division("441900") == ("441900", ())  # Dongguan


@pytest.mark.parametrize(
    "cell",
    [
        "四川省成都市武侯区",
        "成都市武侯区",
        " 四川 成都市 武侯区",
        "四川省武侯区",
        "武侯区",
        "成都市武侯区某街道1号",
    ],
)
def test_names_that_only_one_place_has(cell: str) -> None:
    assert clean_division(cell) == ("510107", ())


def test_names_in_use_mean_what_they_mean_now() -> None:
    assert clean_division("四川省双流县") == ("510116", ())
    assert clean_division("巴中市") == ("511900", ("division-not-a-county",))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("990107", "division-unknown"),
        ("170101", "division-unknown"),
        ("51010", "division-not-understood"),
        ("5101070", "division-not-understood"),
        ("朝阳区", "division-not-understood"),  # Beijing has one, Changchun has one
        ("某街道1号", "division-not-understood"),
    ],
)
def test_what_is_wrong_is_named(cell: str, code: str) -> None:
    assert clean_division(cell) == (None, (code,))


@pytest.mark.parametrize("cell", ["", None, "无"])
def test_empty_cells_are_no_problem(cell: Cell) -> None:
    assert clean_division(cell) == (None, ())
