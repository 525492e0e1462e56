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
- **Solve** (``matching.groups``, ``matching.bipartite``, ``matching.assignment``).  Scored pairs
  become links.

Work is cut into chunks: pure functions of the files, computed by an engine on one machine or many,
and kept in a store from which a killed run goes on.  How it is cut has no influence on the links.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.assignment import greedy_one_to_one, optimal_one_to_one
from linkage.matching.bipartite import pairs_with_one_partner
from linkage.matching.candidates import CandidatePairs
from linkage.matching.chunk_store import ChunkStore, store_of_run
from linkage.matching.compare import Levels, compare_pairs, feature_names, levels_of, measure_pairs
from linkage.matching.decided import (
    DecidedPairs,
    apply_decisions,
    number_pairs,
    verify_decisions_agree,
)
from linkage.matching.engines import Engine
from linkage.matching.engines.encodings import EncodedFileRef, RecordsByHash
from linkage.matching.engines.local import LocalEngine
from linkage.matching.groups import link_groups
from linkage.matching.join import (
    JoinTask,
    JoinWatch,
    KeptPairs,
    all_of,
    join_views,
    merge_runs,
    rules_of,
    runs_of_similar,
)
from linkage.matching.links import figures_of, link_set, links_of_groups
from linkage.matching.numbering import NumberedRecords, number_through
from linkage.matching.pair_scan import ScanOptions
from linkage.matching.rarity import added_by_rarity, shown_rarity
from linkage.matching.sample import PairSample, sample_pairs
from linkage.matching.score import (
    EvidenceModel,
    FeatureMeaning,
    fit_evidence_model,
    probabilities,
    threshold_for_best_f1,
    threshold_for_precision,
)
from linkage.matching.scored import FLOOR_LOG_ODDS, ScoredPairs, agreeing_tags, agreeing_views
from linkage.matching.similar_pairs import SimilarPairs, find_similar_pairs
from linkage.matching.tagged_join import BUCKET_BYTES, plan_join
from linkage.matching.tile import vector_variant
from linkage.progress import MatchProgress, Progress
from linkage.tqe import content_sha256
from linkage.types import F64, I64, EncodedDataset, LinkSet, RecordPair, SolveMode

_log = logging.getLogger(__name__)

_CHUNK_FORMAT = 1
"""Raised whenever chunks of an older program must not be taken for ours."""

# What a merge of groups needs.  Most false pairs have a record that fits another group better and
# is gone by then, so what is left to merge is right more often than its evidence says, and no
# figure of the model tells by how much.  So it is a constant, measured on seeds of the synthetic
# registers that no table reports (21 to 24): at .02 recall is .001 to .002 higher, precision .001
# to .003 lower, and F1 lower where errors are doubled.
_GROUP_THRESHOLD = 0.05

# Where links made with that constant are not expected to be right so often, it is raised until they
# are.  How much more often links are right than their evidence says is a constant for the same
# reason: odds as many times as high.  Of FEBRL 4 with names and birth date only (seeds 11 to 16)
# .994 of the links are right with it; the registers above hardly change.
_GROUP_PRECISION, _MERGED_ODDS = 0.99, 2.5

_ONE_TO_ONE = frozenset({"one-to-one", "one-to-one-optimal"})


@dataclass(frozen=True, slots=True)
class Resources:
    """What a match may use.

    Attributes:
        engine: computes chunks; ``None`` for all cores of this machine.
        work_dir: where finished chunks are kept, so that a killed match goes on from there;
            ``None`` for a temporary folder.
        memory_bytes: about how much memory chunks may take together, on each machine.
        files: for each dataset its file, for engines whose workers open it themselves.
        tile: variant of ``linkage.matching.tile`` that compares filters of views without tags and
            CLKs; ``None`` for the one that fits each processor.
    """

    engine: Engine | None = None
    work_dir: Path | None = None
    memory_bytes: int = 2 * BUCKET_BYTES
    files: Mapping[str, Path] = field(default_factory=dict)
    tile: str | None = None


