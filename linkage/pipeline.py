"""Composes the matching stages: encoded datasets in, links out.  The first code to read.

::

    EncodedDataset ... -> numbered through -+-> sample -> compare -> model
                                            |                          |
                                            +-> join views ------------+-> kept pairs
                                                                               |
                                                              LinkSet <- solve +

- **Number through** (``matching.numbering``).  Datasets are put into a fixed order (by name), and
  records come in the order of their pseudonyms, so the links are the same whatever the order in
  which anything is given.
- **Sample** (``matching.sample``).  The evidence model is fitted to candidate pairs: to all of them
  where they are few, else to a weighted sample.
- **Join** (``matching.join``).  Every pair of records that is comparable in some view is compared;
  pairs that the model gives next to no chance are dropped on the spot, the others are spilled to
  disk as sorted runs and scored from everything that their encodings show.
- **Solve** (``matching.solve``).  Scored pairs become links.

Work is cut into chunks: pure functions of the files, computed by an engine on one machine or many,
and kept in a store from which a killed run goes on.  How it is cut has no influence on the links.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.assignment import greedy_one_to_one, optimal_one_to_one
from linkage.matching.candidates import CandidatePairs
from linkage.matching.chunk_store import ChunkStore, fingerprint
from linkage.matching.compare import compare_pairs, feature_names, levels_of, measure_pairs
from linkage.matching.engines import Engine
from linkage.matching.engines.local import LocalEngine
from linkage.matching.join import (
    JoinTask,
    KeptPairs,
    all_of,
    join_views,
    merge_runs,
    rules_of,
    runs_of_similar,
)
from linkage.matching.numbering import NumberedRecords, number_through
from linkage.matching.sample import PairSample, sample_pairs
from linkage.matching.score import (
    EvidenceModel,
    FeatureMeaning,
    fit_evidence_model,
    probabilities,
    threshold_for_best_f1,
)
from linkage.matching.scored import FLOOR_LOG_ODDS, ScoredPairs, agreeing_views
from linkage.matching.similar_pairs import SimilarPairs, find_similar_pairs
from linkage.matching.solve import link_groups
from linkage.matching.tagged_join import BUCKET_BYTES, plan_join
from linkage.tqe import content_sha256
from linkage.types import F64, I64, EncodedDataset, LinkSet, SolveMode


@dataclass(frozen=True, slots=True)
class MatchProgress:
    """How far a match is.

    Attributes:
        stage: ``candidates``, ``compare``, ``score`` or ``solve``, in this order.
        done, total: of the stage, in its own unit; ``total`` is an estimate.
        n_pairs: pairs looked at so far.
        n_candidates: pairs kept so far.
    """

    stage: str
    done: int
    total: int
    n_pairs: int = 0
    n_candidates: int = 0


Progress = Callable[[MatchProgress], None]
"""Told of progress, from the thread that called; may raise to stop the match."""

_CHUNK_FORMAT = 1
"""Raised whenever chunks of an older program must not be taken for ours."""

_HISTOGRAM_BINS = 20

# Inside a group, no single contradiction outweighs everything else, and two records that share no
# salt contradict each other only mildly: their evidence is the absence of evidence.
_LEAST_LOG_ODDS = -3.0
_LEAST_UNSEEN = -1.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What a match may use.

    Attributes:
        engine: computes chunks; ``None`` for all cores of this machine.
        work_dir: where finished chunks are kept, so that a killed match goes on from there;
            ``None`` for a temporary folder.
        memory_bytes: about how much memory chunks may take together.
    """

    engine: Engine | None = None
    work_dir: Path | None = None
    memory_bytes: int = 2 * BUCKET_BYTES


def match_datasets(
    datasets: Sequence[EncodedDataset],
    *,
    solve: SolveMode = "groups",
    threshold: float | None = None,
    resources: Resources | None = None,
    on_progress: Progress | None = None,
) -> LinkSet:
    """Find the records of different datasets that belong to one child.

    Args:
        datasets: two or more, encoded alike (same profile, cleaning, context and secret).
        solve: ``groups`` over all datasets (each may hold duplicates), ``one-to-one`` for each
            pair of datasets, best pairs first, ``one-to-one-optimal`` for the highest total of
            log odds, or ``pairs``: every pair over the threshold.
        threshold: least probability of a link, 0 to 1; ``None`` chooses the one with the best
            expected F1.  Pairs below one in four hundred are never linked.
        resources: what may be used; all cores and a temporary folder if ``None``.
        on_progress: told of each stage.

    Raises:
        MatchingError: fewer than two datasets, equal names, or datasets encoded differently.
    """
    tell = on_progress or (lambda _progress: None)
    resources = resources or Resources()
    _check_alike(datasets)
    records = number_through(datasets)
    across_only = solve != "groups"
    tell(MatchProgress("candidates", 0, 1))
    similar = find_similar_pairs(records, across_only=across_only)
    sample = sample_pairs(records, similar, across_only=across_only)
    model, sampled_log_odds = _fit(records, sample)
    if threshold is None:
        threshold = _best_threshold(records, sample, sampled_log_odds)
    floor = min(FLOOR_LOG_ODDS, _log_odds_of(threshold))
    tell(MatchProgress("candidates", 1, 1))
    with _store(records, model, floor, across_only, resources) as store:
        kept = _kept_pairs(records, similar, model, floor, across_only, resources, store, tell)
        pairs = all_of(kept.parts)
        tell(MatchProgress("solve", 0, len(pairs), kept.n_compared, len(pairs)))
        link_set = _solve(records, pairs, model, solve, threshold)
        figures = _figures(records, pairs, kept, link_set)
        tell(MatchProgress("solve", len(pairs), len(pairs), kept.n_compared, len(pairs)))
        store.remove()
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


