"""Scored pairs into links: one-to-one.  Groups over all datasets are found in ``groups``.

Order on ties: pairs are taken by falling log odds, then by ascending left number, then by ascending
right number.  Numbers follow the pseudonyms, so the order of datasets, files and pairs has no
influence.
"""

import numpy as np
import numpy.typing as npt

from linkage.types import F64, I64


def order_of_pairs(log_odds: F64, left: I64, right: I64) -> I64:
    """Indices of the pairs, best first, ties as the module says; all arrays ``(m,)``."""
    return np.lexsort((right, left, -log_odds)).astype(np.int64)


def one_to_one(log_odds: F64, left: I64, right: I64, dataset_of: I64) -> npt.NDArray[np.bool_]:
    """Accept pairs greedily so that a record has one partner at most in each other dataset.

    Args:
        log_odds, left, right: ``(m,)`` pairs that are good enough.
        dataset_of: ``(n_records,) int64``.

    Returns:
        ``(m,) bool``, the pairs accepted.
    """
    accepted = np.zeros(len(left), dtype=bool)
    taken: set[tuple[int, int]] = set()
    lefts, rights, datasets = left.tolist(), right.tolist(), dataset_of.tolist()
    for index in order_of_pairs(log_odds, left, right).tolist():
        a, b = lefts[index], rights[index]
        key_a, key_b = (a, datasets[b]), (b, datasets[a])
        if datasets[a] != datasets[b] and key_a not in taken and key_b not in taken:
            taken.update((key_a, key_b))
            accepted[index] = True
    return accepted
