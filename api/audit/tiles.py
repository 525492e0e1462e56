"""The log as tiles after C2SP ``tlog-tiles``, and proofs from them: https://c2sp.org/tlog-tiles.

A tile of level 0 holds 256 leaf hashes, one of level 1 the roots of 256 such tiles, and so on; the
last of each level may be partial. Whoever can read tiles can make any proof from a handful of them,
however long the log is: :func:`prove_inclusion`, :func:`prove_consistency`.

Only the standard library.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from api.audit.errors import ProofError
from api.audit.events import MAX_ENTRY_BYTES
from api.audit.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    CompactRange,
    full_root,
    node_hash,
)

MAX_LEVEL: Final = 6
"""Level 6 would take 256**6 entries to hold one hash: more than an entry's index can count."""

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile: of hashes, or for ``level`` ``None`` a bundle of entries.

    Attributes:
        number: index within the level.
        width: hashes or entries in it, 1 to 256; fewer than 256 make it partial.
    """

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its name below the log's address, like ``tile/0/x001/234.p/5``."""
        kind = "entries" if self.level is None else str(self.level)
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{number_path(self.number)}{suffix}"


def number_path(number: int) -> str:
    """A tile's number as path elements of three digits: 1234067 is ``x001/x234/067``."""
    elements = [f"{number % 1000:03d}"]
    while number := number // 1000:
        elements.insert(0, f"x{number % 1000:03d}")
    return "/".join(elements)


def parse_tile_path(path: str) -> Tile | None:
    """The tile that a path names; ``None`` for any text that is not the one name of a tile."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    number = int(match["number"].replace("x", "").replace("/", ""))
    level = None if match["level"] == "entries" else int(match["level"])
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    tile = Tile(level, number, width)
    return tile if (level or 0) <= MAX_LEVEL and width and tile.path == path else None


def tiles_of(size: int, level: int | None) -> Iterator[Tile]:
    """Every tile of a level that a log of this size has; the last may be partial."""
    n_hashes = size >> (TILE_HEIGHT * (level or 0))
    for number in range(n_hashes // TILE_WIDTH):
        yield Tile(level, number)
    if n_hashes % TILE_WIDTH:
        yield Tile(level, n_hashes // TILE_WIDTH, n_hashes % TILE_WIDTH)


def all_tiles(size: int) -> Iterator[Tile]:
    """Every tile and bundle of entries of a log of this size."""
    yield from tiles_of(size, None)
    for level in range(MAX_LEVEL):
        yield from tiles_of(size, level)


def pack_entries(lines: Sequence[bytes]) -> bytes:
    """A bundle of entries: each with its length before it, two bytes, the larger first."""
    return b"".join(len(line).to_bytes(2, "big") + line for line in lines)


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries in a bundle.

    Raises:
        ProofError: a length does not fit.
    """
    lines, at = [], 0
    while at < len(data):
        stop = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or stop > len(data) or stop - at - 2 > MAX_ENTRY_BYTES:
            raise ProofError("a bundle of entries is damaged")
        lines.append(data[at + 2 : stop])
        at = stop
    return lines


class TileReader(Protocol):
    """Where hashes come from: a database, or a folder of tiles."""

    def read_hashes(self, level: int, number: int, width: int) -> Sequence[bytes]:
        """The first ``width`` hashes of a tile, 32 bytes each.

        Raises:
            ProofError: they are not there.
        """


class TileDirectory:
    """Tiles as static files below a folder, as ``tongqiao server export-log`` writes them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read_hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """As :class:`TileReader`; a fuller tile does for a partial one."""
        data = self.read(Tile(level, number, width))[: width * HASH_BYTES]
        if len(data) != width * HASH_BYTES:
            raise ProofError("a tile is shorter than it should be")
        return split_hashes(data)

    def read_entries(self, number: int, width: int) -> list[bytes]:
        """The first ``width`` entries of a bundle.  Raises: ProofError."""
        lines = parse_bundle(self.read(Tile(None, number, width)))[:width]
        if len(lines) != width:
            raise ProofError("a bundle of entries is shorter than it should be")
        return lines

    def read(self, tile: Tile) -> bytes:
        """The bytes of a tile, or of a fuller one where this one was never written.

        Raises:
            ProofError: none is there.
            OSError: it cannot be read.
        """
        for width in (tile.width, TILE_WIDTH, *range(tile.width + 1, TILE_WIDTH)):
            path = self._directory / Tile(tile.level, tile.number, width).path
            if path.is_file():
                return path.read_bytes()
        raise ProofError(f"the tile {tile.path} is missing")


def split_hashes(data: bytes) -> list[bytes]:
    """Hashes that stand one after the other, apart."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


