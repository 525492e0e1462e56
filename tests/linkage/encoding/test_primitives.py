"""Framing, keys, SipHash, lanes and diffusion, each against something that is not itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.encoding.diffusion import diffuse_planes, diffusion_positions
from linkage.encoding.filters import filters_of_planes, lanes
from linkage.encoding.siphash import siphash24
from linkage.encoding.subkeys import KeySchedule, frame
from linkage.errors import EncodingError
from tests.linkage.encoding import reference

WORDS = st.integers(min_value=0, max_value=2**64 - 1)


def test_siphash_equals_the_published_vectors() -> None:
    """Key 00..0f, message 00, 01, ...; vectors_sip64 of the authors' reference code."""
    key = bytes(range(16))
    # 15 bytes: also in appendix A of the paper.
    assert reference.siphash(key, bytes(range(15))) == 0xA129CA6149BE45E5
    published = int.from_bytes(bytes.fromhex("db9bc2577fcc2a3f"), "little")
    assert reference.siphash(key, bytes(range(16))) == published
    halves = [np.frombuffer(key, "<u8")[i : i + 1].astype(np.uint64) for i in range(2)]
    assert int(siphash24(*halves, *halves)[0]) == published


@settings(max_examples=30)
@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=9))
def test_siphash_of_many_equals_siphash_of_each(rows: list[tuple[int, int, int, int]]) -> None:
    columns = np.array(rows, dtype=np.uint64).T
    expected = [
        reference.siphash(
            b"".join(word.to_bytes(8, "little") for word in row[:2]),
            b"".join(word.to_bytes(8, "little") for word in row[2:]),
        )
        for row in rows
    ]
    assert siphash24(*columns).tolist() == expected


def test_siphash_is_the_same_over_block_borders() -> None:
    draw = np.random.default_rng(3)
    columns = draw.integers(0, 2**64, size=(4, 20_000), dtype=np.uint64)
    whole = siphash24(*columns)
    pieces = [siphash24(*columns[:, i : i + 777]) for i in range(0, 20_000, 777)]
    assert np.array_equal(whole, np.concatenate(pieces))


def test_siphash_leaves_its_arguments_alone() -> None:
    columns = [np.arange(5, dtype=np.uint64) for _ in range(4)]
    siphash24(*columns)
    assert all(np.array_equal(column, np.arange(5)) for column in columns)


@given(
    one=st.lists(st.binary(max_size=6), max_size=4),
    other=st.lists(st.binary(max_size=6), max_size=4),
)
def test_framing_tells_all_lists_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (frame(one) == frame(other)) == (one == other)


def test_framing_tells_shifted_borders_apart() -> None:
    assert frame([b"ab", b"c"]) != frame([b"a", b"bc"])
    assert frame([b""]) != frame([])


def test_every_key_is_another_key() -> None:
    keys = KeySchedule(bytes(32), "00" * 32)
    found: list[bytes] = []
    for view in ("a", "b", "ab"):
        found += [keys.of_view(view).salt, keys.of_view(view).tag]
        for group in ("a", "b", "ab"):
            found += [keys.of_group(view, group).token, keys.of_group(view, group).diffusion]
    assert len(set(found)) == len(found)
    assert all(len(key) == 32 for key in found)


def test_keys_hide_themselves() -> None:
    keys = KeySchedule(b"k" * 32, "00" * 32)
    shown = repr(keys) + repr(keys.of_view("a")) + repr(keys.of_group("a", "b"))
    assert "kkk" not in shown
    assert repr(keys.of_view("a").salt) not in shown


def test_a_short_profile_hash_is_refused() -> None:
    with pytest.raises(EncodingError, match="64 hex"):
        KeySchedule(bytes(32), "00" * 31)


@pytest.mark.parametrize(
    ("filter_bits", "expected"),
    [(64, (6, 10)), (128, (7, 9)), (192, (21, 3)), (256, (8, 8)), (512, (9, 7)), (8192, (13, 4))],
)
def test_lanes(filter_bits: int, expected: tuple[int, int]) -> None:
    assert lanes(filter_bits) == expected


@pytest.mark.parametrize(("filter_bits", "t"), [(64, 1), (64, 64), (192, 5), (512, 10)])
def test_diffusion_positions_are_distinct_and_in_range(filter_bits: int, t: int) -> None:
    rows = diffusion_positions(b"d" * 32, filter_bits, t)
    assert rows.shape == (filter_bits, t)
    assert rows.min() >= 0
    assert rows.max() < filter_bits
    assert all(len(set(row)) == t for row in rows.tolist())


def test_diffusion_positions_are_spread_evenly() -> None:
    """Chi-squared over all entries; the limit is passed by chance once in a million keys."""
    filter_bits, t = 192, 8
    rows = diffusion_positions(b"e" * 32, filter_bits, t)
    counts = np.bincount(rows.ravel(), minlength=filter_bits)
    statistic = float(((counts - t) ** 2 / t).sum())
    assert statistic < 300  # 191 degrees of freedom


def test_diffusion_of_another_key_is_another_table() -> None:
    one = diffusion_positions(b"a" * 32, 256, 5)
    other = diffusion_positions(b"b" * 32, 256, 5)
    assert (one == other).mean() < 0.05


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), t=st.integers(0, 6))
def test_diffusion_is_the_exclusive_or_of_the_listed_bits(seed: int, t: int) -> None:
    draw = np.random.default_rng(seed)
    planes = draw.integers(0, 2**64, size=(64, 2), dtype=np.uint64)
    positions = diffusion_positions(seed.to_bytes(32, "little"), 64, t)
    before, after = filters_of_planes(planes), filters_of_planes(diffuse_planes(planes, positions))
    for record in range(128):
        bits = [int(before[record, 0]) >> i & 1 for i in range(64)]
        expected = bits if t == 0 else [sum(bits[p] for p in row) % 2 for row in positions.tolist()]
        assert [int(after[record, 0]) >> i & 1 for i in range(64)] == expected


def test_planes_become_filters_bit_by_bit() -> None:
    planes = np.zeros((128, 2), dtype=np.uint64)
    planes[70, 1] = 1 << 5  # bit 70 of record 69
    filters = filters_of_planes(planes)
    assert filters.shape == (128, 2)
    assert filters[69].tolist() == [0, 1 << 6]
    assert np.count_nonzero(filters) == 1
