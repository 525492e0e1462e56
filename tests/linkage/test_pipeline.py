"""The whole of matching on invented registers, encoded for real."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from linkage.encoding import encode_records
from linkage.errors import MatchingError
from linkage.matching.tile import vector_variant
from linkage.pipeline import match_datasets
from linkage.profile import load_profile
from linkage.quality.synthetic import Registers, generate
from linkage.records import ColumnMapping, read_records
from linkage.types import EncodedDataset, LinkSet, RecordPair, SolveMode
from tests.contract.matching_inputs import invent_datasets

Truth = dict[tuple[str, str], int]


@cache
def invented() -> Registers:
    return generate(250, 11)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncodedDataset, ...]:
    from linkage.quality.synthetic import write_registers

    folder = tmp_path_factory.mktemp("registers")
    registers = invented()
    profile = load_profile("cn-child-v1")
    encoded = []
    for file, register in zip(write_registers(registers, folder), registers.registers, strict=True):
        assert file.office_id == register.office.id
        mapping = ColumnMapping(encoding="auto", sheet=1, columns=dict(register.mapping), values={})
        result = encode_records(
            read_records(file.path, mapping, profile.fields),
            profile,
            bytes(32),
            name=file.office_id,
            context="offline",
            key_confirmation="0" * 32,
            encoder_version="test",
        )
        TRUE_ROWS[file.office_id] = result.record_ids
        encoded.append(result.dataset)
    return tuple(encoded)


TRUE_ROWS: dict[str, tuple[str, ...]] = {}


def named_links(links: LinkSet, datasets: Sequence[EncodedDataset]) -> set[tuple[str, ...]]:
    named = {dataset.name: dataset for dataset in datasets}
    columns = (links.dataset_a, links.row_a, links.dataset_b, links.row_b)
    found: set[tuple[str, ...]] = set()
    for a, row_a, b, row_b in zip(*(column.tolist() for column in columns), strict=True):
        name_a, name_b = links.dataset_names[a], links.dataset_names[b]
        found.add((name_a, named[name_a].pseudonym(row_a), name_b, named[name_b].pseudonym(row_b)))
    return found


def f1(links: LinkSet) -> float:
    entity = {(d, r): e for (d, r), e in truth().items()}
    n_true = 0
    by_entity: dict[int, dict[str, int]] = {}
    for (dataset, _), e in entity.items():
        counts = by_entity.setdefault(e, {})
        counts[dataset] = counts.get(dataset, 0) + 1
    for counts in by_entity.values():
        sizes = list(counts.values())
        n_true += (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    right = 0
    columns = (links.dataset_a, links.row_a, links.dataset_b, links.row_b)
    for a, row_a, b, row_b in zip(*(column.tolist() for column in columns), strict=True):
        name_a, name_b = links.dataset_names[a], links.dataset_names[b]
        right += (
            entity[name_a, TRUE_ROWS[name_a][row_a]] == entity[name_b, TRUE_ROWS[name_b][row_b]]
        )
    return 2 * right / (len(links) + n_true)


def truth() -> Truth:
    return {
        (register.office.id, record.record_id): record.entity
        for register in invented().registers
        for record in register.records
    }


def test_groups_find_the_children(datasets: tuple[EncodedDataset, ...]) -> None:
    links = match_datasets(datasets)
    assert f1(links) > 0.95
    assert links.figures["candidate_pairs"] > len(links)
    assert sum(bar["n"] for bar in links.figures["histogram"]) == links.figures["candidate_pairs"]
    assert sum(pair["n_links"] for pair in links.figures["pairs"]) == len(links)


def test_the_order_of_datasets_has_no_influence(datasets: tuple[EncodedDataset, ...]) -> None:
    one, other = match_datasets(datasets), match_datasets(datasets[::-1])
    assert named_links(one, datasets) == named_links(other, datasets)
    assert np.array_equal(one.score, other.score)


def test_one_to_one_links_a_record_once_for_each_dataset(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    links = match_datasets(datasets, solve="one-to-one")
    left = list(zip(links.dataset_a, links.row_a, links.dataset_b, strict=True))
    right = list(zip(links.dataset_b, links.row_b, links.dataset_a, strict=True))
    assert len(set(left)) == len(left)
    assert len(set(right)) == len(right)
    assert f1(links) > 0.9


def test_one_to_one_a_known_link_speaks_against_the_rivals_of_its_records(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    free = match_datasets(datasets[:2], solve="one-to-one", threshold=0.05)
    weakest = int(np.argmin(free.score))
    rivals = match_datasets(datasets[:2], solve="pairs", threshold=0.05)
    row = int(free.row_a[weakest])
    others = set(range(datasets[1].n_records)) - set(rivals.row_b[rivals.row_a == row].tolist())
    names = free.dataset_names
    known: RecordPair = ((names[0], row), (names[1], min(others)))
    again = match_datasets(datasets[:2], solve="one-to-one", threshold=0.05, known=[known])
    mine = again.row_a == row
    assert again.row_b[mine].tolist() == [min(others)]
    assert again.score[mine].tolist() == [1.0]
    assert sum(bar["n"] for bar in again.figures["histogram"]) >= again.figures["candidate_pairs"]


def test_one_to_one_says_itself_how_many_links_are_right(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    links = match_datasets(datasets, solve="one-to-one")
    for told in links.figures["pairs"]:
        assert told["estimated_precision"] > 0.9
        assert 0.8 < told["estimated_recall"] <= 1.0


def test_a_higher_threshold_takes_pairs_away_and_adds_none(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    loose = named_links(match_datasets(datasets, solve="pairs", threshold=0.2), datasets)
    strict = named_links(match_datasets(datasets, solve="pairs", threshold=0.99), datasets)
    assert strict < loose
    scores = match_datasets(datasets, solve="pairs", threshold=0.99).score
    assert scores.min() >= 0.99


def test_groups_are_made_with_a_threshold_that_needs_no_truth(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    chosen = match_datasets(datasets)
    fixed = match_datasets(datasets, threshold=chosen.threshold)
    assert named_links(chosen, datasets) == named_links(fixed, datasets)
    assert named_links(match_datasets(datasets, threshold=0.5), datasets) < named_links(
        chosen, datasets
    )


@pytest.mark.parametrize("seed", range(3))
def test_where_links_are_doubtful_the_threshold_rises_until_nearly_all_are_right(
    seed: int,
) -> None:
    doubtful = invent_datasets(seed, (90, 70, 40), n_children=150)
    links, lenient = match_datasets(doubtful), match_datasets(doubtful, threshold=0.05)
    assert links.threshold > 0.05
    assert 0 < len(links) < len(lenient)
    # A link's odds are two and a half times what its evidence says.
    expected = 2.5 * links.score / (1.0 + 1.5 * links.score)
    assert expected.mean() >= 0.99 > lenient.score.mean()


def test_duplicates_of_a_register_are_reported_to_it(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    links = match_datasets(datasets)
    entity = truth()
    found = [
        {entity[name, TRUE_ROWS[name][row]] for row in rows}
        for name, groups in links.duplicates.items()
        for rows in groups
    ]
    assert found
    assert sum(len(children) == 1 for children in found) / len(found) > 0.8


@pytest.mark.parametrize("solve", ["groups", "one-to-one", "one-to-one-optimal", "pairs"])
def test_known_links_are_kept_and_refuted_ones_never_made(
    datasets: tuple[EncodedDataset, ...], solve: SolveMode
) -> None:
    links = match_datasets(datasets, solve=solve)
    columns = (links.dataset_a, links.row_a, links.dataset_b, links.row_b)
    made: list[RecordPair] = [
        ((links.dataset_names[a], row_a), (links.dataset_names[b], row_b))
        for a, row_a, b, row_b in zip(*(column.tolist() for column in columns), strict=True)
    ]
    linked = {end for pair in made for end in pair}
    name, other = sorted(dataset.name for dataset in datasets)[:2]
    sizes = {dataset.name: dataset.n_records for dataset in datasets}
    alone = next(row for row in range(sizes[name]) if (name, row) not in linked)
    partner = next(row for row in range(sizes[other]) if (other, row) not in linked)
    known: list[RecordPair] = [((other, partner), (name, alone))]
    again = match_datasets(datasets, solve=solve, known=known, refuted=made[:3])
    columns = (again.dataset_a, again.row_a, again.dataset_b, again.row_b)
    remade = {
        ((again.dataset_names[a], row_a), (again.dataset_names[b], row_b)): score
        for a, row_a, b, row_b, score in zip(
            *(column.tolist() for column in columns), again.score.tolist(), strict=True
        )
    }
    assert remade[(name, alone), (other, partner)] == 1.0
    assert not remade.keys() & set(made[:3])
    assert len(remade.keys() & set(made)) > 0.9 * len(made)


@pytest.mark.parametrize(
    ("known", "refuted", "message"),
    [
        ([((0, 1), (1, 2))], [((1, 2), (0, 1))], "Decide which"),
        ([((0, 1), (1, 2)), ((1, 2), (2, 3))], [((0, 1), (2, 3))], "Decide which"),
        ([((0, 1), (0, 1))], [], "one record twice"),
        ([((0, 1), (1, 10**6))], [], "in none of the datasets"),
        ([], [((0, 1), (9, 0))], "in none of the datasets"),
    ],
)
def test_decisions_that_contradict_each_other_or_name_no_record_are_refused(
    datasets: tuple[EncodedDataset, ...],
    known: list[tuple[tuple[int, int], tuple[int, int]]],
    refuted: list[tuple[tuple[int, int], tuple[int, int]]],
    message: str,
) -> None:
    names = [*sorted(dataset.name for dataset in datasets), *["nobody"] * 9]

    def named(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> list[RecordPair]:
        return [((names[a], i), (names[b], j)) for (a, i), (b, j) in pairs]

    with pytest.raises(MatchingError, match=message):
        match_datasets(datasets, known=named(known), refuted=named(refuted))


def test_another_secret_gives_no_links_but_an_error(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    other = replace(datasets[1], manifest=replace(datasets[1].manifest, key_confirmation="f" * 32))
    with pytest.raises(MatchingError, match="another linkage secret"):
        match_datasets([datasets[0], other])


def test_one_dataset_or_two_of_one_name_are_refused(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    with pytest.raises(MatchingError, match="two datasets"):
        match_datasets(datasets[:1])
    with pytest.raises(MatchingError, match="same name"):
        match_datasets([datasets[0], datasets[0]])


def test_progress_names_the_stages_in_order(datasets: tuple[EncodedDataset, ...]) -> None:
    stages: list[str] = []
    match_datasets(datasets, on_progress=lambda now: stages.append(now.stage))
    assert list(dict.fromkeys(stages)) == ["candidates", "compare", "score", "solve"]


def test_the_log_names_once_what_compares(
    datasets: tuple[EncodedDataset, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "linkage.pipeline"):
        match_datasets(datasets[:2])
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"Comparing filters of tagged views with {vector_variant().name}."]


def test_optimal_assignment_is_one_to_one_too_and_has_no_lower_total(
    datasets: tuple[EncodedDataset, ...],
) -> None:
    greedy = match_datasets(datasets, solve="one-to-one", threshold=0.5)
    optimal = match_datasets(datasets, solve="one-to-one-optimal", threshold=0.5)
    left = list(zip(optimal.dataset_a, optimal.row_a, optimal.dataset_b, strict=True))
    assert len(set(left)) == len(left)
    assert len(optimal) >= len(greedy) > 0
    assert f1(optimal) > 0.9
