"""Links between two offices' records."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, PSEUDONYM_LENGTH, Base


class Link(Base):
    """Two records of two offices that seem to be one child's.

    Each side has a link id of its own, random, so that two offices cannot join what they were
    given; only this row knows that both are one link.
    """

    __tablename__ = "links"
    __table_args__ = (
        Index("uq_links_side_a", "round_id", "office_a", "link_a", unique=True),
        Index("uq_links_side_b", "round_id", "office_b", "link_b", unique=True),
    )

    # SQLite numbers rows in INTEGER only; PostgreSQL's INTEGER would end at 2^31.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True
    )
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"))
    office_a: Mapped[str] = mapped_column(String(ID_LENGTH))
    record_a: Mapped[str] = mapped_column(String(PSEUDONYM_LENGTH))
    link_a: Mapped[str] = mapped_column(String(PSEUDONYM_LENGTH))
    office_b: Mapped[str] = mapped_column(String(ID_LENGTH))
    record_b: Mapped[str] = mapped_column(String(PSEUDONYM_LENGTH))
    link_b: Mapped[str] = mapped_column(String(PSEUDONYM_LENGTH))
    score: Mapped[float]
    group_no: Mapped[int]
