"""The log's tables (SQLAlchemy Core), and guards that keep its rows from being changed."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from api.audit.errors import LogStoreError

HEAD_ID: Final = 1

# SQLite numbers rows in INTEGER only; PostgreSQL's INTEGER would end at 2^31.
_INDEX = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class LogTables:
    """The three tables of a log.

    Attributes:
        entries: one row an entry; ``body`` is what is hashed, the other columns repeat parts of
            it so that it can be searched.
        head: a single row; size, compact range and latest time of the log.
        checkpoints: every checkpoint that was signed, one a size.
    """

    entries: Table
    head: Table
    checkpoints: Table


def define_log_tables(metadata: MetaData) -> LogTables:
    """Add ``log_entries``, ``log_head`` and ``log_checkpoints`` to the metadata."""
    entries = Table(
        "log_entries",
        metadata,
        Column("entry_index", _INDEX, primary_key=True, autoincrement=False),
        Column("leaf_hash", LargeBinary(32), nullable=False),
        Column("body", Text, nullable=False),
        Column("time", String(24), nullable=False),
        Column("action", String(63), nullable=False),
        Column("outcome", String(15), nullable=False),
        Column("actor", String(63)),
        Column("project", String(63)),
        Column("round", String(63)),
        CheckConstraint("entry_index >= 0", name="ck_log_entries_index"),
        Index("ix_log_entries_time", "time"),
        Index("ix_log_entries_actor", "actor"),
        Index("ix_log_entries_round", "project", "round"),
    )
    head = Table(
        "log_head",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("size", _INDEX, nullable=False),
        Column("compact_range", LargeBinary, nullable=False),
        Column("last_time", String(24), nullable=False),
        CheckConstraint(f"id = {HEAD_ID}", name="ck_log_head_single"),
    )
    checkpoints = Table(
        "log_checkpoints",
        metadata,
        Column("size", _INDEX, primary_key=True, autoincrement=False),
        Column("root", LargeBinary(32), nullable=False),
        Column("note", Text, nullable=False),
        Column("created_at", String(24), nullable=False),
    )
    return LogTables(entries, head, checkpoints)


_LOGGED: Final = "(SELECT entry_index FROM log_entries)"

_SQLITE_GUARDS: Final = {
    "log_entries_never_change": (
        "BEFORE UPDATE ON log_entries",
        "an entry of the access log cannot be changed",
    ),
    "log_entries_never_go": (
        "BEFORE DELETE ON log_entries",
        "an entry of the access log cannot be deleted",
    ),
    # INSERT OR REPLACE deletes the older row without its triggers.
    "log_entries_never_replaced": (
        f"BEFORE INSERT ON log_entries WHEN NEW.entry_index IN {_LOGGED}",
        "an entry of the access log cannot be replaced",
    ),
    "log_head_never_shrinks": (
        "BEFORE UPDATE ON log_head WHEN NEW.size < OLD.size",
        "the access log cannot be shortened",
    ),
    "log_head_never_goes": (
        "BEFORE DELETE ON log_head",
        "the access log cannot be shortened",
    ),
    "log_head_never_replaced": (
        "BEFORE INSERT ON log_head WHEN EXISTS (SELECT 1 FROM log_head)",
        "the access log cannot be replaced",
    ),
    "log_checkpoints_never_change": (
        "BEFORE UPDATE ON log_checkpoints",
        "a checkpoint of the access log cannot be changed",
    ),
    "log_checkpoints_never_go": (
        "BEFORE DELETE ON log_checkpoints",
        "a checkpoint of the access log cannot be deleted",
    ),
    "log_checkpoints_never_replaced": (
        "BEFORE INSERT ON log_checkpoints WHEN NEW.size IN (SELECT size FROM log_checkpoints)",
        "a checkpoint of the access log cannot be replaced",
    ),
}


def create_guards(connection: Connection) -> None:
    """Make the database refuse to change or delete what is in the log; for use in a migration.

    A guard against mistakes, not against who can change the database's schema: against them
    stands the Merkle tree.

    Raises:
        LogStoreError: the database is not SQLite.
    """
    if connection.dialect.name != "sqlite":
        raise LogStoreError("the log's guards are written for SQLite only so far")
    for name, (when, message) in _SQLITE_GUARDS.items():
        connection.execute(
            text(
                f"CREATE TRIGGER IF NOT EXISTS {name} {when} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        )