def match_datasets(
    datasets: Sequence[EncodedDataset],
    *,
    solve: SolveMode = "groups",
    threshold: float | None = None,
    known: Sequence[RecordPair] = (),
    refuted: Sequence[RecordPair] = (),
    resources: Resources | None = None,
    on_progress: Progress | None = None,
) -> LinkSet:
    """Find the records of different datasets that belong to one child.

    Args:
        datasets: two or more, encoded alike (same profile, cleaning, context and secret).
        solve: ``groups`` over all datasets (each may hold duplicates), ``one-to-one`` for each
            pair of datasets, best pairs first, ``one-to-one-optimal`` for the highest total of
            log odds, or ``pairs``: every pair over the threshold.  One to one, probabilities are
            those of records that have one partner at most (``matching.bipartite``).
        threshold: least probability of a link, 0 to 1; ``None`` chooses one: for groups a
            constant, else the one with the best expected F1; for groups and one to one it is
            raised where under 99 % of links are expected to be right and some are so likely.
            Pairs that by themselves are below one in four hundred are never linked.
        known: pairs that are linked whatever their encodings say, with score 1.
        refuted: pairs that are never linked.
        resources: what may be used; all cores and a temporary folder if ``None``.
        on_progress: told of each stage.

    Raises:
        MatchingError: fewer than two datasets, equal names, datasets encoded differently, known and
            refuted pairs that contradict each other or name no records, or more pairs alike than
            any real registers have.
    """
    tell = on_progress or (lambda _progress: None)
    resources = resources or Resources()
    _check_alike(datasets)
    records = number_through(datasets)
    _log.info("Comparing filters of tagged views with %s.", vector_variant().name)
    across_only = solve != "groups"
    decisions = _decisions(records, known, refuted, chained=not across_only)
    tell(MatchProgress("candidates", 0, 1))
    similar = find_similar_pairs(
        records,
        across_only=across_only,
        options=ScanOptions(tile=resources.tile, n_threads=LocalEngine().n_workers),
        tell=lambda done, total: tell(MatchProgress("candidates", done, total)),
    )
    tell(MatchProgress("candidates", 0, 1))
    sample = sample_pairs(records, similar, across_only=across_only)
    model, sampled_log_odds = _fit(records, sample)
    may_rise = threshold is None and solve == "groups"
    if may_rise:
        threshold = _GROUP_THRESHOLD
    elif threshold is None and solve == "pairs":
        threshold = _best_threshold(records, sample, sampled_log_odds)
    floor = FLOOR_LOG_ODDS if threshold is None else min(FLOOR_LOG_ODDS, _log_odds_of(threshold))
    tell(MatchProgress("candidates", 1, 1))
    depends_on = partial(_dependencies, records, model, floor, across_only)
    with store_of_run(resources.work_dir, depends_on) as store:
        kept = _kept_pairs(records, similar, model, floor, across_only, resources, store, tell)
        pairs = all_of(kept.parts)
        tell(MatchProgress("solve", 0, 1, kept.n_compared, len(pairs)))
        if threshold is None or solve in _ONE_TO_ONE:
            weighed = pairs_with_one_partner(records, pairs, *decisions)
            pairs, threshold = weighed.pairs, weighed.threshold(threshold)
        links = _solve(records, pairs, model, solve, threshold, decisions)
        # Merges come best first: mostly the weakest ones are left out, and no other changes.
        while may_rise:
            higher = threshold_for_precision(links.score, _GROUP_PRECISION, _MERGED_ODDS)
            if higher is None or not threshold < higher < 1.0:
                # At 1 none would be left: few records alone are no reason to link nothing at all.
                break
            threshold = higher
            links = _solve(records, pairs, model, solve, threshold, decisions)
        figures = figures_of(records, pairs, kept, links)
        tell(MatchProgress("solve", 1, 1, kept.n_compared, len(pairs)))
        store.remove()
    return replace(links, threshold=threshold, figures=figures)


def _decisions(
    records: NumberedRecords,
    known: Sequence[RecordPair],
    refuted: Sequence[RecordPair],
    *,
    chained: bool,
) -> tuple[DecidedPairs, DecidedPairs]:
    decided = number_pairs(records, known), number_pairs(records, refuted)
    verify_decisions_agree(*decided, chained=chained)
    return decided


def _fit(records: NumberedRecords, sample: PairSample) -> tuple[EvidenceModel, F64]:
    """The model, and the log odds of the sampled pairs."""
    agreeing = sample.agreeing.astype(np.uint16)
    views = records.loaded(sample.left, sample.right, sample.agreeing)
    levels = compare_pairs(views, CandidatePairs(sample.left, sample.right, agreeing))
    within = records.dataset_of(sample.left) == records.dataset_of(sample.right)
    model = fit_evidence_model(levels, agreeing, _meaning(records), sample.weights, within)
    shown = shown_rarity(records.rarity, sample.left, sample.agreeing)
    return model, model.log_odds(levels) + added_by_rarity(shown)


def _best_threshold(records: NumberedRecords, sample: PairSample, log_odds: F64) -> float:
    across = records.dataset_of(sample.left) != records.dataset_of(sample.right)
    weights = None if sample.weights is None else sample.weights[across]
    return threshold_for_best_f1(probabilities(log_odds[across]), weights)


