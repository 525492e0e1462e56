"""Contract: for any schema, secret and rows, CLKs are clkhash's to the bit, or both refuse."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from linkage.encoding.clk import ClkEncoder, parse_linkage_schema
from linkage.errors import LinkageError
from tests.linkage.encoding.clk.oracle import (
    SECRET,
    Json,
    RefusedError,
    Rows,
    clkhash_clks,
    schemas_and_rows,
)

SETTINGS = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


def our_clks(schema: Json, rows: Rows, secret: str = SECRET, *, check: bool = True) -> list[bytes]:
    parsed = parse_linkage_schema(json.dumps(schema).encode("utf-8"))
    encoder = ClkEncoder(parsed, secret.encode("utf-8"), check_values=check)
    return [bytes(clk) for clk in encoder.encode(rows)]


@settings(SETTINGS, max_examples=80)
@given(schemas_and_rows(), st.booleans())
def test_clks_are_those_of_clkhash(case: tuple[Json, Rows], check: bool) -> None:
    schema, rows = case
    try:
        expected = clkhash_clks(schema, rows, check=check)
    except RefusedError:
        with pytest.raises(LinkageError):
            our_clks(schema, rows, check=check)
    else:
        assert our_clks(schema, rows, check=check) == expected


def test_most_schemas_of_the_test_above_are_not_refused() -> None:
    refused = []

    @settings(SETTINGS, max_examples=40, database=None, derandomize=True)
    @given(schemas_and_rows())
    def count(case: tuple[Json, Rows]) -> None:
        try:
            clkhash_clks(*case)
        except RefusedError:
            refused.append(case)

    count()
    assert len(refused) < 20


@settings(SETTINGS, max_examples=15)
@given(schemas_and_rows(), st.text(min_size=1, max_size=80))
def test_the_legacy_derivation_is_that_of_clkhash(case: tuple[Json, Rows], secret: str) -> None:
    schema, rows = case
    assume(all(not 0xD800 <= ord(c) <= 0xDFFF for c in secret))
    schema["clkConfig"]["kdf"] = {"type": "legacy"}
    try:
        clkhash_clks(schema | {"clkConfig": schema["clkConfig"] | {"kdf": {"type": "HKDF"}}}, rows)
        expected = clkhash_clks(schema, rows, secret, valid=False)
    except RefusedError:
        assume(False)
    assert our_clks(schema, rows, secret) == expected


_ODD: list[Any] = [None, True, False, 0, -1, 1, 3, 2.5, 10**4, "", "x", "無", [], {}, ["a"]]


@st.composite
def altered(draw: st.DrawFn) -> tuple[Json, Rows]:
    """A valid schema with one thing taken away, added or replaced."""
    schema, rows = draw(schemas_and_rows())
    schema = copy.deepcopy(schema)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(schema)
    container, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["replace", "remove", "add", "ignore"])):
        case "replace":
            container[key] = draw(st.sampled_from(_ODD))
        case "remove":
            del container[key]
        case "add":
            target = container if isinstance(container, dict) else container[key]
            if isinstance(target, dict):
                target[draw(st.sampled_from(["unknown", "pattern", "n"]))] = draw(
                    st.sampled_from(_ODD)
                )
        case "ignore":
            feature = draw(st.sampled_from(schema["features"]))
            feature["ignored"] = draw(st.booleans())
    return schema, rows


@SETTINGS
@given(altered())
def test_schemas_that_clkhash_refuses_are_refused(case: tuple[Json, Rows]) -> None:
    schema, rows = case
    try:
        expected = clkhash_clks(schema, rows)
    except RefusedError:
        with pytest.raises(LinkageError):
            our_clks(schema, rows)
    else:
        assert our_clks(schema, rows) == expected
