"""The log's tables (SQLAlchemy Core); ``guards.py`` keeps their rows from being changed."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
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

HEAD_ID: Final = 1

NOT_GRANTED: Final = text("outcome <> 'granted'")
"""The condition of the index of what was refused or failed, word for word."""

# SQLite numbers rows in INTEGER only; PostgreSQL's INTEGER would end at 2^31.
_INDEX = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class LogTables:
    """The tables of a log.

    Attributes:
        entries: one row an entry; ``body`` is what is hashed, the other columns repeat parts of
            it so that it can be searched.
        head: a single row; size, compact range and latest time of the log, and how many of its
            first entries are sealed in archives.
        checkpoints: every checkpoint that was signed, one a size.
        subtrees: the root of each full subtree of ``256**level`` entries, from level 1 on: a tile
            (C2SP ``tlog-tiles``) of that level is a run of these rows.
        sealed: level-0 tiles of sealed entries, whose own rows are gone.
        cosignatures: what witnesses signed, one a checkpoint and witness.
    """

    entries: Table
    head: Table
    checkpoints: Table
    subtrees: Table
    sealed: Table
    cosignatures: Table


def define_log_tables(metadata: MetaData) -> LogTables:
    """Add the log's tables to the metadata; their names begin with ``log_``."""
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
        Column("subject", String(63)),
        CheckConstraint("entry_index >= 0", name="ck_log_entries_index"),
        Index("ix_log_entries_time", "time"),
        Index("ix_log_entries_actor", "actor"),
        Index("ix_log_entries_round", "round"),
        Index("ix_log_entries_subject", "subject"),
        Index("ix_log_entries_action", "action"),
        # Nearly all entries are of what was granted: an index of those would help nobody.
        Index(
            "ix_log_entries_outcome",
            "outcome",
            sqlite_where=NOT_GRANTED,
            postgresql_where=NOT_GRANTED,
        ),
        # All that a tile of leaf hashes reads: entries are some ten times as long.
        Index("ix_log_entries_leaf", "entry_index", "leaf_hash"),
    )
    head = Table(
        "log_head",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("size", _INDEX, nullable=False),
        Column("compact_range", LargeBinary, nullable=False),
        Column("last_time", String(24), nullable=False),
        Column("sealed_size", _INDEX, nullable=False, server_default="0"),
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
    return LogTables(entries, head, checkpoints, *_define_tile_tables(metadata))


def _define_tile_tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    subtrees = Table(
        "log_subtrees",
        metadata,
        Column("level", SmallInteger, primary_key=True, autoincrement=False),
        Column("subtree_index", _INDEX, primary_key=True, autoincrement=False),
        Column("hash", LargeBinary(32), nullable=False),
    )
    sealed = Table(
        "log_sealed_tiles",
        metadata,
        Column("tile_index", _INDEX, primary_key=True, autoincrement=False),
        Column("hashes", LargeBinary(8192), nullable=False),
    )
    cosignatures = Table(
        "log_cosignatures",
        metadata,
        Column("size", _INDEX, primary_key=True, autoincrement=False),
        Column("witness", String(63), primary_key=True),
        Column("line", String(500), nullable=False),
        Column("signed_at", BigInteger, nullable=False),
    )
    return subtrees, sealed, cosignatures
