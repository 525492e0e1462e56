"""Operators take offices out of rounds and projects; what two must ask for waits for the second."""

import sqlalchemy as sa
from alembic import op

revision = "exclusions"
down_revision = "log_leaves"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("withdrawals", sa.Column("by", sa.String(length=63), nullable=True))
    op.add_column(
        "project_offices", sa.Column("excluded_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_table(
        "pending_requests",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("by", sa.String(length=63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_pending_requests_round_id"),
        sa.PrimaryKeyConstraint("round_id", "what", "office_id", name="pk_pending_requests"),
    )
