"""The province's rule for migrant children, at each edge."""

from datetime import date

import pytest

from linkage.division_table import crosses_county_line
from linkage.records.migrants import is_migrant, is_under_16

TODAY = date(2025, 6, 1)
WUHOU, JINNIU, JINTANG, ZHONGJIANG = "510107", "510106", "510121", "510623"


@pytest.mark.parametrize(
    ("hukou", "residence", "crosses"),
    [
        (ZHONGJIANG, WUHOU, True),
        (WUHOU, ZHONGJIANG, True),
        (WUHOU, WUHOU, False),
        (WUHOU, JINNIU, False),  # districts of one city
        (JINTANG, WUHOU, True),  # a county of the same city
        (JINTANG, "510129", True),  # two counties of one city
        ("510122", WUHOU, False),  # Shuangliu County is a district now
        ("510122", "510116", False),  # the same place
        ("512081", WUHOU, True),  # Jianyang came to Chengdu as a county-level city
        ("513401", "513402", True),  # two cities of an autonomous prefecture
        ("500103", "500151", False),  # districts of a municipality
        ("500103", "500229", True),  # a county of a municipality
        ("110105", WUHOU, True),
        ("510109", WUHOU, False),  # in no table, a district by its number
        ("441900", "441900", False),
        ("510100", WUHOU, None),  # Chengdu, but where?
        (WUHOU, "510100", None),
        ("510100", "510100", None),
        ("510100", ZHONGJIANG, True),
        ("510600", WUHOU, True),
        ("510000", WUHOU, None),
        ("500000", WUHOU, True),
    ],
)
def test_county_lines(hukou: str, residence: str, crosses: bool | None) -> None:
    assert crosses_county_line(hukou, residence) is crosses
    assert crosses_county_line(residence, hukou) is crosses


@pytest.mark.parametrize(
    ("birth", "today", "under"),
    [
        (date(2009, 6, 2), TODAY, True),
        (date(2009, 6, 1), TODAY, False),  # sixteen today
        (date(2009, 5, 31), TODAY, False),
        (date(2025, 6, 1), TODAY, True),
        (date(2008, 2, 29), date(2024, 2, 28), True),
        (date(2008, 2, 29), date(2024, 2, 29), False),
        (date(2008, 2, 29), date(2025, 3, 1), False),
    ],
)
def test_under_sixteen(birth: date, today: date, under: bool) -> None:
    assert is_under_16(birth, today) is under


def migrant(**changes: object) -> bool | None:
    facts: dict[str, object] = {
        "birth_date": date(2015, 3, 7),
        "hukou_division": ZHONGJIANG,
        "residence_division": WUHOU,
        "away_since": date(2024, 9, 1),
        "with_guardian": True,
        "today": TODAY,
    } | changes
    return is_migrant(**facts)  # type: ignore[arg-type]


def test_all_conditions_together() -> None:
    assert migrant() is True
    assert migrant(birth_date=date(2009, 6, 1)) is False
    assert migrant(residence_division=ZHONGJIANG) is False
    assert migrant(with_guardian=False) is False
    assert migrant(away_since=date(2025, 5, 1)) is False


@pytest.mark.parametrize(
    ("since", "today", "counts"),
    [
        (date(2024, 12, 1), date(2025, 6, 1), True),  # six months today
        (date(2024, 12, 2), date(2025, 6, 1), False),
        (date(2024, 8, 31), date(2025, 2, 27), False),  # there is no 31 February
        (date(2024, 8, 31), date(2025, 2, 28), True),
        (date(2023, 8, 31), date(2024, 2, 28), False),
        (date(2023, 8, 31), date(2024, 2, 29), True),
        (date(2024, 6, 30), date(2024, 12, 30), True),
        (date(2024, 7, 1), date(2024, 12, 31), False),
    ],
)
def test_six_months(since: date, today: date, counts: bool) -> None:
    assert migrant(away_since=since, today=today) is counts


def test_what_is_not_known_leaves_it_open_unless_another_condition_decides() -> None:
    assert migrant(away_since=None) is None
    assert migrant(with_guardian=None) is None
    assert migrant(hukou_division="510100") is None
    assert migrant(away_since=None, with_guardian=False) is False
    assert migrant(away_since=None, birth_date=date(2000, 1, 1)) is False
