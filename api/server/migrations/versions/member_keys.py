"""Every key that a member ever had; those that members have now are their first."""

import sqlalchemy as sa
from alembic import op

revision = "member_keys"
down_revision = "witnesses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "member_keys",
        sa.Column("member_id", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("rotation", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.String(length=16), nullable=True),
        sa.Column("added_by", sa.String(length=63), nullable=False),
        sa.CheckConstraint(
            "ended IN ('rotated', 'revoked', 'compromised')", name="ck_member_keys_ended"
        ),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name="fk_member_keys_member_id"),
        sa.PrimaryKeyConstraint("member_id", "epoch", name="pk_member_keys"),
        sa.UniqueConstraint("key_id", name="uq_member_keys_key_id"),
    )
    op.execute(
        "INSERT INTO member_keys (member_id, epoch, key_id, identity, valid_from, valid_until,"
        " ended, added_by) SELECT id, 1, key_id, identity, enrolled_at, revoked_at,"
        " CASE WHEN revoked_at IS NULL THEN NULL ELSE 'revoked' END, id FROM members"
    )
