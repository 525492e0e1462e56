"""Invented children and guardians, their ID numbers and telephones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from linkage.quality.synthetic_draws import Draws
from linkage.quality.synthetic_names import Ethnicity, Sex

AS_OF = date(2025, 11, 30)
"""The day that the registers were drawn up."""

Situation = Literal["moved", "migrant", "left", "local"]
"""Where a child lives and is registered.

- ``moved``: registered in the origin county, now in Chengdu;
- ``migrant``: registered in another county of Sichuan, now in Chengdu;
- ``left``: left behind in the origin county, mostly with grandparents;
- ``local``: registered and living in Chengdu.
"""

Relation = Literal["father", "mother", "grandfather", "grandmother"]

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
class FamilyPaper:
    """Where the paper that a family shows at every counter differs from the truth.

    Offices that copy it make the same error.

    Attributes:
        name: the name as a relative once wrote it.
        birth: year, month and day; often of the Chinese calendar.  They may not exist together.
        birth_kind: what is wrong with ``birth``.
        id_number: a number that is not the child's.
        id_kind: whose it is, or what is wrong with it.
    """

    name: str | None = None
    birth: tuple[int, int, int] | None = None
    birth_kind: str = ""
    id_number: str | None = None
    id_kind: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """A child as it is, before any office writes it down.

    Attributes:
        number: the entity of the truth, from 0.
        family: number of the family, shared by siblings.
        former_name: the name before it was changed, if it ever was.
        alias: the Han-style second name of some Yi and Tibetan children.
        id_number: 18 characters (GB 11643-1999); ``None`` for a child not registered yet.
        hukou, former_hukou: county codes of 2023 of the present and the first registration.
        residence, former_residence: county codes.
        paper: what the family's own paper says.
        risk: how badly documented the child is, mean 1; it raises the rate of every error.
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
    sex: Sex
    birth: date
    id_number: str | None
    hukou: str
    former_hukou: str
    residence: str
    former_residence: str
    guardians: Mapping[Relation, Guardian]
    main_guardian: Relation
    paper: FamilyPaper
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
    """Issues ID numbers, none twice."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def issue(self, draws: Draws, code: str, birth: date, sex: Sex) -> str:
        """A number for a person first registered in county ``code``."""
        return self._next(f"{code}{birth:%Y%m%d}", draws.below(980), sex)

    def issue_after(self, twin_id: str, sex: Sex) -> str:
        """The next free number of the same county and day, as a second twin gets it."""
        return self._next(twin_id[:14], int(twin_id[14:17]), sex)

    def _next(self, stem: str, last: int, sex: Sex) -> str:
        for step in range(999):
            sequence = (last + step) % 999 + 1
            first_17 = f"{stem}{sequence:03d}"
            if sequence % 2 == (sex == "m") and first_17 not in self._taken:
                self._taken.add(first_17)
                return first_17 + check_character(first_17)
        raise ValueError("All ID numbers of one county and day are issued.")


def mobile_number(draws: Draws) -> str:
    """An invented mobile number of eleven digits."""
    return draws.pick(_MOBILE_PREFIXES) + draws.digits(8)
