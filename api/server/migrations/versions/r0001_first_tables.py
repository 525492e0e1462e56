"""The first tables: members, projects, rounds, links, and the access log."""

import sqlalchemy as sa
from alembic import op

from api.audit.guards import create_guards

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_log()
    create_guards(op.get_bind())
    _create_members_and_projects()
    _create_rounds()


def _create_log() -> None:
    op.create_table(
        "log_checkpoints",
        sa.Column("size", _INDEX, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_log_checkpoints"),
    )
    op.create_table(
        "log_entries",
        sa.Column("entry_index", _INDEX, autoincrement=False, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("time", sa.String(length=24), nullable=False),
        sa.Column("action", sa.String(length=63), nullable=False),
        sa.Column("outcome", sa.String(length=15), nullable=False),
        sa.Column("actor", sa.String(length=63), nullable=True),
        sa.Column("project", sa.String(length=63), nullable=True),
        sa.Column("round", sa.String(length=63), nullable=True),
        sa.CheckConstraint("entry_index >= 0", name="ck_log_entries_index"),
        sa.PrimaryKeyConstraint("entry_index", name="pk_log_entries"),
    )
    op.create_index("ix_log_entries_actor", "log_entries", ["actor"], unique=False)
    op.create_index("ix_log_entries_round", "log_entries", ["project", "round"], unique=False)
    op.create_index("ix_log_entries_time", "log_entries", ["time"], unique=False)
    op.create_table(
        "log_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("size", _INDEX, nullable=False),
        sa.Column("compact_range", sa.LargeBinary(), nullable=False),
        sa.Column("last_time", sa.String(length=24), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_log_head_single"),
        sa.PrimaryKeyConstraint("id", name="pk_log_head"),
    )


def _create_members_and_projects() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=100), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(length=63), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(length=63), nullable=True),
        sa.Column("revocation_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('office', 'operator', 'auditor')", name="ck_members_kind"),
        sa.CheckConstraint("state IN ('pending', 'approved', 'revoked')", name="ck_members_state"),
        sa.PrimaryKeyConstraint("id", name="pk_members"),
        sa.UniqueConstraint("key_id", name="uq_members_key_id"),
    )
    op.create_table(
        "nonces",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "nonce", name="pk_nonces"),
    )
    op.create_index("ix_nonces_expires_at", "nonces", ["expires_at"], unique=False)
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("coordinating_office", sa.String(length=63), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(
            ["coordinating_office"], ["members.id"], name="fk_projects_coordinating_office"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
    )
    op.create_table(
        "project_offices",
        sa.Column("project_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_project_offices_office_id"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_project_offices_project_id"
        ),
        sa.PrimaryKeyConstraint("project_id", "office_id", name="pk_project_offices"),
    )
    op.create_table(
        "sealed_secrets",
        sa.Column("project_id", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_sealed_secrets_office_id"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_sealed_secrets_project_id"
        ),
        sa.PrimaryKeyConstraint("project_id", "epoch", "office_id", name="pk_sealed_secrets"),
    )


def _create_rounds() -> None:
    op.create_table(
        "rounds",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("project_id", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("terms_sha256", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("coordinating_office", sa.String(length=63), nullable=False),
        sa.Column("key_confirmation", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=63), nullable=False),
        sa.Column("retained_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ran_by", sa.String(length=63), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("review", sa.Text(), nullable=True),
        sa.Column("links_sha256", sa.String(length=64), nullable=True),
        sa.Column("stage", sa.String(length=32), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'open', 'frozen', 'matching', 'review', 'released', 'expired', "
            "'cancelled')",
            name="ck_rounds_state",
        ),
        sa.ForeignKeyConstraint(
            ["coordinating_office"], ["members.id"], name="fk_rounds_coordinating_office"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_rounds_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_rounds"),
    )
    op.create_index("ix_rounds_project_id", "rounds", ["project_id"], unique=False)
    op.create_index("ix_rounds_retained_until", "rounds", ["retained_until"], unique=False)
    op.create_index("ix_rounds_state", "rounds", ["state"], unique=False)
    op.create_table(
        "links",
        sa.Column("id", _INDEX, nullable=False),
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_a", sa.String(length=63), nullable=False),
        sa.Column("record_a", sa.String(length=32), nullable=False),
        sa.Column("link_a", sa.String(length=32), nullable=False),
        sa.Column("office_b", sa.String(length=63), nullable=False),
        sa.Column("record_b", sa.String(length=32), nullable=False),
        sa.Column("link_b", sa.String(length=32), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("group_no", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_links_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_links"),
    )
    op.create_index("uq_links_side_a", "links", ["round_id", "office_a", "link_a"], unique=True)
    op.create_index("uq_links_side_b", "links", ["round_id", "office_b", "link_b"], unique=True)
    op.create_table(
        "round_offices",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_round_offices_office_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_round_offices_round_id"),
        sa.PrimaryKeyConstraint("round_id", "office_id", name="pk_round_offices"),
    )
    op.create_table(
        "signatures",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("terms_sha256", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=88), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_signatures_office_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_signatures_round_id"),
        sa.PrimaryKeyConstraint("round_id", "office_id", name="pk_signatures"),
    )
    op.create_table(
        "state_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_state_changes_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_state_changes"),
    )
    op.create_index("ix_state_changes_round_id", "state_changes", ["round_id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("round_id", sa.String(length=63), nullable=False),
        sa.Column("office_id", sa.String(length=63), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("n_records", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["members.id"], name="fk_uploads_office_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_uploads_round_id"),
        sa.PrimaryKeyConstraint("round_id", "office_id", name="pk_uploads"),
        sa.UniqueConstraint("round_id", "sha256", name="uq_uploads_round_id_sha256"),
    )
