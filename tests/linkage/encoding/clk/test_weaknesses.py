"""What is weak is named; what is not, is not."""

import pytest

from linkage.encoding.clk import weaknesses
from tests.linkage.encoding.clk.test_parse import changed, parse
from tests.vectors.clkhash.generate import SCHEMAS

LONG_SECRET = b"0123456789abcdef"


def test_a_schema_of_today_has_none() -> None:
    assert weaknesses(parse(SCHEMAS["v3 blake, HKDF by SHA-512"]), LONG_SECRET) == ()


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("legacy key derivation", ["secret itself"]),
        ("v3 double, not singular", ["'name', 'latin name'.*doubleHash"]),
        ("v1 double", ["doubleHash", "singular"]),
    ],
)
def test_each_weakness_is_named(case: str, told: list[str]) -> None:
    found = weaknesses(parse(SCHEMAS[case]), LONG_SECRET)
    assert len(found) == len(told)
    for sentence, words in zip(found, told, strict=True):
        assert words.split(".*")[-1] in sentence


def test_short_secrets_and_keys_are_weak() -> None:
    assert "shorter than 16 bytes" in weaknesses(parse(SCHEMAS["v2 blake"]), b"horse")[0]
    assert "8 bytes" in weaknesses(parse(changed("clkConfig/kdf/keySize", 8)), LONG_SECRET)[0]
