"""Verifying the log where it lies: the server's database, and a folder of static tiles.

For who runs the server; auditors verify what they fetched (``verify.py``) and trust neither.
"""

from collections.abc import Callable, Iterator
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
from api.audit.stored_faults import FaultKind, StoredFault
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
_NOTES: Final = 256

OnProgress = Callable[[int, int], None]
"""Told how much of how much is done."""


def check_database(
    session: Session | Connection,
    tables: LogTables,
    key: VerifierKey,
    witnesses: dict[str, WitnessKey],
    on_progress: OnProgress | None = None,
) -> list[StoredFault]:
    """What is wrong with a stored log; empty if nothing is.

    Recomputes every leaf from its entry, every column from the entry's text, every subtree and the
    head, and holds all checkpoints and cosignatures against them.

    Args:
        witnesses: member -> key, of whose cosignatures are verified.
        on_progress: told entries and checkpoints that were looked at, and how many there are.
    """
    faults: list[StoredFault] = []
    try:
        head = read_head(session, tables)
    except LogStoreError as error:
        return [StoredFault(FaultKind.HEAD, cause=str(error))]
    roots: dict[int, bytes] = {}
    wanted = set(session.execute(select(tables.checkpoints.c.size)).scalars())
    total = head.size + len(wanted)
    tell = on_progress or _tell_nobody
    tree, completed = CompactRange(), list[tuple[int, int, bytes]]()
    last_time = ""
    try:
        for leaf, row in _leaves(session, tables, head.size):
            if tree.size in wanted:
                roots[tree.size] = tree.root()
            if row is not None:
                last_time = _check_row(row, tree.size, leaf, last_time, faults)
            tree.append_noting(leaf, completed)
            if tree.size % _PAGE == 0:
                tell(tree.size, total)
            if len(faults) > _MAX_FAULTS:
                break
    except ProofError as error:
        return [*faults, StoredFault(FaultKind.TILES, cause=str(error))]
    roots[tree.size] = tree.root()
    if (tree.size, tree.root()) != (head.size, head.root):
        faults.append(StoredFault(FaultKind.ROOT))
    if head.size and last_time and last_time != head.last_time:
        faults.append(StoredFault(FaultKind.HEAD_TIME))
    stored = select(tables.subtrees).order_by("level", "subtree_index")
    found = [(row.level, row.subtree_index, row.hash) for row in session.execute(stored)]
    if found != sorted(completed):
        faults.append(StoredFault(FaultKind.SUBTREES))
    _check_checkpoints(
        session, tables, key, roots, faults, lambda done: tell(head.size + done, total)
    )
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


def _check_row(
    row: object, place: int, leaf: bytes, last_time: str, faults: list[StoredFault]
) -> str:
    columns = row._mapping  # type: ignore[attr-defined]
    if columns["entry_index"] != place:
        faults.append(StoredFault(FaultKind.ENTRY_MISSING, place))
    if columns["leaf_hash"] != leaf:
        faults.append(StoredFault(FaultKind.ENTRY_CHANGED, place))
    try:
        entry = parse_entry(columns["body"].encode(errors="replace"))
    except EntryError as error:
        faults.append(StoredFault(FaultKind.ENTRY_MALFORMED, place, str(error)))
        return last_time
    if entry.index != place:
        faults.append(StoredFault(FaultKind.ENTRY_NUMBER, place))
    if entry.time < last_time:
        faults.append(StoredFault(FaultKind.TIME_BACKWARDS, place))
    if _columns_of(entry) != tuple(columns[name] for name in _SEARCHED):
        faults.append(StoredFault(FaultKind.ENTRY_COLUMNS, place))
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
    faults: list[StoredFault],
    on_checked: Callable[[int], None],
) -> None:
    for number, row in enumerate(session.execute(select(tables.checkpoints)), 1):
        if number % _NOTES == 0:
            on_checked(number)
        try:
            checkpoint = open_checkpoint(row.note.encode(), key)
        except NoteError as error:
            faults.append(StoredFault(FaultKind.CHECKPOINT_UNUSABLE, row.size, str(error)))
            continue
        if (checkpoint.size, checkpoint.root) != (row.size, row.root):
            faults.append(StoredFault(FaultKind.CHECKPOINT_CHANGED, row.size))
        if roots.get(row.size) != checkpoint.root:
            faults.append(StoredFault(FaultKind.CHECKPOINT_FORKED, row.size))


def _check_cosignatures(
    session: Session | Connection,
    tables: LogTables,
    witnesses: dict[str, WitnessKey],
    faults: list[StoredFault],
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
            faults.append(StoredFault(FaultKind.COSIGNATURE, row.size))


def _tell_nobody(_done: int, _total: int) -> None:
    """Where nobody asked how far it is."""


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
