"""Sealing old entries: into an archive that verifies, then out of the database.

What stays: the leaf hashes of sealed entries and all subtrees, so that every proof can still be
made, and everything that was signed. The log goes on as if nothing had happened.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import Session

from api.audit.append import read_entries, read_head
from api.audit.archive import ArchiveHead, archive_name, verify_archive, write_archive
from api.audit.checkpoint import LogKey
from api.audit.errors import LogStoreError
from api.audit.events import format_time
from api.audit.merkle import HASH_BYTES, TILE_WIDTH
from api.audit.note import Checkpoint
from api.audit.stored_tiles import StoredTiles
from api.audit.tables import HEAD_ID, LogTables
from api.audit.tiles import TileTree

MAX_SEALED_AT_ONCE: Final = 4096 * TILE_WIDTH
"""About a million entries: the most in one archive."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was sealed: entries from ``start`` up to ``stop``, in a file of this SHA-256 (hex)."""

    path: Path
    start: int
    stop: int
    sha256: str


def sealable(
    session: Session | Connection, tables: LogTables, before: datetime
) -> tuple[int, int] | None:
    """From where to where entries can be sealed: whole tiles, all of them older than a time."""
    start = _sealed_size(session, tables)
    head = read_head(session, tables)
    entries = tables.entries
    newer = select(func.min(entries.c.entry_index)).where(
        entries.c.entry_index >= start, entries.c.time >= format_time(before)
    )
    first_newer = session.execute(newer).scalar_one()
    stop = head.size if first_newer is None else int(first_newer)
    stop = min(stop, start + MAX_SEALED_AT_ONCE)
    stop -= stop % TILE_WIDTH
    return (start, stop) if stop > start else None


def write_sealed(
    session: Session | Connection,
    tables: LogTables,
    key: LogKey,
    directory: Path,
    start: int,
    stop: int,
) -> Path:
    """Write the archive of these entries, and verify it as an auditor would.

    Raises:
        LogStoreError: the database's entries do not lead to its own tree.
        FileExistsError: there is such a file already.
        OSError: it cannot be written.
    """
    tiles = StoredTiles(session, tables)
    tree = TileTree(tiles, stop)
    checkpoint = Checkpoint(key.origin, stop, tree.root())
    head = ArchiveHead(
        start, stop, TileTree(tiles, start).compact_range(), key.sign(checkpoint).encode()
    )
    path = directory / archive_name(start, stop)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    if path.exists():
        raise FileExistsError(17, "File exists")
    try:
        write_archive(draft, head, _lines(session, tables, start, stop))
        verify_archive(draft, key.verifier_key)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def remove_sealed(session: Session | Connection, tables: LogTables, start: int, stop: int) -> None:
    """Take entries that are in an archive out of the database; their leaf hashes stay as tiles.

    Raises:
        LogStoreError: others were sealed meanwhile.
    """
    if _sealed_size(session, tables) != start or start % TILE_WIDTH or stop % TILE_WIDTH:
        raise LogStoreError("The log was sealed by somebody else meanwhile. Nothing was removed.")
    tiles = StoredTiles(session, tables)
    for number in range(start // TILE_WIDTH, stop // TILE_WIDTH):
        hashes = b"".join(tiles.read_hashes(0, number, TILE_WIDTH))
        if len(hashes) != TILE_WIDTH * HASH_BYTES:
            raise LogStoreError("A tile of the log is damaged. Nothing was removed.")
        session.execute(insert(tables.sealed), [{"tile_index": number, "hashes": hashes}])
    session.execute(update(tables.head).where(tables.head.c.id == HEAD_ID).values(sealed_size=stop))
    entries = tables.entries
    session.execute(delete(entries).where(entries.c.entry_index < stop))


def _sealed_size(session: Session | Connection, tables: LogTables) -> int:
    query = select(tables.head.c.sealed_size).where(tables.head.c.id == HEAD_ID)
    return int(session.execute(query).scalar_one_or_none() or 0)


def _lines(
    session: Session | Connection, tables: LogTables, start: int, stop: int
) -> Iterator[bytes]:
    at = start
    while at < stop:
        page = read_entries(session, tables, at, min(16 * TILE_WIDTH, stop - at))
        if not page:
            raise LogStoreError("Entries of the access log are missing. Tell the auditors.")
        for text in page:
            yield text.encode("ascii")
        at += len(page)


def months_ago(now: datetime, days: int) -> datetime:
    """So many days before a time."""
    return datetime.fromtimestamp(now.timestamp() - days * 86_400, UTC)
