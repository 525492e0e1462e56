"""Traces of deleted rows: what is still to be scrubbed is remembered; samples are not taken.

PostgreSQL keeps samples of a column's values for its planner, in a table of its own, where they
outlive the rows. None are taken any more of what may not outlive a round.
"""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "traces"
down_revision = "exclusions"
branch_labels = None
depends_on = None

_NOT_SAMPLED: Final = {
    "links": ("record_a", "link_a", "record_b", "link_b"),
    "retracted_links": ("link", "record"),
    "round_keys": ("wrapped",),
    "rounds": ("review",),
}
_SCRUBBED: Final = ("links", "retracted_links", "round_keys", "rounds", "upload_parts", "uploads")


def upgrade() -> None:
    connection = op.get_bind()
    traces = op.create_table(
        "traces",
        sa.Column("table", sa.String(length=63), nullable=False),
        sa.Column("n_deletions", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("table", name="pk_traces"),
    )
    if connection.scalar(sa.text("SELECT count(*) FROM rounds")):
        # Nobody wrote down what was left before now: the worker looks after all of it once.
        since = datetime.now(UTC)
        op.bulk_insert(
            traces, [{"table": table, "n_deletions": 1, "since": since} for table in _SCRUBBED]
        )
    if connection.dialect.name == "postgresql":
        for table, columns in _NOT_SAMPLED.items():
            for column in columns:
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
