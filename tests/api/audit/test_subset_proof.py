"""One proof for many entries leads to the root that RFC 6962 defines, and to no other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.errors import ProofError
from api.audit.merkle import inclusion_proof, leaf_hash, tree_root
from api.audit.subset_proof import LeavesFile, prove_subset, subset_root
from api.audit.tiles import TileTree

LEAVES = [leaf_hash(str(number).encode()) for number in range(700)]


class InMemory:
    """Tiles of level 0, and of level 1 where there are any."""

    def read_hashes(self, level: int, number: int, width: int) -> list[bytes]:
        if level == 0:
            return LEAVES[256 * number : 256 * number + width]
        return [tree_root(LEAVES[256 * at : 256 * at + 256]) for at in range(width)]


@st.composite
def subsets(draw: st.DrawFn) -> tuple[int, list[int]]:
    size = draw(st.integers(1, 700))
    return size, sorted(draw(st.sets(st.integers(0, size - 1), max_size=40)))


@given(subsets())
def test_it_leads_to_the_root(example: tuple[int, list[int]]) -> None:
    size, indexes = example
    proof = prove_subset(TileTree(InMemory(), size), indexes)
    leaves = [LEAVES[index] for index in indexes]
    assert subset_root(size, indexes, leaves, proof) == tree_root(LEAVES[:size])


@given(subsets(), st.data())
def test_another_entry_or_another_place_leads_elsewhere(
    example: tuple[int, list[int]], data: st.DataObject
) -> None:
    size, indexes = example
    if not indexes:
        return
    proof = prove_subset(TileTree(InMemory(), size), indexes)
    leaves = [LEAVES[index] for index in indexes]
    leaves[data.draw(st.integers(0, len(leaves) - 1))] = leaf_hash(b"another")
    assert subset_root(size, indexes, leaves, proof) != tree_root(LEAVES[:size])


def test_of_one_entry_it_has_the_hashes_of_its_inclusion_proof() -> None:
    for size, index in ((1, 0), (2, 1), (257, 256), (700, 333)):
        proof = prove_subset(TileTree(InMemory(), size), [index])
        assert sorted(proof) == sorted(inclusion_proof(LEAVES[:size], index))


def test_of_all_entries_it_is_empty_and_of_none_the_root() -> None:
    tree = TileTree(InMemory(), 300)
    assert prove_subset(tree, range(300)) == []
    assert prove_subset(tree, []) == [tree_root(LEAVES[:300])]
    assert subset_root(0, [], [], []) == tree_root([])


@pytest.mark.parametrize("indexes", [[3, 3], [4, 3], [300], [-1]], ids=str)
def test_what_is_no_set_of_entries_is_refused(indexes: list[int]) -> None:
    with pytest.raises(ProofError):
        prove_subset(TileTree(InMemory(), 300), indexes)
    with pytest.raises(ProofError):
        subset_root(300, indexes, [LEAVES[0]] * len(indexes), [])


def test_a_proof_too_long_or_too_short_is_refused() -> None:
    proof = prove_subset(TileTree(InMemory(), 300), [7])
    for wrong in (proof[:-1], [*proof, proof[0]], [*proof[:-1], proof[-1][:31]]):
        with pytest.raises(ProofError):
            subset_root(300, [7], [LEAVES[7]], wrong)
    with pytest.raises(ProofError):
        subset_root(0, [], [], [LEAVES[0]])


def test_a_file_of_leaf_hashes_gives_tiles(tmp_path: Path) -> None:
    path = tmp_path / "verified.leaves"
    path.write_bytes(b"".join(LEAVES))
    indexes = [5, 255, 256, 511, 699]
    proof = prove_subset(TileTree(LeavesFile(path), 700), indexes)
    assert proof == prove_subset(TileTree(InMemory(), 700), indexes)
    with pytest.raises(ProofError):
        prove_subset(TileTree(LeavesFile(path), 800), indexes)