def _fit(records: NumberedRecords, sample: PairSample) -> tuple[EvidenceModel, F64]:
    """The model, and the log odds of the sampled pairs."""
    numbers, places = np.unique(np.concatenate((sample.left, sample.right)), return_inverse=True)
    views = records.gathered(numbers)
    m = len(sample.left)
    agreeing = sample.agreeing.astype(np.uint16)
    levels = compare_pairs(views, CandidatePairs(places[:m], places[m:], agreeing))
    model = fit_evidence_model(levels, agreeing, _meaning(records), sample.weights)
    return model, model.log_odds(levels)


def _best_threshold(records: NumberedRecords, sample: PairSample, log_odds: F64) -> float:
    across = records.dataset_of(sample.left) != records.dataset_of(sample.right)
    weights = None if sample.weights is None else sample.weights[across]
    return threshold_for_best_f1(probabilities(log_odds[across]), weights)


def _log_odds_of(threshold: float) -> float:
    """What a link must have; a threshold of 0 asks for nothing, one of 1 for certainty."""
    if threshold <= 0.0:
        return FLOOR_LOG_ODDS
    return float(np.log(threshold) - np.log1p(-min(threshold, 1.0 - 1e-13)))


@contextmanager
def _store(
    records: NumberedRecords,
    model: EvidenceModel,
    floor: float,
    across_only: bool,
    resources: Resources,
) -> Iterator[ChunkStore]:
    """Where this run's chunks are kept: named after all that they depend on."""
    if resources.work_dir is None:
        with tempfile.TemporaryDirectory(prefix="tongqiao-") as folder:
            yield ChunkStore(Path(folder))
        return
    run = fingerprint(
        {
            "format": _CHUNK_FORMAT,
            "datasets": [
                [each.name, each.manifest.content_sha256 or content_sha256(each)]
                for each in records.datasets
            ],
            "across_only": across_only,
            "floor": floor,
            "model": model.sha256(),
        }
    )
    yield ChunkStore(resources.work_dir / run)


