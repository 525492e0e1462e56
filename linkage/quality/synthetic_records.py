"""How an office writes a child down: faults first, then the office's own style of cells."""

from dataclasses import dataclass
from datetime import timedelta

from linkage.quality import synthetic_places as places
from linkage.quality import synthetic_slips as slips
from linkage.quality import synthetic_styles as styles
from linkage.quality.synthetic_draws import Draws, Weighted, risk_level
from linkage.quality.synthetic_offices import Office
from linkage.quality.synthetic_people import (
    AS_OF,
    Child,
    Guardian,
    Relation,
    check_character,
)
from linkage.quality.synthetic_styles import Cell

_HIGHEST_RATE = 0.9
_BABY_NAME_AGE = 7
_GIVES_MAIN_PHONE = 0.6
_PLACEHOLDERS = ("无", "/", "-", "0", "不详", "待补")
_NAME_SLIPS = Weighted(
    (
        slips.sounds_alike,
        slips.looks_alike,
        slips.swapped_characters,
        slips.dropped_character,
        slips.doubled_character,
    ),
    (55, 25, 7, 9, 4),
)
_RELATION_WORDS: dict[Relation, str] = {
    "father": "父亲",
    "mother": "母亲",
    "grandfather": "祖父",
    "grandmother": "祖母",
}
_ETHNICITY_WORDS = {"han": "汉族", "yi": "彝族", "tibetan": "藏族"}
_REMARKS = ("", "", "", "", "", "", "已电话核实", "转学", "身份证待补", "随父母来蓉", "单亲")


@dataclass(frozen=True, slots=True)
class SyntheticRecord:
    """One row of a register.

    Attributes:
        record_id: the office's own.
        entity: number of the child.
        cells: one a heading, as the office writes them.
        faults: what differs from the truth, each ``field:kind``.
    """

    record_id: str
    entity: int
    cells: tuple[Cell, ...]
    faults: frozenset[str]


