"""Levels of agreement against a slow reference that reads like the module's contract."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.matching.candidates import CandidatePairs
from linkage.matching.compare import (
    CLOSE,
    DIFFERS,
    EQUAL,
    FAINT,
    MISSING,
    SIMILAR,
    UNLIKE,
    VAGUE,
    ViewColumns,
    compare_pairs,
    feature_names,
)
from linkage.types import GroupLayout, ViewLayout

WORDS = 4


def invent_views(rng: np.random.Generator, n: int) -> list[ViewColumns]:
    layouts = [
        ViewLayout(
            "identity",
            True,
            (GroupLayout("name", WORDS * 64),),
            implies=("identity",),
            refutes=("identity",),
        ),
        ViewLayout(
            "birth",
            True,
            (
                GroupLayout("name", WORDS * 64),
                GroupLayout("sound", WORDS * 64, "name"),
                GroupLayout("place", WORDS * 64),
            ),
            implies=("birth",),
        ),
    ]
    base = rng.integers(0, 2**64, (3, WORDS), dtype=np.uint64)
    views = []
    for layout in layouts:
        tags = rng.integers(0, 3, n).astype(np.uint64)
        filters, filter_present = {}, {}
        for group in layout.groups:
            noise = rng.integers(0, 2**64, (n, WORDS), dtype=np.uint64)
            for _ in range(int(rng.integers(0, 5))):
                noise &= rng.integers(0, 2**64, (n, WORDS), dtype=np.uint64)
            noise[rng.random(n) < 0.4] = 0
            filters[group.name] = base[rng.integers(0, 3, n)] ^ noise
            filter_present[group.name] = (rng.random(n) < 0.8) & (tags > 0)
        views.append(ViewColumns(layout, tags, tags > 0, filters, filter_present))
    return views


def reference_level(views: list[ViewColumns], feature: str, a: int, b: int) -> int:
    level = MISSING
    totals: dict[str, tuple[int, int]] = {}
    for view in views:
        assert view.tags is not None
        both = bool(view.present[a] and view.present[b])
        equal = both and view.tags[a] == view.tags[b]
        if feature in view.layout.implies and equal:
            return EQUAL
        if feature in view.layout.refutes and both and not equal:
            level = DIFFERS
        for group in view.layout.groups:
            ends = np.array([a, b])
            if group.speaks_of != feature or not equal:
                continue
            if view.filter_present[group.name][ends].all():
                x, y = view.filters[group.name][ends]
                distance = sum(int(p).bit_count() for p in (x ^ y).tolist())
                total, bits = totals.get(group.name, (0, 0))
                totals[group.name] = total + WORDS * 64 - 2 * distance, bits + WORDS * 64
    if not totals:
        return level
    shown = [cut(total / bits, bits) for total, bits in totals.values()]
    return CLOSE if max(shown) == EQUAL > min(shown) else max(shown)


def cut(correlation: float, bits: int) -> int:
    noise = bits**-0.5
    bounds = (
        (1.0, EQUAL),
        (0.5, CLOSE),
        (0.25, SIMILAR),
        (3 * noise, FAINT),
        (1.5 * noise, VAGUE),
    )
    for bound, name in bounds:
        if correlation >= bound:
            return name
    return UNLIKE


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_levels_equal_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    views = invent_views(rng, n)
    left, right = np.triu_indices(n, 1)
    bits = np.zeros(len(left), dtype=np.uint16)
    for number, view in enumerate(views):
        assert view.tags is not None
        equal = (view.tags[left] == view.tags[right]) & view.present[left]
        bits |= (equal.astype(np.uint16) << number).astype(np.uint16)
    levels = compare_pairs(views, CandidatePairs(left, right, bits))
    features = feature_names([view.layout for view in views])
    assert features == ("identity", "name", "birth", "place")
    for pair, (a, b) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        for column, feature in enumerate(features):
            assert levels[pair, column] == reference_level(views, feature, a, b)
