"""What deleted rows have left in the files of the database."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, Base, UtcDateTime


class Trace(Base):
    """A table whose file may still hold rows that were deleted, until it has been scrubbed."""

    __tablename__ = "traces"

    table: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    n_deletions: Mapped[int]
    """Transactions that deleted rows: a scrubbing answers for those from before it alone."""
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the first of them was."""
