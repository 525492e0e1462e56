"""The Merkle tree of RFC 6962, section 2.1, with the proofs and checks of RFC 9162, section 2.1.

Hashes are 32 bytes of SHA-256. A tree over n leaves splits at the largest power of two below n,
so what it takes to append to it is one hash for each 1 in the binary form of n: a
:class:`CompactRange`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Self

from api.audit.errors import ProofError

HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
"""Hashes in a full tile (C2SP ``tlog-tiles``)."""
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf, 32 bytes (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node, 32 bytes (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def full_root(hashes: Sequence[bytes]) -> bytes:
    """Root over a power of two of neighbouring hashes, level by level: the fastest way."""
    sha256, level = hashlib.sha256, hashes
    while len(level) > 1:
        level = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]


class CompactRange:
    """The roots of the full subtrees of a tree, left to right: appends in O(log n).

    Args:
        size: number of leaves.
        hashes: one of 32 bytes for each 1 in the binary form of ``size``, highest first.

    Raises:
        ProofError: the number or the length of the hashes does not fit.
    """

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise ProofError("a compact range needs one hash for each 1 in its size")
        if any(len(value) != HASH_BYTES for value in self._hashes):
            raise ProofError("a hash in a compact range has not 32 bytes")

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Self:
        """From what :meth:`to_bytes` gave.  Raises: ProofError."""
        if len(data) % HASH_BYTES:
            raise ProofError("a hash in a compact range has not 32 bytes")
        return cls(size, (data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        """The hashes, one after the other."""
        return b"".join(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add the leaf with this leaf hash (32 bytes) at the end."""
        self._push(leaf, 0, None)

    def append_noting(self, leaf: bytes, completed: list[tuple[int, int, bytes]]) -> None:
        """Add a leaf; note the subtrees that it completes which are hashes of tiles.

        Args:
            completed: gets level, index within it and hash of each completed subtree of
                ``256**level`` leaves, for levels from 1 on.
        """
        self._push(leaf, 0, completed)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add many leaf hashes, 256 at once where they fill a tile."""
        at = 0
        while at < len(leaves):
            if self.size % TILE_WIDTH == 0 and at + TILE_WIDTH <= len(leaves):
                self._push(full_root(leaves[at : at + TILE_WIDTH]), TILE_HEIGHT, None)
                at += TILE_WIDTH
            else:
                self._push(leaves[at], 0, None)
                at += 1

    def copy(self) -> Self:
        """The same range, to be gone on with apart."""
        return type(self)(self.size, self._hashes)

    def _push(
        self, value: bytes, height: int, completed: list[tuple[int, int, bytes]] | None
    ) -> None:
        hashes = self._hashes
        hashes.append(value)
        self.size += 1 << height
        carried = self.size >> height
        while not carried & 1:
            right = hashes.pop()
            hashes[-1] = node_hash(hashes[-1], right)
            carried >>= 1
            height += 1
            if completed is not None and height % TILE_HEIGHT == 0:
                completed.append((height // TILE_HEIGHT, carried - 1, hashes[-1]))

    def root(self) -> bytes:
        """Root of the tree, 32 bytes."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Root over these leaf hashes (``MTH``), 32 bytes."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Proof that leaf ``index`` is in the tree over all ``leaves`` (``PATH``, RFC 9162 2.1.3.1).

    Raises:
        ProofError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise ProofError("there is no such entry in a log of this size")
    proof: list[bytes] = []
    start, stop = 0, len(leaves)
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(tree_root(leaves[middle:stop]))
            stop = middle
        else:
            proof.append(tree_root(leaves[start:middle]))
            start = middle
    proof.reverse()
    return proof


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check an inclusion proof (RFC 9162, section 2.1.3.2).

    Raises:
        ProofError: it does not lead from the leaf hash to the root.
    """
    if not 0 <= index < size:
        raise ProofError("there is no such entry in a log of this size")
    fn, sn, found = index, size - 1, leaf
    for value in proof:
        if sn == 0 or len(value) != HASH_BYTES:
            raise ProofError("the inclusion proof is malformed")
        if fn & 1 or fn == sn:
            found = node_hash(value, found)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, value)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or found != root:
        raise ProofError("the inclusion proof does not lead to the root")


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Proof that the tree over all ``leaves`` begins with the tree over the first ``old_size``.

    ``PROOF`` of RFC 9162, section 2.1.4.1; empty for ``old_size`` 0.

    Raises:
        ProofError: the older tree is larger.
    """
    if not 0 <= old_size <= len(leaves):
        raise ProofError("the older log is longer than the newer one")
    proof: list[bytes] = []
    start, stop, whole = 0, len(leaves), True
    if old_size == 0:
        return proof
    while old_size != stop:
        middle = start + _split(stop - start)
        if old_size <= middle:
            proof.append(tree_root(leaves[middle:stop]))
            stop = middle
        else:
            proof.append(tree_root(leaves[start:middle]))
            start, whole = middle, False
    if not whole:
        proof.append(tree_root(leaves[start:stop]))
    proof.reverse()
    return proof


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check a consistency proof (RFC 9162, section 2.1.4.2).

    Raises:
        ProofError: the newer tree does not begin with the older one, or the proof does not show it.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError("the older log is longer than the newer one")
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != expected:
            raise ProofError("the consistency proof does not fit the roots")
        return
    hashes = list(proof)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes or any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError("the consistency proof is malformed")
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for value in hashes[1:]:
        if sn == 0:
            raise ProofError("the consistency proof is malformed")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(value, fr), node_hash(value, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, value)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or fr != old_root or sr != new_root:
        raise ProofError("the consistency proof does not fit the roots")


def _split(size: int) -> int:
    """Largest power of two smaller than ``size`` (``k`` of RFC 6962), for ``size`` >= 2."""
    return 1 << (size - 1).bit_length() - 1
