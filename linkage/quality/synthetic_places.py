"""Counties of Sichuan, and the code that each had at a given time."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

from linkage.quality.synthetic_draws import Draws, Weighted
from linkage.quality.synthetic_names import Ethnicity, data_text

RESIDENCE_DISTRICT = "510104"
ORIGIN_COUNTY = "510623"

_CHENGDU_DISTRICTS: Mapping[str, float] = {
    "510104": 90, "510105": 96, "510106": 127, "510107": 186, "510108": 138, "510112": 134,
    "510114": 156, "510116": 266, "510117": 139, "510115": 97,
}  # fmt: skip
"""Residents in 10,000 of Chengdu's inner districts (2020 census, rounded)."""


@dataclass(frozen=True, slots=True)
class County:
    """A county as of 2023 with the shares of Yi and Tibetans among its people."""

    code: str
    yi: float
    tibetan: float


@dataclass(frozen=True, slots=True)
class _Withdrawal:
    code: str
    year: int
    month: int


@dataclass(frozen=True, slots=True)
class _Places:
    counties: Weighted[County]
    by_code: Mapping[str, County]
    chengdu: Weighted[str]
    withdrawn: Mapping[str, _Withdrawal]


@cache
def _places() -> _Places:
    rows = list(csv.DictReader(data_text("counties.csv").splitlines()))
    counties = [
        County(row["code"], float(row["yi"]) / 100, float(row["tibetan"]) / 100) for row in rows
    ]
    withdrawn = {}
    for row in csv.DictReader(data_text("withdrawn_counties.csv").splitlines()):
        year, month = row["withdrawn"].split("-")
        withdrawn[row["successor"]] = _Withdrawal(row["code"], int(year), int(month))
    return _Places(
        counties=Weighted(counties, [float(row["weight"]) for row in rows]),
        by_code={county.code: county for county in counties},
        chengdu=Weighted(list(_CHENGDU_DISTRICTS), list(_CHENGDU_DISTRICTS.values())),
        withdrawn=withdrawn,
    )


def any_county(draws: Draws) -> County:
    """A county by its registered population."""
    return draws.weighted(_places().counties)


def county(code: str) -> County:
    """The county with this six-digit code of 2023."""
    return _places().by_code[code]


def chengdu_district(draws: Draws) -> str:
    """Code of one of Chengdu's districts by residents."""
    return draws.weighted(_places().chengdu)


def code_on(code: str, day: date) -> str:
    """The code that the county had on ``day``."""
    withdrawal = _places().withdrawn.get(code)
    if withdrawal and (day.year, day.month) < (withdrawal.year, withdrawal.month):
        return withdrawal.code
    return code


def withdrawn_code(code: str) -> str | None:
    """The code that the county had before it got the present one."""
    withdrawal = _places().withdrawn.get(code)
    return withdrawal.code if withdrawal else None


def ethnicity_in(draws: Draws, place: County) -> Ethnicity:
    """Han, Yi or Tibetan by the county's shares."""
    share = draws.share()
    if share < place.yi:
        return "yi"
    return "tibetan" if share < place.yi + place.tibetan else "han"
