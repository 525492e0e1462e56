"""The invented children and registers: true to the stated rates, and faults marked as they are."""

import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from linkage.errors import EvaluationError
from linkage.quality import synthetic
from linkage.quality.synthetic import (
    AS_OF,
    Cell,
    Child,
    Register,
    Registers,
    generate,
    is_wrong,
    lacks_id_number,
    raw_values,
)
from linkage.quality.synthetic_places import code_on, county, withdrawn_code

MISSING_ID = {
    "jinjiang-civil": (0.04, 0.08),
    "zhongjiang-civil": (0.035, 0.075),
    "chengdu-education": (0.07, 0.13),
    "chengdu-police": (0.035, 0.06),
    "chengdu-health": (0.13, 0.23),
}
WRONG = {
    "jinjiang-civil": (0.175, 0.35),
    "zhongjiang-civil": (0.175, 0.35),
    "chengdu-education": (0.175, 0.35),
    "chengdu-police": (0.02, 0.08),
    "chengdu-health": (0.175, 0.35),
}


def is_valid_id(number: str) -> bool:
    """By the definition of ISO 7064 MOD 11-2: the sum of digits times powers of two is 1."""
    digits = [10 if character == "X" else int(character) for character in number]
    return len(digits) == 18 and sum(d << (17 - i) for i, d in enumerate(digits)) % 11 == 1


# The children


def test_the_same_seed_gives_the_same_registers() -> None:
    assert generate(300, seed=5) == generate(300, seed=5)
    assert generate(300, seed=5) != generate(300, seed=6)


def test_more_errors_leave_the_children_and_their_offices_as_they_are(
    registers: Registers, doubled: Registers
) -> None:
    assert registers.children == doubled.children
    for before, after in zip(registers.registers, doubled.registers, strict=True):
        assert {r.entity for r in before.records} == {r.entity for r in after.records}


def test_a_smaller_population_is_the_beginning_of_a_larger_one() -> None:
    assert generate(50, seed=9).children == generate(120, seed=9).children[:50]


def test_there_are_as_many_children_as_asked_for(registers: Registers) -> None:
    assert [child.number for child in registers.children] == list(range(5_000))
    assert len(generate(1, seed=0).children) == 1


@pytest.mark.parametrize(("n_children", "error_scale"), [(0, 1.0), (-1, 1.0), (10, -0.1)])
def test_nonsense_is_refused(n_children: int, error_scale: float) -> None:
    with pytest.raises(EvaluationError, match="at least one child"):
        generate(n_children, seed=1, error_scale=error_scale)


def test_every_id_number_is_valid_and_says_birth_date_sex_and_county(
    registers: Registers,
) -> None:
    for child in registers.children:
        for guardian in child.guardians.values():
            assert is_valid_id(guardian.id_number)
        number = child.id_number
        if number is None:
            continue
        assert is_valid_id(number)
        assert number[6:14] == f"{child.birth:%Y%m%d}"
        assert int(number[16]) % 2 == (child.sex == "m")
        assert number[:6] in {child.former_hukou, withdrawn_code(child.former_hukou)}


def test_no_id_number_is_issued_twice(registers: Registers) -> None:
    numbers = [child.id_number for child in registers.children if child.id_number]
    guardians = {
        guardian.id_number for child in registers.children for guardian in child.guardians.values()
    }

    assert len(numbers) == len(set(numbers))
    assert guardians.isdisjoint(numbers)


def test_some_id_numbers_begin_with_a_county_code_withdrawn_since() -> None:
    assert code_on("510118", date(2015, 3, 1)) == "510132"
    assert code_on("510118", date(2021, 3, 1)) == "510118"
    assert code_on("510623", date(2015, 3, 1)) == "510623"
    children = generate(2_000, seed=3).children
    prefixes = {child.id_number[:6] for child in children if child.id_number}
    assert prefixes - {child.former_hukou for child in children}


def test_twins_share_birth_date_and_guardians_and_have_neighbouring_numbers(
    registers: Registers,
) -> None:
    children = registers.children
    twins = [child for child in children if child.twin is not None]
    deliveries = len(children) - len(twins) / 2

    assert 0.006 < len(twins) / 2 / deliveries < 0.02
    for child in twins:
        assert child.twin is not None
        other = children[child.twin] if child.twin < len(children) else child
        assert other.twin == child.number or other is child
        assert (other.birth, other.guardians) == (child.birth, child.guardians)
        assert (other.name != child.name) or other is child
        if child.id_number and other.id_number:
            assert child.id_number[:14] == other.id_number[:14]
            assert abs(int(child.id_number[14:17]) - int(other.id_number[14:17])) <= 4