def _kept_pairs(
    records: NumberedRecords,
    similar: SimilarPairs,
    model: EvidenceModel,
    floor: float,
    across_only: bool,
    resources: Resources,
    store: ChunkStore,
    tell: Progress,
) -> KeptPairs:
    engine = resources.engine or LocalEngine()
    chunks = plan_join(records, bucket_bytes=resources.memory_bytes // engine.n_workers)
    total = sum(chunk.n_pairs for chunk in chunks)
    looked_at = 0

    def tell_of_join(done: int, n_pairs: int, n_kept: int) -> None:
        nonlocal looked_at
        looked_at = n_pairs
        tell(MatchProgress("compare", done, total, n_pairs, n_kept))

    def tell_of_merge(done: int, n_ranges: int, n_kept: int) -> None:
        tell(MatchProgress("score", done, n_ranges, looked_at, n_kept))

    tell_of_join(0, 0, 0)
    task = JoinTask(lambda: records, rules_of(records, model, floor), across_only)
    runs = [
        *join_views(task, chunks, engine, store, tell_of_join),
        *runs_of_similar(records, similar),
    ]
    return merge_runs(records, runs, model, floor, LocalEngine(), store, tell_of_merge)


def _meaning(records: NumberedRecords) -> FeatureMeaning:
    evidence = records.datasets[0].manifest.evidence
    layouts = records.layouts
    column = {name: number for number, name in enumerate(feature_names(layouts))}
    groups = {group.name for layout in layouts for group in layout.groups}
    return FeatureMeaning(
        household=tuple(column[name] for name in evidence.household if name in column),
        twins=tuple(column[name] for name in evidence.twins if name in column),
        anchors=tuple(number for name, number in column.items() if name not in groups),
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


def _solve(
    records: NumberedRecords,
    pairs: ScoredPairs,
    model: EvidenceModel,
    solve: SolveMode,
    threshold: float,
) -> LinkSet:
    least = _log_odds_of(threshold)
    left, right = pairs["left"].astype(np.int64), pairs["right"].astype(np.int64)
    log_odds = np.ascontiguousarray(pairs["log_odds"])
    if solve != "groups":
        good = log_odds >= least
        left, right, log_odds = left[good], right[good], log_odds[good]
        dataset_of = np.stack((records.dataset_of(left), records.dataset_of(right)))
        chosen = np.ones(len(left), dtype=np.bool_)
        if solve == "one-to-one":
            chosen = greedy_one_to_one(log_odds, left, right, dataset_of, records.n_records)
        elif solve == "one-to-one-optimal":
            chosen = optimal_one_to_one(log_odds, least, left, right, dataset_of)
        number = np.arange(int(chosen.sum()), dtype=np.int64)
        score = probabilities(log_odds[chosen])
        return _link_set(records, left[chosen], right[chosen], score, number, {})

    def other_pairs(left: I64, right: I64) -> F64:
        agreeing = agreeing_views(records, left, right)
        levels = levels_of(records.layouts, measure_pairs(records.views, left, right, agreeing))
        found = model.log_odds(levels)
        unseen = np.maximum(found, _LEAST_UNSEEN)
        return np.where(agreeing == 0, unseen, np.maximum(found - least, _LEAST_LOG_ODDS))

    group_of = link_groups(
        np.maximum(log_odds - least, _LEAST_LOG_ODDS),
        left,
        right,
        records.n_records,
        other_pairs,
    )
    return _links_of_groups(records, pairs, group_of)


def _links_of_groups(records: NumberedRecords, pairs: ScoredPairs, group_of: I64) -> LinkSet:
    dataset_of = records.dataset_of(np.arange(records.n_records))
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]
    same = pairs[group_of[pairs["left"]] == group_of[pairs["right"]]]
    keys = (same["left"].astype(np.int64) * records.n_records + same["right"]).tolist()
    direct = dict(zip(keys, probabilities(same["log_odds"]).tolist(), strict=True))
    left: list[int] = []
    right: list[int] = []
    score: list[float] = []
    number: list[int] = []
    duplicates: dict[str, list[tuple[int, ...]]] = {d.name: [] for d in records.datasets}
    for index, group in enumerate(groups):
        rows = sorted(group.tolist())
        best = _best_paths(rows, direct, records.n_records)
        for (i, a), (j, b) in combinations(enumerate(rows), 2):
            if dataset_of[a] != dataset_of[b]:
                left.append(a)
                right.append(b)
                score.append(best[i][j])
                number.append(index)
        for dataset in range(len(records.datasets)):
            inside = [row for row in rows if dataset_of[row] == dataset]
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
    records: NumberedRecords,
    left: I64,
    right: I64,
    score: F64,
    group: I64,
    duplicates: dict[str, tuple[tuple[int, ...], ...]],
) -> LinkSet:
    dataset_a, dataset_b = records.dataset_of(left), records.dataset_of(right)
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
    records: NumberedRecords, pairs: ScoredPairs, kept: KeptPairs, links: LinkSet
) -> dict[str, Any]:
    """Aggregates.  Pairs that were not kept are all in the histogram's lowest bar."""
    of_left, of_right = records.dataset_of(pairs["left"]), records.dataset_of(pairs["right"])
    probability = probabilities(pairs["log_odds"])
    counts, edges = np.histogram(
        probability[of_left != of_right], bins=_HISTOGRAM_BINS, range=(0.0, 1.0)
    )
    counts[0] = kept.n_across - int(counts[1:].sum())
    n_datasets = len(records.datasets)
    expected = np.bincount(
        of_left * n_datasets + of_right, weights=probability, minlength=n_datasets * n_datasets
    )
    by_pair = []
    for a, b in combinations(range(n_datasets), 2):
        inside = (links.dataset_a == a) & (links.dataset_b == b)
        right_ones = float(links.score[inside].sum())
        n_links = int(inside.sum())
        hoped = float(expected[a * n_datasets + b])
        by_pair.append(
            {
                "dataset_a": records.datasets[a].name,
                "dataset_b": records.datasets[b].name,
                "n_links": n_links,
                "estimated_precision": right_ones / n_links if n_links else None,
                "estimated_recall": min(1.0, right_ones / hoped) if hoped > 0 else None,
            }
        )
    return {
        "candidate_pairs": kept.n_across,
        "histogram": [
            {"from": float(low), "to": float(high), "n": int(n)}
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        "pairs": by_pair,
    }