class Writer:
    """Writes children into one office's register."""

    def __init__(self, office: Office, draws: Draws, error_scale: float) -> None:
        self._office, self._draws = office, draws
        self._rates = {
            fault: min(_HIGHEST_RATE, rate * error_scale) for fault, rate in office.rates.items()
        }
        self._levels = {fault: risk_level(rate) for fault, rate in self._rates.items()}
        self._risk = 1.0
        self._faults: set[str] = set()
        self._columns = tuple(office.headings.values())

    def errs(self, fault: str) -> bool:
        """Whether this child's record has the fault."""
        return self._draws.happens(self._levels[fault], self._risk)

    def _copies(self, fault: str) -> bool:
        # Papers are more often wrong for badly documented children, but not more often copied.
        return self._draws.chance(self._rates[fault])

    def is_duplicated(self, child: Child) -> bool:
        """Whether the register holds the child twice."""
        self._risk = child.risk
        return self.errs("duplicate")

    def write(self, child: Child, record_id: str) -> SyntheticRecord:
        """One record of the child, with the office's errors and in its style."""
        self._risk = child.risk
        self._faults = set()
        relation = self._guardian(child)
        guardian = child.guardians[relation]
        entered = AS_OF - timedelta(days=self._draws.between(1, 720))
        cells: dict[str, Cell] = {
            "record_id": record_id,
            "name": self._name(child),
            "sex": self._sex(child),
            "birth_date": self._birth_date(child),
            "id_number": self._id_number(child, guardian),
            "guardian_name": self._guardian_name(guardian),
            "guardian_phone": self._phone(child, relation),
            "hukou_division": self._hukou(child),
            "residence_division": self._residence(child),
            "+ethnicity": _ETHNICITY_WORDS[child.ethnicity],
            "+relation": _RELATION_WORDS[relation],
            "+guardian_id": guardian.id_number if self._draws.chance(0.8) else None,
            "+entered": styles.entry_cell(self._draws, self._office, entered),
            "+remark": self._draws.pick(_REMARKS) or None,
            "+situation": "留守" if child.situation == "left" else "随迁",
            "+school": f"成都市第{self._draws.between(1, 40)}小学",
            "+grade": str(max(1, min(12, child.age() - 5))),
            "+clinic": f"第{self._draws.between(1, 60)}社区卫生服务中心",
        }
        return SyntheticRecord(
            record_id=record_id,
            entity=child.number,
            cells=tuple(cells[column] for column in self._columns),
            faults=frozenset(self._faults),
        )

    def _mark(self, fault: str) -> None:
        self._faults.add(fault)

    # Names

    def _name(self, child: Child) -> str:
        draws = self._draws
        name = self._known_name(child)
        if self.errs("name-slip"):
            name = self._slipped_name(child, name)
        lost = slips.unreadable_character(draws, name)
        if lost is not None and self.errs("name-unreadable"):
            name = self._written(name, lost, "unreadable-character")
        if "·" in name and self.errs("name-dots"):
            name = self._written(name, slips.dotted(draws, name), "dots")
        if self.errs("name-traditional"):
            name = self._written(name, slips.traditional(draws, name), "traditional")
        if self.errs("name-spaces"):
            name = self._written(name, slips.spaced(draws, name), "spaces")
        return name

    def _known_name(self, child: Child) -> str:
        draws = self._draws
        if child.age() < _BABY_NAME_AGE and self.errs("name-baby"):
            self._mark("name:baby")
            guardians = child.guardians
            return slips.baby_name(
                draws, guardians["mother"].name, guardians["father"].name, child.sex
            )
        if child.former_name is not None and self.errs("name-former"):
            self._mark("name:former")
            return child.former_name
        if child.ethnicity != "han":
            if child.alias is not None and self.errs("name-alias"):
                self._mark("name:alias")
                return child.alias
            if self.errs("name-transliteration"):
                spelt = slips.transliterated(draws, child.name)
                if spelt is not None:
                    self._mark("name:transliteration")
                    return spelt
        if child.paper.name is not None and self._copies("paper-name"):
            self._mark("name:paper")
            return child.paper.name
        return child.name

    def _slipped_name(self, child: Child, name: str) -> str:
        draws = self._draws
        for _ in range(6):
            slip = draws.weighted(_NAME_SLIPS)
            slipped = slip(draws, name)
            if slipped not in (None, name, child.name):
                self._mark(f"name:{slip.__name__.replace('_', '-')}")
                return slipped
        return name

    def _written(self, name: str, written: str | None, kind: str) -> str:
        if written is None or written == name:
            return name
        self._mark(f"name:{kind}")
        return written

    # Sex and birth date

    def _sex(self, child: Child) -> str | None:
        male, female = self._office.sex_codes
        if self.errs("sex-missing"):
            self._mark("sex:missing")
            return None
        is_male = child.sex == "m"
        if self.errs("sex-wrong"):
            self._mark("sex:wrong")
            is_male = not is_male
        return male if is_male else female

    def _birth_date(self, child: Child) -> Cell:
        if self.errs("birth-missing"):
            self._mark("birth_date:missing")
            return None
        parts = (child.birth.year, child.birth.month, child.birth.day)
        paper = child.paper
        if paper.birth is not None and self._copies("paper-birth"):
            self._mark(f"birth_date:{paper.birth_kind}")
            parts = paper.birth
        elif self.errs("birth-slip"):
            kind, parts = slips.wrong_date(self._draws, child.birth)
            self._mark(f"birth_date:{kind}")
        return styles.date_cell(self._draws, self._office, parts)

    # The ID number

    def _id_number(self, child: Child, guardian: Guardian) -> str | None:
        # A record made before the child had a name was made before it had a number.
        is_early = "name:baby" in self._faults and self._draws.chance(0.7)
        if child.id_number is None or is_early or self.errs("id-missing"):
            self._mark("id_number:missing")
            return self._no_id(child)
        if self.errs("id-school"):
            self._mark("id_number:school-number")
            return self._school_number(child)
        number = self._given_id(child, child.id_number, guardian)
        if self.errs("id-destroyed"):
            destroyed = slips.destroyed_by_excel(self._draws, number)
            if destroyed is not None:
                self._mark("id_number:destroyed")
                return destroyed
        return self._written_id(number)

    def _no_id(self, child: Child) -> str | None:
        if self._levels["id-school"] > 0 and self._draws.chance(0.4):
            self._mark("id_number:school-number")
            return self._school_number(child)
        return self._draws.pick(_PLACEHOLDERS) if self._draws.chance(0.15) else None

    def _school_number(self, child: Child) -> str:
        # Schools build J and L numbers like ID numbers: county, birth date, sequence, check.
        draws = self._draws
        sequence = draws.between(100, 499) * 2 + (child.sex == "m")
        stem = f"{child.residence}{child.birth:%Y%m%d}{sequence}"
        return draws.pick("JL") + stem + check_character(stem)

    def _given_id(self, child: Child, number: str, guardian: Guardian) -> str:
        draws = self._draws
        paper = child.paper
        if paper.id_number is not None and self._copies("paper-id"):
            self._mark(f"id_number:{paper.id_kind}")
            return paper.id_number
        if child.sibling_ids and self.errs("id-sibling"):
            self._mark("id_number:sibling")
            return draws.pick(child.sibling_ids)
        if self.errs("id-guardian"):
            self._mark("id_number:guardian")
            return guardian.id_number
        if self.errs("id-slip"):
            self._mark("id_number:slip")
            return self._slipped_id(number)
        return number

    def _slipped_id(self, number: str) -> str:
        draws, share = self._draws, self._draws.share()
        if share < 0.12:
            return slips.lost_digit(draws, number)
        if share < 0.22:  # a form computed the check character of the mistyped digits
            first_17 = slips.digit_slip(draws, number[:17])
            return first_17 + check_character(first_17)
        return slips.digit_slip(draws, number)

    def _written_id(self, number: str) -> str:
        draws = self._draws
        if number.endswith("X") and draws.chance(0.15):
            self._mark("id_number:lower-case")
            number = number[:-1] + "x"
        if not self.errs("id-written"):
            return number
        self._mark("id_number:written")
        return styles.odd_id_number(draws, number)

    # Guardian and telephone

    def _guardian(self, child: Child) -> Relation:
        if self._draws.chance(self._office.keeps_main_guardian):
            return child.main_guardian
        return self._draws.weighted(self._office.guardians)

    def _guardian_name(self, guardian: Guardian) -> str | None:
        draws = self._draws
        if self.errs("guardian-missing"):
            self._mark("guardian_name:missing")
            return None
        name = guardian.name
        if self.errs("guardian-slip"):
            slipped = slips.sounds_alike(draws, name) or slips.looks_alike(draws, name)
            if slipped is not None:
                self._mark("guardian_name:slip")
                name = slipped
        if draws.chance(0.006):
            name += f"（{_RELATION_WORDS[guardian.relation]}）"
        return name

    def _phone(self, child: Child, relation: Relation) -> Cell:
        draws = self._draws
        if self.errs("phone-missing"):
            self._mark("guardian_phone:missing")
            return None
        # Many families give one number everywhere, whoever is named as the guardian.
        if draws.chance(_GIVES_MAIN_PHONE):
            relation = child.main_guardian
        guardian = child.guardians[relation]
        if self.errs("phone-other"):
            self._mark("guardian_phone:other")
            others = [other for other in child.guardians if other != relation]
            guardian = child.guardians[draws.pick(others)]
        phone = guardian.phone
        if self.errs("phone-former"):
            self._mark("guardian_phone:former")
            phone = guardian.former_phone
        if self.errs("phone-slip"):
            self._mark("guardian_phone:slip")
            phone = slips.digit_slip(draws, phone, 3)
        if self.errs("phone-written"):
            self._mark("guardian_phone:written")
            return styles.odd_phone(draws, phone, guardian)
        if self._office.file_format == "xlsx" and draws.chance(0.4):
            return int(phone)
        return phone

    # Divisions

    def _hukou(self, child: Child) -> str | None:
        if self.errs("hukou-missing"):
            self._mark("hukou_division:missing")
            return None
        code = child.hukou
        former = child.former_hukou
        outdated = former if former != code else places.withdrawn_code(code)
        if outdated is not None and self.errs("hukou-outdated"):
            self._mark("hukou_division:outdated")
            code = outdated
        return self._division(code, "hukou_division")

    def _residence(self, child: Child) -> str | None:
        if self.errs("residence-missing"):
            self._mark("residence_division:missing")
            return None
        code = child.residence
        if self.errs("residence-outdated") and child.former_residence != code:
            self._mark("residence_division:outdated")
            code = child.former_residence
        return self._division(code, "residence_division")

    def _division(self, code: str, field: str) -> str:
        draws = self._draws
        if self.errs("division-words"):
            self._mark(f"{field}:words")
            return "四川省" + draws.pick(("成都市", "德阳市", ""))
        return styles.division_cell(draws, self._office, code)
