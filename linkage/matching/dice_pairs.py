"""All pairs of filters whose Dice coefficient reaches a threshold: reference and fast version.

Contract, the same for :func:`dice_pairs_reference` and :func:`dice_pairs`:

- Filters are ``(n, n_words) uint64``, ``64 * n_words`` bits, of 64 to 8192 bits, the same on both
  sides.
- A pair counts iff ``2.0 * common / (c + c') >= threshold`` in double precision, where ``common``
  bits are set in both, ``c`` in one and ``c'`` in the other; the score is the left side of this.
  A filter without any bit set is similar to nothing, not to another one either.
- Pairs come in ascending order of (left row, right row), so ties of the score need no rule.
- Without a right side, the pairs within the left one: each once, with left row < right row.

The fast version finds the same pairs and the same scores to the bit, whatever the method, the
processor and the number of threads, with one exception: the method ``sketch`` misses a pair with
the probability that was asked for (``linkage.matching.sketch``).
"""

from collections.abc import Iterator

import numpy as np

from linkage.errors import MatchingError
from linkage.matching.finish import Rule
from linkage.matching.pair_scan import Progress, ScanOptions, iterate_pairs, join_parts
from linkage.matching.scan import FoundPairs, in_order
from linkage.types import U64

MAX_FILTER_BITS = 8192
_REFERENCE_ROWS = 256


def dice_pairs_reference(left: U64, right: U64 | None, threshold: float) -> FoundPairs:
    """All pairs by plain NumPy, in time and clarity; see the module's text for the contract.

    Raises:
        MatchingError: arrays or a threshold outside the contract.
    """
    verify_scannable(left, right, threshold)
    others = left if right is None else right
    left_counts = np.bitwise_count(left).sum(axis=1, dtype=np.int64)
    right_counts = np.bitwise_count(others).sum(axis=1, dtype=np.int64)
    parts = []
    for start in range(0, len(left), _REFERENCE_ROWS):
        rows = slice(start, start + _REFERENCE_ROWS)
        common = np.zeros((len(left[rows]), len(others)), dtype=np.int64)
        for word in range(left.shape[1]):
            common += np.bitwise_count(left[rows, word, None] & others[None, :, word])
        both = left_counts[rows, None] + right_counts[None, :]
        dice = np.where(both > 0, 2.0 * common / np.maximum(both, 1), 0.0)
        row, column = np.nonzero(dice >= threshold)
        ahead = row + start < column if right is None else np.ones(len(row), dtype=bool)
        parts.append(FoundPairs(row[ahead] + start, column[ahead], dice[row, column][ahead]))
    return join_parts(parts)


def dice_pairs(
    left: U64, right: U64 | None, threshold: float, options: ScanOptions | None = None
) -> FoundPairs:
    """All pairs, fast; see the module's text for the contract.

    Raises:
        MatchingError: arrays, a threshold or options outside the contract.
    """
    return in_order(join_parts(list(iterate_dice_pairs(left, right, threshold, options))))


def iterate_dice_pairs(
    left: U64,
    right: U64 | None,
    threshold: float,
    options: ScanOptions | None = None,
    on_progress: Progress | None = None,
) -> Iterator[FoundPairs]:
    """All pairs in parts, for those who cannot hold them all: memory is bounded.

    Each part is in ascending order, and there is none among the parts.  The arrays may be
    memory-mapped.

    Raises:
        MatchingError: arrays, a threshold or options outside the contract.
    """
    verify_scannable(left, right, threshold)
    return iterate_pairs(left, right, Rule(threshold), options or ScanOptions(), on_progress)


def verify_scannable(left: U64, right: U64 | None, threshold: float) -> None:
    """Raise unless these arguments fulfil the contract.

    Raises:
        MatchingError: says which does not.
    """
    for side in (left, left if right is None else right):
        if side.dtype != np.uint64 or side.ndim != 2:
            raise MatchingError("Filters must be a two-dimensional array of uint64.")
        if not 64 <= 64 * side.shape[1] <= MAX_FILTER_BITS:
            raise MatchingError(
                f"Filters must have 64 to {MAX_FILTER_BITS} bits, not {64 * side.shape[1]}."
            )
        if side.shape[1] != left.shape[1]:
            raise MatchingError("Filters of both sides must be of the same length.")
    if not 0.0 < threshold <= 1.0:
        raise MatchingError("A threshold on the Dice coefficient must be over 0 and at most 1.")
