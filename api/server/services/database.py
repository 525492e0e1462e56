"""Transactions on the server's database.

Writers take SQLite's write lock when they begin, not at their first write: two transactions that
read, decide and write can then never decide on the same state.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

_WRITE_OPTION = "tongqiao_begin"


class Database:
    """The database of one server.

    Args:
        file: the SQLite file; the folder exists.
        busy_timeout_s: how long a transaction waits for the one before it.
        connections: connections kept open, one for each thread that uses them at a time.
    """

    def __init__(self, file: Path, *, busy_timeout_s: float, connections: int) -> None:
        self.engine: Engine = create_engine(
            f"sqlite:///{file}",
            pool_size=connections,
            max_overflow=connections,
            pool_timeout=busy_timeout_s,
            connect_args={"timeout": busy_timeout_s},
        )
        event.listen(self.engine, "connect", _set_up_connection)
        event.listen(self.engine, "begin", _begin)
        self._writers = self.engine.execution_options(**{_WRITE_OPTION: "IMMEDIATE"})

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that holds the write lock; committed at the end, rolled back on error."""
        with Session(self._writers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction on one state of the database, which changes nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            try:
                yield session
            finally:
                session.rollback()

    @contextlib.contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection in one writing transaction, for changes of the schema."""
        with self._writers.begin() as connection:
            yield connection

    def scrub(self) -> None:
        """Empty the write-ahead log, so that what was deleted is nowhere on the disk.

        Pages are zeroed as rows are deleted (``secure_delete``); the log would hold them until it
        is overwritten.  A reader in the way delays this until the next time.
        """
        with contextlib.suppress(OperationalError), self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close all connections; the next use opens new ones (as after a fork)."""
        self.engine.dispose()


def is_busy(error: OperationalError) -> bool:
    """Whether another writer, a full disk or a broken one is the reason, not the statement."""
    original = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    )


def _set_up_connection(connection: Any, _record: Any) -> None:
    # Transactions begin where _begin says, not where the driver guesses.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        # An acknowledged upload survives a power cut.
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_WRITE_OPTION, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
