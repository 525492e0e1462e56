"""Projects, their offices, and the sealed secrets that the server relays."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.server.models.base import ID_LENGTH, SHA256_LENGTH, Base, UtcDateTime


class Project(Base):
    """Offices that link their records for one purpose, round after round."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    coordinating_office: Mapped[str] = mapped_column(ForeignKey("members.id"))
    min_witnesses: Mapped[int] = mapped_column(default=0, server_default="0")
    """So many members must have witnessed the log over a round's matching before its release."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(ID_LENGTH))
    offices: Mapped[list["ProjectOffice"]] = relationship(order_by="ProjectOffice.office_id")

    def has_office(self, office: str) -> bool:
        """Whether the office belongs to the project, as a member or as its coordinator."""
        return office == self.coordinating_office or any(
            entry.office_id == office and entry.excluded_at is None for entry in self.offices
        )


class ProjectOffice(Base):
    """An office in a project, and the role that it plays there."""

    __tablename__ = "project_offices"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(ID_LENGTH))
    division: Mapped[str | None] = mapped_column(String(6))
    """County of the office, six digits (GB/T 2260), if it has a place in flows between counties."""
    side: Mapped[str | None] = mapped_column(String(16))
    """``origin`` or ``residence``; with ``division``."""
    excluded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When operators took it out: no new round may name it."""


class SealedSecret(Base):
    """A linkage secret, sealed by the coordinating office to one member."""

    __tablename__ = "sealed_secrets"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    blob: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    stored_at: Mapped[datetime] = mapped_column(UtcDateTime)
