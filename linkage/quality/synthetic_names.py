"""Invented names: Han, Yi and Tibetan, by generation and sex, drawn from frequency tables."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from linkage.quality.synthetic_draws import Draws, Weighted

Sex = Literal["m", "f"]
Generation = Literal["child", "parent", "elder"]
Ethnicity = Literal["han", "yi", "tibetan"]

_SINGLE: Mapping[Generation, float] = {"child": 0.08, "parent": 0.16, "elder": 0.10}
"""Share of given names of one character."""

_WHOLE_SHARE = 0.05
_MOTHERS_SURNAME = 0.04
_BOTH_SURNAMES = 0.02
_MIDDLE_DOT = "·"


def data_text(name: str) -> str:
    """Text of a data file of this package."""
    return resources.files("linkage.quality").joinpath("data", name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _GivenNames:
    first: Weighted[str]
    second: Weighted[str]
    single: Weighted[str]
    whole: Weighted[str] | None


@dataclass(frozen=True, slots=True)
class NameTables:
    """All name tables, ready to draw from."""

    surnames: Weighted[str]
    given: Mapping[tuple[Generation, Sex], _GivenNames]
    yi: Mapping[str, tuple[str, ...]]
    tibetan: Mapping[str, tuple[str, ...]]
    alias_surnames: str


@cache
def name_tables() -> NameTables:
    """The name tables of this package, read once."""
    tables: dict[str, Any] = tomllib.loads(data_text("names.toml"))
    rows = list(csv.DictReader(data_text("surnames.csv").splitlines()))
    generations: tuple[Generation, ...] = ("child", "parent", "elder")
    sexes: tuple[Sex, ...] = ("m", "f")
    return NameTables(
        surnames=Weighted(
            [row["surname"] for row in rows],
            [float(row["share"]) * float(row["sichuan"]) for row in rows],
        ),
        given={
            (generation, sex): _given_names(tables[generation][sex])
            for generation in generations
            for sex in sexes
        },
        yi={key: tuple(names) for key, names in tables["yi"].items()},
        tibetan={key: tuple(names) for key, names in tables["tibetan"].items()},
        alias_surnames=tables["han_alias"]["surnames"],
    )


def _given_names(table: Mapping[str, Any]) -> _GivenNames:
    whole = table.get("whole")
    return _GivenNames(
        first=Weighted.by_rank(table["first"], offset=6, exponent=1.0),
        second=Weighted.by_rank(table["second"], offset=8, exponent=1.0),
        single=Weighted.by_rank(table["single"], offset=4, exponent=0.8),
        whole=Weighted.by_rank(whole, offset=10, exponent=1.0) if whole else None,
    )


def surname(draws: Draws) -> str:
    """A Han surname of one character or two."""
    return draws.weighted(name_tables().surnames)


def given_name(draws: Draws, generation: Generation, sex: Sex, shared: str | None = None) -> str:
    """A Han given name; with ``shared`` its first character is that one."""
    table = name_tables().given[generation, sex]
    if shared is not None:
        return shared + _other(draws, table.second, shared)
    if draws.chance(_SINGLE[generation]):
        return draws.weighted(table.single)
    if table.whole is not None and draws.chance(_WHOLE_SHARE):
        return draws.weighted(table.whole)
    first = draws.weighted(table.first)
    if draws.chance(0.02):
        return first + first
    return first + _other(draws, table.second, first)


def _other(draws: Draws, table: Weighted[str], taken: str) -> str:
    while (character := draws.weighted(table)) == taken:
        pass
    return character


def han_surname(draws: Draws, father: str, mother: str) -> str:
    """A child's surname: the father's, now and then the mother's or both."""
    share = draws.share()
    if share < _MOTHERS_SURNAME:
        return mother
    is_both = share < _MOTHERS_SURNAME + _BOTH_SURNAMES and len(father) == len(mother) == 1
    return father + mother if is_both and father != mother else father


def minority_name(draws: Draws, ethnicity: Ethnicity, sex: Sex, clan: str = "") -> str:
    """A Yi or Tibetan name in Chinese transliteration; about half are written with a dot."""
    tables = name_tables()
    dot = _MIDDLE_DOT if draws.chance(0.45) else ""
    if ethnicity == "yi":
        clan = clan or draws.pick(tables.yi["clan"])
        return clan + dot + draws.pick(tables.yi[sex])
    first = draws.pick(tables.tibetan["first"])
    second = draws.pick(tables.tibetan[sex])
    while second == first:
        second = draws.pick(tables.tibetan[sex])
    return first + dot + second


def clan_name(draws: Draws) -> str:
    """A Yi clan name."""
    return draws.pick(name_tables().yi["clan"])


def han_alias(draws: Draws, sex: Sex) -> str:
    """The Han-style second name of a minority child."""
    return draws.pick(name_tables().alias_surnames) + given_name(draws, "child", sex)
