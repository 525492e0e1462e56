"""Re-identification without the key: the graph of a server's records against one of plaintext.

*Soft graph matching* keeps a probability for each pair of a server's record and a plaintext record,
and draws it from the neighbours: records that share a tag should belong to records that share a
tag, and records whose filters resemble each other to records whose filters do.  How much each such
agreement is worth, as a log likelihood ratio, the attacker learns from registers of his own, of
other people, that he encodes twice.  Probabilities are made sharper step by step, as in graduated
assignment (Gold and Rangarajan, 1996), of which this is the version with likelihoods.

*Colour refinement* tells records apart by the tags that they share with whom, and by nothing else.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks.attacks_registers import Filters, Seen
from linkage.types import F64, I64

F32 = npt.NDArray[np.float32]

_QUANTILES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.998)
_COMPONENTS = 3
_LEAST_COMPONENT = 0.01
_STEPS = 40
_SHARPNESS = (4.0, 40.0)
_START_SHARPNESS = (1.0, 4.0)
_PROFILE_POINTS = 16
_BALANCING_ROUNDS = 6
NO_ONE = -1
_SIZE_BINS = (1, 2, 3, 5, 9, 17, 65)

# --- relations between records -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pairs:
    """Ordered pairs of records of one register that can be compared in a view.

    Attributes:
        left, right: ``(p,) int64``.
    """

    left: I64
    right: I64


def comparable_pairs(seen: Seen, view: str) -> Pairs:
    """Pairs with one salt; all pairs in a view without salts."""
    n = len(seen)
    if view not in seen.tags:
        left, right = np.divmod(np.arange(n * n, dtype=np.int64), n)
        return Pairs(left[left != right], right[left != right])
    tags = seen.tags[view]
    order = np.argsort(tags, kind="stable").astype(np.int64)
    order = order[tags[order] != NO_ONE]
    if not order.size:
        return Pairs(order, order)
    bounds = np.flatnonzero(np.diff(tags[order])) + 1
    lefts, rights = [order[:0]], [order[:0]]
    for group in np.split(order, bounds):
        if len(group) > 1:
            i, j = np.nonzero(~np.eye(len(group), dtype=np.bool_))
            lefts.append(group[i])
            rights.append(group[j])
    return Pairs(np.concatenate(lefts), np.concatenate(rights))


def resemblance(filters: Filters, pairs: Pairs) -> F32:
    """Correlation of the bits of each pair's filters; NaN where one of them is absent."""
    bits = filters.bits.astype(np.float32)
    bits -= bits.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", bits, bits))
    bits /= np.maximum(lengths, 1e-6)[:, None]
    found = np.empty(len(pairs.left), dtype=np.float32)
    if len(pairs.left) > 20 * len(bits):
        found[:] = (bits @ bits.T)[pairs.left, pairs.right]
    else:
        found[:] = np.einsum("ij,ij->i", bits[pairs.left], bits[pairs.right])
    absent = ~(filters.present[pairs.left] & filters.present[pairs.right])
    found[absent] = np.nan
    return found


# --- what agreement is worth -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FilterWorth:
    """Log likelihood ratio that two pairs of records correspond, by both pairs' resemblance.

    It is ``sum over r of signs[r] * values[bin, r] * values[other bin, r]``.
    """

    edges: F32
    values: F32
    signs: F32


@dataclass(frozen=True, slots=True)
class Worth:
    """What an attacker learned from registers of his own."""

    same_tag: dict[str, float]
    sizes: dict[str, F64]
    filters: dict[tuple[str, str], FilterWorth]