def _log_odds_of(threshold: float) -> float:
    """What a link must have; a threshold of 0 asks for nothing, one of 1 for certainty."""
    if threshold <= 0.0:
        return FLOOR_LOG_ODDS
    return float(np.log(threshold) - np.log1p(-min(threshold, 1.0 - 1e-13)))


def _dependencies(
    records: NumberedRecords, model: EvidenceModel, floor: float, across_only: bool
) -> dict[str, object]:
    """All that a run's chunks depend on."""
    return {
        "format": _CHUNK_FORMAT,
        "datasets": [
            [each.name, each.manifest.content_sha256 or content_sha256(each)]
            for each in records.datasets
        ],
        "across_only": across_only,
        "floor": floor,
        "model": model.sha256(),
    }


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
    chunks = plan_join(
        records,
        across_only=across_only,
        bucket_bytes=resources.memory_bytes // engine.n_workers,
    )
    total = sum(chunk.n_pairs for chunk in chunks)
    looked_at = 0

    def tell_of_join(n_pairs: int, n_resumed: int, n_kept: int) -> None:
        nonlocal looked_at
        looked_at = n_pairs
        tell(MatchProgress("compare", n_pairs, total, n_pairs, n_kept, n_resumed))

    def tell_of_merge(done: int, n_resumed: int, n_ranges: int, n_kept: int) -> None:
        tell(MatchProgress("score", done, n_ranges, looked_at, n_kept, n_resumed))

    tell(MatchProgress("compare", 0, total))
    source = _records_by_hash(records, resources.files) if engine.is_remote else lambda: records
    watch = None if engine.is_remote else JoinWatch()
    task = JoinTask(source, rules_of(records, model, floor), across_only, watch)
    runs = [
        *join_views(task, chunks, engine, store, tell_of_join),
        *runs_of_similar(records, similar),
    ]
    return merge_runs(records, runs, model, floor, LocalEngine(), store, tell_of_merge)


def _records_by_hash(records: NumberedRecords, files: Mapping[str, Path]) -> RecordsByHash:
    """How another machine opens the records.

    Raises:
        MatchingError: a dataset is in memory only.
    """
    refs = []
    for dataset in records.datasets:
        path, sha256 = files.get(dataset.name), dataset.manifest.content_sha256
        if path is None or not sha256:
            raise MatchingError(
                f"Dataset '{dataset.name}' is in no file that workers could open. Write it first."
            )
        refs.append(EncodedFileRef(dataset.name, sha256, str(path.absolute())))
    return RecordsByHash(tuple(refs))


def _meaning(records: NumberedRecords) -> FeatureMeaning:
    evidence = records.datasets[0].manifest.evidence
    layouts = records.layouts
    column = {name: number for number, name in enumerate(feature_names(layouts))}
    spoken_of = {group.speaks_of for layout in layouts for group in layout.groups}
    return FeatureMeaning(
        household=tuple(column[name] for name in evidence.household if name in column),
        twins=tuple(column[name] for name in evidence.twins if name in column),
        anchors=tuple(number for name, number in column.items() if name not in spoken_of),
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
        "keyed hash": "keyed_hash",
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
    decisions: tuple[DecidedPairs, DecidedPairs],
) -> LinkSet:
    least = _log_odds_of(threshold)
    left, right = pairs["left"].astype(np.int64), pairs["right"].astype(np.int64)
    log_odds = np.ascontiguousarray(pairs["log_odds"])
    if solve != "groups":
        if solve == "pairs":  # one to one they were weighed with the decisions already
            log_odds, left, right = apply_decisions(
                log_odds, left, right, *decisions, records.n_records
            )
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
        return link_set(records, left[chosen], right[chosen], score, number, {})

    dataset_of = records.dataset_of(np.arange(records.n_records))
    groups = link_groups(
        log_odds,
        left,
        right,
        dataset_of,
        model,
        partial(_levels_between, records),
        least_log_odds=least,
        known=decisions[0],
        refuted=decisions[1],
        rarity_of=partial(_rarity_between, records),
    )
    return links_of_groups(records, dataset_of, groups)


def _levels_between(records: NumberedRecords, left: I64, right: I64) -> Levels:
    agreeing = agreeing_views(records, left, right)
    return levels_of(records.layouts, measure_pairs(records.views, left, right, agreeing))


def _rarity_between(records: NumberedRecords, left: I64, right: I64) -> F64:
    return shown_rarity(records.rarity, left, agreeing_tags(records, left, right))
