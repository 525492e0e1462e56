"""Scored plaintext pairs into links, at the threshold that is best in hindsight."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality_corpus import Corpus
from benchmarks.quality_figures import Judge, pairs_of_groups
from linkage.matching.solve import one_to_one, order_of_pairs
from linkage.types import F64, I64

_GRID = np.arange(-10.0, 24.0, 1.0)


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """What a model predicts: ``(m,)`` record numbers, left below right, and weights (log2 odds)."""

    left: I64
    right: I64
    weight: F64

    def at_least(self, weight: float) -> "ScoredPairs":
        """The pairs of this weight or more."""
        kept = self.weight >= weight
        return ScoredPairs(self.left[kept], self.right[kept], self.weight[kept])


Solver = Callable[[Corpus, ScoredPairs, float], tuple[I64, I64]]
"""Links of the pairs at a least weight."""


def best_links(
    corpus: Corpus, judge: Judge, pairs: ScoredPairs, solve: Solver
) -> tuple[I64, float]:
    """Keys of a solver's links at the threshold with the best F1, and that threshold."""
    found = [(judge.keys(*solve(corpus, pairs, weight)), float(weight)) for weight in _GRID]
    return max(found, key=lambda each: judge.f1(each[0]))


def all_pairs(_corpus: Corpus, pairs: ScoredPairs, least: float) -> tuple[I64, I64]:
    """Every pair."""
    kept = pairs.at_least(least)
    return kept.left, kept.right


def greedy_one_to_one(corpus: Corpus, pairs: ScoredPairs, least: float) -> tuple[I64, I64]:
    """Best pairs first, one partner at most in each other dataset."""
    kept = pairs.at_least(least)
    accepted = one_to_one(kept.weight, kept.left, kept.right, corpus.dataset_of)
    return kept.left[accepted], kept.right[accepted]


def connected_components(corpus: Corpus, pairs: ScoredPairs, least: float) -> tuple[I64, I64]:
    """All pairs inside the connected components, as Splink clusters."""
    return _merged(corpus, pairs.at_least(least), lambda _a, _b: True)


def guarded_components(corpus: Corpus, pairs: ScoredPairs, least: float) -> tuple[I64, I64]:
    """Connected components, best pairs first, without merging what contradicts itself.

    A contradiction are two records with valid, different ID numbers and another name or birth
    date.  Where there are no such fields, nothing contradicts itself.
    """
    columns = corpus.columns
    if not {"id_number", "name", "birth_date"} <= columns.keys():
        return connected_components(corpus, pairs, least)
    identity = list(zip(columns["id_number"], columns["name"], columns["birth_date"], strict=True))

    def contradicts(a: int, b: int) -> bool:
        (id_a, name_a, birth_a), (id_b, name_b, birth_b) = identity[a], identity[b]
        if id_a is None or id_b is None or id_a == id_b:
            return False
        return _differ(name_a, name_b) or _differ(birth_a, birth_b)

    def compatible(ours: Sequence[int], theirs: Sequence[int]) -> bool:
        return not any(contradicts(a, b) for a in ours for b in theirs)

    return _merged(corpus, pairs.at_least(least), compatible)


def _differ(a: str | None, b: str | None) -> bool:
    return a is not None and b is not None and a != b


def _merged(
    corpus: Corpus,
    pairs: ScoredPairs,
    compatible: Callable[[Sequence[int], Sequence[int]], bool],
) -> tuple[I64, I64]:
    order = order_of_pairs(pairs.weight, pairs.left, pairs.right)
    group_of = list(range(corpus.n_records))
    members = {row: [row] for row in group_of}
    for a, b in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
        ours, theirs = group_of[a], group_of[b]
        if ours == theirs or not compatible(members[ours], members[theirs]):
            continue
        if len(members[ours]) < len(members[theirs]):
            ours, theirs = theirs, ours
        for row in members[theirs]:
            group_of[row] = ours
        members[ours] += members.pop(theirs)
    return pairs_of_groups(np.array(group_of, dtype=np.int64))
