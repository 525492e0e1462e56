"""How values go wrong on their way into a register.

Every function takes the true value and returns a wrong or oddly written one, or ``None`` where it
does not apply.  The tables (``data/slips.toml``, ``data/lunar.csv``) serve the generator alone.
"""

import csv
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

from linkage.quality.synthetic_draws import Draws
from linkage.quality.synthetic_names import Sex, data_text

DateParts = tuple[int, int, int]
"""Year, month and day, which may not exist together."""

_DOTS = ("•", "・", ".", "‧", "．", " ", "", "", "")


@dataclass(frozen=True, slots=True)
class _Tables:
    homophones: Mapping[str, str]
    accents: Mapping[str, str]
    similar: Mapping[str, str]
    traditional: Mapping[str, str]
    transliterations: Mapping[str, tuple[str, ...]]
    lunar_starts: tuple[date, ...]
    lunar_months: tuple[tuple[int, int], ...]


@cache
def _tables() -> _Tables:
    text = tomllib.loads(data_text("slips.toml"))
    spellings: dict[str, tuple[str, ...]] = {}
    for line in text["transliterations"].split("\n"):
        for word in line.split():
            others = tuple(other for other in line.split() if other != word)
            spellings[word] = spellings.get(word, ()) + others
    rows = list(csv.DictReader(data_text("lunar.csv").splitlines()))
    return _Tables(
        homophones=_neighbours(text["homophones"]),
        accents=_neighbours(text["accents"]),
        similar=_neighbours(text["similar"]),
        traditional=dict(line.split() for line in text["traditional"].strip().split("\n")),
        transliterations=spellings,
        lunar_starts=tuple(date.fromisoformat(row["first_day"]) for row in rows),
        lunar_months=tuple((int(row["year"]), int(row["month"])) for row in rows),
    )


