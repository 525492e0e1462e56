"""Known plaintext: what pairs of an encoding and its plaintext say of the other encodings.

Two records of one salt set the same bits for the same tokens.  So a filter whose plaintext is known
predicts the filters of plaintexts that resemble it, and a server's filter is likelier to be of a
plaintext that predicts it well.  Predictions are those of a Gaussian process: with bits as +1 and
-1, the XOR of ``t`` bits is a product of ``t``, and so the covariance of two filters' bits is the
``t``-th power of the correlation of the filters before diffusion.  That the attacker computes
himself, under a key of his own.
"""

import numpy as np

from benchmarks.attacks_matching import F32, NO_ONE
from benchmarks.attacks_registers import Filters, Seen
from linkage.types import F64, I64, U8

_NOISE = 0.05
_LEAST_VARIANCE = 0.05

Seeds = tuple[I64, I64]


def evidence_of_pairs(target: Seen, undiffused: Seen, seeds: Seeds, power: int) -> F32:
    """Log likelihood ratios that records correspond, from their filters and known pairs alone.

    Args:
        target: the server's records.
        undiffused: the attacker's plaintext, encoded under his own key without diffusion.
        seeds: rows of both sides that he knows to correspond.
        power: bits that diffusion sums.

    Returns:
        ``(len(target), len(undiffused)) float32``, 0 where nothing is known.
    """
    evidence = np.zeros((len(target), len(undiffused)), dtype=np.float32)
    for key, filters in target.filters.items():
        plain = undiffused.filters[key]
        for rows, columns, pairs in _groups_with_pairs(target, undiffused, key[0], seeds):
            _add(evidence, filters, plain, rows, columns, pairs, power)
    return evidence


def _groups_with_pairs(
    target: Seen, known: Seen, view: str, seeds: Seeds
) -> list[tuple[I64, I64, Seeds]]:
    """Records of both sides with the salt of some known pairs, and these pairs."""
    everyone = np.arange(len(target)), np.arange(len(known))
    if view not in target.tags:
        return [(*everyone, seeds)]
    tags, others = target.tags[view], known.tags[view]
    of_seeds, groups = tags[seeds[0]], []
    for tag in np.unique(of_seeds[of_seeds != NO_ONE]).tolist():
        here = of_seeds == tag
        other = np.bincount(others[seeds[1][here]] + 1).argmax() - 1
        rows, columns = np.flatnonzero(tags == tag), np.flatnonzero(others == other)
        if other != NO_ONE and len(rows) > here.sum():
            same = here & (others[seeds[1]] == other)
            groups.append((rows, columns, (seeds[0][same], seeds[1][same])))
    return groups


def _add(
    evidence: F32,
    filters: Filters,
    plain: Filters,
    rows: I64,
    columns: I64,
    seeds: Seeds,
    power: int,
) -> None:
    there = filters.present[seeds[0]] & plain.present[seeds[1]]
    of_target, of_plain = seeds[0][there], seeds[1][there]
    rows, columns = rows[filters.present[rows]], columns[plain.present[columns]]
    if not (len(of_target) and len(rows) and len(columns)):
        return
    share = float(filters.bits[filters.present].mean())
    scale = max(1e-6, share * (1 - share)) ** 0.5
    known, seen = ((filters.bits[each] - share) / scale for each in (of_target, rows))
    one, other = _unit(plain.bits[of_plain]), _unit(plain.bits[columns])
    among, across = (one @ one.T) ** power, (other @ one.T) ** power
    solved = np.linalg.solve(among + _NOISE * np.eye(len(among)), across.T)
    mean = solved.T @ known
    variance = np.maximum(_LEAST_VARIANCE, 1 - np.einsum("ij,ji->i", across, solved))
    lengths_of_seen = np.einsum("ij,ij->i", seen, seen)
    distance = (
        lengths_of_seen[:, None] - 2 * seen @ mean.T + np.einsum("ij,ij->i", mean, mean)[None, :]
    )
    ratio = (lengths_of_seen[:, None] - distance / variance) / 2
    ratio -= 0.5 * seen.shape[1] * np.log(variance)
    evidence[np.ix_(rows, columns)] += ratio.astype(np.float32)


def _unit(bits: U8) -> F64:
    centred = bits - bits.mean(axis=1, keepdims=True, dtype=np.float64)
    found: F64 = centred / np.maximum(1e-9, np.linalg.norm(centred, axis=1))[:, None]
    return found