def test_many_children_have_brothers_and_sisters_with_the_same_guardians(
    registers: Registers,
) -> None:
    families = defaultdict(list)
    for child in registers.children:
        families[child.family].append(child)
    sizes = Counter(len(siblings) for siblings in families.values())

    assert sizes[1] > sizes[2] > sizes[3] > 0
    for siblings in families.values():
        assert len({id(child.guardians) for child in siblings}) == 1
        assert len({child.name for child in siblings}) == len(siblings)


def test_children_are_born_from_2008_and_mostly_under_16(registers: Registers) -> None:
    births = [child.birth for child in registers.children]

    assert date(2008, 1, 1) <= min(births) < max(births) < AS_OF
    assert 0.9 < np.mean([child.age() < 16 for child in registers.children]) < 0.99


def test_names_are_as_long_and_as_common_as_names_are(registers: Registers) -> None:
    names = [child.name for child in registers.children if child.ethnicity == "han"]
    lengths = Counter(map(len, names))
    surnames = Counter(name[0] for name in names)

    assert lengths.keys() == {2, 3, 4}
    assert 0.85 < lengths[3] / len(names) < 0.93
    assert set(dict(surnames.most_common(5))) <= set("李王张刘陈杨")
    assert 0.06 < surnames["李"] / len(names) < 0.11
    assert 0.01 < 1 - len(set(names)) / len(names) < 0.05


def test_minority_children_come_from_their_counties_and_some_have_a_han_alias(
    registers: Registers,
) -> None:
    minority = [child for child in registers.children if child.ethnicity != "han"]

    assert 0.02 < len(minority) / 5_000 < 0.1
    assert all(county(child.hukou).yi + county(child.hukou).tibetan > 0 for child in minority)
    assert 0.3 < np.mean(["·" in child.name for child in minority]) < 0.6
    assert 0.25 < np.mean([child.alias is not None for child in minority]) < 0.55
    assert all(child.alias is None for child in registers.children if child.ethnicity == "han")


# The registers


def test_children_are_in_one_to_five_registers_about_three_on_average(
    registers: Registers,
) -> None:
    held = Counter(
        entity
        for register in registers.registers
        for entity in {record.entity for record in register.records}
    )
    n_offices = Counter(held.values())

    assert len(held) == 5_000
    assert n_offices.keys() == {1, 2, 3, 4, 5}
    assert 2.6 < np.mean(list(held.values())) < 3.2
    assert n_offices[1] > 300


@pytest.mark.parametrize("office_id", sorted(WRONG))
def test_wrong_records_and_missing_numbers_are_as_frequent_as_stated(
    registers: Registers, doubled: Registers, office_id: str
) -> None:
    register = registers[office_id]
    low, high = WRONG[office_id]
    assert low <= register.wrong_share() <= high
    low, high = MISSING_ID[office_id]
    assert low <= register.missing_id_share() <= high

    assert 1.4 < doubled[office_id].wrong_share() / register.wrong_share() < 2.4
    assert 1.4 < doubled[office_id].missing_id_share() / register.missing_id_share() < 2.4


@pytest.mark.parametrize("office_id", sorted(WRONG))
def test_one_to_three_percent_of_the_records_are_duplicates(
    registers: Registers, office_id: str
) -> None:
    records = registers[office_id].records
    n_duplicates = len(records) - len({record.entity for record in records})

    assert 0.007 < n_duplicates / len(records) < 0.033


def test_errors_cluster_on_badly_documented_children(registers: Registers) -> None:
    n_records, n_wrong = Counter[int](), Counter[int]()
    for register in registers.registers:
        for record in register.records:
            n_records[record.entity] += 1
            n_wrong[record.entity] += is_wrong(record)
    worst_first = sorted(registers.children, key=lambda child: -child.risk)
    worst, rest = worst_first[:1_000], worst_first[1_000:]

    def share(children: list[Child]) -> float:
        numbers = [child.number for child in children]
        return sum(n_wrong[n] for n in numbers) / sum(n_records[n] for n in numbers)

    assert share(worst) > 3 * share(rest)


def test_without_errors_nothing_is_wrong() -> None:
    clean = generate(400, seed=4, error_scale=0.0)

    for register in clean.registers:
        assert register.wrong_share() == 0
        assert len({record.entity for record in register.records}) == register.n_records


def test_record_ids_are_unique_and_say_nothing_across_registers(registers: Registers) -> None:
    place: dict[str, dict[int, int]] = {}
    for register in registers.registers:
        ids = [record.record_id for record in register.records]
        prefix = register.office.record_prefix
        assert ids == [f"{prefix}-2025-{n:06d}" for n in range(1, len(ids) + 1)]
        assert register.column("record_id") == ids
        place[register.office.id] = {r.entity: n for n, r in enumerate(register.records)}
    one, other = place["jinjiang-civil"], place["chengdu-police"]
    both = sorted(one.keys() & other.keys())

    order = np.corrcoef([one[n] for n in both], [other[n] for n in both])[0, 1]

    assert abs(order) < 0.1


