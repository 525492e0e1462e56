"""Linkage schemas that are refused, with the place and the reason; and what is passed over."""

import copy
import json
from typing import Any

import pytest

from linkage.encoding.clk import parse_linkage_schema
from linkage.encoding.clk.schema import (
    Feature,
    IgnoredFeature,
    NgramComparison,
    Strategy,
    TokenHash,
)
from linkage.errors import LinkageSchemaError
from tests.vectors.clkhash.generate import SCHEMAS

V3 = SCHEMAS["v3 blake, bits a token"]


def parse(schema: Any) -> Any:
    return parse_linkage_schema(json.dumps(schema).encode("utf-8"))


def changed(path: str, value: Any) -> dict[str, Any]:
    """V3 with one member set; a value of ``...`` takes it away."""
    schema: Any = copy.deepcopy(V3)
    place = schema
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return dict(schema)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("version", 4, "at version: only the versions 1, 2 and 3"),
        ("version", ..., "'version' is missing"),
        ("features", {}, "at features: an array"),
        ("features", [], "has no features"),
        ("clkConfig/l", 0, "at clkConfig.l: it must be at least 1"),
        ("clkConfig/l", 1 << 30, "at clkConfig.l: it must be at most 1,048,576"),
        ("clkConfig/l", 1000, "'name' uses blakeHash, .* power of two, and it is 1,000"),
        ("clkConfig/xor_folds", -1, "at clkConfig.xor_folds: it must be at least 0"),
        ("clkConfig/kdf/type", "PBKDF2", "at clkConfig.kdf.type: one of HKDF, legacy"),
        ("clkConfig/kdf/salt", "A", "at clkConfig.kdf.salt: bytes in base64"),
        ("clkConfig/kdf/keySize", 65, "blakeHash, whose keys have 64 bytes at most"),
        ("clkConfig/kdf/keySize", 10_000, "HKDF cannot give so many key bytes"),
        ("features/1/format/type", "text", r"features\[1\].format.type: one of string"),
        ("features/1/format/encoding", "gbk", r"features\[1\].format.encoding: one of ascii"),
        ("features/5/format/pattern", "(", r"features\[5\].format.pattern: .* regular expression"),
        ("features/1/hashing/strategy", {}, "either 'bitsPerToken' or 'bitsPerFeature'"),
        ("features/1/hashing/strategy/k", 1, r"features\[1\].hashing.strategy: 'k' is not known"),
        ("features/1/hashing/comparison/n", 0, r"comparison.n: it must be at least 1"),
        ("features/6/hashing/comparison/resolution", 1.5, "resolution: a whole number"),
        ("features/6/hashing/comparison/thresholdDistance", 0.1, "rounded to 0"),
        ("features/6/hashing/comparison/thresholdDistance", 1e308, "too large"),
        ("features/2/hashing/hash/prevent_singularity", True, "belongs to doubleHash only"),
        ("features/3/ignored", "yes", r"features\[3\].ignored: true or false"),
    ],
)
def test_a_schema_is_refused_with_place_and_reason(path: str, value: Any, told: str) -> None:
    with pytest.raises(LinkageSchemaError, match=told):
        parse(changed(path, value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe{",
        b"[]",
        b"null",
        b'{"version": NaN}',
        b"[" * 100_000,
        b" " * ((1 << 20) + 1),
        b"9" * 10_000,
    ],
)
def test_what_is_no_schema_is_refused(data: bytes) -> None:
    with pytest.raises(LinkageSchemaError):
        parse_linkage_schema(data)


def test_a_byte_order_mark_is_no_part_of_the_schema() -> None:
    assert parse_linkage_schema(b"\xef\xbb\xbf" + json.dumps(V3).encode("utf-8")) == parse(V3)


def test_the_misspelt_folds_are_passed_over_with_a_remark() -> None:
    schema = parse(changed("clkConfig/xorFolds", 2))
    assert schema.xor_folds == 0
    assert schema.remarks
    assert "xorFolds" in schema.remarks[0]


def test_weights_of_version_1_become_bits_and_weight_0_ignores() -> None:
    schema = copy.deepcopy(SCHEMAS["v1 double"])
    schema["features"][3]["hashing"]["weight"] = 0
    parsed = parse(schema)
    name, latin = parsed.features[1], parsed.features[2]
    assert isinstance(name, Feature)
    assert name.comparison == NgramComparison(1, positional=False)
    assert name.strategy == Strategy("token", 32)  # 1.5 times 21, a half rounded to even
    assert name.hash == TokenHash("doubleHash")
    assert latin.strategy == Strategy("token", 15)
    assert parsed.features[3] == IgnoredFeature("birth date")
