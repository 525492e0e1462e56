"""Precision, recall and F1 of links between datasets, overall and on subsets of pairs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.quality_corpus import Corpus
from linkage.types import F64, I64, Bools

OVERALL = "overall"
SUBSETS: Mapping[str, str] = {
    OVERALL: "all pairs",
    "id": "ID bad or missing",
    "id+1": "ID and one more bad",
    "id+2": "ID, name and birth date bad",
}
"""A field is bad in a pair if it is in either record; the subsets are nested."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of pairs; without any, a share is not a number."""

    n_links: int
    n_true: int
    n_correct: int

    @property
    def precision(self) -> float:
        """Share of the links that are right."""
        return self.n_correct / self.n_links if self.n_links else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true pairs that are linked."""
        return self.n_correct / self.n_true if self.n_true else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.n_links + self.n_true
        return 2 * self.n_correct / total if total else float("nan")


class Judge:
    """Knows the true pairs of a corpus and judges links; a link is a pair of record numbers."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    @cached_property
    def true_keys(self) -> I64:
        """Sorted keys of the true pairs of records of different datasets."""
        corpus = self._corpus
        order = np.argsort(corpus.entity, kind="stable")
        starts = np.flatnonzero(np.diff(corpus.entity[order], prepend=-1))
        left: list[I64] = []
        right: list[I64] = []
        for group in np.split(order, starts[1:]):
            i, j = np.triu_indices(len(group), 1)
            left.append(group[i])
            right.append(group[j])
        return self.keys(np.concatenate(left), np.concatenate(right))

    def keys(self, left: I64, right: I64) -> I64:
        """Sorted distinct keys of pairs in either direction; pairs inside a dataset are dropped."""
        dataset_of, n = self._corpus.dataset_of, self._corpus.n_records
        across = dataset_of[left] != dataset_of[right]
        low, high = np.minimum(left, right)[across], np.maximum(left, right)[across]
        return np.unique(low * n + high)

    def sides(self, keys: I64) -> tuple[I64, I64]:
        """Record numbers of the pairs with these keys."""
        return keys // self._corpus.n_records, keys % self._corpus.n_records

    def is_true(self, keys: I64) -> Bools:
        """Whether each pair is one entity."""
        left, right = self.sides(keys)
        same: Bools = self._corpus.entity[left] == self._corpus.entity[right]
        return same

    def bad(self, keys: I64, field: str) -> Bools:
        """Whether a field is bad in either record of each pair."""
        left, right = self.sides(keys)
        either: Bools = self._corpus.bad[field][left] | self._corpus.bad[field][right]
        return either

    def members(self, keys: I64) -> dict[str, Bools]:
        """For each subset, which pairs are in it; only the overall one where nothing is judged."""
        found = {OVERALL: np.ones(len(keys), dtype=bool)}
        if self._corpus.bad:
            number, name, birth = (
                self.bad(keys, field) for field in ("id_number", "name", "birth_date")
            )
            found["id"] = number
            found["id+1"] = number & (name | birth)
            found["id+2"] = number & name & birth
        return found

    def figures(self, keys: I64) -> dict[str, Figures]:
        """Figures of links given by their distinct keys, for each subset."""
        is_right = self.is_true(keys)
        true_members = self.members(self.true_keys)
        return {
            subset: Figures(
                n_links=int(member.sum()),
                n_true=int(true_members[subset].sum()),
                n_correct=int((member & is_right).sum()),
            )
            for subset, member in self.members(keys).items()
        }

    def f1(self, keys: I64) -> float:
        """Overall F1 of links given by their distinct keys."""
        total = len(keys) + len(self.true_keys)
        return 2 * int(self.is_true(keys).sum()) / total if total else float("nan")

    def best_threshold(self, keys: I64, score: F64) -> float:
        """The threshold on the score of distinct pairs that has the best F1, known in hindsight."""
        order = np.argsort(-score, kind="stable")
        hits = np.cumsum(self.is_true(keys[order]))
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + len(self.true_keys))
        # Pairs of one score are accepted together.
        last_of_score = np.append(np.diff(score[order]) != 0, [True])
        return float(score[order][np.argmax(np.where(last_of_score, f1, -1.0))])


def pairs_of_groups(group_of: I64) -> tuple[I64, I64]:
    """All pairs of records that have the same group, from ``(n,)`` numbers of groups."""
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=group_of.min() - 1))
    left: list[I64] = []
    right: list[I64] = []
    for group in np.split(order, starts[1:]):
        if len(group) > 1:
            i, j = np.triu_indices(len(group), 1)
            left.append(group[i])
            right.append(group[j])
    if not left:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(left), np.concatenate(right)


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are numbers."""
    kept = [value for value in values if value == value]
    return sum(kept) / len(kept) if kept else float("nan")