def learn_worth(left: Seen, right: Seen) -> Worth:
    """Learn from two registers whose row ``i`` is one person, encoded under two keys."""
    same_tag, sizes, filters = {}, {}, {}
    n = len(left)
    for view in dict.fromkeys([*left.tags, *(view for view, _ in left.filters)]):
        pairs = comparable_pairs(left, view)
        if view in left.tags:
            others = right.tags[view]
            both = (others[pairs.left] == others[pairs.right]) & (others[pairs.left] != NO_ONE)
            n_right = len(comparable_pairs(right, view).left)
            same_tag[view] = _worth_of_sharing(len(pairs.left), n_right, int(both.sum()), n)
            sizes[view] = _log_ratio(_joint(_size_bins(left, view), _size_bins(right, view)))
            pairs = Pairs(pairs.left[both], pairs.right[both])
        for key in left.filters:
            if key[0] == view:
                filters[key] = _learn_filter(left.filters[key], right.filters[key], pairs)
    return Worth(same_tag, sizes, filters)


def _worth_of_sharing(n_left: int, n_right: int, n_both: int, n: int) -> float:
    """Both pairs share a tag, against one of them sharing one and the other not."""
    everything = max(1, n * (n - 1))
    p_left, p_right = (n_left + 0.5) / (everything + 1), (n_right + 0.5) / (everything + 1)
    given_left, given_right = (n_both + 0.5) / (n_left + 1), (n_both + 0.5) / (n_right + 1)
    both = np.log(given_left / p_right)
    one = np.log(max(1 - given_left, 1e-3) / (1 - p_right))
    other = np.log(max(1 - given_right, 1e-3) / (1 - p_left))
    return float(both - one - other)


def _size_bins(seen: Seen, view: str) -> I64:
    tags = seen.tags[view]
    counts = np.bincount(tags[tags != NO_ONE], minlength=int(tags.max(initial=0)) + 1)
    found = np.searchsorted(_SIZE_BINS, counts[tags], side="right").astype(np.int64)
    found[tags == NO_ONE] = 0
    return found


def _joint(left: I64, right: I64, n_bins: int = len(_SIZE_BINS) + 1) -> F64:
    flat = np.bincount(left * n_bins + right, minlength=n_bins * n_bins)
    return flat.reshape(n_bins, n_bins).astype(np.float64)


def _log_ratio(joint: F64) -> F64:
    """Of a joint count, symmetric and smoothed towards independence."""
    joint = joint + joint.T
    marginal = joint.sum(axis=0) + 0.5
    expected = np.outer(marginal, marginal) / marginal.sum()
    prior = 4.0 * expected / max(1e-9, expected.mean()) / expected.size + 0.05 * expected
    ratio: F64 = np.log((joint + prior) / (expected + prior))
    return ratio


def _learn_filter(left: Filters, right: Filters, pairs: Pairs) -> FilterWorth:
    one, other = resemblance(left, pairs), resemblance(right, pairs)
    known = ~(np.isnan(one) | np.isnan(other))
    pool = np.concatenate([one[known], other[known]])
    if len(pool) < 50:
        return FilterWorth(
            np.zeros(0, np.float32), np.zeros((1, 0), np.float32), np.zeros(0, np.float32)
        )
    edges = np.unique(np.quantile(pool, _QUANTILES)).astype(np.float32)
    n_bins = len(edges) + 1
    joint = _joint(np.searchsorted(edges, one[known]), np.searchsorted(edges, other[known]), n_bins)
    strengths, vectors = np.linalg.eigh(_log_ratio(joint))
    best = np.argsort(-np.abs(strengths))[:_COMPONENTS]
    best = best[np.abs(strengths[best]) > _LEAST_COMPONENT]
    values = vectors[:, best] * np.sqrt(np.abs(strengths[best]))
    return FilterWorth(
        edges, values.astype(np.float32), np.sign(strengths[best]).astype(np.float32)
    )


# --- soft graph matching -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Guesses:
    """What an attacker says.

    Attributes:
        row: ``(n,) int64``, the plaintext record of each of the server's.
        surety: ``(n,) float64``, how sure of it he is; for ranking alone.
    """

    row: I64
    surety: F64


@dataclass(frozen=True, slots=True)
class _Relation:
    """``factor * target @ P @ known`` is evidence, on some rows of either side."""

    rows: I64
    columns: I64
    target: Any
    known: Any
    factor: float


