"""Composes the matching stages for CLKs: files of other programs in, links out.

::

    ClkDataset ... -> threshold -> all pairs by Dice, in chunks -> solve -> LinkSet

A CLK has one similarity with another, and nothing tells where to look, so all pairs are compared.
Datasets are put into the order of their names first: the links are the same in whichever order
they are given.  A link's score is its Dice coefficient.

As with encoded files, work is cut into chunks: an engine computes them on one machine or many, and
a store keeps their pairs on disk, from which a killed run goes on (``matching.dice_join``).
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from linkage.clk_files import ClkDataset
from linkage.errors import MatchingError
from linkage.matching.assignment import greedy_one_to_one, optimal_one_to_one
from linkage.matching.chunk_store import ChunkStore, store_of_run
from linkage.matching.dice_groups import greedy_groups
from linkage.matching.dice_join import (
    DiceChunk,
    DicePairs,
    DiceTask,
    choose_tests,
    join_dice,
    plan_dice_join,
)
from linkage.matching.dice_threshold import DiceEstimate, choose_dice_threshold, estimate_dice
from linkage.matching.engines.clks import ClkFileRef, ClksByHash, sha256_of_file
from linkage.matching.engines.local import LocalEngine
from linkage.matching.pair_scan import ScanOptions
from linkage.pipeline import Resources
from linkage.progress import MatchProgress, Progress
from linkage.types import F64, I64, U64, LinkSet, SolveMode

_CHUNK_FORMAT = 1
"""Raised whenever chunks of an older program must not be taken for ours."""

_BYTES_A_PAIR = 160
"""While links are chosen: columns of 8 bytes, their orders, and Python's numbers of groups."""

_HISTOGRAM_BINS = 20

_Estimates = dict[tuple[int, int], DiceEstimate]


class _Pairs(NamedTuple):
    """Pairs over the threshold, in no particular order; records are numbered through."""

    left: I64
    right: I64
    dice: F64


def match_clks(
    datasets: Sequence[ClkDataset],
    *,
    solve: SolveMode = "groups",
    threshold: float | None = None,
    resources: Resources | None = None,
    on_progress: Progress | None = None,
) -> LinkSet:
    """Find the records of different datasets whose CLKs resemble each other.

    Args:
        datasets: two or more, made by one linkage schema and secret (nothing in a CLK tells).
        solve: ``pairs``: every pair over the threshold.  ``one-to-one``: each record once for each
            pair of datasets, best pairs first; ``one-to-one-optimal``: with the highest total of
            what their coefficients are above the threshold.  ``groups``: over all datasets, every
            two records of a group a pair over the threshold, none two of one dataset.
        threshold: least Dice coefficient of a link, over 0 to 1; ``None`` chooses the one with the
            best expected F1 (``linkage.matching.dice_threshold``).
        resources: what may be used; all cores and a temporary folder if ``None``.
        on_progress: told of each stage.

    Raises:
        MatchingError: fewer than two datasets, equal names, CLKs of different lengths, too small to
            choose a threshold from, or more pairs over it than this machine can choose links from.
    """
    tell = on_progress or (lambda _progress: None)
    resources = resources or Resources()
    _check_alike(datasets)
    ordered = sorted(datasets, key=lambda dataset: dataset.name)
    estimates = _estimates(ordered, tell)
    if threshold is None:
        threshold = choose_dice_threshold(list(estimates.values()), one_to_one=solve != "pairs")

    def depends_on() -> dict[str, object]:
        return {
            "format": _CHUNK_FORMAT,
            "clks": [[each.name, each.clk_bytes, _sha256(each.filters)] for each in ordered],
            "threshold": threshold,
        }

    with store_of_run(resources.work_dir, depends_on) as store:
        pairs = _all_pairs(ordered, threshold, resources, store, tell)
        tell(MatchProgress("solve", 0, 1, _n_pairs(ordered), len(pairs.dice)))
        sizes = [dataset.n_records for dataset in ordered]
        dataset_of = np.repeat(np.arange(len(ordered), dtype=np.int64), sizes)
        linked, group = _solve(pairs, dataset_of, solve, threshold)
        links = _link_set(ordered, pairs, dataset_of, linked, group)
        links = replace(links, threshold=threshold)
        tell(MatchProgress("solve", 1, 1, _n_pairs(ordered), len(pairs.dice)))
        links = replace(links, figures=_figures(ordered, pairs, links, estimates, solve))
        store.remove()
    return links


