"""A sample of the candidate pairs to fit the model to: bounded, weighted, and always the same.

A large register has ten thousand million pairs with equal birth dates and ten million with equal
ID numbers, so each view is sampled by itself.  Groups of equal tags are cut into classes by a hash
of the pseudonym, as many as keep a class small; a class takes part, with all of its pairs, when a
hash of (tag, class) is below the view's rate ``p``.  A pair whose group has ``K`` classes is drawn
by the view with probability ``p / K``, and stands for one over its probability of being drawn by
any of the views in which its tags agree (Horvitz and Thompson 1952).

Hashes are of tags and pseudonyms, so the sample depends on the records alone: not on the order of
datasets, chunks or workers.  Where a view has few pairs, all are drawn.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from linkage.matching.candidates import pairs_with_equal_tags
from linkage.matching.numbering import NumberedRecords, mixed
from linkage.matching.scored import agreeing_views
from linkage.matching.similar_pairs import SimilarPairs
from linkage.matching.tagged_join import pair_keys
from linkage.types import F64, I64, U8, U64

PAIRS_OF_A_VIEW = 250_000
_CLASS_SIZE = 32
_VIEWS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class PairSample:
    """Pairs drawn, ascending by (left, right).

    Attributes:
        left, right: ``(m,) int64``.
        agreeing: ``(m,) int64``, bit v set where they are comparable in view v.
        weights: ``(m,)``, how many pairs each stands for; ``None`` when all pairs were drawn.
    """

    left: I64
    right: I64
    agreeing: I64
    weights: F64 | None


def sample_pairs(
    records: NumberedRecords,
    similar: SimilarPairs,
    *,
    across_only: bool,
    pairs_of_a_view: int = PAIRS_OF_A_VIEW,
) -> PairSample:
    """Draw candidate pairs.

    Args:
        records: to be matched.
        similar: the candidates of untagged views.
        across_only: leave out pairs inside a dataset.
        pairs_of_a_view: about how many to draw from each view at most.
    """
    hashed = records.pseudonyms_hashed(np.arange(records.n_records, dtype=np.int64))
    rates: dict[int, float] = {}
    classes: dict[int, U8] = {}
    keys = []

    def draw(view: int) -> tuple[I64, I64, U8 | None, float]:
        tags = records.tags[view]
        if tags is None:
            left, right = similar.pairs_of(view)
            rate = min(1.0, pairs_of_a_view / max(1, len(left)))
            drawn = _below(mixed(hashed[left] ^ mixed(hashed[right])), rate)
            return left[drawn], right[drawn], None, rate
        exponents, rate = _classes(tags, pairs_of_a_view)
        return *_pairs_of_classes(tags, hashed, view, exponents, rate), exponents, rate

    # Sorting, which this mostly is, runs free of Python's lock.
    with ThreadPoolExecutor(_VIEWS_AT_ONCE) as pool:
        for view, (left, right, exponents, rate) in enumerate(
            pool.map(draw, range(len(records.tags)))
        ):
            rates[view] = rate
            if exponents is not None:
                classes[view] = exponents
            if across_only:
                across = records.dataset_of(left) != records.dataset_of(right)
                left, right = left[across], right[across]
            keys.append(pair_keys(left, right))
    distinct = np.unique(np.concatenate(keys))
    left = (distinct >> np.uint64(32)).astype(np.int64)
    right = (distinct & np.uint64(0xFFFFFFFF)).astype(np.int64)
    agreeing = agreeing_views(records, left, right)
    everything = all(rate == 1.0 for rate in rates.values())
    if everything and not any(exponent.any() for exponent in classes.values()):
        return PairSample(left, right, agreeing, None)
    missed = np.ones(len(left))
    for view, rate in rates.items():
        chance = np.full(len(left), rate)
        if view in classes:
            chance = chance * 2.0 ** -classes[view][left].astype(np.float64)
        missed *= np.where(agreeing >> view & 1 == 1, 1.0 - chance, 1.0)
    return PairSample(left, right, agreeing, 1.0 / (1.0 - missed))


def group_sizes(tags: U64) -> I64:
    """For each record how many have its tag, itself included; 0 where it has none."""
    order = np.argsort(tags, kind="stable")
    ordered = tags[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(np.concatenate((starts, [len(tags)])))
    found = np.empty(len(tags), dtype=np.int64)
    found[order] = np.repeat(sizes, sizes)
    found[tags == 0] = 0
    return found


def _classes(tags: U64, most_pairs: int) -> tuple[U8, float]:
    """For each record the binary logarithm of its group's number of classes; the view's rate."""
    sizes = group_sizes(tags) if len(tags) else np.empty(0, dtype=np.int64)
    partners = np.maximum(sizes - 1, 0)
    exponents = np.zeros(len(tags), dtype=np.uint8)
    if partners.sum() / 2 <= most_pairs:
        return exponents, 1.0
    large = sizes > _CLASS_SIZE
    exponents[large] = np.ceil(np.log2(sizes[large] / _CLASS_SIZE)).astype(np.uint8)
    n_pairs = float((partners * 2.0 ** -exponents.astype(np.float64)).sum() / 2)
    return exponents, min(1.0, most_pairs / n_pairs)


def _pairs_of_classes(
    tags: U64, hashed: U64, view: int, exponents: U8, rate: float
) -> tuple[I64, I64]:
    # Another hash for each view: that two records share a class in one view must say nothing of
    # the next.
    own = mixed(hashed ^ mixed(np.full(1, view + 1, dtype=np.uint64)))
    classes = own & ((np.uint64(1) << exponents.astype(np.uint64)) - np.uint64(1))
    refined = mixed(tags ^ mixed(classes))
    chosen = np.flatnonzero((tags != 0) & _below(mixed(refined), rate)).astype(np.int64)
    left, right = pairs_with_equal_tags(refined[chosen], np.ones(len(chosen), dtype=bool))
    return chosen[left], chosen[right]


def _below(hashed: U64, rate: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if rate >= 1.0:
        return np.ones(len(hashed), dtype=bool)
    return hashed < np.uint64(rate * 2.0**64)
