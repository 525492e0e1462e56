"""One contract for the reference and for every fast way: same pairs, same scores, same order."""

import logging
import math
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import MatchingError
from linkage.matching import scan
from linkage.matching.dice_pairs import dice_pairs, dice_pairs_reference, iterate_dice_pairs
from linkage.matching.pair_scan import Method, ScanOptions, join_parts
from linkage.matching.scan import FoundPairs
from linkage.matching.tile import TILE_VARIANTS, fitting_variant, usable_variants
from linkage.types import U64
from tests.linkage.matching.filters import invent_filters, relatives

WIDTHS = (1, 2, 3, 8, 16, 31, 32, 33, 62, 63, 128)
USABLE = [variant.name for variant in usable_variants()]
FITTING = USABLE[: USABLE.index("128-bit") + 1]
EXACT: tuple[Method, ...] = ("auto", "full", "abandon")

cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "n_words": st.sampled_from(WIDTHS),
        "n_left": st.integers(0, 70),
        "n_right": st.one_of(st.none(), st.integers(0, 70)),
        "fill": st.sampled_from([0.002, 0.1, 0.47, 0.9, 1.0]),
        "noise": st.sampled_from([0.0, 0.02, 0.2]),
        "threshold": st.one_of(
            st.sampled_from([1e-9, 0.5, 2 / 3, 0.8, 0.85, 0.9, 1.0]), st.floats(0.01, 1.0)
        ),
    }
)


def sides(case: dict[str, object]) -> tuple[U64, U64 | None]:
    seed, n_words, fill = (
        int(str(case["seed"])),
        int(str(case["n_words"])),
        float(str(case["fill"])),
    )
    rng = np.random.default_rng(seed)
    left = invent_filters(rng, int(str(case["n_left"])), n_words, fill)
    if case["n_right"] is None:
        return left, None
    return left, relatives(rng, left, int(str(case["n_right"])), float(str(case["noise"])))


def assert_same(found: FoundPairs, expected: FoundPairs) -> None:
    np.testing.assert_array_equal(found.left, expected.left)
    np.testing.assert_array_equal(found.right, expected.right)
    np.testing.assert_array_equal(found.dice, expected.dice)  # to the last bit


