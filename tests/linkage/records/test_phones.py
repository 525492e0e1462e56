"""Phone numbers as digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.records.cells import Cell
from linkage.records.phones import clean_phone

MOBILE = "17361028473"


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_all_ways_of_writing_a_mobile_give_the_same(number: str) -> None:
    value, codes = clean_phone(number)
    if codes == ("placeholder-phone",):
        return
    assert (value, codes) == (number, ())
    for written in (
        f"+86{number}", f"+86 {number}", f"0086{number}", f"86-{number}", f"(86){number}",
        f"0{number}", f"{number[:3]}-{number[3:7]}-{number[7:]}", f" {number[:3]} {number[3:]} ",
        int(number), float(number), f"手机:{number}", f"{number}（母亲）",
        number.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"}),
    ):  # fmt: skip
        assert clean_phone(written) == (number, ()), written


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("028-85123467", "02885123467"),
        ("(028)85123467", "02885123467"),
        ("+86 28 8512 3467", "02885123467"),
        ("0838-7123465", "08387123465"),
        ("028-85123467转8012", "02885123467"),
        ("028 85123467 ext. 12", "02885123467"),
        ("010-62345178", "01062345178"),
        (2885123467, "02885123467"),
    ],
)
def test_land_lines_keep_their_area_code(written: Cell, digits: str) -> None:
    assert clean_phone(written) == (digits, ())


@pytest.mark.parametrize("between", ["/", "、", ",", ";", "；", " ", "\n", "或"])
def test_of_several_numbers_the_first_good_mobile_counts(between: str) -> None:
    assert clean_phone(f"{MOBILE}{between}18281930274") == (MOBILE, ("several-phones",))
    assert clean_phone(f"028-85123467{between}{MOBILE}") == (MOBILE, ("several-phones",))
    assert clean_phone(f"12{between}{MOBILE}")[0] == (MOBILE if between != " " else None)


@pytest.mark.parametrize(
    "written",
    ["00000000000", "11111111111", "13800000000", "13800138000", "12345678901", "99999999",
     "13888888888", "17300000000"],
)  # fmt: skip
def test_placeholders_are_missing(written: str) -> None:
    assert clean_phone(written) == (None, ("placeholder-phone",))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("85123467", "phone-without-area-code"),
        ("7123465", "phone-without-area-code"),
        ("1736102847", "phone-wrong-length"),
        ("173610284731", "phone-wrong-length"),
        ("120", "phone-wrong-length"),
        ("1.73E+10", "phone-lost-by-spreadsheet"),
        ("173****8473", "masked-value"),
        ("没有电话", "phone-not-understood"),
        ("abc173x", "phone-wrong-length"),
        ("、", "phone-not-understood"),
    ],
)
def test_what_is_wrong_is_named(written: str, code: str) -> None:
    assert clean_phone(written) == (None, (code,))


@pytest.mark.parametrize("cell", ["", None, "无", "-"])
def test_empty_cells_are_no_problem(cell: Cell) -> None:
    assert clean_phone(cell) == (None, ())