def _neighbours(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.strip().split("\n"):
        group = line.split()
        for character in group:
            others = "".join(other for other in group if other != character)
            found[character] = found.get(character, "") + others
    return found


def _replace_one(draws: Draws, name: str, table: Mapping[str, str]) -> str | None:
    places = [place for place, character in enumerate(name) if character in table]
    if not places:
        return None
    # Surnames are checked more often than given names: take the first place last.
    place = draws.pick(places)
    if place == 0 and len(places) > 1 and draws.chance(0.7):
        place = draws.pick(places[1:])
    return name[:place] + draws.pick(table[name[place]]) + name[place + 1 :]


def sounds_alike(draws: Draws, name: str) -> str | None:
    """One character replaced by one that sounds the same, or the same in Sichuan."""
    table = _tables().accents if draws.chance(0.15) else _tables().homophones
    return _replace_one(draws, name, table)


def looks_alike(draws: Draws, name: str) -> str | None:
    """One character replaced by one that looks similar."""
    return _replace_one(draws, name, _tables().similar)


def swapped_characters(_draws: Draws, name: str) -> str | None:
    """Two neighbouring characters of the given name swapped."""
    if len(name) < 3 or name[-1] == name[-2]:
        return None
    return name[:-2] + name[-1] + name[-2]


def dropped_character(draws: Draws, name: str) -> str | None:
    """One character of the given name left out."""
    if len(name) < 3:
        return None
    place = draws.between(1, len(name) - 1)
    if name[place] == "·":
        return None
    return name[:place] + name[place + 1 :]


def doubled_character(_draws: Draws, name: str) -> str | None:
    """The last character written twice."""
    return name + name[-1] if len(name) < 4 else None


def unreadable_character(draws: Draws, name: str) -> str | None:
    """A character that GB 2312 lacks, lost by an old system: ``?``, a box, a private code point."""
    for place, character in enumerate(name):
        if character != "·" and not _is_in_gb2312(character):
            lost = draws.pick(("?", "□", chr(0xE000 + draws.below(1800))))
            return name[:place] + lost + name[place + 1 :]
    return None


def _is_in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def transliterated(draws: Draws, name: str) -> str | None:
    """Part of a Yi or Tibetan name in another spelling."""
    table = _tables().transliterations
    hits = [name[at : at + 2] for at in range(len(name) - 1) if name[at : at + 2] in table]
    if not hits:
        return None
    part = draws.pick(hits)
    return name.replace(part, draws.pick(table[part]), 1)


def dotted(draws: Draws, name: str) -> str | None:
    """The middle dot of a transliterated name varied, or left out."""
    return name.replace("·", draws.pick(_DOTS)) if "·" in name else None


def traditional(_draws: Draws, name: str) -> str | None:
    """Traditional or variant characters for those that have them."""
    table = _tables().traditional
    written = "".join(table.get(character, character) for character in name)
    return written if written != name else None


def spaced(draws: Draws, name: str) -> str:
    """Blanks inside or after the name, as people align columns."""
    if len(name) == 2:
        return name[0] + draws.pick(("　", " ", "  ")) + name[1]
    return draws.pick((name + " ", " " + name, name + "　", name[0] + " " + name[1:]))


def baby_name(draws: Draws, mother: str, father: str, sex: Sex) -> str:
    """What a ward writes before a child has a name."""
    child = "子" if sex == "m" else "女"
    parent = father if draws.chance(0.2) else mother
    if draws.chance(0.35):
        return f"{parent[0]}某之{child}"
    return f"{parent}{draws.pick(('之', '之', '之', '大', '小'))}{child}"


def lunar_date(day: date) -> DateParts:
    """Year, month and day of the Chinese calendar (GB/T 33661-2017); 2007-02 to 2026-02."""
    tables = _tables()
    at = bisect_right(tables.lunar_starts, day) - 1
    year, month = tables.lunar_months[at]
    return year, month, (day - tables.lunar_starts[at]).days + 1


def wrong_date(draws: Draws, day: date) -> tuple[str, DateParts]:
    """A kind of slip and the year, month and day that it leaves (which may not exist)."""
    year, month, number = day.year, day.month, day.day
    share = draws.share()
    if share < 0.2 and number <= 12 and number != month:
        return "month-day-swap", (year, number, month)
    if share < 0.42:
        step = draws.pick((-1, -1, 1, 1, -2, 2, 10, -10))
        if 2005 <= year + step <= 2025:
            return "year", (year + step, month, number)
    if share < 0.52:
        parts = (year, 1, 1) if draws.chance(0.5) else (year, month, 1)
        if parts != (year, month, number):
            return "first-day", parts
    if share < 0.72:
        other = (month + draws.between(1, 11) - 1) % 12 + 1
        return "digit", (year, other, number)
    tens, ones = divmod(number, 10)
    if draws.chance(0.3):
        tens = (tens + draws.between(1, 3)) % 4
    else:
        ones = (ones + draws.between(1, 9)) % 10
    slipped = tens * 10 + ones
    if not 1 <= slipped <= 31 or slipped == number:
        slipped = number % 28 + 1
    return "digit", (year, month, slipped)


def digit_slip(draws: Draws, digits: str, first: int = 0) -> str:
    """One digit from place ``first`` on mistyped, or swapped with the next; a last X stays."""
    last = len(digits) - 2 if digits[-1] == "X" else len(digits) - 1
    place = draws.between(first, last)
    if place < last and digits[place] != digits[place + 1] and draws.chance(0.3):
        return digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    typed = (int(digits[place]) + draws.between(1, 9)) % 10
    return digits[:place] + str(typed) + digits[place + 1 :]


def lost_digit(draws: Draws, digits: str) -> str:
    """One digit left out."""
    place = draws.below(len(digits))
    return digits[:place] + digits[place + 1 :]


def destroyed_by_excel(draws: Draws, id_number: str) -> str | None:
    """An ID number of digits after a spreadsheet took it for a number: three digits are lost."""
    if not id_number.isdecimal() or len(id_number) < 16:
        return None
    if draws.chance(0.5):
        return id_number[:15].ljust(len(id_number), "0")
    n_decimals = 5 if draws.chance(0.7) else 13
    return f"{int(id_number):.{n_decimals}e}".replace("e", "E")
