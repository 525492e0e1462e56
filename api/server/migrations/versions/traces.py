"""Traces that deleted rows left are remembered until they have been scrubbed."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "traces"
down_revision = "exclusions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    traces = op.create_table(
        "traces",
        sa.Column("table", sa.String(length=63), nullable=False),
        sa.Column("n_deletions", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("table", name="pk_traces"),
    )
    has_rounds = op.get_bind().scalar(sa.text("SELECT count(*) FROM rounds"))
    if not has_rounds:
        return
    # Nobody wrote down what was left before now: the worker looks after all of it once.
    tables = ("links", "retracted_links", "round_keys", "rounds", "upload_parts", "uploads")
    now = datetime.now(UTC)
    op.bulk_insert(traces, [{"table": t, "n_deletions": 1, "since": now} for t in tables])
