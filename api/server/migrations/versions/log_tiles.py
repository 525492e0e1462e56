"""The log's tiles, sealed tiles and cosignatures; whom an entry is about."""

import json

import sqlalchemy as sa
from alembic import op

from api.audit.events import subject_of
from api.audit.guards import create_guards
from api.audit.merkle import CompactRange

revision = "log_tiles"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ENTRIES = sa.table(
    "log_entries",
    sa.column("entry_index", _INDEX),
    sa.column("leaf_hash", sa.LargeBinary()),
    sa.column("body", sa.Text()),
    sa.column("subject", sa.String()),
)
_PAGE = 5000


def upgrade() -> None:
    op.add_column("log_entries", sa.Column("subject", sa.String(length=63), nullable=True))
    op.create_index("ix_log_entries_subject", "log_entries", ["subject"], unique=False)
    op.add_column("log_head", sa.Column("sealed_size", _INDEX, nullable=False, server_default="0"))
    subtrees = op.create_table(
        "log_subtrees",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("subtree_index", _INDEX, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "subtree_index", name="pk_log_subtrees"),
    )
    op.create_table(
        "log_sealed_tiles",
        sa.Column("tile_index", _INDEX, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(length=8192), nullable=False),
        sa.PrimaryKeyConstraint("tile_index", name="pk_log_sealed_tiles"),
    )
    op.create_table(
        "log_cosignatures",
        sa.Column("size", _INDEX, autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=63), nullable=False),
        sa.Column("line", sa.String(length=500), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name="pk_log_cosignatures"),
    )
    _fill(subtrees)
    create_guards(op.get_bind())


def _fill(subtrees: sa.Table) -> None:
    """Subtrees of, and whom it is about for, what was logged before."""
    connection = op.get_bind()
    _unguard(connection)
    tree, at = CompactRange(), 0
    page = sa.select(_ENTRIES).order_by(_ENTRIES.c.entry_index).limit(_PAGE)
    while rows := connection.execute(page.where(_ENTRIES.c.entry_index >= at)).all():
        completed: list[tuple[int, int, bytes]] = []
        for row in rows:
            tree.append_noting(row.leaf_hash, completed)
            subject = subject_of(json.loads(row.body)["details"])
            if subject is not None:
                connection.execute(
                    sa.update(_ENTRIES)
                    .where(_ENTRIES.c.entry_index == row.entry_index)
                    .values(subject=subject)
                )
        for level, index, value in completed:
            connection.execute(
                subtrees.insert().values(level=level, subtree_index=index, hash=value)
            )
        at = rows[-1].entry_index + 1


def _unguard(connection: sa.Connection) -> None:
    """The column to search by is no part of what is hashed; the guard comes back right after."""
    table = "" if connection.dialect.name == "sqlite" else " ON log_entries"
    connection.execute(sa.text(f"DROP TRIGGER IF EXISTS log_entries_never_change{table}"))
