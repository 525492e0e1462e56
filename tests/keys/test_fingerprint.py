import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeysError
from keys.fingerprint import format_fingerprint, parse_fingerprint


def test_digits_are_the_number_modulo_ten_to_the_thirty() -> None:
    assert format_fingerprint((12345).to_bytes(32, "big")) == "00000-00000-00000-00000-00000-12345"
    assert format_fingerprint((10**30).to_bytes(32, "big")) == format_fingerprint(bytes(32))


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32))
def test_every_way_to_type_it_gives_the_same(digest: bytes) -> None:
    fingerprint = format_fingerprint(digest)
    assert re.fullmatch(r"\d{5}(-\d{5}){5}", fingerprint)
    for typed in (fingerprint, fingerprint.replace("-", " "), fingerprint.replace("-", "") + "\n"):
        assert parse_fingerprint(typed) == fingerprint


@pytest.mark.parametrize(
    "typed",
    ["", "1" * 29, "1" * 31, "a" * 30, "١" * 30, "²" * 30, "12345-" * 5],
    ids=["empty", "short", "long", "letters", "Arabic digits", "superscripts", "a group less"],
)
def test_anything_else_is_no_fingerprint(typed: str) -> None:
    with pytest.raises(KeysError, match="no fingerprint"):
        parse_fingerprint(typed)


def test_only_whole_digests_are_formatted() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        format_fingerprint(b"short")
