import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.canonical import canonical_json
from keys.errors import KeysError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)


def test_the_form_is_that_of_rfc_8785() -> None:
    value = {"\u20ac": 1, "\r": "\n", "a": [1e21, 0.002, -0.0], "\U0001f600": None, "\ufb33": True}
    # Keys sorted by UTF-16 code units, numbers as ECMAScript writes them.
    assert canonical_json(value).decode() == (
        '{"\\r":"\\n","a":[1e+21,0.002,0],"\u20ac":1,"\U0001f600":null,"\ufb33":true}'
    )


@settings(max_examples=60)
@given(_VALUES)
def test_it_is_json_of_the_same_value_and_stable(value: Any) -> None:
    written = canonical_json(value)
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


def _deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [2**53, float("nan"), float("inf"), {1: 2}, b"bytes", "\ud800", {"a": object()}, _deep()],
    ids=["large", "nan", "infinite", "number as key", "bytes", "surrogate", "object", "deep"],
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(KeysError, match="no canonical JSON form"):
        canonical_json(value)
