"""What is computed for many tokens at once is what the standard library computes for one."""

import hashlib
import hmac
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.encoding.clk.positions import KeyedHash, TokenPositions, rows_of_bits
from linkage.encoding.clk.schema import TokenHash

KEYS = (b"", b"k", b"k" * 64, b"k" * 65, b"k" * 200)


@pytest.mark.parametrize("name", ["sha1", "md5"])
@given(st.sampled_from(KEYS), st.lists(st.binary(max_size=200), max_size=4))
def test_a_keyed_hash_is_hmac(
    name: Literal["sha1", "md5"], key: bytes, messages: list[bytes]
) -> None:
    expected = [hmac.digest(key, message, name) for message in messages]
    assert KeyedHash(name, key).digests(messages) == b"".join(expected)


def test_a_keyed_hash_shows_no_key() -> None:
    assert "secret" not in repr(KeyedHash("sha1", b"secret"))


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.integers(1, 1 << 20))
def test_double_hashing_takes_the_whole_digest(tokens: list[bytes], filter_bits: int) -> None:
    positions = TokenPositions(TokenHash("doubleHash"), (b"one", b"two"), filter_bits)
    expected = []
    for token in tokens:
        first = int.from_bytes(hmac.digest(b"one", token, "sha1"), "big") % filter_bits
        step = int.from_bytes(hmac.digest(b"two", token, "md5"), "big") % filter_bits
        expected.append([(first + i * step) % filter_bits for i in range(5)])
    assert positions.of(tokens, 5).tolist() == expected


@pytest.mark.parametrize("filter_bits", [1, 256, 1 << 16, 1 << 18])
def test_blake_positions_come_from_numbered_blocks(filter_bits: int) -> None:
    tokens, key = [b"", b"a", "王芳".encode()], bytes(64)
    expected = []
    for token in tokens:
        drawn = b"".join(
            hashlib.blake2b(token, key=key, salt=block).digest() for block in (b"0", b"1", b"2")
        )
        numbers = [int.from_bytes(drawn[i : i + 2], "little") for i in range(0, 140, 2)]
        expected.append([number % filter_bits for number in numbers])
    positions = TokenPositions(TokenHash(), (key, key), filter_bits)
    assert positions.of(tokens, 70).tolist() == expected


@pytest.mark.parametrize("n", [0, 1, 700])
def test_rows_of_bits_in_pieces(n: int) -> None:
    filter_bits = 1000
    positions = np.random.default_rng(1).integers(0, filter_bits, (n, 9))
    bits = np.unpackbits(rows_of_bits(positions, filter_bits).view(np.uint8), axis=1)
    assert [set(np.flatnonzero(row)) for row in bits] == [set(row) for row in positions]
