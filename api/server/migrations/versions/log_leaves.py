"""Leaf hashes of the access log side by side: a proof reads a few pages, whatever entries weigh."""

from alembic import op

revision = "log_leaves"
down_revision = "log_search"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_log_entries_leaf", "log_entries", ["entry_index", "leaf_hash"])
