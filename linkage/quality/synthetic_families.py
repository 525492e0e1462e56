"""Draws invented families: homes, parents and grandparents, then the children."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from linkage.quality import synthetic_places as places
from linkage.quality import synthetic_slips as slips
from linkage.quality.synthetic_draws import Draws, Weighted, risk_level
from linkage.quality.synthetic_names import (
    Ethnicity,
    Generation,
    Sex,
    clan_name,
    given_name,
    han_alias,
    han_surname,
    minority_name,
    surname,
)
from linkage.quality.synthetic_people import (
    AS_OF,
    Child,
    FamilyPaper,
    Guardian,
    IdNumbers,
    Relation,
    Situation,
    mobile_number,
)

TWIN_DELIVERIES = 0.012

_EARLIEST = date(2008, 1, 1)
_SITUATIONS: Weighted[Situation] = Weighted(("moved", "migrant", "left", "local"), (45, 30, 12, 13))
_DELIVERIES = Weighted((1, 2, 3), (50, 40, 10))
_BIRTH_YEARS = Weighted(
    range(2008, 2026),
    # Births of the whole country in millions (National Bureau of Statistics, rounded); the years
    # of those over 15 are cut down, since most registers let them go.
    (4, 8, 15, 15.5, 17, 16.5, 17, 16.6, 17.9, 17.2, 15.2, 14.7, 12, 10.6, 9.6, 9, 9.5, 7.5),
)
_MOVED_REGISTRATION: Mapping[Situation, float] = {
    "moved": 0.01,
    "migrant": 0.04,
    "left": 0.01,
    "local": 0.15,
}
"""Share of children first registered in another county than today's."""

_PAPER_NAME = risk_level(0.11)
_PAPER_BIRTH = risk_level(0.095)
_PAPER_ID = risk_level(0.055)

_LEFT_GUARDIANS: Weighted[Relation] = Weighted(
    ("grandmother", "grandfather", "mother", "father"), (45, 32, 15, 8)
)
_USUAL_GUARDIANS: Weighted[Relation] = Weighted(
    ("father", "mother", "grandmother", "grandfather"), (48, 44, 5, 3)
)


@dataclass(frozen=True, slots=True)
class _Household:
    number: int
    situation: Situation
    hukou: str
    former_hukou: str
    residence: str
    ethnicity: Ethnicity
    family_name: str
    mothers_surname: str
    guardians: Mapping[Relation, Guardian]
    risk: float


@dataclass(slots=True)
class _Draft:
    """A child with what depends on its brothers and sisters; only Han names have two parts."""

    surname: str
    given: str
    sex: Sex
    birth: date
    id_number: str
    is_second_twin: bool

    @property
    def name(self) -> str:
        return self.surname + self.given


def draw_children(draws: Draws, n_children: int) -> Iterator[Child]:
    """Families until there are ``n_children`` children, numbered from 0."""
    ids = IdNumbers()
    number = family = 0
    while number < n_children:
        first_birth = _birth_in(draws, draws.weighted(_BIRTH_YEARS))
        household = _household(draws, ids, family, first_birth)
        drafts = _drafts(draws, ids, household, first_birth)
        for place in range(min(len(drafts), n_children - number)):
            yield _child(draws, household, drafts, place, number)
        number += len(drafts)
        family += 1


# Households


def _household(draws: Draws, ids: IdNumbers, number: int, first_birth: date) -> _Household:
    situation = draws.weighted(_SITUATIONS)
    hukou = _hukou(draws, situation)
    ethnicity = places.ethnicity_in(draws, places.county(hukou))
    family_name = clan_name(draws) if ethnicity == "yi" else surname(draws)
    mothers_surname = surname(draws)
    has_moved = draws.chance(_MOVED_REGISTRATION[situation])
    return _Household(
        number=number,
        situation=situation,
        hukou=hukou,
        former_hukou=places.any_county(draws).code if has_moved else hukou,
        residence=_residence(draws, situation, hukou),
        ethnicity=ethnicity,
        family_name=family_name,
        mothers_surname=mothers_surname,
        guardians=_guardians(
            draws, ids, hukou, ethnicity, (family_name, mothers_surname), first_birth
        ),
        risk=draws.risk(),
    )


