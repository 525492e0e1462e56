"""Pairwise precision, recall and F1 of links against a known truth.

A link is an unordered pair of records of two different datasets.  Links inside one dataset
(duplicates that a register holds of its own) say nothing about linkage and are left out of every
figure; a link that is given twice, or once in each direction, counts once.

No message of this module holds a record id: rows are named by number, from 1, headings not
counted.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from linkage.errors import EvaluationError
from linkage.quality.evaluation_files import (
    Links,
    Record,
    Truth,
    links_of,
    load_links,
    load_pseudonym_map,
    load_truth,
)
from linkage.types import I64, Bools

__all__ = [
    "Evaluation",
    "Figures",
    "Links",
    "Record",
    "Truth",
    "evaluate_links",
    "links_of",
    "load_links",
    "load_pseudonym_map",
    "load_truth",
]


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of distinct pairs, and what follows from them.

    Where a figure would be 0/0 it is 1: without links none is wrong, and where there is nothing to
    find nothing is missed.
    """

    n_links: int
    n_true: int
    n_correct: int

    @property
    def precision(self) -> float:
        """Share of the links that are right; 1 if there are none."""
        return self.n_correct / self.n_links if self.n_links else 1.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that are linked; 1 if there are none."""
        return self.n_correct / self.n_true if self.n_true else 1.0

    @property
    def f1(self) -> float:
        """``2 n_correct / (n_links + n_true)``, the harmonic mean; 1 if both are none."""
        total = self.n_links + self.n_true
        return 2 * self.n_correct / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a set of links is.

    Attributes:
        overall: over all pairs of datasets, every pair of records weighing the same.
        by_pair: for each pair of datasets, names in ascending order.
        n_inside: links given between records of one dataset; left out.
        n_repeated: further mentions of a link across datasets; left out.
    """

    overall: Figures
    by_pair: Mapping[tuple[str, str], Figures]
    n_inside: int
    n_repeated: int


def evaluate_links(
    links: Links,
    truth: Truth,
    maps: Mapping[str, Mapping[str, str]] | None = None,
    datasets: Collection[str] | None = None,
) -> Evaluation:
    """Compare links with the truth, over all pairs of datasets and for each.

    ``maps`` holds, for each dataset whose links name pseudonyms, the record id of each pseudonym.
    ``datasets`` are those that were matched, if the truth knows more; links of others are an error.
    Pairs of datasets without links and without true pairs are listed too.

    Raises:
        EvaluationError: if a link names a pseudonym that its map lacks, or a record that the truth
            does not know (of a truth in pairs: if it knows no record of any link).
    """
    a, b = _translated(links.a, maps or {}), _translated(links.b, maps or {})
    if datasets is not None:
        _check_datasets(a, b, datasets)
        truth = truth.among(datasets)
    numbers = _numbers(truth)
    _check_known(a, b, numbers, truth)
    for record in (*a, *b):
        numbers.setdefault(record, len(numbers))
    names = sorted({dataset for dataset, _ in numbers})
    dataset = _datasets(numbers, names)
    linked, n_across = _across(_columns(a, b, numbers), dataset)
    is_correct, n_true = _judge(linked, truth, numbers, dataset, len(names))
    n_links = _pair_counts(linked, dataset, len(names))
    n_correct = _pair_counts(linked[is_correct], dataset, len(names))
    by_pair = {
        (names[i], names[j]): Figures(int(n_links[i, j]), int(n_true[i, j]), int(n_correct[i, j]))
        for i, j in combinations(range(len(names)), 2)
    }
    return Evaluation(
        overall=_sum(by_pair.values()),
        by_pair=by_pair,
        n_inside=len(links) - n_across,
        n_repeated=n_across - len(linked),
    )


def _judge(
    linked: I64, truth: Truth, numbers: Mapping[Record, int], dataset: I64, n_datasets: int
) -> tuple[Bools, I64]:
    """Which of the linked pairs are true, and the number of true pairs for each two datasets."""
    if truth.entities is not None:
        entity = np.fromiter(truth.entities.values(), np.int64, len(truth.entities))
        is_correct = entity[linked[:, 0]] == entity[linked[:, 1]]
        return is_correct, _true_counts(entity, dataset, n_datasets)
    pairs = truth.pairs or ()
    sides = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    true, _ = _across(_columns(*sides, numbers), dataset)
    is_correct = np.isin(_keys(linked, len(numbers)), _keys(true, len(numbers)))
    return is_correct, _pair_counts(true, dataset, n_datasets)