def match_graphs(
    target: Seen,
    known: Seen,
    worth: Worth,
    seeds: tuple[I64, I64] | None = None,
    standing: F32 | None = None,
) -> Guesses:
    """Guess who is who.

    Args:
        target: the server's records.
        known: the attacker's, encoded under another key.
        worth: what he learned on other registers.
        seeds: rows of both sides that he knows to correspond.
        standing: log likelihood ratios from elsewhere.
    """
    relations = _relations(target, known, worth)
    fixed = _by_sizes(target, known, worth)
    if standing is not None:
        fixed += standing
    starts = [np.full(fixed.shape, 1.0 / fixed.shape[1], dtype=np.float32)]
    dense = [each for each in relations if isinstance(each.target, np.ndarray)]
    if dense:
        # Where everybody can be compared with everybody, one way down may end in a wrong valley.
        likeness = _likeness(dense, fixed.shape)
        starts += [_balanced(likeness * sharpness, seeds) for sharpness in _START_SHARPNESS]
    tries = [_sharpened(relations, fixed, seeds, start) for start in starts]
    p, _ = max(tries, key=lambda each: each[1])
    row = p.argmax(axis=1).astype(np.int64)
    top = p[np.arange(len(p)), row].astype(np.float64)
    return Guesses(row, top / np.maximum(1e-9, p.sum(axis=0)[row]))


