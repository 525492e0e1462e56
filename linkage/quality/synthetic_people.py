"""Invented families: children with parents and grandparents, homes, numbers and telephones.

A family is one of four kinds, which decides where its children are and who keeps them:

- ``moved``: from the origin county, now in Chengdu;
- ``migrant``: from another county of Sichuan, now in Chengdu;
- ``left``: children left behind in the origin county, mostly with grandparents;
- ``local``: registered in Chengdu.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from linkage.quality import synthetic_places as places
from linkage.quality import synthetic_slips as slips
from linkage.quality.synthetic_draws import Draws, Weighted
from linkage.quality.synthetic_names import (
    Ethnicity,
    Generation,
    Sex,
    clan_name,
    given_name,
    han_alias,
    han_name,
    minority_name,
    surname,
)

AS_OF = date(2025, 11, 30)
"""The day that the registers were drawn up."""

Situation = Literal["moved", "migrant", "left", "local"]
Relation = Literal["father", "mother", "grandfather", "grandmother"]

RISK_SHAPE = 0.6
"""Shape of the gamma distribution of ``Child.risk``; small, so that errors cluster."""

TWIN_DELIVERIES = 0.012

_SITUATIONS: Weighted[Situation] = Weighted(("moved", "migrant", "left", "local"), (45, 30, 12, 13))
_DELIVERIES = Weighted((1, 2, 3), (50, 40, 10))
_BIRTH_YEARS = Weighted(
    range(2008, 2026),
    # Births of the whole country in millions (National Bureau of Statistics, rounded); the years
    # of those over 15 are cut down, since most registers let them go.
    (4, 8, 15, 15.5, 17, 16.5, 17, 16.6, 17.9, 17.2, 15.2, 14.7, 12, 10.6, 9.6, 9, 9.5, 7.5),
)
_MOBILE_PREFIXES = (
    *(f"13{digit}" for digit in "0123456789"),
    *(f"15{digit}" for digit in "012356789"),
    *(f"17{digit}" for digit in "35678"),
    *(f"18{digit}" for digit in "0123456789"),
    *(f"19{digit}" for digit in "13589"),
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True)
class Guardian:
    """A parent or grandparent."""

    relation: Relation
    name: str
    id_number: str
    phone: str
    former_phone: str


@dataclass(frozen=True, slots=True)
class Child:
    """A child as it is, before any office writes it down.

    Attributes:
        number: the entity of the truth, from 0.
        family: number of the family, shared by siblings.
        id_number: 18 characters (GB 11643); ``None`` for a child not registered yet.
        habitual_name, lunar_birth: what the family tends to give instead of the truth.
        risk: how badly documented, mean 1; multiplies the rate of every error.
        twin: number of the twin, if any.
        sibling_ids: ID numbers of brothers and sisters.
    """

    number: int
    family: int
    situation: Situation
    ethnicity: Ethnicity
    name: str
    former_name: str | None
    alias: str | None
    habitual_name: str | None
    sex: Sex
    birth: date
    lunar_birth: tuple[int, int, int] | None
    id_number: str | None
    hukou: str
    residence: str
    former_residence: str
    guardians: Mapping[Relation, Guardian]
    main_guardian: Relation
    risk: float
    twin: int | None
    sibling_ids: tuple[str, ...]

    def age(self) -> int:
        """Full years on the day that the registers were drawn up."""
        before = (AS_OF.month, AS_OF.day) < (self.birth.month, self.birth.day)
        return AS_OF.year - self.birth.year - before


def check_character(first_17: str) -> str:
    """Check character of an ID number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, _ID_WEIGHTS, strict=True))
    return "10X98765432"[total % 11]


