"""GB 11643-1999: check character, birth date, sex, old form, and what is no ID number."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.records.resident_id import (
    birth_date_of,
    check_character,
    clean_resident_id,
    sex_of,
)
from tests.linkage.records.files import id_number, mod_11_2

TODAY = date(2025, 6, 1)
BIRTHS = st.dates(date(1900, 1, 1), TODAY)
# Numbers that look rounded have a test of their own.
ORDERS = st.integers(0, 999).filter(lambda order: order % 100 != 0)

# The examples that GB 11643-1999 itself gives; they belong to nobody.
STANDARD_EXAMPLES = ["11010519491231002X", "440524188001010014"]


@pytest.mark.parametrize("number", STANDARD_EXAMPLES)
def test_the_examples_of_the_standard_have_their_check_character(number: str) -> None:
    assert check_character(number[:17]) == number[17]


def test_the_recursive_method_that_the_tests_use_gives_the_published_orcid_example() -> None:
    # ORCID documents ISO 7064 MOD 11-2 with 0000-0002-1825-0097, its invented person.
    assert mod_11_2("000000021825009") == "7"


@given(st.text("0123456789", min_size=17, max_size=17))
def test_weighted_sum_and_recursive_method_agree(digits: str) -> None:
    assert check_character(digits) == mod_11_2(digits)


def test_check_character_needs_seventeen_digits() -> None:
    with pytest.raises(ValueError, match="seventeen"):
        check_character("1234")


@given(BIRTHS, ORDERS, st.sampled_from(["510107", "510122", "999999"]))
def test_a_valid_number_is_kept_whatever_its_division(
    birth: date, order: int, division: str
) -> None:
    number = id_number(birth.isoformat(), order, division)
    assert clean_resident_id(number, TODAY) == (number, ())
    assert birth_date_of(number) == birth.isoformat()
    assert sex_of(number) == ("M" if order % 2 else "F")


@given(BIRTHS, ORDERS, st.integers(0, 16), st.integers(1, 9))
def test_every_single_wrong_digit_is_found(birth: date, order: int, place: int, step: int) -> None:
    number = id_number(birth.isoformat(), order)
    wrong = number[:place] + str((int(number[place]) + step) % 10) + number[place + 1 :]
    value, codes = clean_resident_id(wrong, TODAY)
    assert value is None
    assert codes in [("id-check-character",), ("id-lost-by-spreadsheet",)]


@given(BIRTHS, ORDERS, st.integers(0, 15))
def test_two_neighbours_swapped_are_found(birth: date, order: int, place: int) -> None:
    number = id_number(birth.isoformat(), order)
    if number[place] == number[place + 1]:
        return
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert clean_resident_id(swapped, TODAY)[0] is None


@given(BIRTHS, ORDERS)
def test_all_ways_of_writing_a_number_give_the_same(birth: date, order: int) -> None:
    number = id_number(birth.isoformat(), order)
    wide = number.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789X"})
    for written in (
        number.lower(),
        wide,
        f" {number[:6]} {number[6:14]} {number[14:]} ",
        f"{number[:6]}-{number[6:14]}-{number[14:]}",
        f"'{number}",
        f'="{number}"',
        f"\t{number}",
        number.replace("X", "×"),
        number.replace("X", "Х"),  # Cyrillic
        number.replace("X", "*"),  # old systems
    ):
        assert clean_resident_id(written, TODAY) == (number, ())


@given(st.dates(date(1900, 1, 1), date(1999, 12, 31)), ORDERS)
def test_the_old_form_is_converted(birth: date, order: int) -> None:
    number = id_number(birth.isoformat(), order)
    old = number[:6] + number[8:17]
    assert clean_resident_id(old, TODAY) == (number, ())
    assert clean_resident_id(float(old), TODAY) == (number, ())


@pytest.mark.parametrize(
    "cell",
    [
        1.1010519491231e17,
        110105194912310020,
        1e300,
        float("inf"),
        float("nan"),
        "1.10105E+17",
        "1.1010519491231e+17",
        "5.1E17",
        "110105194912310000",
    ],
)
def test_a_number_that_a_spreadsheet_rounded_is_lost(cell: str | float) -> None:
    assert clean_resident_id(cell, TODAY) == (None, ("id-lost-by-spreadsheet",))


def test_eighteen_digits_that_were_rounded_are_lost_even_if_their_check_character_fits() -> None:
    """As text they come from a file that was opened in a spreadsheet and saved as CSV."""
    fitting = next(
        number
        for order in range(0, 1000, 100)
        for day in range(1, 29)
        if (number := id_number(f"2015-03-{day:02d}", order)).endswith("000")
    )
    for cell in (fitting, f" {fitting}", int(fitting), float(fitting)):
        assert clean_resident_id(cell, TODAY) == (None, ("id-lost-by-spreadsheet",))


def test_a_disability_certificate_holds_the_id_number() -> None:
    number = id_number("2015-03-07")
    for card in (number + "42", number + "11B1"):
        assert clean_resident_id(card, TODAY) == (number, ("id-from-disability-card",))
    assert clean_resident_id(number + "85", TODAY) == (None, ("id-wrong-length",))


@pytest.mark.parametrize("prefix", ["G", "J", "L", "g"])
def test_school_numbers_are_no_id_numbers(prefix: str) -> None:
    school = prefix + id_number("2015-03-07")
    assert clean_resident_id(school, TODAY) == (None, ("not-a-resident-id",))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("51010720150307001", "id-wrong-length"),
        ("5101072015030700111", "id-wrong-length"),
        ("5101**********0011", "masked-value"),
        ("E12345678", "not-a-resident-id"),
        ("护照", "not-a-resident-id"),
        (id_number("2015-02-30"), "id-birth-date-impossible"),
        (id_number("2015-13-01"), "id-birth-date-impossible"),
        (id_number("1899-12-31"), "id-birth-date-impossible"),
        (id_number("2025-06-02"), "id-birth-date-impossible"),  # tomorrow
    ],
)
def test_what_is_wrong_is_named(cell: str, code: str) -> None:
    assert clean_resident_id(cell, TODAY) == (None, (code,))


def test_a_birth_date_of_today_is_possible() -> None:
    number = id_number(TODAY.isoformat())
    assert clean_resident_id(number, TODAY) == (number, ())
    assert clean_resident_id(number, date(2025, 5, 31))[0] is None


@pytest.mark.parametrize("cell", ["", None, "无", "-", "0", 0.0, "000000000000000000", " "])
def test_empty_cells_are_no_problem(cell: str | float | None) -> None:
    assert clean_resident_id(cell, TODAY) == (None, ())