class TileTree:
    """The tree over the first ``size`` entries, read through tiles; each is read once.

    Args:
        size: number of entries.
    """

    def __init__(self, reader: TileReader, size: int) -> None:
        self.size = size
        self._reader = reader
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def root(self) -> bytes:
        """Root over all entries, 32 bytes.  Raises: ProofError."""
        return self.root_of(0, self.size)

    def compact_range(self) -> CompactRange:
        """What it takes to append.  Raises: ProofError."""
        return CompactRange(self.size, self._full_subtrees(0, self.size))

    def root_of(self, start: int, stop: int) -> bytes:
        """Root over entries from ``start``, which is a multiple of the next power of two.

        Raises:
            ProofError: a tile is missing.
        """
        if start == stop:
            return EMPTY_ROOT
        subtrees = list(self._full_subtrees(start, stop))
        root = subtrees.pop()
        while subtrees:
            root = node_hash(subtrees.pop(), root)
        return root

    def _full_subtrees(self, start: int, stop: int) -> Iterator[bytes]:
        """Roots of the full subtrees that a range is made of, the largest first."""
        while start < stop:
            height = (stop - start).bit_length() - 1
            yield self._full_subtree(start, height)
            start += 1 << height

    def _full_subtree(self, start: int, height: int) -> bytes:
        level, rest = divmod(height, TILE_HEIGHT)
        first = start >> (TILE_HEIGHT * level)
        tile, at = divmod(first, TILE_WIDTH)
        return full_root(self._tile(level, tile)[at : at + (1 << rest)])

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        found = self._tiles.get((level, number))
        if found is None:
            n_hashes = self.size >> (TILE_HEIGHT * level)
            width = min(TILE_WIDTH, n_hashes - number * TILE_WIDTH)
            found = self._reader.read_hashes(level, number, width)
            self._tiles[level, number] = found
        return found


def prove_inclusion(tree: TileTree, index: int) -> list[bytes]:
    """Proof that entry ``index`` is in the tree (``PATH``, RFC 9162, section 2.1.3.1).

    The same as :func:`api.audit.merkle.inclusion_proof`, from a few tiles.

    Raises:
        ProofError: there is no such entry, or a tile is missing.
    """
    if not 0 <= index < tree.size:
        raise ProofError("there is no such entry in a log of this size")
    return [tree.root_of(*sibling) for sibling in _siblings(index, tree.size)]


def prove_consistency(tree: TileTree, old_size: int) -> list[bytes]:
    """Proof that the tree begins with the one over the first ``old_size`` entries.

    The same as :func:`api.audit.merkle.consistency_proof` (RFC 9162, section 2.1.4.1).

    Raises:
        ProofError: the older tree is larger, or a tile is missing.
    """
    if not 0 <= old_size <= tree.size:
        raise ProofError("the older log is longer than the newer one")
    ranges: list[tuple[int, int]] = []
    start, stop, whole = 0, tree.size, True
    while old_size and old_size != stop:
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        if old_size <= middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, stop))
    return [tree.root_of(*one) for one in reversed(ranges)]


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges beside the way from a leaf to the root, the leaf's own sibling first."""
    ranges = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        if index < middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def write_tile(directory: Path, tile: Tile, data: bytes) -> None:
    """Write a tile whole or not at all; what is there already is left as it is.

    Raises:
        OSError: it cannot be written.
    """
    path = directory / tile.path
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)