def _check_alike(datasets: Sequence[ClkDataset]) -> None:
    if len(datasets) < 2:
        raise MatchingError("Matching needs two datasets or more. Give at least two.")
    if len({dataset.name for dataset in datasets}) != len(datasets):
        raise MatchingError("Two datasets have the same name. Rename one of the files.")
    first = datasets[0]
    for dataset in datasets[1:]:
        if dataset.clk_bytes != first.clk_bytes:
            raise MatchingError(
                f"The CLKs of '{dataset.name}' have {dataset.clk_bytes * 8} bits, and those of "
                f"'{first.name}' {first.clk_bytes * 8}. Encode both by the same linkage schema."
            )


def _estimates(datasets: Sequence[ClkDataset], tell: Callable[[MatchProgress], None]) -> _Estimates:
    found: _Estimates = {}
    all_pairs = list(combinations(range(len(datasets)), 2))
    for number, (a, b) in enumerate(all_pairs):
        tell(MatchProgress("candidates", number, len(all_pairs)))
        estimate = estimate_dice(datasets[a].filters, datasets[b].filters)
        if estimate is not None:
            found[a, b] = estimate
    tell(MatchProgress("candidates", len(all_pairs), len(all_pairs)))
    return found


def _n_pairs(datasets: Sequence[ClkDataset]) -> int:
    return sum(a.n_records * b.n_records for a, b in combinations(datasets, 2))


def _sha256(filters: U64) -> str:
    return hashlib.sha256(np.ascontiguousarray(filters).data).hexdigest()


def _all_pairs(
    datasets: Sequence[ClkDataset],
    threshold: float,
    resources: Resources,
    store: ChunkStore,
    tell: Callable[[MatchProgress], None],
) -> _Pairs:
    engine = resources.engine or LocalEngine()
    filters = [dataset.filters for dataset in datasets]
    total = _n_pairs(datasets)

    def tell_of_join(n_pairs: int, n_resumed: int, n_found: int) -> None:
        tell(MatchProgress("compare", n_pairs, total, n_pairs, n_found, n_resumed))

    tell(MatchProgress("compare", 0, total))
    source = _clks_by_hash(datasets, resources) if engine.is_remote else lambda: filters
    tests = choose_tests(filters, threshold, ScanOptions(tile=resources.tile))
    task = DiceTask(source, threshold, tests, resources.tile)
    chunks = plan_dice_join(filters, threshold)
    runs = join_dice(task, chunks, engine, store, tell_of_join)
    _check_fits(sum(len(run) for _, run in runs), threshold)
    return _numbered_through(runs, datasets)


def _numbered_through(
    runs: Sequence[tuple[DiceChunk, DicePairs]], datasets: Sequence[ClkDataset]
) -> _Pairs:
    n = sum(len(run) for _, run in runs)
    pairs = _Pairs(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n))
    offsets = np.cumsum([0, *(dataset.n_records for dataset in datasets)])
    at = 0
    for chunk, run in runs:
        mine = slice(at, at + len(run))
        pairs.left[mine] = run["left"] + offsets[chunk.left]
        pairs.right[mine] = run["right"] + offsets[chunk.right]
        pairs.dice[mine] = run["dice"]
        at += len(run)
    return pairs


def _check_fits(n_pairs: int, threshold: float) -> None:
    """Raise where choosing links would be killed for want of memory, which would say nothing."""
    needed = n_pairs * _BYTES_A_PAIR
    if needed > _memory_bytes():
        raise MatchingError(
            f"{n_pairs:,} pairs reach the threshold {threshold:.3f}, and choosing links from them "
            f"takes {needed / 1e9:.0f} GB of memory, more than this machine has. Most likely the "
            "threshold tells nobody apart: give a higher one, such as --threshold 0.8."
        )


