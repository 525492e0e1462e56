"""Composes the matching stages for CLKs: files of other programs in, links out.

::

    ClkDataset ... -> threshold -> all pairs by Dice -> solve -> LinkSet

A CLK has one similarity with another, and nothing tells where to look, so all pairs are compared.
Datasets are put into the order of their names first: the links are the same in whichever order
they are given.  A link's score is its Dice coefficient.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from linkage.clk_files import ClkDataset
from linkage.errors import MatchingError
from linkage.matching.assignment import greedy_one_to_one, optimal_one_to_one
from linkage.matching.dice_groups import greedy_groups
from linkage.matching.dice_pairs import ScanOptions, iterate_dice_pairs
from linkage.matching.dice_threshold import DiceEstimate, choose_dice_threshold, estimate_dice
from linkage.progress import MatchProgress, Progress
from linkage.types import F64, I64, LinkSet, SolveMode

MAX_PAIRS = 100_000_000
"""Pairs that are held in memory, 24 bytes each."""

_HISTOGRAM_BINS = 20

_Estimates = dict[tuple[int, int], DiceEstimate]


class _Pairs(NamedTuple):
    """Pairs over the threshold; records of all datasets are numbered through."""

    left: I64
    right: I64
    dice: F64


def match_clks(
    datasets: Sequence[ClkDataset],
    *,
    solve: SolveMode = "groups",
    threshold: float | None = None,
    n_threads: int | None = None,
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
        n_threads: all cores if ``None``.
        on_progress: told of each stage.

    Raises:
        MatchingError: fewer than two datasets, equal names, CLKs of different lengths, too small to
            choose a threshold from, or more than :data:`MAX_PAIRS` pairs over it.
    """
    tell = on_progress or (lambda _progress: None)
    _check_alike(datasets)
    ordered = sorted(datasets, key=lambda dataset: dataset.name)
    estimates = _estimates(ordered, tell)
    if threshold is None:
        threshold = choose_dice_threshold(list(estimates.values()), one_to_one=solve != "pairs")
    options = ScanOptions(n_threads=n_threads or os.cpu_count() or 1)
    pairs = _all_pairs(ordered, threshold, options, tell)
    tell(MatchProgress("solve", 0, 1))
    sizes = [dataset.n_records for dataset in ordered]
    dataset_of = np.repeat(np.arange(len(ordered), dtype=np.int64), sizes)
    linked, group = _solve(pairs, dataset_of, solve, threshold)
    links = _link_set(ordered, pairs, dataset_of, linked, group)
    links = replace(links, threshold=threshold)
    tell(MatchProgress("solve", 1, 1, n_candidates=len(pairs.dice)))
    return replace(links, figures=_figures(ordered, pairs, links, estimates, solve))


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


def _all_pairs(
    datasets: Sequence[ClkDataset],
    threshold: float,
    options: ScanOptions,
    tell: Callable[[MatchProgress], None],
) -> _Pairs:
    sizes = [dataset.n_records for dataset in datasets]
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    n_all = sum(a * b for a, b in combinations(sizes, 2))
    lefts, rights, dices = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    n_compared = n_found = 0

    def compared(done: int, _total: int) -> None:
        tell(MatchProgress("compare", n_compared + done, n_all, n_compared + done, n_found))

    for a, b in combinations(range(len(datasets)), 2):
        filters = datasets[a].filters, datasets[b].filters
        for part in iterate_dice_pairs(*filters, threshold, options, compared):
            n_found += len(part)
            if n_found > MAX_PAIRS:
                raise MatchingError(
                    f"More than {MAX_PAIRS:,} pairs reach the threshold {threshold:.3f}: it tells "
                    "nobody apart. Give a higher one, such as --threshold 0.8."
                )
            lefts.append(part.left + offsets[a])
            rights.append(part.right + offsets[b])
            dices.append(part.dice)
        n_compared += sizes[a] * sizes[b]
    compared(0, 0)
    return _Pairs(np.concatenate(lefts), np.concatenate(rights), np.concatenate(dices))


def _solve(pairs: _Pairs, dataset_of: I64, solve: SolveMode, threshold: float) -> tuple[I64, I64]:
    """Indices of the pairs that are links, and the group of each."""
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
    return linked, np.arange(len(linked), dtype=np.int64)


def _link_set(
    datasets: Sequence[ClkDataset], pairs: _Pairs, dataset_of: I64, linked: I64, group: I64
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
        group=group[order],
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
