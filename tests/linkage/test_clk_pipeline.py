"""CLKs in, links out: those of anonlink, from the same CLKs and threshold."""

from typing import Any, cast

import numpy as np
import pytest
from bitarray import bitarray

from linkage import clk_pipeline
from linkage.clk_files import ClkDataset
from linkage.clk_pipeline import match_clks
from linkage.errors import MatchingError
from linkage.types import U64, LinkSet, SolveMode
from tests.linkage.matching.anonlink_oracle import anonlink
from tests.linkage.matching.test_dice_threshold import filters_of, slightly_changed

THRESHOLD = 0.5
Link = tuple[str, int, str, int]


def datasets_of(sizes: dict[str, int], words: int = 2) -> list[ClkDataset]:
    """Datasets of the same persons, more and more changed; short filters, so with many ties."""
    persons = filters_of(max(sizes.values()), seed=1, words=words)
    return [
        ClkDataset(name, 8 * words, slightly_changed(persons[:n], 0.15 * (1 + i), seed=20 + i))
        for i, (name, n) in enumerate(sizes.items())
    ]


def as_bits(filters: U64) -> list[Any]:
    found = []
    for row in filters:
        bits = bitarray()
        bits.frombytes(row.tobytes())
        found.append(bits)
    return found


def links_of(links: LinkSet) -> set[Link]:
    names = links.dataset_names
    columns = (links.dataset_a, links.row_a, links.dataset_b, links.row_b)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {(names[a], i, names[b], j) for a, i, b, j in rows}


def anonlink_links(datasets: list[ClkDataset], solve: bool) -> set[Link]:
    ordered = sorted(datasets, key=lambda dataset: dataset.name)
    candidates = anonlink.candidate_generation.find_candidate_pairs(
        [as_bits(dataset.filters) for dataset in ordered],
        anonlink.similarities.dice_coefficient,
        THRESHOLD,
    )
    if solve:
        groups = [sorted(group) for group in anonlink.solving.greedy_solve(candidates)]
        pairs = [(x, y) for group in groups for i, x in enumerate(group) for y in group[i + 1 :]]
    else:
        _, (dataset_a, dataset_b), (row_a, row_b) = candidates
        pairs = [
            ((a, i), (b, j)) for a, b, i, j in zip(dataset_a, dataset_b, row_a, row_b, strict=True)
        ]
    return {(ordered[a].name, i, ordered[b].name, j) for (a, i), (b, j) in pairs}


def test_pairs_are_anonlinks_candidate_pairs() -> None:
    datasets = datasets_of({"a": 40, "b": 55, "c": 30})
    links = match_clks(datasets, solve="pairs", threshold=THRESHOLD)
    assert links_of(links) == anonlink_links(datasets, solve=False)
    assert links.score.min() >= THRESHOLD


def test_one_to_one_links_are_those_of_anonlinks_greedy_solver() -> None:
    datasets = datasets_of({"a": 60, "b": 75})
    links = match_clks(datasets, solve="one-to-one", threshold=THRESHOLD)
    expected = anonlink_links(datasets, solve=True)
    assert len(expected) > 40
    assert links_of(links) == expected


def test_groups_are_those_of_anonlinks_greedy_solver() -> None:
    datasets = datasets_of({"a": 40, "b": 55, "c": 30, "d": 47})
    links = match_clks(datasets, solve="groups", threshold=THRESHOLD)
    expected = anonlink_links(datasets, solve=True)
    assert len(expected) > 80
    assert links_of(links) == expected
    members: dict[int, set[tuple[str, int]]] = {}
    names = links.dataset_names
    for a, i, b, j, group in zip(
        *(links.dataset_a, links.row_a, links.dataset_b, links.row_b, links.group), strict=True
    ):
        members.setdefault(int(group), set()).update({(names[a], int(i)), (names[b], int(j))})
    everybody = [record for group in members.values() for record in group]
    assert len(everybody) == len(set(everybody))
    assert max(map(len, members.values())) == 4


@pytest.mark.parametrize("solve", ["pairs", "one-to-one", "one-to-one-optimal", "groups"])
def test_the_order_of_datasets_has_no_influence(solve: str) -> None:
    datasets = datasets_of({"a": 40, "b": 55, "c": 30})
    mode = cast("SolveMode", solve)
    links = match_clks(datasets, solve=mode)
    again = match_clks(datasets[::-1], solve=mode)
    assert links.threshold == again.threshold
    assert links_of(links) == links_of(again)
    assert np.array_equal(links.group, again.group)


def test_an_optimal_assignment_is_worth_at_least_the_greedy_one() -> None:
    datasets = datasets_of({"a": 60, "b": 75}, words=1)
    greedy = match_clks(datasets, solve="one-to-one", threshold=THRESHOLD)
    optimal = match_clks(datasets, solve="one-to-one-optimal", threshold=THRESHOLD)
    assert (optimal.score - THRESHOLD).sum() >= (greedy.score - THRESHOLD).sum()


def test_figures_tell_what_is_expected() -> None:
    datasets = datasets_of({"a": 300, "b": 400, "c": 10}, words=8)
    figures = match_clks(datasets, solve="one-to-one").figures
    by_names = {(p["dataset_a"], p["dataset_b"]): p for p in figures["pairs"]}
    assert by_names["a", "b"]["estimated_precision"] > 0.9
    assert by_names["a", "b"]["n_links"] > 250
    assert by_names["a", "c"]["estimated_precision"] is None
    assert sum(bar["n"] for bar in figures["histogram"]) == figures["candidate_pairs"]


def test_datasets_that_cannot_be_compared_are_refused() -> None:
    one = datasets_of({"a": 40})[0]
    with pytest.raises(MatchingError, match="two datasets or more"):
        match_clks([one])
    with pytest.raises(MatchingError, match="same name"):
        match_clks([one, one])
    longer = datasets_of({"c": 40}, words=4)[0]
    with pytest.raises(MatchingError, match="'c' have 256 bits, and those of 'a' 128"):
        match_clks([one, longer])
    small = datasets_of({"d": 5})[0]
    with pytest.raises(MatchingError, match="too small"):
        match_clks([one, small])
    assert len(match_clks([one, small], threshold=0.3)) > 0


def test_a_threshold_that_tells_nobody_apart_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clk_pipeline, "MAX_PAIRS", 100)
    with pytest.raises(MatchingError, match=r"More than 100 pairs reach the threshold 0\.010"):
        match_clks(datasets_of({"a": 40, "b": 55}), threshold=0.01)
