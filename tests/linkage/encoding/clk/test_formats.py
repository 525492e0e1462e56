"""Contract: reading a column is reading its values one by one, and refuses what that refuses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.encoding.clk.formats import UnfitValueError, column_reader, value_reader
from linkage.encoding.clk.schema import (
    DateFormat,
    EnumFormat,
    Feature,
    IntegerFormat,
    MissingValue,
    NgramComparison,
    NumericComparison,
    Strategy,
    TextFormat,
    TokenHash,
    ValueFormat,
)

BIGRAMS = NgramComparison(2, positional=False)
FORMATS: tuple[ValueFormat, ...] = (
    TextFormat(),
    TextFormat(min_length=2, max_length=4),
    TextFormat(case="upper"),
    TextFormat(case="lower"),
    TextFormat(pattern=re.compile("[0-9]+")),
    EnumFormat(frozenset({"1", "2"})),
    IntegerFormat(0, 50),
    DateFormat("%Y%m%d"),
    DateFormat("%d.%m.%Y"),
    DateFormat("%d %B %Y"),
)
VALUES = st.sampled_from(
    (
        *("", "?", "1", "2", "07", "７", "-1", "51", "ABC", "abc", "ABCDE", "王芳"),
        *("20150229", "20160229", "2016-02-29", "29.02.2016", "29.02.2015", "00.01.2016"),
        "29 February 2016",
    )
)


def feature(form: ValueFormat, missing: MissingValue | None, numeric: bool = False) -> Feature:
    comparison = NumericComparison(2, 3, 0) if numeric else BIGRAMS
    return Feature("f", form, comparison, Strategy("token", 5), TokenHash(), missing)


@pytest.mark.parametrize("form", FORMATS)
@given(
    values=st.lists(VALUES, max_size=4),
    missing=st.sampled_from([None, MissingValue("", ""), MissingValue("?", "none")]),
    check=st.booleans(),
    numeric=st.booleans(),
)
def test_a_column_is_its_values(
    form: ValueFormat,
    values: list[str],
    missing: MissingValue | None,
    check: bool,
    numeric: bool,
) -> None:
    one = feature(form, missing, numeric)
    read, read_all = value_reader(one, check=check), column_reader(one, check=check)
    try:
        expected = [read(value) for value in values]
    except UnfitValueError:
        with pytest.raises(UnfitValueError):
            read_all(values)
    else:
        assert list(read_all(values)) == expected