class IdNumbers:
    """Hands out ID numbers, none twice."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def issue(self, draws: Draws, code: str, birth: date, sex: Sex) -> str:
        """A number for a person registered in county ``code``."""
        stem = f"{code}{birth:%Y%m%d}"
        return self._next(stem, draws.below(999), sex)

    def issue_after(self, twin_id: str, sex: Sex) -> str:
        """The next number of the same county and day, as twins get it."""
        return self._next(twin_id[:14], int(twin_id[14:17]) + 1, sex)

    def _next(self, stem: str, sequence: int, sex: Sex) -> str:
        sequence = sequence % 999 + 1
        while True:
            if sequence % 2 == (sex == "m"):
                first_17 = f"{stem}{sequence:03d}"
                if first_17 not in self._taken:
                    self._taken.add(first_17)
                    return first_17 + check_character(first_17)
            sequence = sequence % 999 + 1


def mobile_number(draws: Draws) -> str:
    """An invented mobile number of eleven digits."""
    return draws.pick(_MOBILE_PREFIXES) + draws.digits(8)


class _Family:
    """Draws one family and then its children."""

    def __init__(self, draws: Draws, ids: IdNumbers, number: int) -> None:
        self._draws, self._ids, self._number = draws, ids, number
        self._situation = draws.weighted(_SITUATIONS)
        self._hukou = self._draw_hukou()
        self._ethnicity = places.ethnicity_in(draws, places.county(self._hukou))
        self._first_birth = self._draw_birth(draws.weighted(_BIRTH_YEARS))
        self._family_name = clan_name(draws) if self._ethnicity == "yi" else surname(draws)
        self._guardians = self._draw_guardians()
        self._shared: str | None = None
        self._risk = draws.gamma(RISK_SHAPE)
        self._residence = self._draw_residence()

    def children(self, first_number: int) -> list[Child]:
        """The family's children, numbered from ``first_number``."""
        draws = self._draws
        births: list[tuple[date, bool]] = []
        birth = self._first_birth
        for _ in range(draws.weighted(_DELIVERIES)):
            births.append((birth, False))
            if draws.chance(TWIN_DELIVERIES):
                births.append((birth, True))
            birth += timedelta(days=draws.between(450, 2600))
            if birth >= AS_OF:
                break
        drafts = [self._draft(birth, is_twin) for birth, is_twin in births]
        for place, (_, is_twin) in enumerate(births):
            if is_twin:
                self._make_twins(drafts[place - 1], drafts[place])
        return [
            self._finish(draft, first_number + place, drafts, births, first_number)
            for place, draft in enumerate(drafts)
        ]

    def _draw_hukou(self) -> str:
        draws = self._draws
        if self._situation in ("moved", "left"):
            return places.ORIGIN_COUNTY
        if self._situation == "local":
            return places.chengdu_district(draws)
        # Yi and Tibetan families are drawn more often than their share, so that a few thousand
        # children hold enough of them to measure on.
        wants_minority = draws.chance(0.12)
        while True:
            county = places.any_county(draws)
            if county.code.startswith("5101") or county.code == places.ORIGIN_COUNTY:
                continue
            if not wants_minority or county.yi + county.tibetan > 0.3:
                return county.code

    def _draw_residence(self) -> str:
        if self._situation == "left":
            return self._hukou
        if self._situation == "local" and self._draws.chance(0.6):
            return self._hukou
        if self._draws.chance(0.62):
            return places.RESIDENCE_DISTRICT
        return places.chengdu_district(self._draws)

    def _draw_birth(self, year: int) -> date:
        draws = self._draws
        last = AS_OF if year == AS_OF.year else date(year, 12, 31)
        return date(year, 1, 1) + timedelta(days=draws.below((last - date(year, 1, 1)).days))

    def _draw_guardians(self) -> dict[Relation, Guardian]:
        draws = self._draws
        mother_age, elder_age = draws.between(20, 38), draws.between(21, 32)
        mother_year = self._first_birth.year - mother_age
        father_year = mother_year - draws.between(-2, 7)
        years: dict[Relation, tuple[Generation, Sex, int]] = {
            "father": ("parent", "m", father_year),
            "mother": ("parent", "f", mother_year),
            "grandfather": ("elder", "m", father_year - elder_age - draws.between(0, 4)),
            "grandmother": ("elder", "f", father_year - elder_age),
        }
        return {relation: self._draw_guardian(relation, *years[relation]) for relation in years}

    def _draw_guardian(
        self, relation: Relation, generation: Generation, sex: Sex, year: int
    ) -> Guardian:
        draws = self._draws
        own = relation in ("father", "grandfather")
        if self._ethnicity == "han":
            family_name = self._family_name if own else surname(draws)
            name = family_name + given_name(draws, generation, sex)
        else:
            name = minority_name(draws, self._ethnicity, sex, self._family_name if own else "")
        birth = self._draw_birth(year)
        code = places.code_on(self._hukou if own else self._other_county(), date(1990, 1, 1))
        return Guardian(
            relation=relation,
            name=name,
            id_number=self._ids.issue(draws, code, birth, sex),
            phone=mobile_number(draws),
            former_phone=mobile_number(draws),
        )

    def _other_county(self) -> str:
        draws = self._draws
        return self._hukou if draws.chance(0.7) else places.any_county(draws).code

    def _draft(self, birth: date, is_twin: bool) -> dict[str, str]:
        draws = self._draws
        sex: Sex = "m" if draws.chance(0.527) else "f"
        if self._ethnicity == "han":
            shares = self._shared and draws.chance(0.6 if is_twin else 0.3)
            mother = self._guardians["mother"].name
            name = han_name(
                draws, "child", sex, self._family_name,
                mother_name=mother, shared=self._shared if shares else None,
            )  # fmt: skip
            given = name[len(self._family_name) :]
            if self._shared is None and len(given) == 2:
                self._shared = given[0]
        else:
            clan = self._family_name if self._ethnicity == "yi" else ""
            name = minority_name(draws, self._ethnicity, sex, clan)
        registered = birth + timedelta(days=draws.below(500))
        code = places.code_on(self._hukou, registered)
        return {
            "name": name,
            "sex": sex,
            "birth": birth.isoformat(),
            "id_number": self._ids.issue(draws, code, birth, sex),
        }

    def _make_twins(self, first: dict[str, str], second: dict[str, str]) -> None:
        draws = self._draws
        if draws.chance(0.3) and second["sex"] != first["sex"] and self._ethnicity == "han":
            second["sex"] = first["sex"]
            family_name = self._family_name
            second["name"] = han_name(draws, "child", self._sex(first), family_name)
        while second["name"] == first["name"]:
            second["name"] = self._draft(self._first_birth, False)["name"]
        second["id_number"] = self._ids.issue_after(first["id_number"], self._sex(second))

    @staticmethod
    def _sex(draft: Mapping[str, str]) -> Sex:
        return "m" if draft["sex"] == "m" else "f"

    def _finish(
        self,
        draft: Mapping[str, str],
        number: int,
        drafts: list[dict[str, str]],
        births: list[tuple[date, bool]],
        first_number: int,
    ) -> Child:
        draws = self._draws
        birth, sex, name = date.fromisoformat(draft["birth"]), self._sex(draft), draft["name"]
        place = number - first_number
        twin = None
        if births[place][1]:
            twin = number - 1
        elif place + 1 < len(births) and births[place + 1][1]:
            twin = number + 1
        situation = self._situation
        if situation in ("moved", "left") and draws.chance(0.12):
            situation = "left" if situation == "moved" else "moved"
        residence = self._residence
        if situation != self._situation:
            residence = self._hukou if situation == "left" else places.RESIDENCE_DISTRICT
        risk = self._risk if draws.chance(0.5) else draws.gamma(RISK_SHAPE)
        registered = not draws.chance(min(0.5, 0.008 * risk))
        return Child(
            number=number,
            family=self._number,
            situation=situation,
            ethnicity=self._ethnicity,
            name=name,
            former_name=self._former_name(name, sex) if draws.chance(0.03) else None,
            alias=self._alias(sex),
            habitual_name=slips.sounds_alike(draws, name) if draws.chance(0.3) else None,
            sex=sex,
            birth=birth,
            lunar_birth=slips.lunar_date(birth) if draws.chance(0.15) else None,
            id_number=draft["id_number"] if registered else None,
            hukou=self._hukou,
            residence=residence,
            former_residence=self._former_residence(situation),
            guardians=self._guardians,
            main_guardian=self._main_guardian(situation),
            risk=risk,
            twin=twin,
            sibling_ids=tuple(other["id_number"] for at, other in enumerate(drafts) if at != place),
        )

    def _former_name(self, name: str, sex: Sex) -> str:
        draws = self._draws
        if self._ethnicity != "han":
            return minority_name(draws, self._ethnicity, sex)
        if draws.chance(0.3):  # took the mother's surname, or the father's after it
            mother = self._guardians["mother"].name
            return mother[0] + name[len(self._family_name) :]
        return self._family_name + given_name(draws, "child", sex)

    def _alias(self, sex: Sex) -> str | None:
        if self._ethnicity == "han" or not self._draws.chance(0.4):
            return None
        return han_alias(self._draws, sex)

    def _former_residence(self, situation: Situation) -> str:
        draws = self._draws
        if situation == "left" or draws.chance(0.25):
            return self._hukou
        return places.chengdu_district(draws)

    def _main_guardian(self, situation: Situation) -> Relation:
        draws = self._draws
        if situation == "left":
            return draws.weighted(_LEFT_GUARDIANS)
        return draws.weighted(_USUAL_GUARDIANS)


_LEFT_GUARDIANS: Weighted[Relation] = Weighted(
    ("grandmother", "grandfather", "mother", "father"), (45, 32, 15, 8)
)
_USUAL_GUARDIANS: Weighted[Relation] = Weighted(
    ("father", "mother", "grandmother", "grandfather"), (48, 44, 5, 3)
)


def draw_children(draws: Draws, n_children: int) -> Iterator[Child]:
    """Families until there are ``n_children`` children, numbered from 0."""
    ids = IdNumbers()
    number = family = 0
    while number < n_children:
        for child in _Family(draws, ids, family).children(number):
            if child.number < n_children:
                yield child
        number = child.number + 1
        family += 1