@settings(max_examples=15)
@given(cases)
def test_reference_is_the_rule_written_out(case: dict[str, object]) -> None:
    left, right = sides({**case, "n_left": int(str(case["n_left"])) // 4})
    others = left if right is None else right[:20]
    threshold = float(str(case["threshold"]))
    expected = []
    for i, a in enumerate(left.tolist()):
        for j, b in enumerate(others.tolist()):
            common = sum((x & y).bit_count() for x, y in zip(a, b, strict=True))
            both = sum(x.bit_count() for x in a) + sum(x.bit_count() for x in b)
            if both and 2.0 * common / both >= threshold and (right is not None or i < j):
                expected.append((i, j, 2.0 * common / both))
    found = dice_pairs_reference(left, None if right is None else others, threshold)
    assert list(
        zip(found.left.tolist(), found.right.tolist(), found.dice.tolist(), strict=True)
    ) == (expected)


@pytest.mark.parametrize("tile", [variant.name for variant in TILE_VARIANTS])
@settings(max_examples=25)
@given(case=cases)
def test_every_exact_way_equals_the_reference(tile: str, case: dict[str, object]) -> None:
    if tile not in USABLE:
        pytest.skip("this processor cannot run it")
    left, right = sides(case)
    threshold = float(str(case["threshold"]))
    expected = dice_pairs_reference(left, right, threshold)
    for method in EXACT:
        assert_same(dice_pairs(left, right, threshold, ScanOptions(method, tile=tile)), expected)


@pytest.mark.parametrize("threshold", [0.8, 0.9])
@pytest.mark.parametrize("method", ["full", "abandon"])
@pytest.mark.parametrize("tile", USABLE[:2])
def test_larger_sides_with_many_blocks_and_threads(
    tile: str, method: Method, threshold: float
) -> None:
    rng = np.random.default_rng(5)
    left = invent_filters(rng, 701, 16, 0.47)
    right = relatives(rng, left, 1003, 0.06)
    expected = dice_pairs_reference(left, right, threshold)
    assert len(expected) > 500
    for n_threads in (1, 3):
        options = ScanOptions(method, tile=tile, n_threads=n_threads)
        assert_same(dice_pairs(left, right, threshold, options), expected)
    within = dice_pairs(left, None, threshold, ScanOptions(method, tile=tile, n_threads=2))
    assert_same(within, dice_pairs_reference(left, None, threshold))


@pytest.mark.parametrize("tile", USABLE[:2])
@pytest.mark.parametrize(("n_words", "cell_rows"), [(2, 96), (16, 1 << 16)])
def test_cells_and_full_buffers_lose_and_double_nothing(
    tile: str, n_words: int, cell_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.matching.pair_scan.CELL_ROWS", cell_rows)
    monkeypatch.setattr(scan, "_FIRST_ROOM", 4500)
    monkeypatch.setattr(scan, "_LARGEST_ROOM", 5000)
    left = invent_filters(np.random.default_rng(1), 250, n_words, 0.5)
    right = relatives(np.random.default_rng(2), left, 1100, 0.1)
    for side in (right, None):
        expected = dice_pairs_reference(left, side, 0.3)
        assert len(expected) > 20_000
        for n_threads in (1, 3):
            options = ScanOptions("full", tile=tile, n_threads=n_threads)
            parts = list(iterate_dice_pairs(left, side, 0.3, options))
            assert max(map(len, parts)) <= 40_000
            for part in parts:
                keys = part.left * 2000 + part.right
                assert bool((np.diff(keys) > 0).all())
            found = join_parts(parts)
            order = np.lexsort((found.right, found.left))
            assert_same(
                FoundPairs(found.left[order], found.right[order], found.dice[order]), expected
            )


def test_progress_reaches_all_pairs() -> None:
    left = invent_filters(np.random.default_rng(1), 100, 1, 0.5)
    told: list[tuple[int, int]] = []
    list(iterate_dice_pairs(left, left[:30], 0.9, None, lambda *done: told.append(done)))
    list(iterate_dice_pairs(left, None, 0.9, None, lambda *done: told.append(done)))
    assert told == [(3000, 3000), (4950, 4950)]


def test_stopping_early_is_allowed() -> None:
    left = invent_filters(np.random.default_rng(1), 2000, 1, 0.5)
    parts = iterate_dice_pairs(left, None, 0.5, ScanOptions("full", n_threads=2))
    assert len(next(parts))
    parts.close()  # type: ignore[attr-defined]


def test_read_only_and_strided_arrays_are_taken() -> None:
    filters = invent_filters(np.random.default_rng(1), 200, 4, 0.5)
    expected = dice_pairs_reference(filters[::2], None, 0.7)
    frozen = filters[::2]
    frozen.flags.writeable = False
    for method in ("full", "abandon", "sketch"):
        assert_same(dice_pairs(frozen, None, 0.7, ScanOptions(method, 1e-12)), expected)


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.85, 0.9, 1.0])
def test_same_candidates_as_anonlink(threshold: float) -> None:
    bitarray = pytest.importorskip("bitarray").bitarray
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anonlink asks setuptools for its version
        anonlink = pytest.importorskip("anonlink")

    def as_anonlink(filters: U64) -> list[object]:
        rows = []
        for row in filters:
            rows.append(bitarray())
            rows[-1].frombytes(row.tobytes())
        return rows

    rng = np.random.default_rng(11)
    left = invent_filters(rng, 400, 16, 0.47)
    right = relatives(rng, left, 500, 0.08)
    right[:50] = left[100:150]
    score, (row, column) = anonlink.similarities.dice_coefficient(
        (as_anonlink(left), as_anonlink(right)), threshold
    )
    order = np.lexsort((np.asarray(column), np.asarray(row)))
    expected = FoundPairs(
        np.asarray(row, dtype=np.int64)[order],
        np.asarray(column, dtype=np.int64)[order],
        np.asarray(score)[order],
    )
    assert len(expected) > 0
    assert_same(dice_pairs(left, right, threshold, ScanOptions("full")), expected)
    assert_same(dice_pairs(left, right, threshold, ScanOptions("abandon")), expected)


@settings(max_examples=20)
@given(cases)
def test_a_sketch_finds_nothing_false(case: dict[str, object]) -> None:
    left, right = sides(case)
    threshold = float(str(case["threshold"]))
    found = dice_pairs(left, right, threshold, ScanOptions("sketch", 0.01))
    expected = dice_pairs_reference(left, right, threshold)
    scores = {
        (a, b): dice
        for a, b, dice in zip(
            expected.left.tolist(), expected.right.tolist(), expected.dice.tolist(), strict=True
        )
    }
    for a, b, dice in zip(
        found.left.tolist(), found.right.tolist(), found.dice.tolist(), strict=True
    ):
        assert scores[a, b] == dice


@pytest.mark.parametrize(
    ("filters", "threshold", "said"),
    [
        (np.zeros((2, 2), np.int64), 0.5, "uint64"),
        (np.zeros(2, np.uint64), 0.5, "two-dimensional"),
        (np.zeros((2, 0), np.uint64), 0.5, "64 to 8192 bits"),
        (np.zeros((2, 129), np.uint64), 0.5, "64 to 8192 bits"),
        (np.zeros((2, 1), np.uint64), 0.0, "over 0"),
        (np.zeros((2, 1), np.uint64), 1.5, "at most 1"),
        (np.zeros((2, 1), np.uint64), math.nan, "over 0"),
    ],
)
def test_what_breaks_the_contract_is_refused(filters: U64, threshold: float, said: str) -> None:
    for find in (dice_pairs, dice_pairs_reference):
        with pytest.raises(MatchingError, match=said):
            find(filters, None, threshold)


def test_unlike_lengths_and_unknown_options_are_refused() -> None:
    one, two = np.zeros((2, 1), np.uint64), np.zeros((2, 2), np.uint64)
    with pytest.raises(MatchingError, match="same length"):
        dice_pairs(one, two, 0.5)
    for options, said in (
        (ScanOptions("fastest"), "no method"),  # type: ignore[arg-type]
        (
            ScanOptions(tile="mmx"),
            "no kernel 'mmx' for this processor. Choose one of: .*avx2",
        ),
        (ScanOptions(n_threads=0), "one thread"),
        (ScanOptions("sketch", 0.0), "between 0 and 1"),
    ):
        with pytest.raises(MatchingError, match=said):
            dice_pairs(np.ones((2, 16), np.uint64), None, 0.5, options)


def test_the_log_says_what_ran(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "linkage.matching.pair_scan"):
        dice_pairs(np.ones((2, 16), np.uint64), None, 0.5, ScanOptions("full", tile="avx2"))
        dice_pairs(np.ones((2, 16), np.uint64), None, 0.5)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "Comparing 2 with 2 filters of 1024 bits: full, tile avx2, threads: 1."
    assert f"tile {fitting_variant().name}" in second


ON_ANOTHER_PROCESSOR = """
import numpy as np
from linkage.matching.dice_pairs import dice_pairs, dice_pairs_reference
from linkage.matching.pair_scan import ScanOptions
from linkage.matching.tile import fitting_variant
from tests.linkage.matching.filters import invent_filters, relatives
rng = np.random.default_rng(3)
for n_words in (3, 40):
    left = invent_filters(rng, 90, n_words, 0.4)
    right = relatives(rng, left, 70, 0.05)
    expected = dice_pairs_reference(left, right, 0.8)
    assert len(expected) > 20
    for method in ("full", "abandon"):
        found = dice_pairs(left, right, 0.8, ScanOptions(method))
        for name in ("left", "right", "dice"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
print(fitting_variant().name)
"""


@pytest.mark.parametrize(
    ("processor", "features", "variant"),
    [
        ("skylake-avx512", "+avx2,+avx512f,+avx512bw,+avx512vl", "avx512-bytes"),
        ("haswell", "+avx2", "avx2"),
        ("x86-64", "", "128-bit"),
    ],
)
def test_code_for_lesser_processors_is_right_too(
    processor: str, features: str, variant: str, tmp_path: Path
) -> None:
    """Machine code as an older processor would get it, run on this one."""
    fits = "128-bit" if not features else variant
    if platform.machine() not in ("x86_64", "AMD64") or fits not in FITTING:
        pytest.skip("this processor cannot run it")
    done = subprocess.run(
        [sys.executable, "-c", ON_ANOTHER_PROCESSOR],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features},
    )
    assert (done.stdout.strip(), done.stderr) == (variant, "")
