"""What offices were given of links, and what was taken back."""

import sqlalchemy as sa
from alembic import op

revision = "deliveries"
down_revision = "people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retracted_links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("link", sa.String(length=32), nullable=False),
        sa.Column("record", sa.String(length=32), nullable=False),
        sa.Column("counterpart", sa.String(length=63), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_retracted_links_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_retracted_links"),
    )
    op.create_index(
        "uq_retracted_links_link", "retracted_links", ["round_id", "office_id", "link"], unique=True
    )
    op.create_table(
        "withdrawals",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_withdrawals_office_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_withdrawals_round_id"),
        sa.PrimaryKeyConstraint("round_id", "office_id", name="pk_withdrawals"),
    )
    op.create_table(
        "receipts",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("links_sha256", sa.String(length=64), nullable=False),
        sa.Column("n_links", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_receipts_office_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_receipts_round_id"),
        sa.PrimaryKeyConstraint("round_id", "office_id", name="pk_receipts"),
    )
