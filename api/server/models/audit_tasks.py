"""What auditors ask for that takes long: the worker does it, and pages show how far it is."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, Base, UtcDateTime


class AuditTask(Base):
    """A verification of the log, a report on a period, or an export; kept as long as the server."""

    __tablename__ = "audit_tasks"
    __table_args__ = (
        CheckConstraint("kind IN ('check', 'report', 'export')", name="ck_audit_tasks_kind"),
        CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed')", name="ck_audit_tasks_state"
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[str] = mapped_column(Text)
    """What exactly is asked for, as JSON."""
    asked_by: Mapped[str] = mapped_column(String(ID_LENGTH))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    state: Mapped[str] = mapped_column(String(16))
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(32))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[str | None] = mapped_column(Text)
    """What came of it, as JSON."""
    failure: Mapped[str | None] = mapped_column(String(63))
    """Why there is no result, as a slug."""
