"""Composes the matching stages: encoded datasets in, links out.  The first code to read.

::

    EncodedDataset ... -> numbered through -> candidates -> compare -> score -> solve -> LinkSet

Datasets are put into a fixed order first (by name), and records come in the order of their
pseudonyms, so the links are the same whatever the order in which anything is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.candidates import (
    CandidatePairs,
    merge_candidates,
    pairs_by_similarity,
    pairs_with_equal_tags,
)
from linkage.matching.compare import ViewColumns, compare_pairs, feature_names
from linkage.matching.score import (
    EvidenceModel,
    FeatureMeaning,
    fit_evidence_model,
    probabilities,
    threshold_for_best_f1,
)
from linkage.matching.solve import link_groups, one_to_one
from linkage.types import F64, I64, EncodedDataset, LinkSet, SolveMode

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""

_MIN_CORRELATION = 0.5
_HISTOGRAM_BINS = 20

# Inside a group, no single contradiction outweighs everything else, and two records that share no
# salt contradict each other only mildly: their evidence is the absence of evidence.
_LEAST_LOG_ODDS = -3.0
_LEAST_UNSEEN = -1.0


@dataclass(frozen=True, slots=True)
class _Records:
    """All records of all datasets, numbered through."""

    datasets: tuple[EncodedDataset, ...]
    offsets: I64
    dataset_of: I64
    views: tuple[ViewColumns, ...]

    @property
    def n_records(self) -> int:
        return int(self.offsets[-1])


def match_datasets(
    datasets: Sequence[EncodedDataset],
    *,
    solve: SolveMode = "groups",
    threshold: float | None = None,
    on_progress: Progress | None = None,
) -> LinkSet:
    """Find the records of different datasets that belong to one child.

    Args:
        datasets: two or more, encoded alike (same profile, cleaning, context and secret).
        solve: ``groups`` over all datasets (each may hold duplicates), ``one-to-one`` for each
            pair of datasets, or ``pairs``: every pair over the threshold.
        threshold: least probability of a link, 0 to 1; ``None`` chooses the one with the best
            expected F1.
        on_progress: told of each stage.

    Raises:
        MatchingError: fewer than two datasets, equal names, or datasets encoded differently.
    """
    tell = on_progress or (lambda _stage, _done, _total: None)
    _check_alike(datasets)
    records = _number_through(datasets)
    pairs = _candidates(records, within=solve == "groups", tell=tell)
    tell("compare", 0, len(pairs))
    levels = compare_pairs(records.views, pairs)
    tell("compare", len(pairs), len(pairs))
    model = fit_evidence_model(levels, pairs.views, _meaning(records))
    log_odds = model.log_odds(levels)
    tell("score", len(pairs), len(pairs))
    across = records.dataset_of[pairs.left] != records.dataset_of[pairs.right]
    probability = probabilities(log_odds)
    if threshold is None:
        threshold = threshold_for_best_f1(probability[across])
    link_set = _solve(records, pairs, log_odds, model, solve, threshold)
    figures = _figures(records, pairs, probability, across, link_set)
    tell("solve", len(link_set), len(link_set))
    return LinkSet(
        dataset_names=link_set.dataset_names,
        dataset_a=link_set.dataset_a,
        row_a=link_set.row_a,
        dataset_b=link_set.dataset_b,
        row_b=link_set.row_b,
        score=link_set.score,
        group=link_set.group,
        threshold=threshold,
        duplicates=link_set.duplicates,
        figures=figures,
    )


def _meaning(records: _Records) -> FeatureMeaning:
    evidence = records.datasets[0].manifest.evidence
    layouts = [view.layout for view in records.views]
    column = {name: number for number, name in enumerate(feature_names(layouts))}
    return FeatureMeaning(
        household=tuple(column[name] for name in evidence.household if name in column),
        twins=tuple(column[name] for name in evidence.twins if name in column),
        anchors=tuple(
            number
            for name, number in column.items()
            if not any(name in view.filters for view in records.views)
        ),
        by_salt=tuple(
            tuple(sorted({column[name] for name in (*layout.implies, *layout.refutes)}))
            for layout in layouts
        ),
    )


def _check_alike(datasets: Sequence[EncodedDataset]) -> None:
    if len(datasets) < 2:
        raise MatchingError("Matching needs two datasets or more. Give at least two.")
    if len({dataset.name for dataset in datasets}) != len(datasets):
        raise MatchingError("Two datasets have the same name. Rename one of the files.")
    first = datasets[0].manifest
    asked = {
        "profile": "profile_sha256",
        "cleaning version": "cleaning_version",
        "round": "context",
        "linkage secret": "key_confirmation",
        "layout of views": "views",
        "diffusion": "diffusion",
        "meaning of features": "evidence",
    }
    for dataset in datasets[1:]:
        for what, attribute in asked.items():
            if getattr(dataset.manifest, attribute) != getattr(first, attribute):
                raise MatchingError(
                    f"Dataset '{dataset.name}' was encoded with another {what} than "
                    f"'{datasets[0].name}'. Encode both alike; unlike encodings never match."
                )


def _number_through(datasets: Sequence[EncodedDataset]) -> _Records:
    ordered = tuple(sorted(datasets, key=lambda dataset: dataset.name))
    sizes = [dataset.n_records for dataset in ordered]
    views = []
    for number, layout in enumerate(ordered[0].manifest.views):
        parts = [dataset.views[number] for dataset in ordered]
        groups = [group.name for group in layout.groups]
        tags = [part.tags for part in parts if part.tags is not None]
        views.append(
            ViewColumns(
                layout=layout,
                tags=np.concatenate(tags) if layout.tagged else None,
                present=np.concatenate([part.present for part in parts]),
                filters={g: np.concatenate([part.filters[g] for part in parts]) for g in groups},
                filter_present={
                    g: np.concatenate([part.filter_present[g] for part in parts]) for g in groups
                },
            )
        )
    return _Records(
        datasets=ordered,
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        dataset_of=np.repeat(np.arange(len(ordered), dtype=np.int64), sizes),
        views=tuple(views),
    )


def _candidates(records: _Records, *, within: bool, tell: Progress) -> CandidatePairs:
    found: list[tuple[int, I64, I64]] = []
    for number, view in enumerate(records.views):
        tell("candidates", number, len(records.views))
        if view.tags is not None:
            found.append((number, *pairs_with_equal_tags(view.tags, view.present)))
            continue
        group = view.layout.groups[0].name
        for left, right in pairs_by_similarity(
            view.filters[group], view.filter_present[group], _MIN_CORRELATION
        ):
            found.append((number, left, right))
    tell("candidates", len(records.views), len(records.views))
    return merge_candidates(
        found, max(records.n_records, 1), None if within else records.dataset_of
    )


def _solve(
    records: _Records,
    pairs: CandidatePairs,
    log_odds: F64,
    model: EvidenceModel,
    solve: SolveMode,
    threshold: float,
) -> LinkSet:
    shift = float(np.log(threshold) - np.log1p(-threshold)) if 0 < threshold < 1 else 0.0
    if solve != "groups":
        good = np.flatnonzero(log_odds >= shift)
        if solve == "one-to-one":
            good = good[
                one_to_one(log_odds[good], pairs.left[good], pairs.right[good], records.dataset_of)
            ]
        left, right = pairs.left[good], pairs.right[good]
        score = probabilities(log_odds[good])
        return _link_set(records, left, right, score, np.arange(len(good), dtype=np.int64), {})

    def other_pairs(left: I64, right: I64) -> F64:
        none = CandidatePairs(left, right, np.zeros(len(left), dtype=np.uint16))
        return np.maximum(model.log_odds(compare_pairs(records.views, none)), _LEAST_UNSEEN)

    group_of = link_groups(
        np.maximum(log_odds - shift, _LEAST_LOG_ODDS),
        pairs.left,
        pairs.right,
        records.n_records,
        other_pairs,
    )
    return _links_of_groups(records, pairs, probabilities(log_odds), group_of)


def _links_of_groups(
    records: _Records, pairs: CandidatePairs, probability: F64, group_of: I64
) -> LinkSet:
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]
    same = group_of[pairs.left] == group_of[pairs.right]
    keys = (pairs.left[same] * records.n_records + pairs.right[same]).tolist()
    direct = dict(zip(keys, probability[same].tolist(), strict=True))
    left: list[int] = []
    right: list[int] = []
    score: list[float] = []
    number: list[int] = []
    duplicates: dict[str, list[tuple[int, ...]]] = {d.name: [] for d in records.datasets}
    for index, group in enumerate(groups):
        rows = sorted(group.tolist())
        best = _best_paths(rows, direct, records.n_records)
        for (i, a), (j, b) in combinations(enumerate(rows), 2):
            if records.dataset_of[a] != records.dataset_of[b]:
                left.append(a)
                right.append(b)
                score.append(best[i][j])
                number.append(index)
        for dataset in range(len(records.datasets)):
            inside = [row for row in rows if records.dataset_of[row] == dataset]
            if len(inside) > 1:
                offset = int(records.offsets[dataset])
                duplicates[records.datasets[dataset].name].append(
                    tuple(row - offset for row in inside)
                )
    return _link_set(
        records,
        np.array(left, dtype=np.int64),
        np.array(right, dtype=np.int64),
        np.array(score, dtype=np.float64),
        np.array(number, dtype=np.int64),
        {name: tuple(found) for name, found in duplicates.items()},
    )


def _best_paths(rows: list[int], direct: dict[int, float], n_records: int) -> list[list[float]]:
    """Score of each pair of a group: the best chain of pairs, as good as its weakest pair."""
    size = len(rows)
    best = [[0.0] * size for _ in range(size)]
    for (i, a), (j, b) in combinations(enumerate(rows), 2):
        best[i][j] = best[j][i] = direct.get(a * n_records + b, 0.0)
    for middle in range(size):
        for i in range(size):
            for j in range(size):
                through = min(best[i][middle], best[middle][j])
                best[i][j] = max(best[i][j], through)
    return best


def _link_set(
    records: _Records,
    left: I64,
    right: I64,
    score: F64,
    group: I64,
    duplicates: dict[str, tuple[tuple[int, ...], ...]],
) -> LinkSet:
    dataset_a, dataset_b = records.dataset_of[left], records.dataset_of[right]
    row_a, row_b = left - records.offsets[dataset_a], right - records.offsets[dataset_b]
    order = np.lexsort((row_b, dataset_b, row_a, dataset_a))
    return LinkSet(
        dataset_names=tuple(dataset.name for dataset in records.datasets),
        dataset_a=dataset_a[order],
        row_a=row_a[order],
        dataset_b=dataset_b[order],
        row_b=row_b[order],
        score=score[order],
        group=group[order],
        threshold=0.0,
        duplicates=duplicates,
    )


def _figures(
    records: _Records, pairs: CandidatePairs, probability: F64, across: Any, links: LinkSet
) -> dict[str, Any]:
    counts, edges = np.histogram(probability[across], bins=_HISTOGRAM_BINS, range=(0.0, 1.0))
    by_pair = []
    pair_of = records.dataset_of[pairs.left] * len(records.datasets)
    pair_of = pair_of + records.dataset_of[pairs.right]
    for a, b in combinations(range(len(records.datasets)), 2):
        expected = float(probability[pair_of == a * len(records.datasets) + b].sum())
        inside = (links.dataset_a == a) & (links.dataset_b == b)
        right_ones = float(links.score[inside].sum())
        n_links = int(inside.sum())
        by_pair.append(
            {
                "dataset_a": records.datasets[a].name,
                "dataset_b": records.datasets[b].name,
                "n_links": n_links,
                "estimated_precision": right_ones / n_links if n_links else None,
                "estimated_recall": min(1.0, right_ones / expected) if expected > 0 else None,
            }
        )
    return {
        "candidate_pairs": int(across.sum()),
        "histogram": [
            {"from": float(low), "to": float(high), "n": int(n)}
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        "pairs": by_pair,
    }
