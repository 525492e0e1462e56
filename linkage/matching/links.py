"""Accepted pairs as a :class:`LinkSet`, and the figures that are told of a match."""

from itertools import combinations
from typing import Any

import numpy as np

from linkage.matching.groups import Groups
from linkage.matching.join import KeptPairs
from linkage.matching.numbering import NumberedRecords
from linkage.matching.score import probabilities
from linkage.matching.scored import ScoredPairs
from linkage.types import F64, I64, LinkSet

_HISTOGRAM_BINS = 20


def links_of_groups(records: NumberedRecords, dataset_of: I64, groups: Groups) -> LinkSet:
    """Links between records of one group, and each dataset's duplicates."""
    across = dataset_of[groups.left] != dataset_of[groups.right]
    left, right = groups.left[across], groups.right[across]
    _, number = np.unique(groups.group_of[left], return_inverse=True)
    return link_set(
        records,
        left,
        right,
        probabilities(groups.log_odds[across]),
        number.astype(np.int64),
        _duplicates(records, dataset_of, groups),
    )


def _duplicates(
    records: NumberedRecords, dataset_of: I64, groups: Groups
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """For each dataset the rows that are in one group."""
    within = dataset_of[groups.left] == dataset_of[groups.right]
    rows = np.unique(np.concatenate((groups.left[within], groups.right[within])))
    order = np.lexsort((rows, groups.group_of[rows], dataset_of[rows]))
    rows = rows[order]
    key = np.stack((dataset_of[rows], groups.group_of[rows]))
    cuts = np.flatnonzero((key[:, 1:] != key[:, :-1]).any(axis=0)) + 1
    found: list[list[tuple[int, ...]]] = [[] for _ in records.datasets]
    for alike in np.split(rows, cuts) if len(rows) else []:
        dataset = int(dataset_of[alike[0]])
        found[dataset].append(tuple((alike - records.offsets[dataset]).tolist()))
    return {
        dataset.name: tuple(groups) for dataset, groups in zip(records.datasets, found, strict=True)
    }


def link_set(
    records: NumberedRecords,
    left: I64,
    right: I64,
    score: F64,
    group: I64,
    duplicates: dict[str, tuple[tuple[int, ...], ...]],
) -> LinkSet:
    """Accepted pairs of record numbers by dataset and row, sorted; the threshold is not set."""
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


def figures_of(
    records: NumberedRecords, pairs: ScoredPairs, kept: KeptPairs, links: LinkSet
) -> dict[str, Any]:
    """Aggregates.  Pairs that were not kept are all in the histogram's lowest bar.

    Args:
        records: that the pairs are of.
        pairs: with the log odds that the links were chosen by.
        kept: what was counted on the way.
        links: the links.
    """
    of_left, of_right = records.dataset_of(pairs["left"]), records.dataset_of(pairs["right"])
    probability = probabilities(pairs["log_odds"])
    counts, edges = np.histogram(
        probability[of_left != of_right], bins=_HISTOGRAM_BINS, range=(0.0, 1.0)
    )
    # Known pairs count as found, though they may be no candidates.
    counts[0] = max(0, kept.n_across - int(counts[1:].sum()))
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
