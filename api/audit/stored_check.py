"""Verifying the log where it lies: the server's database, and a folder of static tiles.

For who runs the server; auditors verify what they fetched (``verify.py``) and trust neither.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from api.audit.append import read_head
from api.audit.cosignature import WitnessKey, verify_cosignature
from api.audit.errors import AuditError, EntryError, LogStoreError, NoteError, ProofError
from api.audit.events import Entry, parse_entry, subject_of
from api.audit.merkle import HASH_BYTES, TILE_WIDTH, CompactRange, full_root, leaf_hash
from api.audit.note import VerifierKey, open_checkpoint, parse_note, parse_signature_line
from api.audit.stored_tiles import StoredTiles
from api.audit.tables import LogTables
from api.audit.tiles import (
    MAX_LEVEL,
    Tile,
    TileDirectory,
    all_tiles,
    parse_bundle,
    parse_tile_path,
    tiles_of,
)

_MAX_FAULTS: Final = 20
_PAGE: Final = 4096


def check_database(
    session: Session | Connection,
    tables: LogTables,
    key: VerifierKey,
    witnesses: dict[str, WitnessKey],
) -> list[str]:
    """What is wrong with a stored log, in plain words; empty if nothing is.

    Recomputes every leaf from its entry, every column from the entry's text, every subtree and the
    head, and holds all checkpoints and cosignatures against them.

    Args:
        witnesses: member -> key, of whose cosignatures are verified.
    """
    faults: list[str] = []
    try:
        head = read_head(session, tables)
    except LogStoreError as error:
        return [str(error)]
    roots: dict[int, bytes] = {}
    wanted = set(session.execute(select(tables.checkpoints.c.size)).scalars())
    tree, completed = CompactRange(), list[tuple[int, int, bytes]]()
    last_time = ""
    try:
        for leaf, row in _leaves(session, tables, head.size):
            if tree.size in wanted:
                roots[tree.size] = tree.root()
            if row is not None:
                last_time = _check_row(row, tree.size, leaf, last_time, faults)
            tree.append_noting(leaf, completed)
            if len(faults) > _MAX_FAULTS:
                break
    except ProofError as error:
        return [*faults, f"Tiles of sealed entries are missing or damaged: {error}."]
    roots[tree.size] = tree.root()
    if (tree.size, tree.root()) != (head.size, head.root):
        faults.append("The entries do not lead to the head of the log.")
    if head.size and last_time and last_time != head.last_time:
        faults.append("The head's time is not that of the last entry.")
    stored = select(tables.subtrees).order_by("level", "subtree_index")
    found = [(row.level, row.subtree_index, row.hash) for row in session.execute(stored)]
    if found != sorted(completed):
        faults.append("The stored subtrees are not those of the entries.")
    _check_checkpoints(session, tables, key, roots, faults)
    _check_cosignatures(session, tables, witnesses, faults)
    return faults


def _leaves(
    session: Session | Connection, tables: LogTables, size: int
) -> Iterator[tuple[bytes, object]]:
    """Each leaf hash, computed from the entry where it is there, else out of the sealed tiles."""
    head = session.execute(select(tables.head.c.sealed_size)).scalar_one_or_none() or 0
    tiles = StoredTiles(session, tables)
    for number in range(head // TILE_WIDTH):
        for leaf in tiles.read_hashes(0, number, TILE_WIDTH):
            yield leaf, None
    entries = tables.entries
    at = head
    while at < size:
        query = (
            select(entries)
            .where(entries.c.entry_index >= at)
            .order_by(entries.c.entry_index)
            .limit(_PAGE)
        )
        rows = session.execute(query).all()
        if not rows:
            return
        for row in rows:
            yield leaf_hash(row.body.encode(errors="replace")), row
        at = rows[-1].entry_index + 1


def _check_row(row: object, place: int, leaf: bytes, last_time: str, faults: list[str]) -> str:
    columns = row._mapping  # type: ignore[attr-defined]
    if columns["entry_index"] != place:
        faults.append(f"Entry {place} is missing.")
    if columns["leaf_hash"] != leaf:
        faults.append(f"Entry {place} is not what was hashed when it was logged.")
    try:
        entry = parse_entry(columns["body"].encode(errors="replace"))
    except EntryError as error:
        faults.append(f"Entry {place} is none: {error}.")
        return last_time
    if entry.index != place:
        faults.append(f"Entry {place} bears another number.")
    if entry.time < last_time:
        faults.append(f"The time of entry {place} is before that of the one before it.")
    if _columns_of(entry) != tuple(columns[name] for name in _SEARCHED):
        faults.append(f"The columns to search entry {place} by are not what it says.")
    return entry.time


_SEARCHED: Final = ("time", "action", "outcome", "actor", "project", "round", "subject")


def _columns_of(entry: Entry) -> tuple[object, ...]:
    return (
        entry.time, entry.action, entry.outcome, entry.actor, entry.project, entry.round,
        subject_of(entry.details),
    )  # fmt: skip


def _check_checkpoints(
    session: Session | Connection,
    tables: LogTables,
    key: VerifierKey,
    roots: dict[int, bytes],
    faults: list[str],
) -> None:
    for row in session.execute(select(tables.checkpoints)):
        try:
            checkpoint = open_checkpoint(row.note.encode(), key)
        except NoteError as error:
            faults.append(f"The checkpoint over {row.size} entries cannot be used: {error}.")
            continue
        if (checkpoint.size, checkpoint.root) != (row.size, row.root):
            faults.append(f"The checkpoint over {row.size} entries was changed.")
        if roots.get(row.size) != checkpoint.root:
            faults.append(f"The checkpoint over {row.size} entries is of another history.")


def _check_cosignatures(
    session: Session | Connection,
    tables: LogTables,
    witnesses: dict[str, WitnessKey],
    faults: list[str],
) -> None:
    notes = {
        row.size: row.note
        for row in session.execute(select(tables.checkpoints.c.size, tables.checkpoints.c.note))
    }
    for row in session.execute(select(tables.cosignatures)):
        try:
            note = parse_note(notes.get(row.size, "").encode())
            line = parse_signature_line(row.line)
            found = verify_cosignature(note.text, line, witnesses[row.witness])
            if found.time != row.signed_at:
                raise NoteError("its time was changed")
        except (NoteError, KeyError):
            faults.append(f"A cosignature of the checkpoint over {row.size} entries was changed.")


def check_tiles(directory: Path, key: VerifierKey, sealed_size: int = 0) -> list[str]:
    """What is wrong with a folder of static tiles and its checkpoint, in plain words.

    Args:
        sealed_size: bundles of so many first entries may be missing: they are in archives.
    """
    try:
        checkpoint = open_checkpoint((directory / "checkpoint").read_bytes(), key)
    except (NoteError, OSError) as error:
        return [f"The checkpoint cannot be used: {error}."]
    tiles, faults = TileDirectory(directory), list[str]()
    try:
        faults += _check_levels(tiles, checkpoint.size, checkpoint.root)
        faults += _check_bundles(tiles, directory, checkpoint.size, sealed_size)
    except (AuditError, OSError) as error:
        faults.append(f"{error}.")
    known = {tile.path for tile in all_tiles(checkpoint.size)}
    for path in sorted((directory / "tile").rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in known and not _is_left_over(directory, name, known):
            faults.append(f"{name} is no tile of a log of this size.")
    return faults


def _is_left_over(directory: Path, name: str, known: set[str]) -> bool:
    """Whether a partial tile of an earlier export begins the one that took its place."""
    tile = parse_tile_path(name)
    if tile is None or tile.width == TILE_WIDTH:
        return False
    fuller = next(
        (
            Tile(tile.level, tile.number, width)
            for width in range(TILE_WIDTH, tile.width, -1)
            if Tile(tile.level, tile.number, width).path in known
        ),
        None,
    )
    if fuller is None or not (directory / fuller.path).is_file():
        return False
    data = (directory / name).read_bytes()
    if tile.level is not None and len(data) != tile.width * HASH_BYTES:
        return False
    return bool(data) and (directory / fuller.path).read_bytes().startswith(data)


def _check_levels(tiles: TileDirectory, size: int, root: bytes) -> list[str]:
    faults = []
    tree = CompactRange()
    for level in range(MAX_LEVEL):
        for tile in tiles_of(size, level):
            hashes = tiles.read_hashes(level, tile.number, tile.width)
            if len(tiles.read(tile)) != tile.width * HASH_BYTES:
                faults.append(f"{tile.path} is longer than a tile.")
            if level == 0:
                tree.extend(hashes)
            else:
                below = [
                    full_root(tiles.read_hashes(level - 1, number, TILE_WIDTH))
                    for number in range(
                        tile.number * TILE_WIDTH, tile.number * TILE_WIDTH + tile.width
                    )
                ]
                if below != hashes:
                    faults.append(f"{tile.path} is not what the tiles below it lead to.")
    if tree.root() != root:
        faults.append("The tiles do not lead to the root that was signed.")
    return faults


def _check_bundles(tiles: TileDirectory, directory: Path, size: int, sealed_size: int) -> list[str]:
    faults, last_time = [], ""
    for tile in tiles_of(size, None):
        if tile.number * TILE_WIDTH < sealed_size and not (directory / tile.path).exists():
            continue
        data = tiles.read(tile)
        lines = parse_bundle(data)
        if [leaf_hash(line) for line in lines] != tiles.read_hashes(0, tile.number, tile.width):
            faults.append(f"{tile.path} does not hold the entries that were hashed.")
            continue
        for line in lines:
            entry = parse_entry(line)
            if entry.time < last_time:
                faults.append(f"The time of entry {entry.index} is before that of one before it.")
            last_time = entry.time
    return faults
