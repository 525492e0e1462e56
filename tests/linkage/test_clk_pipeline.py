"""CLKs in, links out: those of anonlink, from the same CLKs and threshold."""

from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from bitarray import bitarray

from linkage import clk_pipeline
from linkage.clk_files import ClkDataset
from linkage.clk_pipeline import match_clks
from linkage.errors import MatchingError
from linkage.matching import dice_join
from linkage.matching.dice_join import DiceChunk, DicePairs, DiceTask, plan_dice_join
from linkage.matching.dice_pairs import dice_pairs_reference
from linkage.matching.engines.local import LocalEngine
from linkage.pipeline import Resources
from linkage.progress import MatchProgress
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


def plain_pairs(datasets: list[ClkDataset]) -> set[Link]:
    ordered = sorted(datasets, key=lambda dataset: dataset.name)
    found: set[Link] = set()
    for a, b in combinations(ordered, 2):
        pairs = dice_pairs_reference(a.filters, b.filters, THRESHOLD)
        rows = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
        found |= {(a.name, i, b.name, j) for i, j in rows}
    return found


def same(one: LinkSet, other: LinkSet) -> bool:
    columns = ("dataset_a", "row_a", "dataset_b", "row_b", "score", "group")
    return one.figures == other.figures and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in columns
    )


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 16 rows, so that there are many."""
    monkeypatch.setattr(dice_join, "_LEAST_ROWS", 16)
    monkeypatch.setattr(dice_join, "_LEAST_ROWS_OF_MANY_PAIRS", 16)
    monkeypatch.setattr(dice_join, "CELL_ROWS", 16)


@pytest.mark.parametrize("solve", ["pairs", "one-to-one", "one-to-one-optimal", "groups"])
def test_how_the_work_is_cut_and_by_how_many_it_is_done_has_no_influence(
    solve: SolveMode, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    datasets = datasets_of({"a": 40, "b": 55, "c": 30})
    whole = match_clks(datasets, solve=solve, threshold=THRESHOLD)
    request.getfixturevalue("small_chunks")
    for engine in (LocalEngine(1), LocalEngine(3)):
        resources = Resources(engine=engine, work_dir=tmp_path, tile="128-bit")
        assert same(
            match_clks(datasets, solve=solve, threshold=THRESHOLD, resources=resources), whole
        )
    assert not list(tmp_path.rglob("*.npy"))
    if solve == "pairs":
        assert links_of(whole) == plain_pairs(datasets)


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupted_match_goes_on_from_its_finished_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = datasets_of({"a": 40, "b": 55, "c": 30})
    undisturbed = match_clks(datasets, threshold=THRESHOLD)
    resources = Resources(engine=LocalEngine(2), work_dir=tmp_path)

    def interrupted(now: MatchProgress) -> None:
        if now.stage == "compare" and now.done > 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match_clks(datasets, threshold=THRESHOLD, resources=resources, on_progress=interrupted)
    finished = {path.stem for path in tmp_path.rglob("*.json")}
    assert len(finished) > 5

    computed: list[str] = []
    call = DiceTask.__call__

    def watched(self: DiceTask, chunk: DiceChunk) -> DicePairs:
        computed.append(chunk.name)
        return call(self, chunk)

    told: list[MatchProgress] = []
    monkeypatch.setattr(DiceTask, "__call__", watched)
    # Other files or another threshold find none of these chunks.
    match_clks(datasets, threshold=0.6, resources=resources)
    assert finished <= set(computed)
    computed.clear()
    again = match_clks(datasets, threshold=THRESHOLD, resources=resources, on_progress=told.append)
    assert same(again, undisturbed)
    assert computed
    assert not finished & set(computed)
    last = [now for now in told if now.stage == "compare"][-1]
    assert last.done == last.total == last.n_pairs == 40 * 55 + 40 * 30 + 55 * 30
    assert 2000 < last.n_resumed < last.total


def test_chunks_are_many_but_not_small_and_small_where_nearly_all_pairs_come_out() -> None:
    filters = filters_of(70_000, seed=1, words=1)
    usual = plan_dice_join([filters, filters[:20_000]], 1.0)
    assert {chunk.left_stop - chunk.left_start for chunk in usual} <= {16_384, 70_000 % 16_384}
    assert sum(chunk.n_pairs for chunk in usual) == 70_000 * 20_000
    everything = plan_dice_join([filters, filters[:20_000]], 0.001)
    assert max(chunk.n_pairs for chunk in everything) <= 2.1e7
    assert len({chunk.name for chunk in everything}) == len(everything)


def test_a_threshold_that_tells_nobody_apart_is_refused_before_memory_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clk_pipeline, "_memory_bytes", lambda: 100_000)
    with pytest.raises(MatchingError, match=r"2,200 pairs reach the threshold.*give a higher"):
        match_clks(datasets_of({"a": 40, "b": 55}), threshold=0.01)
    assert len(match_clks(datasets_of({"a": 40, "b": 55}), threshold=0.8)) > 0