def _memory_bytes() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # no POSIX system
        return float("inf")


def _clks_by_hash(datasets: Sequence[ClkDataset], resources: Resources) -> ClksByHash:
    """How another machine reads the CLKs.

    Raises:
        MatchingError: a dataset is in memory only.
    """
    refs = []
    for dataset in datasets:
        path = resources.files.get(dataset.name)
        if path is None:
            raise MatchingError(
                f"Dataset '{dataset.name}' is in no file that workers could open. Write it first."
            )
        refs.append(
            ClkFileRef(dataset.name, sha256_of_file(path), str(path.absolute()), dataset.clk_bytes)
        )
    return ClksByHash(tuple(refs))


def _solve(
    pairs: _Pairs, dataset_of: I64, solve: SolveMode, threshold: float
) -> tuple[I64, I64 | None]:
    """Indices of the pairs that are links, and the group of each; ``None``: each is its own."""
    left, right, dice = pairs
    if solve == "groups":
        group_of = greedy_groups(dice, left, right, dataset_of, len(dataset_of))
        linked = np.flatnonzero(group_of[left] == group_of[right])
        _, group = np.unique(group_of[left[linked]], return_inverse=True)
        return linked, group.astype(np.int64)
    if solve == "pairs":
        linked = np.arange(len(dice), dtype=np.int64)
    else:
        of_sides = np.stack((dataset_of[left], dataset_of[right]))
        if solve == "one-to-one":
            chosen = greedy_one_to_one(dice, left, right, of_sides, len(dataset_of))
        else:
            chosen = optimal_one_to_one(dice, threshold, left, right, of_sides)
        linked = np.flatnonzero(chosen)
    return linked, None


def _link_set(
    datasets: Sequence[ClkDataset],
    pairs: _Pairs,
    dataset_of: I64,
    linked: I64,
    group: I64 | None,
) -> LinkSet:
    offsets = np.concatenate(([0], np.cumsum([dataset.n_records for dataset in datasets])))
    left, right = pairs.left[linked], pairs.right[linked]
    dataset_a, dataset_b = dataset_of[left], dataset_of[right]
    row_a, row_b = left - offsets[dataset_a], right - offsets[dataset_b]
    order = np.lexsort((row_b, dataset_b, row_a, dataset_a))
    return LinkSet(
        dataset_names=tuple(dataset.name for dataset in datasets),
        dataset_a=dataset_a[order],
        row_a=row_a[order],
        dataset_b=dataset_b[order],
        row_b=row_b[order],
        score=pairs.dice[linked][order],
        group=np.arange(len(order), dtype=np.int64) if group is None else group[order],
        threshold=0.0,
    )


def _figures(
    datasets: Sequence[ClkDataset],
    pairs: _Pairs,
    links: LinkSet,
    estimates: _Estimates,
    solve: SolveMode,
) -> dict[str, Any]:
    counts, edges = np.histogram(pairs.dice, bins=_HISTOGRAM_BINS, range=(0.0, 1.0))
    by_pair = []
    for a, b in combinations(range(len(datasets)), 2):
        estimate = estimates.get((a, b))
        precision = recall = None
        if estimate is not None:
            precision, recall = estimate.at(links.threshold, one_to_one=solve != "pairs")
        inside = (links.dataset_a == a) & (links.dataset_b == b)
        by_pair.append(
            {
                "dataset_a": datasets[a].name,
                "dataset_b": datasets[b].name,
                "n_links": int(inside.sum()),
                "estimated_precision": precision,
                "estimated_recall": recall,
            }
        )
    return {
        "candidate_pairs": len(pairs.dice),
        "histogram": [
            {"from": float(low), "to": float(high), "n": int(n)}
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        "pairs": by_pair,
    }
