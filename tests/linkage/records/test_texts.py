"""Sex codes, identifiers, text."""

import pytest

from linkage.records.cells import Cell
from linkage.records.texts import clean_identifier, clean_sex, clean_text


@pytest.mark.parametrize(
    "cell",
    [
        "男",
        "男性",
        " 男 ",
        "M",
        "m",
        "Male",
        "1",
        1,
        1.0,
        "01",
        "男孩",
        "1-男",
        "男(1)",
        "1男",
        "１",
    ],
)
def test_male(cell: Cell) -> None:
    assert clean_sex(cell) == ("M", ())


@pytest.mark.parametrize(
    "cell", ["女", "女性", "F", "f", "FEMALE", "2", 2, 2.0, "02", "女童", "2.女", "2、女性", "女\n"]
)
def test_female(cell: Cell) -> None:
    assert clean_sex(cell) == ("F", ())


@pytest.mark.parametrize("cell", ["", None, "9", 9, "未知", "不详", "未说明的性别", "-"])
def test_unknown_sex_is_missing_and_no_problem(cell: Cell) -> None:
    assert clean_sex(cell) == (None, ())


@pytest.mark.parametrize(
    ("cell", "code"),
    [("0", "sex-zero"), (0, "sex-zero"), ("3", "sex-not-understood"),
     ("男女", "sex-not-understood"),
     ("1-女", "sex-not-understood"), ("张伟", "sex-not-understood")],
)  # fmt: skip
def test_what_is_wrong_is_named(cell: Cell, code: str) -> None:
    assert clean_sex(cell) == (None, (code,))


@pytest.mark.parametrize(
    ("cell", "value"),
    [("5304218", "5304218"), (5304218.0, "5304218"), (" ab-12 3 ", "AB123"), ("ＡＢ１", "AB1"),
     ("0800", "0800"), ("0", "0")],
)  # fmt: skip
def test_identifiers(cell: Cell, value: str) -> None:
    assert clean_identifier(cell) == (value, ())


def test_identifiers_that_identify_nothing() -> None:
    assert clean_identifier("0000000") == (None, ("placeholder-identifier",))
    assert clean_identifier("12**56") == (None, ("masked-value",))
    assert clean_identifier("--") == (None, ())
    assert clean_identifier("!!") == (None, ())


@pytest.mark.parametrize(
    ("cell", "value"),
    [(" Stanley  Street ", "stanley street"), ("St. Mary's", "st mary s"), (8, "8"), ("8.0", "8 0"),
     ("STRAẞE", "strasse"), ("!!", None), (None, None)],
)  # fmt: skip
def test_text(cell: Cell, value: str | None) -> None:
    assert clean_text(cell) == (value, ())
