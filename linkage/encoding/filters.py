"""Bloom filters of one group for a block of records, held as bit planes.

A plane is one bit position of all records of the block, so that the diffusion layer works on 64
records with each word.
"""

from dataclasses import dataclass

import numpy as np

from linkage.encoding.siphash import siphash24
from linkage.types import I64, U8, U64

_ODD_LANE_BITS = 21


@dataclass(frozen=True, slots=True)
class BlockTokens:
    """Tokens of one group in a block of records, in no particular order.

    Attributes:
        record: ``(k,) int64`` number of the record in the block.
        digest: ``(k,) uint64`` keyed digest of the token.
        hashes: ``(k,) int64`` bits that the token sets.
    """

    record: I64
    digest: U64
    hashes: I64


def set_bits(tokens: BlockTokens, salt_keys: U64, filter_bits: int) -> U64:
    """Set the bits of every token, under its record's salt key.

    Args:
        tokens: of a block of at most ``n`` records.
        salt_keys: ``(n, 2) uint64``, a 16-byte SipHash key a record, little endian; ``n`` is a
            multiple of 64.
        filter_bits: m.

    Returns:
        ``(filter_bits, n // 64) uint64`` bit planes, not diffused.
    """
    n_records = salt_keys.shape[0]
    lane_bits, n_lanes = lanes(filter_bits)
    n_words = -(-tokens.hashes // n_lanes)
    which = np.repeat(np.arange(len(n_words), dtype=np.int64), n_words)
    first = np.cumsum(n_words) - n_words
    counter = np.arange(len(which), dtype=np.int64) - first[which]
    record = tokens.record[which]
    outputs = siphash24(
        salt_keys[record, 0],
        salt_keys[record, 1],
        tokens.digest[which],
        counter.astype(np.uint64),
    )
    wanted = tokens.hashes[which] - counter * n_lanes
    planes = np.zeros(filter_bits * n_records, dtype=np.uint8)
    mask = np.uint64((1 << lane_bits) - 1)
    for lane in range(n_lanes):
        used = wanted > lane
        value = (outputs[used] >> np.uint64(lane * lane_bits)) & mask
        if 1 << lane_bits != filter_bits:
            value = (value * np.uint64(filter_bits)) >> np.uint64(lane_bits)
        planes[value.astype(np.int64) * n_records + record[used]] = 1
    packed = np.packbits(planes.reshape(filter_bits, n_records), axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def lanes(filter_bits: int) -> tuple[int, int]:
    """Bits that one position takes from a 64-bit output, and positions an output gives."""
    lane_bits = filter_bits.bit_length() - 1
    if 1 << lane_bits != filter_bits:
        lane_bits = _ODD_LANE_BITS
    return lane_bits, 64 // lane_bits


def filters_of_planes(planes: U64) -> U64:
    """Turn planes into filters.

    Args:
        planes: ``(filter_bits, k) uint64``.

    Returns:
        ``(64 k, filter_bits // 64) uint64``, C order.
    """
    bits: U8 = np.unpackbits(
        planes.astype("<u8", copy=False).view(np.uint8), axis=1, bitorder="little"
    )
    packed = np.packbits(np.ascontiguousarray(bits.T), axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def bits_set(planes: U64) -> int:
    """Number of bits set in all planes."""
    return int(np.bitwise_count(planes).sum(dtype=np.int64))