def _hukou(draws: Draws, situation: Situation) -> str:
    if situation in ("moved", "left"):
        return places.ORIGIN_COUNTY
    if situation == "local":
        return places.chengdu_district(draws)
    # Counties of Yi and Tibetans are drawn more often than their share, so that a few thousand
    # children hold enough of their names to measure on.
    wants_minority = draws.chance(0.15)
    while True:
        county = places.any_county(draws)
        if county.code.startswith("5101") or county.code == places.ORIGIN_COUNTY:
            continue
        if not wants_minority or county.yi + county.tibetan > 0.3:
            return county.code


def _residence(draws: Draws, situation: Situation, hukou: str) -> str:
    if situation == "left" or (situation == "local" and draws.chance(0.6)):
        return hukou
    if draws.chance(0.62):
        return places.RESIDENCE_DISTRICT
    return places.chengdu_district(draws)


def _birth_in(draws: Draws, year: int) -> date:
    last = AS_OF if year == AS_OF.year else date(year, 12, 31)
    return date(year, 1, 1) + timedelta(days=draws.below((last - date(year, 1, 1)).days))


def _guardians(
    draws: Draws,
    ids: IdNumbers,
    hukou: str,
    ethnicity: Ethnicity,
    surnames: tuple[str, str],
    first_birth: date,
) -> dict[Relation, Guardian]:
    mother = first_birth.year - draws.between(20, 38)
    father = mother - draws.between(-2, 7)
    grandmother = father - draws.between(21, 32)
    kin: tuple[tuple[Relation, Generation, Sex, int], ...] = (
        ("father", "parent", "m", father),
        ("mother", "parent", "f", mother),
        ("grandfather", "elder", "m", grandmother - draws.between(-1, 4)),
        ("grandmother", "elder", "f", grandmother),
    )
    shared_phone = mobile_number(draws) if draws.chance(0.12) else None
    guardians: dict[Relation, Guardian] = {}
    for relation, generation, sex, year in kin:
        in_line = sex == "m"
        if ethnicity == "han":
            of_mother = surnames[1] if relation == "mother" else surname(draws)
            name = surnames[0] if in_line else of_mother
            name += given_name(draws, generation, sex)
        else:
            name = minority_name(draws, ethnicity, sex, surnames[0] if in_line else "")
        home = hukou if in_line or draws.chance(0.7) else places.any_county(draws).code
        birth = _birth_in(draws, year)
        guardians[relation] = Guardian(
            relation=relation,
            name=name,
            id_number=ids.issue(draws, places.code_on(home, birth), birth, sex),
            phone=(generation == "parent" and shared_phone) or mobile_number(draws),
            former_phone=mobile_number(draws),
        )
    return guardians


# Children


def _drafts(draws: Draws, ids: IdNumbers, household: _Household, first_birth: date) -> list[_Draft]:
    drafts: list[_Draft] = []
    birth = first_birth
    for _ in range(draws.weighted(_DELIVERIES)):
        if not _EARLIEST <= birth < AS_OF:
            break
        drafts.append(_draft(draws, ids, household, birth, drafts))
        if draws.chance(TWIN_DELIVERIES):
            drafts.append(_second_twin(draws, ids, household, drafts))
        birth += timedelta(days=draws.between(450, 2600))
    return drafts


def _draft(
    draws: Draws, ids: IdNumbers, household: _Household, birth: date, older: Sequence[_Draft]
) -> _Draft:
    sex: Sex = "m" if draws.chance(0.527) else "f"
    # A newborn is registered within a month or so, a badly documented child years later.
    delay = draws.between(5, 60) if draws.chance(0.85) else draws.between(60, 1500)
    code = places.code_on(household.former_hukou, birth + timedelta(days=delay))
    own_surname, given = _name(draws, household, sex, older, shares=0.3)
    return _Draft(
        surname=own_surname,
        given=given,
        sex=sex,
        birth=birth,
        id_number=ids.issue(draws, code, birth, sex),
        is_second_twin=False,
    )


def _second_twin(
    draws: Draws, ids: IdNumbers, household: _Household, drafts: Sequence[_Draft]
) -> _Draft:
    first = drafts[-1]
    other: Sex = "f" if first.sex == "m" else "m"
    sex = first.sex if draws.chance(0.66) else other
    own_surname, given = _name(draws, household, sex, drafts, shares=0.6)
    return _Draft(
        surname=own_surname,
        given=given,
        sex=sex,
        birth=first.birth,
        id_number=ids.issue_after(first.id_number, sex),
        is_second_twin=True,
    )


