"""Random tampering with everything that holds the log; all of it must be found.

Targets: an auditor's folder, static tiles, archives, proof files, exports in their three forms,
and the server's database (whose guards are taken away first). Each tampering is made on a fresh
copy, and counts only if it changed something. The untouched ones are verified as often.
"""

import gzip
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.audit.archive import verify_archive, verify_sequence
from api.audit.errors import AuditError
from api.audit.merkle import leaf_hash
from api.audit.note import Checkpoint
from api.audit.proof import verify_proof
from api.audit.sealing import write_sealed
from api.audit.stored_check import check_database, check_tiles
from api.audit.stored_tiles import export_tiles
from api.audit.verify import verify_directory
from benchmarks.audit_exports import export_is_bad, export_tamperings, write_exports
from benchmarks.audit_logs import KEY, example_event
from tests.api.audit.simulated_log import TABLES, immediate_engine, new_engine

_ENTRIES: Final = 600
_CUT: Final = 512


@dataclass(frozen=True)
class Target:
    """Something that can be tampered with.

    Attributes:
        make_copy: a fresh copy in an empty folder.
        is_found: whether verification finds anything wrong.
        tamperings: name -> what changes the copy.
    """

    source: Path
    is_found: Callable[[Path], bool]
    tamperings: Mapping[str, Callable[[Path, random.Random], None]]

    def make_copy(self, folder: Path) -> Path:
        """A fresh copy."""
        folder.mkdir(exist_ok=True)
        target = folder / self.source.name
        if self.source.is_dir():
            shutil.copytree(self.source, target)
        else:
            shutil.copy(self.source, target)
        return target


def measure_tampering(n_tamperings: int, seed: int = 6) -> dict[str, Any]:
    """Tamper so often; how many of each kind, how many were found, and false alarms."""
    chance = random.Random(seed)  # noqa: S311
    made: Counter[str] = Counter()
    missed: list[str] = []
    n_false = n_untouched = 0
    with tempfile.TemporaryDirectory(prefix="tongqiao-tampering-") as name:
        targets = make_targets(Path(name))
        for target in targets.values():
            n_untouched += 1
            n_false += target.is_found(target.source)
        choices = [(t, k) for t, target in targets.items() for k in target.tamperings]
        number = 0
        while made.total() < n_tamperings:
            target_name, kind = choices[number % len(choices)]
            number += 1
            target = targets[target_name]
            with tempfile.TemporaryDirectory(prefix="tongqiao-tampering-") as folder:
                copy = target.make_copy(Path(folder))
                target.tamperings[kind](copy, chance)
                if _content(copy) == _content(target.source):
                    continue
                made[f"{target_name}: {kind}"] += 1
                if not target.is_found(copy):
                    missed.append(f"{target_name}: {kind} (number {number})")
                if number % 50 == 0:
                    n_untouched += 1
                    n_false += target.is_found(target.make_copy(Path(folder) / "again"))
    return {
        "n_tamperings": made.total(),
        "n_found": made.total() - len(missed),
        "missed": missed[:20],
        "n_untouched_verified": n_untouched,
        "n_false_alarms": n_false,
        "by_kind": dict(sorted(made.items())),
    }


def _content(path: Path) -> object:
    if path.suffix == ".sqlite":
        database = sqlite3.connect(path)
        try:
            return [
                sorted(map(repr, database.execute(f"SELECT * FROM {table}")))  # noqa: S608
                for table in _TABLES
            ]
        finally:
            database.close()
    if path.is_dir():
        return {
            str(one.relative_to(path)): one.read_bytes()
            for one in sorted(path.rglob("*"))
            if one.is_file()
        }
    return path.read_bytes()


