"""Rules over the cells of a child's record, each with its edge."""

from collections.abc import Sequence
from datetime import date

import pytest

from linkage.records.consistency import ChildRules, Column, child_fields
from linkage.types import FieldSpec
from tests.linkage.records.files import CHILD_FIELDS, id_number

TODAY = date(2025, 6, 1)
BOY = id_number("2015-03-07", 1)
GIRL = id_number("2015-03-07", 2)

Record = tuple[str | None, str | None, str | None, str | None]
"""Name, sex, birth date, ID number."""


def apply(
    *records: Record, rules: ChildRules | None = None, first_row: int = 1
) -> tuple[list[Record], list[tuple[int, str, str]]]:
    rules = rules or ChildRules(CHILD_FIELDS, TODAY)
    names = ("name", "sex", "birth_date", "id_number")
    columns: dict[str, Column] = {
        name: [record[i] for record in records] for i, name in enumerate(names)
    }
    rows = range(first_row, first_row + len(records))
    problems = rules.apply(columns, rows)
    cleaned = list(zip(*(columns[name] for name in names), strict=True))
    return cleaned, [(p.row, p.field, p.code) for p in problems]


def codes(problems: Sequence[tuple[int, str, str]]) -> list[tuple[str, str]]:
    return [(field, code) for _, field, code in problems]


def test_a_record_that_agrees_stays_as_it_is() -> None:
    record = ("王小明", "M", "2015-03-07", BOY)
    assert apply(record) == ([record], [])


def test_birth_date_and_sex_are_filled_in_from_the_id_number() -> None:
    assert apply(("王小明", None, None, GIRL)) == ([("王小明", "F", "2015-03-07", GIRL)], [])
    assert apply(("王小明", "F", None, GIRL)) == ([("王小明", "F", "2015-03-07", GIRL)], [])
    assert apply(("王小明", None, "2015-03-07", GIRL))[0][0][1] == "F"


@pytest.mark.parametrize("birth", ["2013-09-18", "2012-03-08", "2014-04-07", "2016-02-07"])
def test_an_id_number_of_quite_another_birth_date_is_left_out(birth: str) -> None:
    cleaned, problems = apply(("王小明", "M", birth, BOY))
    assert cleaned == [("王小明", "M", birth, None)]
    assert codes(problems) == [("id_number", "id-contradicts-birth-date")]


@pytest.mark.parametrize(
    "birth", ["2015-03-08", "2015-07-03", "2015-01-17", "2014-03-07", "2005-03-07"]
)
def test_where_the_dates_are_nearly_the_same_both_stay(birth: str) -> None:
    cleaned, problems = apply(("王小明", "M", birth, BOY))
    assert cleaned == [("王小明", "M", birth, BOY)]
    assert codes(problems)[0] == ("birth_date", "birth-date-contradicts-id")


def test_nearly_the_same_date_but_another_sex_is_a_wrong_id_number() -> None:
    cleaned, problems = apply(("王小明", "M", "2015-03-08", GIRL))
    assert cleaned == [("王小明", "M", "2015-03-08", None)]
    assert codes(problems) == [("id_number", "id-contradicts-birth-date")]


def test_where_id_number_and_birth_date_agree_the_sex_yields() -> None:
    cleaned, problems = apply(("王小明", "M", "2015-03-07", GIRL))
    assert cleaned == [("王小明", None, "2015-03-07", GIRL)]
    assert codes(problems) == [("sex", "sex-contradicts-id")]


def test_without_a_birth_date_the_id_number_yields_to_the_sex() -> None:
    cleaned, problems = apply(("王小明", "M", None, GIRL))
    assert cleaned == [("王小明", "M", None, None)]
    assert codes(problems) == [("id_number", "id-contradicts-sex")]


@pytest.mark.parametrize("birth", [None, "2015-03-07", "2007-06-02"])
def test_an_adults_number_on_a_childs_record_is_left_out(birth: str | None) -> None:
    guardian = id_number("1985-03-07", 1)
    cleaned, problems = apply(("王小明", "M", birth, guardian))
    assert cleaned == [("王小明", "M", birth, None)]
    assert codes(problems) == [("id_number", "id-of-an-adult")]


def test_the_eighteenth_birthday_is_the_edge() -> None:
    eighteen, younger = id_number("2007-06-01", 1), id_number("2007-06-02", 1)
    assert codes(apply(("甲乙", "M", None, eighteen))[1]) == [("id_number", "id-of-an-adult")]
    assert apply(("甲乙", "M", None, younger))[1] == []


def test_an_adult_whose_record_says_so_keeps_the_number_and_is_reported() -> None:
    number = id_number("2007-06-01", 1)
    record = ("甲乙", "M", "2007-06-01", number)
    assert apply(record) == ([record], [(1, "birth_date", "not-a-child")])
    assert apply(("甲乙", "M", "2007-06-02", None))[1] == []


def test_an_id_number_used_twice_stays_and_is_reported_with_the_first_row() -> None:
    rules = ChildRules(CHILD_FIELDS, TODAY)
    first: Record = ("王小明", "M", "2015-03-07", BOY)
    second: Record = ("王小亮", "M", "2015-03-07", BOY)
    assert apply(first, ("李四", "F", "2016-01-01", None), rules=rules)[1] == []
    cleaned, problems = apply(second, first, rules=rules, first_row=3)
    assert cleaned == [second, first]
    assert problems == [(3, "id_number", "id-used-twice"), (4, "id_number", "child-twice")]


def test_the_row_that_had_the_number_first_is_named() -> None:
    rules = ChildRules(CHILD_FIELDS, TODAY)
    columns: dict[str, Column] = {
        "name": ["王小明", "王小亮"],
        "sex": ["M", "M"],
        "birth_date": ["2015-03-07"] * 2,
        "id_number": [BOY, BOY],
    }
    [problem] = rules.apply(columns, [7, 12])
    assert problem.row == 12
    assert problem.other_row == 7
    assert BOY not in problem.masked
    assert BOY not in problem.advice


def test_the_same_child_twice_is_told_as_such() -> None:
    record = ("王小明", "M", "2015-03-07", BOY)
    assert apply(record, record) == ([record, record], [(2, "id_number", "child-twice")])
    nobody = ("王小明", "M", "2015-03-07", None)
    assert apply(nobody, nobody)[1] == []


def test_rules_need_only_the_fields_that_a_profile_has() -> None:
    rules = ChildRules([FieldSpec("id_number", "resident-id")], TODAY)
    columns: dict[str, Column] = {"id_number": [BOY, None]}
    assert rules.apply(columns, [1, 2]) == []
    assert columns == {"id_number": [BOY, None]}
    assert ChildRules([FieldSpec("name", "chinese-name")], TODAY).apply({"name": ["甲"]}, [1]) == []


def test_a_guardians_fields_are_never_taken_for_the_childs() -> None:
    fields = [
        FieldSpec("guardian_id_number", "resident-id"),
        FieldSpec("guardian_birth_date", "date"),
        FieldSpec("guardian_name", "chinese-name"),
        FieldSpec("mother_sex", "sex"),
    ]
    found = child_fields(fields)
    assert (found.id_number, found.birth_date, found.name, found.sex) == (None,) * 4
    found = child_fields([*fields, FieldSpec("born", "date")])
    assert found.birth_date == "born"
    found = child_fields([FieldSpec("born", "date"), FieldSpec("registered", "date")])
    assert found.birth_date is None
