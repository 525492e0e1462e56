"""Keys of stored encodings, and uploads that are still arriving."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, SHA256_LENGTH, Base, UtcDateTime


class RoundKey(Base):
    """The key that a round's stored encodings are encrypted with, wrapped by the installation's.

    Its deletion at the round's end is what makes stored encodings unreadable for ever.
    """

    __tablename__ = "round_keys"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    """As ``keys/AT_REST.md`` says."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UploadPart(Base):
    """An upload of which some bytes have arrived; how many, its file knows."""

    __tablename__ = "upload_parts"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    file: Mapped[str] = mapped_column(String(ID_LENGTH))
    """Random name of the file in the folder of what is arriving."""
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    turn: Mapped[int]
    """Counts requests that append: only the latest may, so that one that hangs cannot."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
