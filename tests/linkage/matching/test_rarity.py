"""What the rarity of equal tags adds to the log odds of a pair."""

import numpy as np
import pytest

from linkage.matching.rarity import NOT_SHOWN, added_by_rarity, rarity_of_tags, shown_rarity


def test_a_rarer_tag_is_worth_more_and_an_absent_one_nothing() -> None:
    tags = np.array([7, 7, 7, 7, 9, 9, 11, 0, 7, 0], dtype=np.uint64)
    weights = rarity_of_tags(tags)
    shares = {7: 5 / 8, 9: 2 / 8, 11: 1 / 8}
    chance = sum(share * share for share in shares.values())
    expected = [np.log(chance / shares[tag]) if tag else 0.0 for tag in tags.tolist()]
    assert weights == pytest.approx(expected)
    assert weights[6] > weights[4] > 0.0 > weights[0]


def test_where_all_tags_are_equally_frequent_rarity_says_nothing() -> None:
    assert rarity_of_tags(np.arange(1, 9, dtype=np.uint64).repeat(3)) == pytest.approx(np.zeros(24))
    assert rarity_of_tags(np.zeros(3, dtype=np.uint64)).tolist() == [0.0] * 3
    assert len(rarity_of_tags(np.zeros(0, dtype=np.uint64))) == 0


def test_what_a_pair_shows_is_that_of_the_views_in_which_it_agrees() -> None:
    rarity = {1: np.array([0.5, 1.0, -2.0]), 3: np.array([4.0, 4.0, 8.0])}
    left, agreeing = np.array([0, 1, 2, 2]), np.array([0b0010, 0b1010, 0b1000, 0b0101])
    shown = shown_rarity(rarity, left, agreeing)
    expected = [[0.5, NOT_SHOWN], [1.0, 4.0], [NOT_SHOWN, 8.0], [NOT_SHOWN] * 2]
    assert shown.tolist() == expected
    assert added_by_rarity(shown).tolist() == [0.5, 5.0, 8.0, 0.0]
    assert added_by_rarity(shown_rarity({}, left, agreeing)).tolist() == [0.0] * 4