def _sum(figures: Iterable[Figures]) -> Figures:
    n_links = n_true = n_correct = 0
    for each in figures:
        n_links += each.n_links
        n_true += each.n_true
        n_correct += each.n_correct
    return Figures(n_links, n_true, n_correct)


def _translated(
    records: Sequence[Record], maps: Mapping[str, Mapping[str, str]]
) -> Sequence[Record]:
    if not maps:
        return records
    found = []
    for row, (dataset, record) in enumerate(records, start=1):
        known = maps.get(dataset)
        if known is None:
            found.append((dataset, record))
        elif record in known:
            found.append((dataset, known[record]))
        else:
            raise EvaluationError(
                f"Link {row} names a pseudonym that the map of '{dataset}' lacks. "
                "Use the map that was written with the encoded file."
            )
    return found


def _numbers(truth: Truth) -> dict[Record, int]:
    """A number for each record of the truth, from 0, in its order."""
    if truth.entities is not None:
        return {record: number for number, record in enumerate(truth.entities)}
    numbers: dict[Record, int] = {}
    for pair in truth.pairs or ():
        for record in pair:
            numbers.setdefault(record, len(numbers))
    return numbers


def _check_datasets(a: Sequence[Record], b: Sequence[Record], datasets: Collection[str]) -> None:
    strays = {dataset for dataset, _ in (*a, *b)} - set(datasets)
    if strays:
        raise EvaluationError(
            f"There are links of datasets that were not to be compared: "
            f"{', '.join(sorted(strays))}. Add them, or drop their links."
        )


def _check_known(
    a: Sequence[Record], b: Sequence[Record], numbers: Mapping[Record, int], truth: Truth
) -> None:
    pairs = enumerate(zip(a, b, strict=True), start=1)
    unknown = [row for row, (left, right) in pairs if not (left in numbers and right in numbers)]
    if not unknown:
        return
    if truth.entities is not None:
        subject = f"Link {unknown[0]} ({len(unknown)} in all) names a record that the truth lacks."
    elif numbers and numbers.keys().isdisjoint((*a, *b)):
        subject = "The truth knows none of the linked records."
    else:  # a truth in pairs need not mention records that match nothing
        return
    raise EvaluationError(
        f"{subject} If the links hold pseudonyms, give the offices' maps; datasets must have the "
        "same names in both files."
    )


def _columns(a: Sequence[Record], b: Sequence[Record], numbers: Mapping[Record, int]) -> I64:
    """Numbers of both records of each pair, ``(n, 2) int64``."""
    columns = [[numbers[record] for record in side] for side in (a, b)]
    return np.array(columns, dtype=np.int64).T.reshape(-1, 2)


def _datasets(numbers: Mapping[Record, int], names: Sequence[str]) -> I64:
    place = {name: number for number, name in enumerate(names)}
    return np.fromiter((place[dataset] for dataset, _ in numbers), np.int64, len(numbers))


def _across(pairs: I64, dataset: I64) -> tuple[I64, int]:
    """Distinct pairs across datasets, lower dataset first, and how many there were with repeats."""
    left, right = dataset[pairs[:, 0]], dataset[pairs[:, 1]]
    ordered = np.where((left <= right)[:, None], pairs, pairs[:, ::-1])
    across = ordered[left != right]
    keys = np.unique(_keys(across, len(dataset)))
    return np.stack(np.divmod(keys, max(1, len(dataset))), axis=1), len(across)


def _keys(pairs: I64, n_records: int) -> I64:
    keys: I64 = pairs[:, 0] * n_records + pairs[:, 1]
    return keys


def _pair_counts(pairs: I64, dataset: I64, n_datasets: int) -> I64:
    """Number of pairs for each two datasets, ``(d, d) int64``, above the diagonal."""
    keys = dataset[pairs[:, 0]] * n_datasets + dataset[pairs[:, 1]]
    return np.bincount(keys, minlength=n_datasets**2).reshape(n_datasets, n_datasets)


def _true_counts(entity: I64, dataset: I64, n_datasets: int) -> I64:
    """Number of true pairs for each two datasets: records of an entity in one times the other."""
    keys = entity * n_datasets + dataset
    n_entities = int(entity.max(initial=-1)) + 1
    counts = np.bincount(keys, minlength=n_entities * n_datasets)
    table = counts.reshape(n_entities, n_datasets)
    product: I64 = table.T @ table
    return product
