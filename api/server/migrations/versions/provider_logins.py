"""Logins at an OpenID provider: what has to be remembered while somebody is away."""

import sqlalchemy as sa
from alembic import op

revision = "provider_logins"
down_revision = "places"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody could log in there before: the table is empty, and subjects said of no issuer.
    op.execute("UPDATE people SET subject = NULL")
    op.drop_table("pending_logins")
    op.create_table(
        "pending_logins",
        sa.Column("browser_sha256", sa.String(length=64), nullable=False),
        sa.Column("state_sha256", sa.String(length=64), nullable=True),
        sa.Column("nonce", sa.String(length=64), nullable=True),
        sa.Column("verifier", sa.String(length=128), nullable=True),
        sa.Column("person_id", sa.String(length=63), nullable=True),
        sa.Column("invitation_sha256", sa.String(length=64), nullable=True),
        sa.Column("subject", sa.String(length=64), nullable=True),
        sa.Column("after", sa.String(length=255), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_pending_logins_person_id"),
        sa.PrimaryKeyConstraint("browser_sha256", name="pk_pending_logins"),
    )
    op.create_index("ix_pending_logins_ends_at", "pending_logins", ["ends_at"], unique=False)
