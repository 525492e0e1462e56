"""The base of all tables, and how times are stored."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

ID_LENGTH = 63
"""Characters of an id: ``[a-z0-9][a-z0-9-]{0,62}``."""

SHA256_LENGTH = 64
"""Characters of a SHA-256 in hex."""

PSEUDONYM_LENGTH = 32
"""Characters of a pseudonym, and of a link id: 16 bytes in hex."""


class Base(DeclarativeBase):
    """Base of the server's tables; the access log's are in the same metadata."""

    # Named, so that a migration can name what it changes on every database.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, UTC in and out.

    SQLite keeps no zone and gives back naive times; this type refuses naive times and restores
    the zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give back the zone."""
        if value is None:
            return None
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)
