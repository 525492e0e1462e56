"""Dates in every way that registers write them, and those that do not exist."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.records.cells import Cell
from linkage.records.dates import adult_cutoff, clean_date

TODAY = date(2025, 6, 1)
# 1900-01-01 is what systems write for "no date".
DAYS = st.dates(date(1900, 1, 2), TODAY)

_NUMERALS = "〇一二三四五六七八九"


def _in_words(number: int) -> str:
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else _NUMERALS[tens] + "十"
    return head + (_NUMERALS[ones] if ones else "")


@given(DAYS)
def test_every_way_of_writing_a_day_gives_the_same(day: date) -> None:
    y, m, d = day.year, day.month, day.day
    in_words = f"{''.join(_NUMERALS[int(c)] for c in str(y))}年{_in_words(m)}月{_in_words(d)}日"
    for cell in (
        f"{y}-{m:02d}-{d:02d}",
        f"{y}-{m}-{d}",
        f"{y}/{m}/{d}",
        f"{y}.{m:02d}.{d:02d}",
        f"{y}．{m}．{d}",
        f"{y}{m:02d}{d:02d}",
        f"{y}年{m}月{d}日",
        f"{y} 年 {m:02d} 月 {d:02d} 号",
        f"{y}-{m:02d}-{d:02d} 00:00:00",
        f"{y}-{m:02d}-{d:02d}T08:30:00.000Z",
        f"{y}/{m}/{d} 0:00",
        f"{y}{m:02d}{d:02d}000000",
        f" {y}—{m}—{d} ",
        in_words,
        day,
        datetime(y, m, d, 23, 59),  # noqa: DTZ001 - cells of a workbook have no zone
        float(f"{y}{m:02d}{d:02d}"),
        int(f"{y}{m:02d}{d:02d}"),
    ):
        assert clean_date(cell, TODAY) == (day.isoformat(), ()), cell


@given(st.dates(date(1954, 10, 3), TODAY))
def test_serial_numbers_of_excel_are_days(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    for cell in (serial, float(serial), serial + 0.75, str(serial)):
        assert clean_date(cell, TODAY) == (day.isoformat(), ())


def test_published_serial_numbers() -> None:
    # Microsoft documents 39448 as 2008-01-01 (DATEVALUE) and 61 follows the invented 29 February.
    assert clean_date(39448, TODAY) == ("2008-01-01", ())


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("2015-02-30", "date-impossible"),
        ("2015-02-29", "date-impossible"),
        ("2015-13-01", "date-impossible"),
        ("20150431", "date-impossible"),
        ("1899-12-29", "date-impossible"),
        ("2025-06-02", "date-in-future"),
        (datetime(2999, 1, 1), "date-in-future"),  # noqa: DTZ001
        ("1900-01-01", "placeholder-date"),
        ("0000-00-00", "placeholder-date"),
        ("2015-03", "date-incomplete"),
        ("2015年3月", "date-incomplete"),
        ("2015", "date-incomplete"),
        ("201503", "date-incomplete"),
        ("2015年正月十六", "date-of-lunar-calendar"),
        ("农历2015年1月16日", "date-of-lunar-calendar"),
        ("2015-0*-*7", "masked-value"),
        ("07/03/2015", "date-not-understood"),  # whose order?
        ("15-3-7", "date-not-understood"),
        ("三月七日", "date-not-understood"),
        (-5, "date-not-understood"),
        (1e20, "date-not-understood"),
        ("二〇一五年十三月七日", "date-impossible"),
        ("二〇一五年十十月七日", "date-impossible"),
    ],
)
def test_what_is_wrong_is_named(cell: Cell, code: str) -> None:
    assert clean_date(cell, TODAY) == (None, (code,))


def test_leap_days_exist_in_leap_years() -> None:
    assert clean_date("2016-02-29", TODAY) == ("2016-02-29", ())
    assert clean_date("2000.2.29", TODAY) == ("2000-02-29", ())


def test_today_is_possible_and_tomorrow_is_not() -> None:
    assert clean_date(TODAY, TODAY) == ("2025-06-01", ())
    assert clean_date(TODAY + timedelta(days=1), TODAY) == (None, ("date-in-future",))


@pytest.mark.parametrize("cell", ["", None, "无", "不详", "NULL", "0", 0])
def test_empty_cells_are_no_problem(cell: Cell) -> None:
    assert clean_date(cell, TODAY) == (None, ())


@pytest.mark.parametrize(
    ("today", "cutoff"),
    [
        (date(2025, 6, 1), "2007-06-01"),
        (date(2024, 2, 29), "2006-02-29"),
        (date(2026, 3, 1), "2008-03-01"),
        (date(2026, 2, 28), "2008-02-28"),
    ],
)
def test_adults_are_those_born_until_the_cutoff(today: date, cutoff: str) -> None:
    # Born 2008-02-29: a child on 2026-02-28, an adult on 2026-03-01.
    assert adult_cutoff(today) == cutoff
    assert (adult_cutoff(today) >= "2008-02-29") == (today >= date(2026, 3, 1))
