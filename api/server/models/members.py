"""Members, and the nonces of their requests."""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, Base, UtcDateTime


class Member(Base):
    """An office, an operator or an auditor, with the public identity it enrolled with."""

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint("kind IN ('office', 'operator', 'auditor')", name="ck_members_kind"),
        CheckConstraint("state IN ('pending', 'approved', 'revoked')", name="ck_members_state"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    key_id: Mapped[str] = mapped_column(String(32), unique=True)
    signing_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    identity: Mapped[str] = mapped_column(Text)
    """The self-signed public identity, as JSON text."""
    fingerprint: Mapped[str] = mapped_column(String(100))
    enrolled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    revocation_reason: Mapped[str | None] = mapped_column(Text)


class Nonce(Base):
    """A nonce that a key has used; kept until its signature has expired for certain."""

    __tablename__ = "nonces"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
