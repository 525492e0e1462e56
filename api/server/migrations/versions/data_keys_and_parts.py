"""Keys of stored encodings, and uploads that go on after a break."""

import sqlalchemy as sa
from alembic import op

revision = "data_keys_and_parts"
down_revision = "log_tiles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "round_keys",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_round_keys_round_id"),
        sa.PrimaryKeyConstraint("round_id", name="pk_round_keys"),
    )
    op.create_table(
        "upload_parts",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("file", sa.String(length=63), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_upload_parts_office_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_upload_parts_round_id"),
        sa.PrimaryKeyConstraint("round_id", "office_id", name="pk_upload_parts"),
    )
