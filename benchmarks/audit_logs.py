"""Logs to measure on: events as a server has them, fetched folders of any length, databases."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from api.audit.append import LogHead
from api.audit.checkpoint import LogKey
from api.audit.directory import VerifiedState, checkpoint_name, note_digest
from api.audit.events import (
    Action,
    AuditEvent,
    Outcome,
    entry_bytes,
    format_time,
    parse_entry,
    subject_of,
)
from api.audit.merkle import CompactRange, leaf_hash
from api.audit.note import Checkpoint
from api.server.models import LOG_TABLES
from api.server.services.database import Database
from api.server.services.installation import Installation, create_installation
from tests import postgresql

START: Final = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)
KEY: Final = LogKey("benchmark.example/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
_KINDS: Final = 4096
_ACTIONS: Final = (Action.UPLOAD_PUT, Action.ROUND_READ, Action.RESULTS_READ, Action.TERMS_SIGN)
_BATCH: Final = 5000
_BULK_CACHE_KIB: Final = 4 << 20


def example_event(number: int) -> AuditEvent:
    """One of many different events, with random hashes and request ids."""
    refused = number % 17 == 3
    return AuditEvent(
        _ACTIONS[number % 4],
        Outcome.REFUSED if refused else Outcome.GRANTED,
        actor=f"office-{number % 40}",
        role="office",
        project="sichuan-children",
        round="2026-h2",
        details={
            "office": f"office-{number % 40}",
            "n_records": number % 100_000,
            "sha256": secrets.token_hex(32),
        },
        reason="wrong-state" if refused else None,
        request_id=secrets.token_hex(8),
        origin=f"192.0.2.{number % 200}",
    )


def example_lines(n_entries: int) -> Iterator[bytes]:
    """So many entries, a tenth of a second apart; made fast from a few thousand patterns."""
    patterns = [
        entry_bytes(example_event(number), 0, "2000-01-01T00:00:00.000Z")
        .replace(b'"index":0,', b'"index":%d,')
        .replace(b"2000-01-01T00:00:00.000Z", b"%b")
        for number in range(_KINDS)
    ]
    for index in range(n_entries):
        time = format_time(START + timedelta(milliseconds=100 * index)).encode()
        yield patterns[index % _KINDS] % (index, time)


def write_folder(directory: Path, n_entries: int) -> None:
    """A folder as ``tongqiao audit fetch`` leaves it."""
    (directory / "checkpoints").mkdir(parents=True)
    tree = CompactRange()
    with (
        (directory / "entries.jsonl").open("wb") as entries,
        (directory / "verified.leaves").open("wb") as leaves,
    ):
        for line in example_lines(n_entries):
            leaf = leaf_hash(line)
            entries.write(line + b"\n")
            leaves.write(leaf)
            tree.append(leaf)
    note = KEY.sign(Checkpoint(KEY.origin, n_entries, tree.root())).encode()
    (directory / "checkpoint").write_bytes(note)
    (directory / "checkpoints" / checkpoint_name(n_entries, note)).write_bytes(note)
    key = KEY.verifier_key.to_text()
    (directory / "log.vkey").write_text(f"{key}\n", encoding="ascii")
    state = VerifiedState(n_entries, tree.root(), key, (note_digest(note),))
    (directory / "verified.json").write_bytes(state.to_bytes())


def fill_database(database: Database, n_entries: int) -> LogHead:
    """Put so many entries into the log of a new server, as the log itself would leave them.

    Written in bulk: what is measured afterwards is reading, not this.
    """
    tree = CompactRange()
    with database.migrating() as connection:
        if connection.dialect.name == "sqlite":
            # Indexes are written to all over: with SQLite's own few pages in memory, most of the
            # time goes into reading them back.
            connection.exec_driver_sql(f"PRAGMA cache_size = -{_BULK_CACHE_KIB}")
        lines = example_lines(n_entries)
        completed: list[tuple[int, int, bytes]] = []
        rows = []
        time = ""
        for index, line in enumerate(lines):
            leaf = leaf_hash(line)
            tree.append_noting(leaf, completed)
            time = line[-32:-8].decode()
            rows.append(
                {
                    "entry_index": index,
                    "leaf_hash": leaf,
                    "body": line.decode(),
                    "time": time,
                    **_searched(index % _KINDS),
                }
            )
            if len(rows) == _BATCH or index == n_entries - 1:
                connection.execute(insert(LOG_TABLES.entries), rows)
                rows.clear()
        for at in range(0, len(completed), _BATCH):
            connection.execute(
                insert(LOG_TABLES.subtrees),
                [
                    {"level": level, "subtree_index": index, "hash": value}
                    for level, index, value in completed[at : at + _BATCH]
                ],
            )
        connection.execute(
            insert(LOG_TABLES.head).values(
                id=1, size=n_entries, compact_range=tree.to_bytes(), last_time=time
            )
        )
    return LogHead(n_entries, tree.root(), time)


@cache
def _searched(number: int) -> dict[str, str | None]:
    """The columns that an entry of this pattern is searched by."""
    event = example_event(number)
    return {
        "action": str(event.action),
        "outcome": str(event.outcome),
        "actor": event.actor,
        "project": event.project,
        "round": event.round,
        "subject": subject_of(event.details),
    }


@contextlib.contextmanager
def new_server(kind: str) -> Iterator[Installation]:
    """A new server on ``sqlite`` or ``postgresql``, each as durable as in production."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tongqiao-audit-")))
        address = "sqlite"
        if kind == "postgresql":
            address = stack.enter_context(_durable_postgresql())
        installation = create_installation(folder / "server", "Benchmark", {"database": address})
        stack.callback(installation.close)
        yield installation


@contextlib.contextmanager
def _durable_postgresql() -> Iterator[str]:
    """A database of a temporary cluster that waits for the disk, as the tests' own does not."""
    postgresql.prepare_folder(durable=True)
    postgresql.cluster.cache_clear()
    try:
        address = postgresql.url_of(postgresql.new_database())
        with psycopg.connect(address) as connection:
            row = connection.execute("SHOW fsync").fetchone()
            if row is None or row[0] != "on":
                raise RuntimeError("PostgreSQL does not wait for the disk")
        yield address
    finally:
        postgresql.remove_folder()


def is_available(kind: str) -> bool:
    """Whether this machine can run servers on this database."""
    return kind == "sqlite" or postgresql.find_programs() is not None


def free_bytes() -> int:
    """Room where temporary files go."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def processors() -> int:
    """Processors that this program may use."""
    return len(os.sched_getaffinity(0))


def check_example() -> None:
    """The made entries are entries."""
    for line in example_lines(3):
        parse_entry(line)
