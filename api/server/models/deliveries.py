"""What offices were given of links, and what was taken back."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, PSEUDONYM_LENGTH, SHA256_LENGTH, Base, UtcDateTime


class RetractedLink(Base):
    """One office's side of a link whose other office has withdrawn; the other side is deleted."""

    __tablename__ = "retracted_links"
    __table_args__ = (
        Index("uq_retracted_links_link", "round_id", "office_id", "link", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"))
    office_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    link: Mapped[str] = mapped_column(String(PSEUDONYM_LENGTH))
    record: Mapped[str] = mapped_column(String(PSEUDONYM_LENGTH))
    counterpart: Mapped[str] = mapped_column(String(ID_LENGTH))
    score: Mapped[float]


class Withdrawal(Base):
    """An office that is out of a round: it left after the release, or operators took it out."""

    __tablename__ = "withdrawals"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The operator who took it out; none where it left."""


class Receipt(Base):
    """An office's word that it has all of its links."""

    __tablename__ = "receipts"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    links_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    n_links: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