def _sharpened(
    relations: Sequence["_Relation"],
    fixed: F32,
    seeds: tuple[I64, I64] | None,
    p: F32,
) -> tuple[F32, float]:
    """Probabilities at the end, and the log likelihood that the attacker gives them."""
    low, high = _SHARPNESS
    _fix(p, seeds)
    evidence = fixed
    for step in range(_STEPS):
        evidence = fixed.copy()
        for relation in relations:
            _add_evidence(evidence, relation, p)
        spread = max(1e-6, float(evidence[:: max(1, len(p) // 500)].std()))
        p = _balanced(
            evidence * min(1.0, low * (high / low) ** (step / (_STEPS - 1)) / spread), seeds
        )
    return p, float(np.vdot(p, evidence))


def _relations(target: Seen, known: Seen, worth: Worth) -> list[_Relation]:
    relations = []
    for view in dict.fromkeys([*target.tags, *(view for view, _ in target.filters)]):
        pairs, others = comparable_pairs(target, view), comparable_pairs(known, view)
        if not len(pairs.left) or not len(others.left):
            continue
        rows, columns = np.unique(pairs.left), np.unique(others.left)
        if view in worth.same_tag:
            ones = [np.ones(len(each.left), dtype=np.float32) for each in (pairs, others)]
            relations.append(
                _Relation(
                    rows,
                    columns,
                    _matrix(rows, pairs, ones[0]),
                    _matrix(columns, others, ones[1]),
                    worth.same_tag[view],
                )
            )
        for key, filters in target.filters.items():
            if key[0] == view and key in worth.filters:
                learned = worth.filters[key]
                left = _values(filters, pairs, learned)
                right = _values(known.filters[key], others, learned)
                relations += [
                    _Relation(
                        rows,
                        columns,
                        _matrix(rows, pairs, left[:, r]),
                        _matrix(columns, others, right[:, r]),
                        float(sign),
                    )
                    for r, sign in enumerate(learned.signs)
                ]
    return relations


def _values(filters: Filters, pairs: Pairs, learned: FilterWorth) -> F32:
    found = resemblance(filters, pairs)
    values = learned.values[np.searchsorted(learned.edges, np.nan_to_num(found))]
    values[np.isnan(found)] = 0.0
    return values


def _matrix(rows: I64, pairs: Pairs, values: F32) -> Any:
    """The relation among ``rows``: dense if most pairs are in it, else sparse."""
    places = np.searchsorted(rows, pairs.left), np.searchsorted(rows, pairs.right)
    n = len(rows)
    if len(values) * 10 < n * n:
        return sparse.csr_matrix((values, places), shape=(n, n))
    dense = np.zeros((n, n), dtype=np.float32)
    dense[places] = values
    return dense


def _likeness(relations: Sequence[_Relation], shape: tuple[int, int]) -> F32:
    """How alike records are in the way that they resemble all others; one number has spread 1."""
    distance = np.zeros(shape, dtype=np.float32)
    for relation in relations:
        one, other = (
            np.quantile(_filled(each), np.linspace(0, 1, _PROFILE_POINTS), axis=1).T
            for each in (relation.target, relation.known)
        )
        scale = np.maximum(1e-6, one.std(axis=0))
        one, other = one / scale, other / scale
        squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
        distance[np.ix_(relation.rows, relation.columns)] += squares
    return -distance / max(1e-6, float(distance.std()))


def _filled(matrix: Any) -> F32:
    """The relation as it stands; one of two sides may lack so much that it is sparse."""
    filled: F32 = matrix.toarray() if sparse.issparse(matrix) else matrix
    return filled


def _add_evidence(evidence: F32, relation: _Relation, p: F32) -> None:
    part = p[np.ix_(relation.rows, relation.columns)]
    # Both relations are symmetric, so that the one on the right may come from the left.
    found = (relation.known @ np.asarray(relation.target @ part).T).T
    evidence[np.ix_(relation.rows, relation.columns)] += relation.factor * found


def _by_sizes(target: Seen, known: Seen, worth: Worth) -> F32:
    found = np.zeros((len(target), len(known)), dtype=np.float32)
    for view, ratio in worth.sizes.items():
        found += ratio[np.ix_(_size_bins(target, view), _size_bins(known, view))].astype(np.float32)
    return found


def _balanced(evidence: F32, seeds: tuple[I64, I64] | None) -> F32:
    """Probabilities: rows sum to one, no column to more (Sinkhorn)."""
    evidence -= evidence.max(axis=1, keepdims=True)
    p: F32 = np.exp(evidence)
    for _ in range(_BALANCING_ROUNDS):
        _fix(p, seeds)
        p /= np.maximum(1e-30, p.sum(axis=1, keepdims=True))
        p /= np.maximum(1.0, p.sum(axis=0, keepdims=True))
    return p


def _fix(p: F32, seeds: tuple[I64, I64] | None) -> None:
    if seeds is not None:
        p[seeds[0], :] = 0.0
        p[:, seeds[1]] = 0.0
        p[seeds] = 1.0


# --- colour refinement -------------------------------------------------------------------------


def refine_colours(target: Seen, known: Seen) -> Guesses:
    """Records whose colour is theirs alone on both sides; the others are left unguessed."""
    colours = _colours([target, known])
    counts = [Counter(each) for each in colours]
    row_of = {colour: row for row, colour in enumerate(colours[1]) if counts[1][colour] == 1}
    row = [
        row_of.get(colour, NO_ONE) if counts[0][colour] == 1 else NO_ONE for colour in colours[0]
    ]
    found = np.array(row, dtype=np.int64)
    return Guesses(found, (found != NO_ONE).astype(np.float64))


def _colours(sides: Sequence[Seen]) -> list[list[int]]:
    """Colours of the records, common to all sides, when no round tells more apart."""
    n_colours = 0
    colours = [[0] * len(seen) for seen in sides]
    while True:
        numbers: dict[Any, int] = {}
        refined = []
        for seen, known in zip(sides, colours, strict=True):
            groups = [_colours_of_groups(tags, known) for tags in seen.tags.values()]
            refined.append(
                [
                    numbers.setdefault((colour, *of_views), len(numbers))
                    for colour, *of_views in zip(known, *groups, strict=True)
                ]
            )
        if len(numbers) == n_colours:
            return colours
        n_colours, colours = len(numbers), refined


def _colours_of_groups(tags: I64, colours: Sequence[int]) -> list[tuple[int, ...]]:
    """For each record the sorted colours of all with its tag; nothing where it has none."""
    members: dict[int, list[int]] = {}
    for tag, colour in zip(tags.tolist(), colours, strict=True):
        if tag != NO_ONE:
            members.setdefault(tag, []).append(colour)
    sorted_members = {tag: tuple(sorted(found)) for tag, found in members.items()}
    return [sorted_members.get(tag, ()) for tag in tags.tolist()]
