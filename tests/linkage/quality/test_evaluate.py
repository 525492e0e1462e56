"""Evaluation against a brute-force reference, and what it refuses."""

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import EvaluationError
from linkage.quality.evaluate import (
    Figures,
    Links,
    Record,
    Truth,
    evaluate_links,
    links_of,
    load_links,
    load_pseudonym_map,
    load_truth,
)
from linkage.types import LinkSet

DATASETS = ("a", "b", "c")


def make_links(pairs: list[tuple[Record, Record]]) -> Links:
    return Links([a for a, _ in pairs], [b for _, b in pairs], np.full(len(pairs), 0.9))


def brute_force(
    pairs: list[tuple[Record, Record]], true: set[frozenset[Record]], x: str, y: str
) -> Figures:
    """The definition, one set operation each."""
    linked = {frozenset(pair) for pair in pairs if {pair[0][0], pair[1][0]} == {x, y}}
    wanted = {pair for pair in true if {record[0] for record in pair} == {x, y}}
    return Figures(len(linked), len(wanted), len(linked & wanted))


records = st.tuples(st.sampled_from(DATASETS), st.sampled_from("123456"))


@st.composite
def cases(
    draw: st.DrawFn,
) -> tuple[dict[Record, int], list[tuple[Record, Record]]]:
    entities = draw(st.dictionaries(records, st.integers(0, 5), min_size=1))
    known = st.sampled_from(sorted(entities))
    return entities, draw(st.lists(st.tuples(known, known), max_size=40))


@settings(max_examples=150)
@given(cases())
def test_figures_agree_with_the_definition(
    case: tuple[dict[Record, int], list[tuple[Record, Record]]],
) -> None:
    entities, pairs = case
    true = {
        frozenset((a, b))
        for a, b in combinations(entities, 2)
        if entities[a] == entities[b] and a[0] != b[0]
    }
    names = sorted({dataset for dataset, _ in entities})
    expected = {(x, y): brute_force(pairs, true, x, y) for x, y in combinations(names, 2)}
    as_pairs = [(min(pair), max(pair)) for pair in true] + [(max(pair), min(pair)) for pair in true]

    found = evaluate_links(make_links(pairs), Truth(entities=entities))

    assert found.by_pair == expected
    assert found.overall.n_correct == sum(figures.n_correct for figures in expected.values())
    assert found.n_inside == sum(a[0] == b[0] for a, b in pairs)
    assert found.n_inside + found.n_repeated + found.overall.n_links == len(pairs)
    if as_pairs and not {record for pair in as_pairs for record in pair}.isdisjoint(
        record for pair in pairs for record in pair
    ):
        by_pairs = evaluate_links(make_links(pairs), Truth(pairs=as_pairs))
        assert by_pairs.overall == found.overall
        assert all(by_pairs.by_pair[key] == found.by_pair[key] for key in by_pairs.by_pair)


def test_precision_recall_and_f1() -> None:
    figures = Figures(n_links=4, n_true=8, n_correct=2)

    assert (figures.precision, figures.recall) == (0.5, 0.25)
    assert figures.f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (Figures(0, 0, 0), (1.0, 1.0, 1.0)),
        (Figures(0, 3, 0), (1.0, 0.0, 0.0)),
        (Figures(3, 0, 0), (0.0, 1.0, 0.0)),
    ],
)
def test_nothing_linked_and_nothing_to_find(
    figures: Figures, expected: tuple[float, float, float]
) -> None:
    assert (figures.precision, figures.recall, figures.f1) == expected


def test_no_links_and_no_truth_at_all() -> None:
    found = evaluate_links(make_links([]), Truth(pairs=[]))

    assert found.overall == Figures(0, 0, 0)
    assert found.by_pair == {}


def test_a_link_counts_once_however_often_and_in_whichever_order_it_is_given() -> None:
    pair = (("a", "1"), ("b", "1"))
    links = make_links([pair, pair, (pair[1], pair[0])])

    found = evaluate_links(links, Truth(pairs=[pair]))

    assert found.overall == Figures(1, 1, 1)
    assert found.n_repeated == 2


def test_duplicates_inside_a_register_make_as_many_true_pairs_as_there_are_records() -> None:
    entities = {("a", "1"): 7, ("a", "2"): 7, ("b", "1"): 7, ("b", "2"): 7, ("b", "3"): 8}

    found = evaluate_links(make_links([(("a", "1"), ("a", "2"))]), Truth(entities=entities))

    assert found.overall == Figures(0, 4, 0)
    assert found.n_inside == 1


def test_only_the_matched_datasets_can_be_asked_for() -> None:
    truth = Truth(entities={("a", "1"): 1, ("b", "1"): 1, ("c", "1"): 1})
    links = make_links([(("a", "1"), ("b", "1"))])

    assert evaluate_links(links, truth).overall == Figures(1, 3, 1)
    assert evaluate_links(links, truth, datasets=("a", "b")).overall == Figures(1, 1, 1)
    with pytest.raises(EvaluationError, match="not to be compared: b"):
        evaluate_links(links, truth, datasets=("a", "c"))


def test_pseudonyms_are_translated_where_there_is_a_map() -> None:
    truth = Truth(entities={("a", "JJ-1"): 1, ("b", "rec"): 1})
    links = make_links([(("a", "f00d"), ("b", "rec"))])

    assert evaluate_links(links, truth, {"a": {"f00d": "JJ-1"}}).overall == Figures(1, 1, 1)


def test_a_pseudonym_that_the_map_lacks_is_refused_without_naming_it() -> None:
    links = make_links([(("a", "beefbeef"), ("b", "rec"))])

    with pytest.raises(EvaluationError, match="Link 1 names a pseudonym") as caught:
        evaluate_links(links, Truth(entities={("b", "rec"): 1}), {"a": {"f00d": "JJ-1"}})
    assert "beefbeef" not in str(caught.value)


