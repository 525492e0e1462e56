"""The encoding's keyed hashes: the standards' own examples, and SM3 against a second one."""

import hashlib

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.encoding import keyed_hash
from linkage.encoding.keyed_hash import BLAKE2B, HMAC_SM3, KEYED_HASHES
from linkage.errors import EncodingError
from tests.linkage.encoding.sm3 import hmac_sm3, sm3


def test_the_examples_of_the_standard() -> None:
    # GB/T 32905-2016, annex A.
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert (
        sm3(b"abcd" * 16).hex()
        == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    )


@settings(max_examples=30)
@given(st.binary(min_size=16, max_size=32), st.binary(max_size=200), st.integers(1, 32))
def test_hmac_sm3_is_the_one_of_the_texts(key: bytes, message: bytes, n_bytes: int) -> None:
    assert HMAC_SM3.digest(key, n_bytes, message) == hmac_sm3(key, message)[:n_bytes]


def test_one_key_hashes_many_messages() -> None:
    for known in KEYED_HASHES.values():
        digest = known.keyed(b"k" * 32, 8)
        first = digest(b"one")
        assert digest(b"two") != first
        assert digest(b"one") == first == known.digest(b"k" * 32, 8, b"one")


def test_blake2b_is_hashlibs() -> None:
    expected = hashlib.blake2b(b"message", key=b"k" * 32, digest_size=16).digest()
    assert BLAKE2B.digest(b"k" * 32, 16, b"message") == expected


def test_a_library_without_sm3_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object) -> object:
        raise UnsupportedAlgorithm("no SM3")

    monkeypatch.setattr(keyed_hash, "HMAC", lacks)
    with pytest.raises(EncodingError, match="published wheel"):
        HMAC_SM3.keyed(bytes(32), 8)
