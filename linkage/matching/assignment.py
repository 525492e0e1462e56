"""One-to-one assignment: greedy, best pairs first, or optimal, the highest total of log odds.

Both give a record one partner at most in each other dataset.  Order on ties: by falling log odds,
then by ascending left number, then by ascending right number.
"""

import numpy as np

from linkage.compiled import kernel
from linkage.matching.solve import order_of_pairs
from linkage.types import F64, I64, U64, Bools

_LEAST_GAIN = 1e-9


def greedy_one_to_one(
    log_odds: F64, left: I64, right: I64, dataset_of: I64, n_records: int
) -> Bools:
    """Accept pairs best first, while both records are free in each other's dataset.

    The same links as :func:`linkage.matching.solve.one_to_one`, compiled.

    Args:
        log_odds, left, right: ``(m,)`` pairs that are good enough.
        dataset_of: ``(2, m)``: the dataset of each pair's left and right record.
        n_records: in all datasets together.

    Returns:
        ``(m,) bool``, the pairs accepted.
    """
    accepted = np.zeros(len(left), dtype=np.bool_)
    if not len(left):
        return accepted
    n_words = int(dataset_of.max()) // 64 + 1
    taken = np.zeros((n_records, n_words), dtype=np.uint64)
    order = order_of_pairs(log_odds, left, right)
    _take_in_order(order, left, right, dataset_of, taken, accepted)
    return accepted


@kernel
def _take_in_order(
    order: I64, left: I64, right: I64, dataset_of: I64, taken: U64, accepted: Bools
) -> None:
    for index in order:
        a, b = left[index], right[index]
        dataset_a, dataset_b = dataset_of[0, index], dataset_of[1, index]
        if dataset_a == dataset_b:
            continue
        bit_a = np.uint64(1) << np.uint64(dataset_a % 64)
        bit_b = np.uint64(1) << np.uint64(dataset_b % 64)
        word_a, word_b = dataset_a // 64, dataset_b // 64
        if taken[a, word_b] & bit_b == 0 and taken[b, word_a] & bit_a == 0:
            taken[a, word_b] |= bit_b
            taken[b, word_a] |= bit_a
            accepted[index] = True


def optimal_one_to_one(
    log_odds: F64, least: float, left: I64, right: I64, dataset_of: I64
) -> Bools:
    """Accept the pairs that together have the highest sum of log odds above the least.

    Each pair of datasets is solved by itself, and in it each connected component (minimum-weight
    full matching of a sparse bipartite graph, LAPJVsp: Jonker, Volgenant 1987), with an edge of no
    gain for each record that may stay alone.

    Args:
        log_odds, left, right: ``(m,)`` pairs, each of ``least`` log odds or more.
        least: what a pair must have to gain anything.
        dataset_of: ``(2, m)``: the dataset of each pair's left and right record.

    Returns:
        ``(m,) bool``, the pairs accepted.
    """
    accepted = np.zeros(len(left), dtype=np.bool_)
    across = np.flatnonzero(dataset_of[0] != dataset_of[1])
    if not len(across):
        return accepted
    n_datasets = int(dataset_of.max()) + 1
    kind = dataset_of[0, across] * n_datasets + dataset_of[1, across]
    for each in np.unique(kind):
        mine = across[kind == each]
        component = _components(left[mine], right[mine])
        order = np.lexsort((right[mine], left[mine], component))
        mine, component = mine[order], component[order]
        starts = np.flatnonzero(np.diff(component, prepend=-1))
        sizes = np.diff(np.append(starts, len(mine)))
        accepted[mine[starts[sizes == 1]]] = True
        for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
            edges = mine[start : start + size]
            gain = log_odds[edges] - least + _LEAST_GAIN
            accepted[edges[_best_matching(gain, left[edges], right[edges])]] = True
    return accepted


def _components(left: I64, right: I64) -> I64:
    """For each pair the number of its connected component, ``(m,)``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers, places = np.unique(np.concatenate((left, right)), return_inverse=True)
    m, n = len(left), len(numbers)
    graph = coo_array((np.ones(m, dtype=np.int8), (places[:m], places[m:])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    return np.asarray(component[places[:m]], dtype=np.int64)


def _best_matching(gain: F64, left: I64, right: I64) -> I64:
    """Indices of the edges of a matching of the highest gain; gains are positive."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rows, row = np.unique(left, return_inverse=True)
    columns, column = np.unique(right, return_inverse=True)
    cost = gain.max() + 1.0
    alone = np.arange(len(rows), dtype=np.int64)
    graph = coo_array(
        (
            np.concatenate((cost - gain, np.full(len(rows), cost))),
            (np.concatenate((row, alone)), np.concatenate((column, len(columns) + alone))),
        ),
        shape=(len(rows), len(columns) + len(rows)),
    )
    matched_row, matched_column = min_weight_full_bipartite_matching(graph.tocsr())
    partner = np.full(len(rows), -1, dtype=np.int64)
    partner[matched_row] = matched_column
    return np.flatnonzero(partner[row] == column)
