"""Every key that a member ever had, and when it counted."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, Base, UtcDateTime


class MemberKey(Base):
    """One epoch of a member's keys (``keys/epochs.py``); no key id is ever used twice."""

    __tablename__ = "member_keys"
    __table_args__ = (
        CheckConstraint(
            "ended IN ('rotated', 'revoked', 'compromised')", name="ck_member_keys_ended"
        ),
    )

    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key_id: Mapped[str] = mapped_column(String(32), unique=True)
    identity: Mapped[str] = mapped_column(Text)
    """The self-signed public identity, as JSON text."""
    rotation: Mapped[str | None] = mapped_column(Text)
    """How the key before named this one, as JSON text; ``None`` where people compared it."""
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended: Mapped[str | None] = mapped_column(String(16))
    added_by: Mapped[str] = mapped_column(String(ID_LENGTH))
