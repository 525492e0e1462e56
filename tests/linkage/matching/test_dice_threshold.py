"""A threshold without truth: fast and plain profiles agree; the choice is near the best one."""

import numpy as np
import pytest

from linkage.errors import MatchingError
from linkage.matching.dice_profile import (
    DICE_STEPS,
    dice_profile,
    dice_profile_reference,
)
from linkage.matching.dice_threshold import choose_dice_threshold, estimate_dice
from linkage.types import I64, U64


def filters_of(n: int, seed: int, words: int = 8) -> U64:
    draw = np.random.default_rng(seed)
    bits = draw.random((n, words * 64)) < 0.4
    return np.packbits(bits, axis=1).view(np.uint64)


def slightly_changed(filters: U64, share: float, seed: int) -> U64:
    """The same filters with a share of their bits drawn anew."""
    draw = np.random.default_rng(seed)
    bits = np.unpackbits(filters.view(np.uint8), axis=1)
    anew = draw.random(bits.shape) < share
    bits[anew] = draw.random(int(anew.sum())) < 0.4
    return np.packbits(bits, axis=1).view(np.uint64)


@pytest.mark.parametrize("words", [1, 3, 16])
@pytest.mark.parametrize("within", [True, False])
def test_the_fast_profile_is_the_plain_one(words: int, within: bool) -> None:
    others = filters_of(70, seed=1, words=words)
    others[5] = others[9]
    others[7] = 0
    rows: I64 = np.arange(0, 70, 3, dtype=np.int64)
    filters = others[rows] if within else filters_of(24, seed=2, words=words)
    skipped = rows if within else np.full(24, -1, dtype=np.int64)
    fast, plain = (
        profile(filters, others, skipped) for profile in (dice_profile, dice_profile_reference)
    )
    assert np.array_equal(fast.best, plain.best)
    assert np.array_equal(fast.counts, plain.counts)
    assert fast.counts.sum() == len(filters) * len(others) - within * len(filters)


def test_shares_and_numbers_fall_with_the_threshold() -> None:
    profile = dice_profile(filters_of(40, 3), filters_of(60, 4), np.full(40, -1, dtype=np.int64))
    assert profile.share_reaching()[0] == 1.0
    assert profile.number_reaching()[0] == 60.0
    for falling in (profile.share_reaching(), profile.number_reaching()):
        assert len(falling) == DICE_STEPS + 1
        assert (np.diff(falling) <= 0).all()


@pytest.mark.parametrize("shared", [150, 250, 400])
@pytest.mark.parametrize("n_right", [400, 900])
def test_the_threshold_parts_partners_from_strangers(shared: int, n_right: int) -> None:
    left = filters_of(400, seed=6)
    right = filters_of(n_right, seed=7)
    right[:shared] = slightly_changed(left[:shared], 0.25, seed=8)
    estimate = estimate_dice(left, right)
    assert estimate is not None
    # Of 400 records, some thirty more or less are chance.
    assert estimate.partners == pytest.approx(shared, abs=30)
    for one_to_one in (True, False):
        threshold = choose_dice_threshold([estimate], one_to_one=one_to_one)
        across = dice_profile(left, right, np.full(400, -1, dtype=np.int64)).best
        assert (across[:shared] >= threshold).mean() > 0.97
        assert (across[shared:] >= threshold).sum() <= 0.05 * shared + 12
        precision, recall = estimate.at(threshold, one_to_one=one_to_one)
        assert (precision or 0.0) > 0.85
        assert (recall or 0.0) > 0.8


def test_without_partners_hardly_any_stranger_is_linked() -> None:
    left, right = filters_of(400, seed=9), filters_of(400, seed=10)
    estimate = estimate_dice(left, right)
    assert estimate is not None
    threshold = choose_dice_threshold([estimate], one_to_one=True)
    best = dice_profile(left, right, np.full(400, -1, dtype=np.int64)).best
    assert (best >= threshold).mean() <= 0.05


def test_small_datasets_give_no_threshold() -> None:
    assert estimate_dice(filters_of(29, 1), filters_of(500, 2)) is None
    with pytest.raises(MatchingError, match="--threshold"):
        choose_dice_threshold([], one_to_one=True)
