"""Diffusion: every bit becomes the XOR of t bits (Armknecht, Heng, Schnell, PoPETs 2023).

A linear layer with secret positions between the Bloom filter and what leaves the office, so that
a bit that leaves no longer stands for a few tokens.
"""

from collections.abc import Iterator

import numpy as np

from linkage.encoding.keyed_hash import BLAKE2B, KeyedHash
from linkage.types import I64, U64


def diffusion_positions(
    diffusion_key: bytes, filter_bits: int, t: int, keyed_hash: KeyedHash = BLAKE2B
) -> I64:
    """Positions whose bits are XORed into each output bit.

    Args:
        diffusion_key: 32 bytes.
        filter_bits: m, at most 65,536.
        t: bits a sum, 0 to ``filter_bits``.
        keyed_hash: of the encoding.

    Returns:
        ``(filter_bits, t) int64``, distinct in each row.
    """
    words = _keyed_words(diffusion_key, keyed_hash)
    mask = (1 << (filter_bits - 1).bit_length()) - 1
    rows = np.empty((filter_bits, t), dtype=np.int64)
    for row in rows:
        chosen: list[int] = []
        while len(chosen) < t:
            candidate = next(words) & mask
            if candidate < filter_bits and candidate not in chosen:
                chosen.append(candidate)
        row[:] = chosen
    return rows


def _keyed_words(key: bytes, keyed_hash: KeyedHash) -> Iterator[int]:
    """An endless stream of uint16, from the keyed hash in counter mode."""
    digest = keyed_hash.keyed(key, keyed_hash.stream_bytes)
    counter = 0
    while True:
        block = digest(counter.to_bytes(8, "little"))
        for start in range(0, len(block), 2):
            yield int.from_bytes(block[start : start + 2], "little")
        counter += 1


def diffuse_planes(planes: U64, positions: I64) -> U64:
    """Apply the layer to many filters at once.

    Args:
        planes: ``(filter_bits, k) uint64``; row ``i`` holds bit ``i`` of 64 k filters.
        positions: from :func:`diffusion_positions`; with t = 0 the planes come back unchanged.
    """
    if positions.shape[1] == 0:
        return planes
    out = planes[positions[:, 0]]
    for column in range(1, positions.shape[1]):
        out ^= planes[positions[:, column]]
    return out