# Faults: a cell is false if and only if the record says so


def plain_name(cell: Cell) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", str(cell)))


def plain_date(cell: Cell) -> tuple[int, ...]:
    if isinstance(cell, int):
        cell = date(1899, 12, 30) + timedelta(days=cell)
    if isinstance(cell, date):
        return (cell.year, cell.month, cell.day)
    text = str(cell)
    if text.isdecimal():
        return int(text[:4]), int(text[4:6]), int(text[6:])
    return tuple(int(part) for part in re.findall(r"\d+", text))


def plain_id(cell: Cell) -> str:
    return re.sub(r"[\s']", "", unicodedata.normalize("NFKC", str(cell))).upper()


def faults_of(record: synthetic.SyntheticRecord, field: str) -> set[str]:
    return {fault for fault in record.faults if fault.startswith(f"{field}:")}


def rows(registers: Registers, field: str) -> list[tuple[Child, set[str], Cell]]:
    return [
        (registers.children[record.entity], faults_of(record, field), cell)
        for register in registers.registers
        for record, cell in zip(register.records, register.column(field), strict=True)
    ]


def test_names_are_false_where_the_record_says_so(registers: Registers) -> None:
    for child, faults, cell in rows(registers, "name"):
        if not faults - {"name:spaces"}:
            assert plain_name(cell) == child.name
        elif faults == {"name:dots"}:
            assert "·" not in str(cell)
            assert re.sub("[•・.‧]", "", plain_name(cell)) == child.name.replace("·", "")
        else:
            assert cell != child.name


def test_birth_dates_are_false_where_the_record_says_so(registers: Registers) -> None:
    for child, faults, cell in rows(registers, "birth_date"):
        if faults == {"birth_date:missing"}:
            assert cell is None
        else:
            truth = (child.birth.year, child.birth.month, child.birth.day)
            assert (plain_date(cell) == truth) == (not faults)


def test_id_numbers_are_false_where_the_record_says_so(registers: Registers) -> None:
    style = {"id_number:written", "id_number:lower-case"}
    for child, faults, cell in rows(registers, "id_number"):
        kinds = {fault.partition(":")[2] for fault in faults - style}
        if "school-number" in kinds:
            assert re.fullmatch(r"[JL]\d{17}[0-9X]", str(cell))
        elif "missing" in kinds:
            assert cell is None or len(str(cell)) < 3
        elif not kinds:
            assert plain_id(cell) == child.id_number
        else:
            assert plain_id(cell) != child.id_number
        if kinds == {"slip"}:
            assert len(plain_id(cell)) in {17, 18}
        if "destroyed" in kinds:
            assert re.search(r"E\+1[67]$|000?$", str(cell))


def test_siblings_and_guardians_numbers_are_real_numbers_of_theirs(registers: Registers) -> None:
    found = set()
    for child, faults, cell in rows(registers, "id_number"):
        theirs = {guardian.id_number for guardian in child.guardians.values()}
        if faults == {"id_number:sibling"}:
            assert cell in child.sibling_ids
        if faults == {"id_number:guardian"}:
            assert cell in theirs
        found |= faults
    assert {"id_number:sibling", "id_number:guardian"} <= found


def test_telephones_are_those_of_the_family_unless_mistyped(registers: Registers) -> None:
    for child, faults, cell in rows(registers, "guardian_phone"):
        if cell is None:
            assert faults == {"guardian_phone:missing"}
            continue
        digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", str(cell)))
        first = digits[2:13] if digits.startswith("86") else digits[:11]
        assert re.fullmatch(r"1[3-9]\d{9}", first)
        family = {phone for g in child.guardians.values() for phone in (g.phone, g.former_phone)}
        assert "guardian_phone:slip" in faults or first in family


def test_divisions_are_county_codes_of_6_or_12_digits(registers: Registers) -> None:
    for field in ("hukou_division", "residence_division"):
        lengths = Counter[int]()
        for child, faults, cell in rows(registers, field):
            if cell is None or f"{field}:words" in faults:
                continue
            assert re.fullmatch(r"51\d{4}(\d{6})?", str(cell))
            lengths[len(str(cell))] += 1
            if not faults:
                truth = child.hukou if field == "hukou_division" else child.residence
                assert str(cell)[:6] == truth
        assert lengths.keys() == {6, 12}


