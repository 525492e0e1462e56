"""Searching the log by action, outcome and round; what auditors ask the worker for."""

import sqlalchemy as sa
from alembic import op

revision = "log_search"
down_revision = "match_figures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    not_granted = sa.text("outcome <> 'granted'")
    op.create_index("ix_log_entries_action", "log_entries", ["action"], unique=False)
    op.create_index(
        "ix_log_entries_outcome",
        "log_entries",
        ["outcome"],
        unique=False,
        sqlite_where=not_granted,
        postgresql_where=not_granted,
    )
    # A round is looked for by its id alone.
    op.drop_index("ix_log_entries_round", table_name="log_entries")
    op.create_index("ix_log_entries_round", "log_entries", ["round"], unique=False)
    op.create_table(
        "audit_tasks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=63), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=32), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("failure", sa.String(length=63), nullable=True),
        sa.CheckConstraint("kind IN ('check', 'report', 'export')", name="ck_audit_tasks_kind"),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed')", name="ck_audit_tasks_state"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_tasks"),
    )
    op.create_index("ix_audit_tasks_asked_at", "audit_tasks", ["asked_at"], unique=False)