def test_pseudonyms_without_a_map_are_refused_not_counted_as_wrong() -> None:
    links = make_links([(("a", "x1"), ("b", "x2"))])

    for truth in (
        Truth(entities={("a", "JJ-1"): 1, ("b", "CD-1"): 1}),
        Truth(pairs=[(("a", "JJ-1"), ("b", "CD-1"))]),
    ):
        with pytest.raises(EvaluationError, match="give the offices' maps") as caught:
            evaluate_links(links, truth)
        assert "x1" not in str(caught.value)
        assert "JJ-1" not in str(caught.value)


def test_one_unknown_record_is_refused_where_the_truth_lists_every_record() -> None:
    truth = Truth(entities={("a", "1"): 1, ("b", "1"): 1})
    links = make_links([(("a", "1"), ("b", "1")), (("a", "1"), ("b", "secret-record"))])

    with pytest.raises(EvaluationError, match=r"Link 2 \(1 in all\)") as caught:
        evaluate_links(links, truth)
    assert "secret-record" not in str(caught.value)


def test_a_record_that_no_true_pair_names_is_simply_a_wrong_link() -> None:
    truth = Truth(pairs=[(("a", "1"), ("b", "1"))])
    links = make_links([(("a", "1"), ("b", "1")), (("a", "2"), ("b", "2"))])

    assert evaluate_links(links, truth).overall == Figures(2, 1, 1)


def test_files_give_the_same_figures_as_objects(tmp_path: Path) -> None:
    links, truth, pairs = tmp_path / "links.csv", tmp_path / "truth.csv", tmp_path / "pairs.csv"
    links.write_text("dataset_a,record_a,dataset_b,record_b,score\na,1,b,1,0.9\na,2,b,1,0.5\n")
    truth.write_text("dataset,record,entity\na,1,x\nb,1,x\na,2,y\n", encoding="utf-8-sig")
    pairs.write_text("record_b,dataset_b,record_a,dataset_a\n1,b,1,a\n")

    loaded = load_links(links)

    assert loaded.score.tolist() == [0.9, 0.5]
    assert evaluate_links(loaded, load_truth(truth)).overall == Figures(2, 1, 1)
    assert evaluate_links(loaded, load_truth(pairs)).overall == Figures(2, 1, 1)


def test_links_without_scores_load(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_text("dataset_a,record_a,dataset_b,record_b\na,1,b,1\n")

    assert np.isnan(load_links(path).score).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lack columns: dataset_a"),
        ("dataset_a,record_a,dataset_b\n", "lack columns: record_b"),
        ("dataset_a,record_a,dataset_b,record_b\na,secret\n", "Row 1 .* too few columns"),
        ("dataset_a,record_a,dataset_b,record_b,score\na,1,b,secret,high\n", "Row 1 .* score"),
    ],
)
def test_a_malformed_file_of_links_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "links.csv"
    path.write_text(text)

    with pytest.raises(EvaluationError, match=message) as caught:
        load_links(path)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes(b"dataset,record,entity\n\xff\xfe\x00\x81,1,2\n")

    with pytest.raises(EvaluationError, match="no UTF-8 CSV file"):
        load_truth(path)


def test_a_truth_that_lists_a_record_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("dataset,record,entity\na,secret,1\na,secret,2\n")

    with pytest.raises(EvaluationError, match=r"Row 2 .* second time") as caught:
        load_truth(path)
    assert "secret" not in str(caught.value)


def test_maps_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.map.csv"
    path.write_text("pseudonym,record_id\n00ff,JJ-1\n")
    assert load_pseudonym_map(path) == {"00ff": "JJ-1"}

    path.write_text("pseudonym,record_id\n00ff,JJ-1\n00ff,JJ-2\n")
    with pytest.raises(EvaluationError, match="Row 2 of the map"):
        load_pseudonym_map(path)


def test_a_truth_is_one_form_or_the_other() -> None:
    with pytest.raises(EvaluationError):
        Truth()
    with pytest.raises(EvaluationError):
        Truth(entities={}, pairs=[])


def test_a_matchers_links_are_named_by_the_ids_of_its_rows() -> None:
    found = LinkSet(
        dataset_names=("a", "b"),
        dataset_a=np.array([0, 0]),
        row_a=np.array([0, 1]),
        dataset_b=np.array([1, 1]),
        row_b=np.array([1, 0]),
        score=np.array([0.9, 0.8]),
        group=np.array([0, 1]),
        threshold=0.5,
    )

    links = links_of(found, [["a0", "a1"], ["b0", "b1"]])

    assert links.a == [("a", "a0"), ("a", "a1")]
    assert links.b == [("b", "b1"), ("b", "b0")]
    with pytest.raises(EvaluationError, match="rows that the record ids lack"):
        links_of(found, [["a0", "a1"], ["b0"]])
    with pytest.raises(EvaluationError, match="every dataset"):
        links_of(found, [["a0"]])


def test_nothing_that_is_printed_shows_a_record() -> None:
    links = make_links([(("a", "secret"), ("b", "secret"))])
    truth = Truth(entities={("a", "secret"): 1})

    assert "secret" not in repr(links) + repr(truth)


def test_many_links_are_read_and_judged(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("dataset_a", "record_a", "dataset_b", "record_b", "score"))
        writer.writerows(("a", f"{n:032x}", "b", f"{n:032x}", 0.9) for n in range(50_000))
    entities = {(name, f"{n:032x}"): n for n in range(50_000) for name in "ab"}

    found = evaluate_links(load_links(path), Truth(entities=entities))

    assert found.overall == Figures(50_000, 50_000, 50_000)
