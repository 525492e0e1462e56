"""How many pairs a matching has compared and kept, how fast it goes, and how long it will take."""

import sqlalchemy as sa
from alembic import op

revision = "match_figures"
down_revision = "provider_logins"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("n_pairs", "n_candidates"):
        op.add_column(
            "rounds", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )
    for name in ("pairs_per_s", "seconds_left"):
        op.add_column("rounds", sa.Column(name, sa.Double(), nullable=True))