def _name(
    draws: Draws, household: _Household, sex: Sex, older: Sequence[_Draft], shares: float
) -> tuple[str, str]:
    taken = {draft.name for draft in older}
    while True:
        if household.ethnicity == "han":
            own = han_surname(draws, household.family_name, household.mothers_surname)
            last = older[-1].given if older else ""
            shared = last[0] if len(last) == 2 and draws.chance(shares) else None
            name = own, given_name(draws, "child", sex, shared)
        else:
            clan = household.family_name if household.ethnicity == "yi" else ""
            name = "", minority_name(draws, household.ethnicity, sex, clan)
        if "".join(name) not in taken:
            return name


def _child(
    draws: Draws, household: _Household, drafts: Sequence[_Draft], place: int, first_number: int
) -> Child:
    draft = drafts[place]
    situation, residence = _own_situation(draws, household)
    risk = household.risk if draws.chance(0.7) else draws.risk()
    is_registered = not draws.chance(min(0.5, 0.008 * risk))
    return Child(
        number=first_number + place,
        family=household.number,
        situation=situation,
        ethnicity=household.ethnicity,
        name=draft.name,
        former_name=_former_name(draws, household, draft) if draws.chance(0.03) else None,
        alias=_alias(draws, household, draft.sex),
        sex=draft.sex,
        birth=draft.birth,
        id_number=draft.id_number if is_registered else None,
        hukou=household.hukou,
        former_hukou=household.former_hukou,
        residence=residence,
        former_residence=_former_residence(draws, household, situation),
        guardians=household.guardians,
        main_guardian=draws.weighted(_LEFT_GUARDIANS if situation == "left" else _USUAL_GUARDIANS),
        paper=_paper(draws, household, drafts, place, risk),
        risk=risk,
        twin=_twin(drafts, place, first_number),
        sibling_ids=tuple(other.id_number for other in drafts if other is not draft),
    )


def _paper(
    draws: Draws, household: _Household, drafts: Sequence[_Draft], place: int, risk: float
) -> FamilyPaper:
    draft = drafts[place]
    name = birth = id_number = None
    birth_kind = id_kind = ""
    if draws.happens(_PAPER_NAME, risk):
        name = slips.sounds_alike(draws, draft.name) or slips.looks_alike(draws, draft.name)
    if draws.happens(_PAPER_BIRTH, risk):
        if draws.chance(0.65):
            birth_kind, birth = "lunar", slips.lunar_date(draft.birth)
        else:
            birth_kind, birth = slips.wrong_date(draws, draft.birth)
    if draws.happens(_PAPER_ID, risk):
        others = [other.id_number for other in drafts if other is not draft]
        if others and draws.chance(0.45):
            id_kind, id_number = "sibling", draws.pick(others)
        elif draws.chance(0.2):
            id_kind, id_number = "guardian", household.guardians["mother"].id_number
        else:
            id_kind, id_number = "slip", slips.digit_slip(draws, draft.id_number)
    return FamilyPaper(name, birth, birth_kind, id_number, id_kind)


def _own_situation(draws: Draws, household: _Household) -> tuple[Situation, str]:
    """A child's situation and residence: some families leave one child and take another."""
    if household.situation == "moved" and draws.chance(0.1):
        return "left", household.hukou
    if household.situation == "left" and draws.chance(0.1):
        return "moved", places.RESIDENCE_DISTRICT
    return household.situation, household.residence


def _former_name(draws: Draws, household: _Household, draft: _Draft) -> str:
    # A surname changes with a parent's marriage, a given name with a fortune teller's advice.
    new_surname = draws.chance(0.3)
    while True:
        if household.ethnicity != "han":
            name = minority_name(draws, household.ethnicity, draft.sex)
        elif new_surname:
            name = surname(draws) + draft.given
        else:
            name = draft.surname + given_name(draws, "child", draft.sex)
        if name != draft.name:
            return name


def _alias(draws: Draws, household: _Household, sex: Sex) -> str | None:
    if household.ethnicity == "han" or not draws.chance(0.4):
        return None
    return han_alias(draws, sex)


def _former_residence(draws: Draws, household: _Household, situation: Situation) -> str:
    if situation == "left" or draws.chance(0.25):
        return household.hukou
    return places.chengdu_district(draws)


def _twin(drafts: Sequence[_Draft], place: int, first_number: int) -> int | None:
    if drafts[place].is_second_twin:
        return first_number + place - 1
    if place + 1 < len(drafts) and drafts[place + 1].is_second_twin:
        return first_number + place + 1
    return None
