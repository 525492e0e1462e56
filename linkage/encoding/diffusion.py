"""Diffusion: every bit becomes the XOR of t bits (Armknecht, Heng, Schnell, PoPETs 2023).

A linear layer with secret positions between the Bloom filter and what leaves the office, so that
a bit that leaves no longer stands for a few tokens.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from linkage.types import I64, U64

_STREAM_BLOCK_BYTES = 64


def diffusion_positions(diffusion_key: bytes, filter_bits: int, t: int) -> I64:
    """Positions whose bits are XORed into each output bit.

    Args:
        diffusion_key: 32 bytes.
        filter_bits: m, at most 65,536.
        t: bits a sum, 0 to ``filter_bits``.

    Returns:
        ``(filter_bits, t) int64``, distinct in each row.
    """
    words = _keyed_words(diffusion_key)
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


def _keyed_words(key: bytes) -> Iterator[int]:
    """An endless stream of uint16, from BLAKE2b in counter mode."""
    counter = 0
    while True:
        block = hashlib.blake2b(
            counter.to_bytes(8, "little"), key=key, digest_size=_STREAM_BLOCK_BYTES
        ).digest()
        for start in range(0, _STREAM_BLOCK_BYTES, 2):
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
