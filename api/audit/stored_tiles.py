"""Tiles of the log out of the server's database, and writing them as static files."""

from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from api.audit.append import read_entries
from api.audit.errors import ProofError
from api.audit.merkle import HASH_BYTES, TILE_WIDTH
from api.audit.tables import LogTables
from api.audit.tiles import Tile, all_tiles, pack_entries, split_hashes, write_tile


class StoredTiles:
    """Tiles as the transaction sees them: a tile is a run of rows, full or not."""

    def __init__(self, session: Session | Connection, tables: LogTables) -> None:
        self._connection = session.connection() if isinstance(session, Session) else session
        self._tables = tables

    def read_hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """As :class:`api.audit.tiles.TileReader`."""
        start = number * TILE_WIDTH
        if level == 0:
            table, key = self._tables.entries, self._tables.entries.c.entry_index
            query = select(table.c.leaf_hash)
        else:
            table, key = self._tables.subtrees, self._tables.subtrees.c.subtree_index
            query = select(table.c.hash).where(table.c.level == level)
        query = query.where(key >= start, key < start + width).order_by(key)
        found = list(self._connection.execute(query).scalars())
        if not found and level == 0:
            found = self._read_sealed(number)[:width]
        if len(found) != width:
            raise ProofError("the log has no such tile, or its rows are missing")
        return found

    def read_lines(self, number: int, width: int) -> list[bytes]:
        """The first entries of a bundle.

        Raises:
            ProofError: they are not there, or are sealed.
        """
        lines = read_entries(self._connection, self._tables, number * TILE_WIDTH, width)
        if len(lines) != width:
            raise ProofError("the log has no such entries, or they are sealed in an archive")
        return [line.encode("ascii") for line in lines]

    def read(self, tile: Tile) -> bytes:
        """The bytes of a tile or a bundle of entries.  Raises: ProofError."""
        if tile.level is None:
            return pack_entries(self.read_lines(tile.number, tile.width))
        return b"".join(self.read_hashes(tile.level, tile.number, tile.width))

    def _read_sealed(self, number: int) -> list[bytes]:
        table = self._tables.sealed
        query = select(table.c.hashes).where(table.c.tile_index == number)
        data = self._connection.execute(query).scalar_one_or_none()
        if data is None or len(data) != TILE_WIDTH * HASH_BYTES:
            return []
        return split_hashes(data)


def export_tiles(
    session: Session | Connection, tables: LogTables, size: int, sealed_size: int, directory: Path
) -> int:
    """Write the tiles of a log of this size as static files; those that are there are kept.

    Bundles of entries that are sealed are left out, as ``tlog-tiles`` allows.

    Returns:
        Number of tiles written.

    Raises:
        ProofError: rows are missing.
        OSError: a file cannot be written.
    """
    tiles = StoredTiles(session, tables)
    n_written = 0
    for tile in all_tiles(size):
        is_sealed = tile.level is None and tile.number * TILE_WIDTH < sealed_size
        if is_sealed or (directory / tile.path).exists():
            continue
        write_tile(directory, tile, tiles.read(tile))
        n_written += 1
    return n_written