def test_every_kind_of_error_occurs(doubled: Registers) -> None:
    found = {
        fault
        for register in doubled.registers
        for record in register.records
        for fault in record.faults
    }

    assert found >= {
        "name:sounds-alike", "name:looks-alike", "name:swapped-characters",
        "name:dropped-character", "name:doubled-character", "name:unreadable-character",
        "name:paper", "name:former", "name:alias", "name:transliteration", "name:baby",
        "name:dots", "name:traditional", "name:spaces",
        "birth_date:lunar", "birth_date:month-day-swap", "birth_date:digit", "birth_date:year",
        "birth_date:first-day", "birth_date:missing",
        "id_number:missing", "id_number:slip", "id_number:sibling", "id_number:guardian",
        "id_number:destroyed", "id_number:school-number", "id_number:written",
        "id_number:lower-case", "sex:missing", "sex:wrong",
        "guardian_name:missing", "guardian_name:slip",
        "guardian_phone:missing", "guardian_phone:former", "guardian_phone:other",
        "guardian_phone:slip", "guardian_phone:written",
        "hukou_division:missing", "hukou_division:outdated", "hukou_division:words",
        "residence_division:missing", "residence_division:outdated", "residence_division:words",
    }  # fmt: skip


def test_one_family_repeats_the_error_of_its_paper_at_several_offices(doubled: Registers) -> None:
    offices = defaultdict(set)
    for register in doubled.registers:
        for record, cell in zip(register.records, register.column("name"), strict=True):
            if faults_of(record, "name") == {"name:paper"}:
                offices[record.entity, cell].add(register.office.id)

    assert Counter(map(len, offices.values()))[2] > 50


def test_only_one_register_is_destroyed_by_a_spreadsheet_and_only_schools_number_children(
    doubled: Registers,
) -> None:
    def having(fault: str) -> set[str]:
        return {
            register.office.id
            for register in doubled.registers
            if any(fault in record.faults for record in register.records)
        }

    assert having("id_number:destroyed") == {"zhongjiang-civil"}
    assert having("id_number:school-number") == {"chengdu-education"}
    assert having("name:baby") == {"chengdu-health"}


# What is asked of them


def test_raw_values_hold_every_name_number_and_telephone(registers: Registers) -> None:
    values = raw_values(registers)

    for child in registers.children:
        assert child.name in values
        assert child.id_number is None or child.id_number in values
        for guardian in child.guardians.values():
            assert {guardian.name, guardian.id_number, guardian.phone} <= values
    for register in registers.registers:
        written = {str(cell) for cell in register.column("name")}
        assert {name for name in written if re.search("[一-鿿].*[一-鿿]", name)} <= values
    assert all(len(value) >= 2 for value in values)
    assert not {"", "无", "/", "0", "None"} & values
    assert not any("E+1" in value for value in values)


def test_a_register_maps_the_fields_of_the_profile_to_its_headings(registers: Registers) -> None:
    for register in registers.registers:
        assert set(register.mapping) == {
            "record_id", "name", "sex", "birth_date", "id_number", "guardian_name",
            "guardian_phone", "hukou_division", "residence_division",
        }  # fmt: skip
        assert set(register.mapping.values()) < set(register.headings)


def test_an_unknown_office_is_a_key_error(registers: Registers) -> None:
    with pytest.raises(KeyError):
        registers["nowhere"]


def test_shares_of_an_empty_register_are_zero(registers: Registers) -> None:
    empty = Register(registers.registers[0].office, ())

    assert (empty.wrong_share(), empty.missing_id_share()) == (0, 0)


def test_what_counts_as_wrong_and_as_lacking_a_number() -> None:
    def record(*faults: str) -> synthetic.SyntheticRecord:
        return synthetic.SyntheticRecord("r", 0, (), frozenset(faults))

    assert is_wrong(record("name:alias"))
    assert is_wrong(record("id_number:destroyed"))
    assert not is_wrong(record("name:spaces", "id_number:missing", "guardian_phone:former"))
    assert lacks_id_number(record("id_number:school-number"))
    assert not lacks_id_number(record("id_number:slip"))


def test_dates_of_entry_are_moments_in_workbooks_and_text_in_csv(registers: Registers) -> None:
    assert all(isinstance(c, datetime) for c in registers["jinjiang-civil"].column("+entered"))
    assert all(isinstance(c, str) for c in registers["chengdu-police"].column("+entered"))


@pytest.mark.process
def test_evaluating_does_not_load_the_generator() -> None:
    program = (
        "import sys, linkage.quality, linkage.quality.evaluate; "
        "sys.exit(any('synthetic' in name for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_generator_uses_no_table_that_forgives_errors() -> None:
    folder = Path(synthetic.__file__).parent
    for path in folder.glob("synthetic*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from)\s+(pypinyin|opencc|linkage\.(records|encoding))",
                             text, re.MULTILINE)  # fmt: skip
