"""The solver of groups against a plain reference, and the families that it must tell apart."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.compare import (
    DIFFERS,
    EQUAL,
    MISSING,
    N_LEVELS,
    SIMILAR,
    UNLIKE,
    VAGUE,
    Levels,
)
from linkage.matching.decided import DecidedPairs
from linkage.matching.groups import MAX_GROUP, link_groups
from linkage.matching.rarity import NOT_SHOWN
from linkage.matching.score import EvidenceModel
from linkage.types import F64, I64

IDENTITY, NAME, BIRTH, HOME = range(4)
NOTHING = (MISSING, MISSING, MISSING, MISSING)
TWINS = (DIFFERS, UNLIKE, EQUAL, EQUAL)
SIBLINGS = (DIFFERS, UNLIKE, UNLIKE, EQUAL)

Shown = tuple[int, int, int, int]
Evidence = Mapping[tuple[int, int], Shown]


def a_model(across: float = 0.0, within: float = -2.0) -> EvidenceModel:
    """Matches, twins, siblings and strangers, with the shares that such pairs have."""
    agree = np.array(
        [[0.95, 0.97, 0.95, 0.8], [0.03, 0.01, 0.98, 0.9], [0.03, 0.01, 0.02, 0.9], [0.01] * 4]
    )
    likelihood = np.ones((4, 4, N_LEVELS))
    for level in range(1, N_LEVELS):
        rises = level >= SIMILAR
        likelihood[:, :, level] = np.where(rises, agree, 1 - agree) / 3
    likelihood[:, :, EQUAL] = agree * 0.9
    # No two patterns have the same odds, so that rounding decides nothing.
    likelihood[:, :, 1:] *= np.random.default_rng(0).uniform(0.9, 1.1, (4, 4, N_LEVELS - 1))
    return EvidenceModel(np.log([0.4, 0.02, 0.18, 0.4]), np.log(likelihood), 1, across, within)


class Records:
    """Records of which only some pairs show anything of each other."""

    def __init__(
        self, shown: Evidence, datasets: list[int], model: EvidenceModel | None = None
    ) -> None:
        self.shown, self.model = shown, model or a_model()
        self.dataset_of = np.array(datasets, dtype=np.int64)

    def levels_of(self, left: I64, right: I64) -> Levels:
        found = [
            self.shown.get((a, b), NOTHING)
            for a, b in zip(left.tolist(), right.tolist(), strict=True)
        ]
        return np.array(found, dtype=np.int8).reshape(len(left), 4)

    def pairs(self) -> tuple[F64, I64, I64]:
        left = np.array([a for a, _ in self.shown], dtype=np.int64)
        right = np.array([b for _, b in self.shown], dtype=np.int64)
        return self.model.log_odds(self.levels_of(left, right)), left, right

    def groups(
        self,
        least: float = 0.0,
        known: tuple[tuple[int, int], ...] = (),
        refuted: tuple[tuple[int, int], ...] = (),
    ) -> set[frozenset[int]]:
        found = link_groups(
            *self.pairs(),
            self.dataset_of,
            self.model,
            self.levels_of,
            least_log_odds=least,
            known=decided(known),
            refuted=decided(refuted),
        )
        return as_sets(found.group_of)


def decided(pairs: tuple[tuple[int, int], ...]) -> DecidedPairs:
    return DecidedPairs(
        np.array([a for a, _ in pairs], dtype=np.int64),
        np.array([b for _, b in pairs], dtype=np.int64),
    )


def as_sets(group_of: I64) -> set[frozenset[int]]:
    found = (np.flatnonzero(group_of == g).tolist() for g in np.unique(group_of))
    return {frozenset(rows) for rows in found if len(rows) > 1}


def alike(*rows: int) -> dict[tuple[int, int], Shown]:
    return dict.fromkeys(combinations(rows, 2), (EQUAL, EQUAL, EQUAL, EQUAL))


def between(ours: tuple[int, ...], theirs: tuple[int, ...], what: Shown) -> Evidence:
    return {(min(a, b), max(a, b)): what for a in ours for b in theirs}


def test_a_record_that_resembles_each_of_two_in_one_thing_is_the_child_of_both() -> None:
    # Neither pair alone would do: the first record has a right name, the second a right date.
    shown = alike(0, 1) | {
        (0, 2): (MISSING, EQUAL, UNLIKE, MISSING),
        (1, 2): (MISSING, UNLIKE, EQUAL, MISSING),
    }
    records = Records(shown, [0, 1, 2])
    assert (records.pairs()[0][1:] < 2).all()
    assert records.groups(least=2.0) == {frozenset({0, 1, 2})}


def test_twins_stay_two_children() -> None:
    shown = {**alike(0, 1, 2), **alike(3, 4, 5), **between((0, 1, 2), (3, 4, 5), TWINS)}
    assert Records(shown, [0, 1, 2] * 2).groups() == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_twins_with_each_others_id_number_in_one_register_stay_with_their_own() -> None:
    shown = {**alike(0, 1), **alike(3, 4), **between((0, 1), (3, 4), TWINS)}
    # In the third register the numbers are swapped.
    shown |= between((0, 1), (2,), (DIFFERS, EQUAL, EQUAL, EQUAL))
    shown |= between((3, 4), (5,), (DIFFERS, EQUAL, EQUAL, EQUAL))
    shown |= between((0, 1), (5,), (EQUAL, UNLIKE, EQUAL, EQUAL))
    shown |= between((3, 4), (2,), (EQUAL, UNLIKE, EQUAL, EQUAL))
    shown[2, 5] = TWINS
    found = Records(shown, [0, 1, 2] * 2).groups()
    assert found == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_a_record_with_a_siblings_id_number_goes_to_the_child_that_it_is() -> None:
    shown = {**alike(0, 1), **alike(3, 4), **between((0, 1), (3, 4), SIBLINGS)}
    shown |= between((0, 1), (2,), (DIFFERS, EQUAL, EQUAL, EQUAL))
    shown |= between((2,), (3, 4), (EQUAL, UNLIKE, UNLIKE, EQUAL))
    found = Records(shown, [0, 1, 2, 0, 1]).groups()
    assert found == {frozenset({0, 1, 2}), frozenset({3, 4})}


def test_one_strong_false_pair_does_not_merge_two_families() -> None:
    strangers = (DIFFERS, UNLIKE, UNLIKE, UNLIKE)
    shown = {**alike(0, 1, 2), **alike(3, 4, 5), **between((0, 1, 2), (3, 4, 5), strangers)}
    shown[2, 3] = (MISSING, EQUAL, EQUAL, MISSING)  # namesakes of one birth date, no ID number
    assert Records(shown, [0, 1, 2] * 2).groups(3.0) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_duplicates_inside_a_register_need_more_than_pairs_across() -> None:
    shown = {(0, 1): (MISSING, EQUAL, EQUAL, MISSING)}
    log_odds = float(Records(shown, [0, 0]).pairs()[0][0])
    for within, merged in ((-log_odds + 0.5, True), (-log_odds - 0.5, False)):
        records = Records(shown, [0, 0], a_model(within=within))
        assert (records.groups() == {frozenset({0, 1})}) == merged
        assert Records(shown, [0, 1], a_model(within=within)).groups() == {frozenset({0, 1})}


def test_known_pairs_are_kept_and_refuted_ones_never_made() -> None:
    shown = {**alike(0, 1), **alike(2, 3), **between((0, 1), (2, 3), SIBLINGS)}
    records = Records(shown, [0, 1, 0, 1])
    assert records.groups(known=((1, 2),)) == {frozenset({0, 1, 2, 3})}
    assert records.groups(refuted=((0, 1),)) == {frozenset({2, 3})}
    # A refuted pair keeps apart what a known pair would bring together.
    kept_apart = records.groups(known=((1, 2),), refuted=((0, 3),))
    assert not any({0, 3} <= group for group in kept_apart)
    assert any({1, 2} <= group for group in kept_apart)
    # Records that show nothing of each other can be known to be one child.
    assert Records({}, [0, 1]).groups(known=((0, 1),)) == {frozenset({0, 1})}


def test_a_group_says_how_sure_each_of_its_pairs_is() -> None:
    weak = (MISSING, EQUAL, SIMILAR, MISSING)
    shown = alike(0, 1) | {(0, 2): weak, (1, 2): weak}
    records = Records(shown, [0, 1, 2])
    log_odds, left, right = records.pairs()
    found = link_groups(log_odds, left, right, records.dataset_of, records.model, records.levels_of)
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == list(shown)
    assert found.log_odds == pytest.approx(log_odds)


def test_a_component_that_is_too_large_is_cut_at_its_weakest_pairs() -> None:
    n = MAX_GROUP
    chain = {(i, i + 1): (EQUAL, EQUAL, EQUAL, EQUAL) for i in range(2 * n - 1)}
    chain[n - 1, n] = (MISSING, EQUAL, EQUAL, MISSING)
    found = Records(chain, list(range(2 * n))).groups()
    assert found == {frozenset(range(n)), frozenset(range(n, 2 * n))}


def drawn(seed: int, n: int = 12) -> Records:
    rng = np.random.default_rng(seed)
    shown = {
        pair: tuple(
            int(level) for level in rng.choice([MISSING, DIFFERS, UNLIKE, VAGUE, SIMILAR, EQUAL], 4)
        )
        for pair in combinations(range(n), 2)
        if rng.random() < 0.5
    }
    return Records(shown, rng.integers(0, 4, n).tolist(), a_model(0.3, -1.5))  # type: ignore[arg-type]


def merged_plainly(records: Records, least: float) -> set[frozenset[int]]:
    """What the module says, with none of its speed: all evidence of two groups, each time anew."""
    model, n = records.model, len(records.dataset_of)
    clusters = [[row] for row in range(n)]

    def evidence(ours: list[int], theirs: list[int]) -> float:
        pairs = [(min(a, b), max(a, b)) for a in ours for b in theirs]
        left, right = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
        strongest = records.levels_of(left, right).max(axis=0)
        same = (records.dataset_of[left] == records.dataset_of[right]).any()
        more = 0.5 * (min(len(ours), len(theirs)) - 1)
        joint = model.log_prior.copy()
        for feature, level in enumerate(strongest.tolist()):
            once = model.log_likelihood[:, feature]
            joint += once[:, level]
            if level <= UNLIKE:
                joint += more * once[:, level]
            else:
                joint += more * np.log(np.exp(once[:, 1 : level + 1]).sum(axis=1))
        own = joint[0] - np.log(np.exp(joint[1:] - joint[1:].max()).sum()) - joint[1:].max()
        return float(
            np.clip(own, -30.0, 30.0) + (model.within_prior if same else model.across_prior)
        )

    while True:
        options = [
            (-evidence(a, b), a[0], b[0], a, b) for a, b in combinations(sorted(clusters), 2)
        ]
        best = min(options, default=None)
        if best is None or -best[0] <= least:
            return {frozenset(rows) for rows in clusters if len(rows) > 1}
        clusters.remove(best[3])
        clusters.remove(best[4])
        clusters.append(sorted(best[3] + best[4]))


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([-1.0, 0.0, 2.0]))
def test_groups_are_those_of_the_plain_reference(seed: int, least: float) -> None:
    records = drawn(seed)
    # One component, whatever the pairs show: the reference knows of no components.
    left, right = np.triu_indices(len(records.dataset_of), 1)
    found = link_groups(
        np.full(len(left), 30.0),
        left,
        right,
        records.dataset_of,
        records.model,
        records.levels_of,
        least_log_odds=least,
    )
    assert as_sets(found.group_of) == merged_plainly(records, least)


def test_a_rare_tag_decides_what_levels_leave_open() -> None:
    weak = (MISSING, EQUAL, SIMILAR, MISSING)
    records = Records({(0, 1): weak, (2, 3): weak}, [0, 1, 0, 1])
    log_odds, left, right = records.pairs()
    weights = {(0, 1): 3.0, (2, 3): -3.0}

    def rarity_of(left: I64, right: I64) -> F64:
        pairs = zip(left.tolist(), right.tolist(), strict=True)
        return np.array([[weights.get(pair, NOT_SHOWN)] for pair in pairs]).reshape(-1, 1)

    found = link_groups(
        *(log_odds, left, right, records.dataset_of, records.model, records.levels_of),
        least_log_odds=float(log_odds[0]) + 1.0,
        rarity_of=rarity_of,
    )
    assert as_sets(found.group_of) == {frozenset({0, 1})}
    assert found.log_odds == pytest.approx([log_odds[0] + 3.0])


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_the_order_of_pairs_has_no_influence(seed: int) -> None:
    records = drawn(seed)
    log_odds, left, right = records.pairs()
    shuffled = np.random.default_rng(seed).permutation(len(left))
    one, other = (
        link_groups(
            log_odds[order],
            left[order],
            right[order],
            records.dataset_of,
            records.model,
            records.levels_of,
        )
        for order in (np.arange(len(left)), shuffled)
    )
    assert np.array_equal(one.group_of, other.group_of)
    assert np.array_equal(one.log_odds, other.log_odds)
