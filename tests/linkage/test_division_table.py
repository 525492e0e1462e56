"""The dated table of divisions and what became of withdrawn ones."""

import csv
import re
from importlib import resources

import pytest

from linkage.division_table import (
    code_of_name,
    current_code,
    full_name,
    is_city_district,
    is_current,
    is_suspicious,
    successors,
)
from linkage.records.divisions import PROVINCES


def rows(name: str) -> list[dict[str, str]]:
    text = (resources.files("linkage") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


DIVISIONS = rows("divisions.csv")
WITHDRAWN = rows("withdrawn_divisions.csv")


def test_the_table_has_the_size_that_china_had_on_its_date() -> None:
    by_length = dict.fromkeys((2, 4, 6), 0)
    for row in DIVISIONS:
        by_length[len(row["code"])] += 1
    # 31 provinces without Taiwan, Hong Kong and Macao; 333 prefectures (yearbook of 2023).
    assert (by_length[2], by_length[4]) == (31, 333)
    assert 2840 <= by_length[6] <= 2870
    sichuan = [row for row in DIVISIONS if re.fullmatch("51....", row["code"])]
    assert len(sichuan) == 183


def test_codes_are_unique_and_lie_in_a_province() -> None:
    codes = [row["code"] for row in DIVISIONS]
    assert len(codes) == len(set(codes))
    assert {code[:2] for code in codes} <= PROVINCES
    assert not any(re.fullmatch("....7.", code) for code in codes)


def test_every_withdrawn_code_ends_in_current_ones() -> None:
    for row in WITHDRAWN:
        assert 1998 <= int(row["withdrawn"]) <= 2023
        for successor in row["successor"].split():
            assert is_current(successor), row
            assert current_code(successor) == successor
        if not is_current(row["code"]):
            assert successors(row["code"]) == tuple(row["successor"].split())
        else:
            assert successors(row["code"]) == ()  # given to the district that took the old one in


def test_successors() -> None:
    assert current_code("510122") == "510116"
    assert current_code("510107") == "510107"
    assert successors("510902") == ("510903", "510904")
    assert current_code("510902") == "510902"
    assert current_code("110103") == "110101"  # Chongwen, merged in 2010
    assert current_code("532723") == "530822"  # Mojiang, whose prefecture became a city
    assert current_code("522425") == "520524"
    assert current_code("522322") == "522302"  # Xingren, a county and now a city
    assert successors("362401") == ("360802", "360803")
    assert current_code("130103") == "130103"  # Qiaodong, divided between others: not in the table


def test_withdrawn_names_of_other_provinces_need_their_province() -> None:
    assert code_of_name("云南省禄丰县") == "532302"
    assert code_of_name("禄丰县") is None
    assert code_of_name("双流县") == "510116"


def test_withdrawn_codes_of_all_provinces_are_known() -> None:
    by_province: dict[str, int] = {}
    for row in WITHDRAWN:
        by_province[row["code"][:2]] = by_province.get(row["code"][:2], 0) + 1
    assert set(by_province) == {row["code"] for row in DIVISIONS if len(row["code"]) == 2}
    assert sum(by_province.values()) > 900


def test_suspicious_are_unknown_codes_of_the_provinces_that_are_complete() -> None:
    assert is_suspicious("510199")
    assert is_suspicious("500199")
    assert not is_suspicious("510122")
    assert not is_suspicious("510100")
    assert not is_suspicious("110199")


@pytest.mark.parametrize("code", ["510107", "510116", "500151", "120116", "140303", "110103"])
def test_districts(code: str) -> None:
    assert is_city_district(code)


@pytest.mark.parametrize(
    "code",
    [
        "510121",  # a county
        "510185",  # a county-level city
        "513401",  # a city of an autonomous prefecture, numbered like a district
        "520203",  # Liuzhi, 特区
        "429021",  # Shennongjia, 林区
        "441900",
        "5101",
        "519901",
    ],
)
def test_no_districts(code: str) -> None:
    assert not is_city_district(code)


@pytest.mark.parametrize("row", [row for row in DIVISIONS if row["code"].startswith("51")])
def test_full_names_lead_to_their_codes(row: dict[str, str]) -> None:
    city = {r["code"]: r["name"] for r in DIVISIONS}.get(row["code"][:4], "")
    middle = city if len(row["code"]) == 6 else ""
    name = row["name"] if len(row["code"]) > 2 else ""
    assert code_of_name(f"四川省{middle}{name}") == row["code"].ljust(6, "0")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("510623", "德阳市中江县"),
        ("510104", "成都市锦江区"),
        ("110101", "北京市东城区"),
        ("5101", None),
        ("510100", None),
        ("999999", None),
    ],
)
def test_a_county_is_named_with_its_city_or_province(code: str, name: str | None) -> None:
    assert full_name(code) == name
