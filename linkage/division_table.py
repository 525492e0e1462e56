"""Codes of administrative divisions (GB/T 2260) as of a date, and those withdrawn before it.

Tables and their sources: ``data/SOURCES.md``.
"""

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources

TABLE_DATE = date(2023, 6, 30)
"""The day whose divisions count as current."""

_COMPLETE_PROVINCES = ("50", "51")
"""Provinces whose withdrawn codes since 1998 are all in the table."""

_NO_DISTRICTS = ("特区", "林区")
_PROVINCE_SUFFIXES = ("维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市")
_LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class _Codes:
    names: Mapping[str, str]
    successors: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Names:
    by_name: Mapping[str, str]
    anchored: Mapping[str, str]


def is_current(code: str) -> bool:
    """Whether a six-digit code is a county or district as of :data:`TABLE_DATE`."""
    return code in _codes().names


def successors(code: str) -> tuple[str, ...]:
    """The current codes of the place that a withdrawn code stood for; empty if not withdrawn."""
    return _codes().successors.get(code, ())


def current_code(code: str) -> str:
    """The one current code of the same place; the code itself if it is current or divided."""
    found = successors(code)
    return found[0] if len(found) == 1 else code


def is_suspicious(code: str) -> bool:
    """Whether a county's code should be in the tables and is not."""
    return (
        code.startswith(_COMPLETE_PROVINCES)
        and not code.endswith("00")
        and not is_current(code)
        and not successors(code)
    )


def is_city_district(code: str) -> bool:
    """Whether a code is a district (市辖区) of a city, and no county or county-level city.

    Codes in no table are judged by GB/T 2260's rule: 01 to 20 are districts where the four digits
    before are a city's (01 to 20, 51 to 70).
    """
    name = _codes().names.get(code)
    if name is not None:
        return len(code) == 6 and name.endswith("区") and not name.endswith(_NO_DISTRICTS)
    prefecture, county = code[2:4], code[4:6]
    return ("01" <= prefecture <= "20" or "51" <= prefecture <= "70") and "01" <= county <= "20"


@functools.lru_cache(maxsize=65_536)
def crosses_county_line(hukou_division: str, residence_division: str) -> bool | None:
    """Whether two six-digit codes are different counties, the districts of one city being one.

    Withdrawn codes count as their successors'. ``None`` where a code names a city or province and
    the other place lies in it: then it cannot be known.
    """
    hukou, residence = current_code(hukou_division), current_code(residence_division)
    if _lies_in(hukou, residence) or _lies_in(residence, hukou):
        return None
    if hukou == residence:
        return False
    same_city = hukou[:4] == residence[:4]
    return not (same_city and is_city_district(hukou) and is_city_district(residence))


def _lies_in(place: str, larger: str) -> bool:
    """Whether ``larger`` is the code of a city or province, and ``place`` is part of it or it."""
    if not larger.endswith("00") or is_current(larger):
        return False
    return place.startswith(larger[:2] if larger.endswith("0000") else larger[:4])


def code_of_name(text: str) -> str | None:
    """Code of a place by its name, or by an address that begins with its city or province.

    Six digits, filled up with zeros for a city or province; ``None`` where no place or several
    places have the name. Withdrawn names give the current code.
    """
    names = _names()
    code = names.by_name.get(text)
    for length in range(min(len(text), _LONGEST_NAME), 1, -1):
        if code:
            break
        code = names.anchored.get(text[:length])
    return code.ljust(6, "0") if code else None


def full_name(code: str) -> str | None:
    """A county's name with its province or city before it, as people tell it from its namesakes.

    The city stands before districts and counties; the province where a county belongs to no city.
    ``None`` for a code that is not current.
    """
    names = _codes().names
    name = names.get(code)
    if name is None or len(code) != 6:
        return None
    return (names.get(code[:4]) or names[code[:2]]) + name


@functools.cache
def _codes() -> _Codes:
    names = {row["code"]: row["name"] for row in _rows("divisions.csv")}
    withdrawn = _rows("withdrawn_divisions.csv")
    # Two codes were given to another district that took the old one in: they are current.
    return _Codes(
        names=names,
        successors={
            row["code"]: tuple(row["successor"].split())
            for row in withdrawn
            if row["code"] not in names
        },
    )


@functools.cache
def _names() -> _Names:
    names = _codes().names
    meanings: dict[str, set[str]] = {}
    anchored: set[str] = set()
    for code, name in names.items():
        full = _full_names(code, name)
        anchored |= full
        for spelling in (name, *full):
            meanings.setdefault(spelling, set()).add(code)
    # A name that is in use now means what it means now: 巴中市 is the city, no longer its district.
    withdrawn: dict[str, set[str]] = {}
    for row in _rows("withdrawn_divisions.csv"):
        full = _full_names(row["code"], row["name"])
        # A name alone (郊区) is a near place's: of other provinces only those with it are known.
        is_near = row["code"].startswith(_COMPLETE_PROVINCES)
        spellings = {row["name"], *full} if is_near else full
        for spelling in spellings - meanings.keys():
            anchored |= full & {spelling}
            withdrawn.setdefault(spelling, set()).update(row["successor"].split())
    meanings |= withdrawn
    clear = {key: codes.pop() for key, codes in meanings.items() if len(codes) == 1}
    return _Names(clear, {key: clear[key] for key in anchored if key in clear})


def _full_names(code: str, name: str) -> set[str]:
    """Ways to write a place with its city or province before it; a city or province by itself."""
    names = _codes().names
    province = names[code[:2]]
    short = next(
        province.removesuffix(suffix) for suffix in _PROVINCE_SUFFIXES if province.endswith(suffix)
    )
    if len(code) == 2:
        return {province, short}
    spellings = {province + name, short + name}
    if len(code) == 4:
        return spellings | {name}
    city = names.get(code[:4])
    if city:
        spellings |= {province + city + name, short + city + name, city + name}
    return spellings


def _rows(file_name: str) -> list[dict[str, str]]:
    text = (resources.files("linkage") / "data" / file_name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
