"""An office may have a place in its project: its county, and on which side of a move it stands."""

import sqlalchemy as sa
from alembic import op

revision = "places"
down_revision = "member_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project_offices", sa.Column("division", sa.String(length=6), nullable=True))
    op.add_column("project_offices", sa.Column("side", sa.String(length=16), nullable=True))