def make_targets(folder: Path) -> dict[str, Target]:
    """One log, and everything that can hold it."""
    from sqlalchemy.orm import Session

    from api.audit.append import append_entries
    from api.audit.checkpoint import make_checkpoint
    from api.audit.fetch import fetch_log
    from api.audit.merkle import inclusion_proof
    from api.audit.proof import LogProof
    from benchmarks.audit_logs import START

    path = folder / "log.sqlite"
    engine = new_engine(path, guards=False)
    notes = []
    for number in range(6):
        with Session(engine) as session, session.begin():
            events = [example_event(100 * number + at) for at in range(_ENTRIES // 6)]
            append_entries(session, TABLES, events, START)
            notes.append(make_checkpoint(session, TABLES, KEY, START).encode())
    source = _Source(engine)
    for note in notes:
        source.note = note
        fetch_log(source, folder / "fetched")
    lines = source.lines()
    with Session(engine) as session:
        export_tiles(session, TABLES, _ENTRIES, 0, folder / "tiles")
        (folder / "tiles" / "checkpoint").write_bytes(notes[-1])
        (folder / "archives").mkdir()
        for start, stop in ((0, 256), (256, _CUT)):
            write_sealed(session, TABLES, KEY, folder / "archives", start, stop)
    engine.dispose()
    index = 417
    hashes = tuple(inclusion_proof([leaf_hash(line) for line in lines], index))
    (folder / "entry.tlog-proof").write_bytes(
        LogProof(lines[index], index, hashes, notes[-1]).to_bytes()
    )
    exports = write_exports(folder / "fetched", folder)
    return {
        "folder": Target(folder / "fetched", _folder_is_bad, _FOLDER_TAMPERINGS),
        "tiles": Target(folder / "tiles", _tiles_are_bad, _FILE_TAMPERINGS),
        "archives": Target(folder / "archives", _archives_are_bad, _ARCHIVE_TAMPERINGS),
        "proof": Target(folder / "entry.tlog-proof", _proof_is_bad, _PROOF_TAMPERINGS),
        **{
            f"export as {form}": Target(
                path,
                export_is_bad,
                {**_EXPORT_TAMPERINGS, **export_tamperings(form, folder / f"other-{form}")},
            )
            for form, path in exports.items()
        },
        "database": Target(path, _database_is_bad, _DATABASE_TAMPERINGS),
    }


class _Source:
    """A log to fetch, as it was when a checkpoint was made."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.note = b""

    def lines(self) -> list[bytes]:
        return [text.encode() for text in self.entries(0, _ENTRIES)]

    def log_key(self) -> Any:
        return KEY.verifier_key

    def checkpoint(self) -> bytes:
        return self.note

    def cosigned(self, after: int) -> list[bytes]:
        return []

    def entries(self, start: int, limit: int) -> list[str]:
        from api.audit.append import read_entries

        with self._engine.connect() as connection:
            return read_entries(connection, TABLES, start, limit)


def _folder_is_bad(path: Path) -> bool:
    try:
        return not verify_directory(path).is_intact
    except AuditError:
        return True


def _tiles_are_bad(path: Path) -> bool:
    return bool(check_tiles(path, KEY.verifier_key))


def _archives_are_bad(path: Path) -> bool:
    try:
        found = [verify_archive(one, KEY.verifier_key) for one in sorted(path.iterdir())]
        found.sort(key=lambda one: one.start)
        verify_sequence(found)
        return not found or found[-1].stop != _CUT
    except AuditError:
        return True


def _proof_is_bad(path: Path) -> bool:
    try:
        return verify_proof(path.read_bytes(), KEY.verifier_key).entry.index != 417
    except AuditError:
        return True


def _database_is_bad(path: Path) -> bool:
    engine = immediate_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            return bool(check_database(connection, TABLES, KEY.verifier_key, {}))
    finally:
        engine.dispose()


def _some_file(path: Path, chance: random.Random) -> Path:
    return chance.choice(sorted(one for one in path.rglob("*") if one.is_file()))


def _flip(path: Path, chance: random.Random) -> None:
    target = _some_file(path, chance) if path.is_dir() else path
    data = bytearray(target.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    target.write_bytes(data)


def _delete(path: Path, chance: random.Random) -> None:
    _some_file(path, chance).unlink()


def _truncate(path: Path, chance: random.Random) -> None:
    target = _some_file(path, chance) if path.is_dir() else path
    data = target.read_bytes()
    target.write_bytes(data[: chance.randrange(len(data))])


def _swap_files(path: Path, chance: random.Random) -> None:
    one, other = _some_file(path, chance), _some_file(path, chance)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _edit_lines(change: Callable[[list[bytes], random.Random], None]) -> Callable[..., None]:
    def edit(path: Path, chance: random.Random) -> None:
        target = path / "entries.jsonl"
        lines = target.read_bytes().split(b"\n")[:-1]
        change(lines, chance)
        target.write_bytes(b"".join(line + b"\n" for line in lines))

    return edit


def _change_line(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    lines[at] = lines[at].replace(b"office-", b"officer-", 1)


def _remove_line(lines: list[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]


def _swap_lines(lines: list[bytes], chance: random.Random) -> None:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _insert_line(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


def _cut_lines(lines: list[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines)) :]


def _replay(path: Path, chance: random.Random) -> None:
    """The latest checkpoint is replaced by an older one that was truly signed."""
    older = sorted((path / "checkpoints").iterdir())[:-1]
    (path / "checkpoint").write_bytes(chance.choice(older).read_bytes())


def _fork(path: Path, chance: random.Random) -> None:
    """A second history, signed with the log's own key, as somebody inside could."""
    size = chance.randrange(1, _ENTRIES + 1)
    root = chance.randbytes(32)
    note = KEY.sign(Checkpoint(KEY.origin, size, root)).encode()
    folder = path / "checkpoints"
    target = folder / "somebody-else" if folder.is_dir() else path / "checkpoint"
    target.write_bytes(note)


def _recompress(change: Callable[[bytes, random.Random], bytes]) -> Callable[..., None]:
    """Tampering inside an archive by somebody who compresses it again."""

    def edit(path: Path, chance: random.Random) -> None:
        target = _some_file(path, chance)
        data = change(gzip.decompress(target.read_bytes()), chance)
        target.write_bytes(gzip.compress(data, 1, mtime=0))

    return edit


def _flip_inside(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _swap_inside(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = chance.randrange(len(lines) - 1), chance.randrange(len(lines) - 1)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _remove_inside(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[chance.randrange(len(lines) - 1)]
    return b"\n".join(lines)


def _sql(*statements: str) -> Callable[..., None]:
    def edit(path: Path, chance: random.Random) -> None:
        numbers = {
            "at": chance.randrange(_ENTRIES),
            "other": chance.randrange(_ENTRIES),
            "bytes": chance.randbytes(32),
            "range": chance.randbytes(32 * _ENTRIES.bit_count()),
            "size": 100 * chance.randrange(1, 7),
        }
        database = sqlite3.connect(path)
        try:
            for statement in statements:
                database.execute(statement, numbers)
            database.commit()
        finally:
            database.close()

    return edit


_TABLES: Final = ("log_entries", "log_head", "log_checkpoints", "log_subtrees", "log_cosignatures")
_FILE_TAMPERINGS: Final = {
    "bit flipped": _flip, "file deleted": _delete, "file cut": _truncate,
    "files swapped": _swap_files, "fork": _fork,
}  # fmt: skip
_LINE_TAMPERINGS: Final = {
    "entry changed": _edit_lines(_change_line), "entry removed": _edit_lines(_remove_line),
    "entries swapped": _edit_lines(_swap_lines), "entry inserted": _edit_lines(_insert_line),
    "tail cut": _edit_lines(_cut_lines),
}  # fmt: skip
_FOLDER_TAMPERINGS: Final = _FILE_TAMPERINGS | _LINE_TAMPERINGS | {"checkpoint replayed": _replay}
_EXPORT_TAMPERINGS: Final = {
    name: _FILE_TAMPERINGS[name] for name in _FILE_TAMPERINGS if name != "fork"
}
_ARCHIVE_TAMPERINGS: Final = {
    "bit flipped inside": _recompress(_flip_inside),
    "lines swapped inside": _recompress(_swap_inside),
    "line removed inside": _recompress(_remove_inside),
    "file deleted": _delete, "file cut": _truncate,
}  # fmt: skip
_PROOF_TAMPERINGS: Final = {"bit flipped": _flip, "file cut": _truncate}
_DATABASE_TAMPERINGS: Final = {
    "entry changed": _sql(
        "UPDATE log_entries SET body = replace(body, 'office-', 'officer-') WHERE entry_index = :at"
    ),
    "entry changed with its hash": _sql(
        "UPDATE log_entries SET body = replace(body, 'office-', 'officer-'), leaf_hash = :bytes "
        "WHERE entry_index = :at"
    ),
    "column changed": _sql("UPDATE log_entries SET actor = 'chen' WHERE entry_index = :at"),
    "entry removed": _sql("DELETE FROM log_entries WHERE entry_index = :at"),
    "entries swapped": _sql(
        "UPDATE log_entries SET entry_index = 99999 WHERE entry_index = :at",
        "UPDATE log_entries SET entry_index = :at WHERE entry_index = :other",
        "UPDATE log_entries SET entry_index = :other WHERE entry_index = 99999",
    ),
    "tail cut": _sql("DELETE FROM log_entries WHERE entry_index >= :at"),
    "head set back": _sql("UPDATE log_head SET size = :at"),
    "head changed": _sql("UPDATE log_head SET compact_range = :range"),
    "subtree changed": _sql(
        "UPDATE log_subtrees SET hash = :bytes WHERE level = 1 AND subtree_index = :at % 2"
    ),
    "subtree removed": _sql("DELETE FROM log_subtrees WHERE subtree_index = :at % 2"),
    "checkpoint changed": _sql("UPDATE log_checkpoints SET root = :bytes WHERE size = :size"),
    "checkpoint replayed": _sql(
        "UPDATE log_checkpoints SET note = (SELECT note FROM log_checkpoints WHERE size = 100) "
        "WHERE size = :size"
    ),
}
