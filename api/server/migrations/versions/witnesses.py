"""A project may ask for witnesses of the access log before a release."""

import sqlalchemy as sa
from alembic import op

revision = "witnesses"
down_revision = "deliveries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "projects",
        sa.Column("min_witnesses", sa.Integer(), nullable=False, server_default="0"),
    )
