"""Tiles after C2SP ``tlog-tiles``, and proofs from them beside the plain ones."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from api.audit.errors import ProofError
from api.audit.merkle import (
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from api.audit.stored_tiles import StoredTiles, export_tiles
from api.audit.tiles import (
    Tile,
    TileDirectory,
    TileTree,
    all_tiles,
    pack_entries,
    parse_bundle,
    parse_tile_path,
    prove_consistency,
    prove_inclusion,
    tiles_of,
)
from tests.api.audit.simulated_log import TABLES, SimulatedLog

LEAVES = [leaf_hash(str(number).encode()) for number in range(70_000)]
LEVEL_1 = [tree_root(LEAVES[at : at + 256]) for at in range(0, 70_000 - 255, 256)]


class LeafTiles:
    """Tiles computed anew from leaf hashes: the plain reference."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves

    def read_hashes(self, level: int, number: int, width: int) -> list[bytes]:
        if self.leaves is LEAVES and level == 1:
            return LEVEL_1[number * 256 : number * 256 + width]
        span = 256**level
        first = number * 256
        return [
            tree_root(self.leaves[at * span : (at + 1) * span])
            for at in range(first, first + width)
        ]


@pytest.mark.parametrize(
    ("number", "path"),
    [(0, "000"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_numbers_are_path_elements(number: int, path: str) -> None:
    assert Tile(0, number).path == f"tile/0/{path}"
    assert Tile(None, number, 7).path == f"tile/entries/{path}.p/7"
    assert parse_tile_path(f"tile/3/{path}.p/255") == Tile(3, number, 255)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0", "tile/0/0000", "tile/00/000", "tile/0/x000/001", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/000.p/01", "tile/7/000", "tile/0/001/002", "tile/x/000",
        "tile/0/000.p/", "/tile/0/000", "tile/0/000\n", "tile/entries", "tile/0/x001",
        "tile/0/../0/000", "",
    ],
)  # fmt: skip
def test_a_tile_has_one_name(path: str) -> None:
    assert parse_tile_path(path) is None


def test_the_example_of_the_specification() -> None:
    # "a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile
    # of width 112, one full level 1 tile, one partial level 1 tile of width 17, and one partial
    # level 2 tile of width 1"
    widths = [[tile.width for tile in tiles_of(70_000, level)] for level in range(4)]
    assert widths == [[256] * 273 + [112], [256, 17], [1], []]
    assert [tile.width for tile in tiles_of(256, 1)] == [1]
    assert len(list(all_tiles(70_000))) == 274 + 274 + 2 + 1


@settings(max_examples=50)
@given(st.integers(1, 70_000), st.data())
def test_proofs_from_tiles_are_those_of_the_rfc(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old_size = data.draw(st.integers(0, size))
    tree = TileTree(LeafTiles(LEAVES), size)
    root = tree.root()
    verify_inclusion(LEAVES[index], index, size, prove_inclusion(tree, index), root)
    old_root = TileTree(LeafTiles(LEAVES), old_size).root()
    verify_consistency(old_size, size, prove_consistency(tree, old_size), old_root, root)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_proofs_are_the_same_bytes_as_the_plain_ones(size: int) -> None:
    leaves = LEAVES[:size]
    tree = TileTree(LeafTiles(leaves), size)
    assert tree.root() == tree_root(leaves)
    assert tree.compact_range().root() == tree_root(leaves)
    for index in {0, size // 3, size - 1}:
        assert prove_inclusion(tree, index) == inclusion_proof(leaves, index)
        assert prove_consistency(tree, index) == consistency_proof(leaves, index)
    assert prove_consistency(tree, size) == []


def test_what_is_not_there_cannot_be_proved() -> None:
    tree = TileTree(LeafTiles(LEAVES), 5)
    for index in (-1, 5):
        with pytest.raises(ProofError):
            prove_inclusion(tree, index)
    with pytest.raises(ProofError):
        prove_consistency(tree, 6)


@settings(max_examples=30)
@given(st.integers(0, 1500), st.integers(0, 900))
def test_extending_is_appending_often(start: int, more: int) -> None:
    plain, fast = CompactRange(), CompactRange()
    for leaf in LEAVES[: start + more]:
        plain.append(leaf)
    fast.extend(LEAVES[:start])
    again = fast.copy()
    fast.extend(LEAVES[start : start + more])
    assert fast.to_bytes() == plain.to_bytes()
    assert again.size == start


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_hold_entries_as_they_are(lines: list[bytes]) -> None:
    assert parse_bundle(pack_entries(lines)) == lines


@pytest.mark.parametrize(
    "data", [b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\xff\xff" + bytes(65535)]
)
def test_damaged_bundles_are_refused(data: bytes) -> None:
    with pytest.raises(ProofError):
        parse_bundle(data)


def test_the_database_keeps_what_tiles_are_made_of(tmp_path: Path) -> None:
    log = SimulatedLog(700)
    log.append(313)
    lines = log.lines()
    leaves = [leaf_hash(line) for line in lines]
    with Session(log.engine) as session:
        tiles = StoredTiles(session, TABLES)
        for tile in all_tiles(1013):
            if tile.level is not None:
                expected = LeafTiles(leaves).read_hashes(tile.level, tile.number, tile.width)
                assert tiles.read(tile) == b"".join(expected)
        tree = TileTree(tiles, 1013)
        assert tree.root() == tree_root(leaves)
        assert prove_inclusion(tree, 511) == inclusion_proof(leaves, 511)
        assert tiles.read_lines(3, 245) == lines[768:1013]
        for missing in (Tile(0, 4, 1), Tile(1, 0, 4), Tile(None, 3, 246)):
            with pytest.raises(ProofError):
                tiles.read(missing)
        assert export_tiles(session, TABLES, 1013, 0, tmp_path) == 4 + 4 + 1
        assert export_tiles(session, TABLES, 1013, 0, tmp_path) == 0
    files = TileDirectory(tmp_path)
    assert TileTree(files, 1013).root() == tree_root(leaves)
    assert json.loads(files.read_entries(0, 256)[7])["index"] == 7
    # A fuller tile does for a partial one that was never written.
    assert TileTree(files, 300).root() == tree_root(leaves[:300])
    (tmp_path / "tile/0/000").unlink()
    with pytest.raises(ProofError, match="tile/0/000"):
        prove_inclusion(TileTree(files, 300), 3)
