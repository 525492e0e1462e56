"""One proof that many entries are in the log: the inclusion proofs of all, each hash once.

The tree is walked from the root. A subtree without any of the entries is one hash of the proof; one
of the entries is known by whoever verifies; all else is computed. So a run of neighbours takes no
more hashes than its two ends.

Only the standard library.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from api.audit.errors import ProofError
from api.audit.merkle import EMPTY_ROOT, HASH_BYTES, TILE_WIDTH, full_root, node_hash
from api.audit.tiles import TileTree, split_hashes

_MAX_SIZE: Final = 2**40


def prove_subset(tree: TileTree, indexes: Sequence[int]) -> list[bytes]:
    """The hashes that lead from entries to the root of the tree, from left to right.

    Args:
        indexes: of the entries, rising.

    Raises:
        ProofError: they are not rising, or not in the tree; or a tile is missing.
    """
    _check_rising(indexes, tree.size)

    def walk(start: int, stop: int, low: int, high: int) -> Iterator[bytes]:
        if low == high:
            yield tree.root_of(start, stop)
        elif stop - start > 1:
            middle, parted = _part(indexes, start, stop, low, high)
            yield from walk(start, middle, low, parted)
            yield from walk(middle, stop, parted, high)

    return list(walk(0, tree.size, 0, len(indexes))) if tree.size else []


def subset_root(
    size: int, indexes: Sequence[int], leaves: Sequence[bytes], proof: Sequence[bytes]
) -> bytes:
    """The root that entries and a proof lead to.

    Args:
        indexes: of the entries, rising.
        leaves: their leaf hashes, 32 bytes each.

    Raises:
        ProofError: the proof is too long or too short, or the indexes are not rising.
    """
    _check_rising(indexes, size)
    if len(leaves) != len(indexes) or any(len(one) != HASH_BYTES for one in (*leaves, *proof)):
        raise ProofError("the proof is malformed")
    if size == 0:
        if proof:
            raise ProofError("the proof is too long")
        return EMPTY_ROOT
    rest = iter(proof)

    def walk(start: int, stop: int, low: int, high: int) -> bytes:
        if low == high:
            found = next(rest, None)
            if found is None:
                raise ProofError("the proof is too short")
            return found
        if stop - start == 1:
            return leaves[low]
        middle, parted = _part(indexes, start, stop, low, high)
        left = walk(start, middle, low, parted)
        return node_hash(left, walk(middle, stop, parted, high))

    root = walk(0, size, 0, len(indexes))
    if next(rest, None) is not None:
        raise ProofError("the proof is too long")
    return root


class LeavesFile:
    """Tiles computed from a file of leaf hashes, as ``verified.leaves`` of a fetched folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """As :class:`api.audit.tiles.TileReader`."""
        if level:
            first = number * TILE_WIDTH
            return [
                full_root(self.read_hashes(level - 1, first + at, TILE_WIDTH))
                for at in range(width)
            ]
        with self._path.open("rb") as file:
            file.seek(number * TILE_WIDTH * HASH_BYTES)
            data = file.read(width * HASH_BYTES)
        if len(data) != width * HASH_BYTES:
            raise ProofError("the folder holds fewer entries than it verified")
        return split_hashes(data)


def _check_rising(indexes: Sequence[int], size: int) -> None:
    if not 0 <= size <= _MAX_SIZE:
        raise ProofError("no log is that long")
    before = -1
    for index in indexes:
        if index <= before:
            raise ProofError("the entries are not in the order of the log")
        before = index
    if before >= size:
        raise ProofError("there is no such entry in a log of this size")


def _part(indexes: Sequence[int], start: int, stop: int, low: int, high: int) -> tuple[int, int]:
    """Where a subtree splits, and how many of its entries are before that."""
    middle = start + (1 << (stop - start - 1).bit_length() - 1)
    while low < high:
        at = (low + high) // 2
        if indexes[at] < middle:
            low = at + 1
        else:
            high = at
    return middle, low
