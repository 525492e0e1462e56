"""Transactions on the server's database: SQLite in its folder, or PostgreSQL.

Writers stand in a row from their first statement on, not from their first write: two transactions
that read, decide and write can then never decide on the same state.  All of them append to the one
access log anyway, so nothing is lost by it, and those of one process share commits.
"""

import contextlib
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    inspect,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from api.audit.append import append_timed
from api.server.models import LOG_TABLES, Base
from api.server.services.group_commit import (
    DURABLE,
    GroupCommit,
    TimedEvent,
    Writer,
    WriterBusyError,
)
from api.server.services.scrubbing import scrub_postgresql, scrub_sqlite

_MODE: Final = "tongqiao_mode"
_WRITING: Final = "writing"
_KEPT_CONNECTIONS: Final = 8
_LOOK_AGAIN_S: Final = 0.002


class Database:
    """The database of one server.

    Args:
        url: ``sqlite:///FILE``, whose folder exists, or ``postgresql://...``.
        busy_timeout_s: how long a transaction waits for the one before it.
        connections: most connections, one for each thread that uses them at a time.

    Raises:
        ModuleNotFoundError: PostgreSQL without its driver.
    """

    def __init__(self, url: str | URL, *, busy_timeout_s: float, connections: int) -> None:
        address = make_url(url)
        is_sqlite = address.get_backend_name() == "sqlite"
        backend: _Backend = _Sqlite() if is_sqlite else _Postgresql()
        kept = min(connections, _KEPT_CONNECTIONS)
        self._backend = backend
        self.engine: Engine = create_engine(
            address.set(drivername=backend.driver),
            # Few are in use at a time, and each keeps a cache: what is beyond is closed after use.
            pool_size=kept,
            max_overflow=max(connections - kept, kept),
            pool_use_lifo=True,
            pool_timeout=busy_timeout_s,
            **backend.engine_options(busy_timeout_s),
        )
        event.listen(self.engine, "connect", backend.set_up)
        event.listen(self.engine, "begin", backend.begin)
        self._readers = self.engine.execution_options(**backend.reading)
        self._singles = self.engine.execution_options(**backend.single)
        self._writers = self.engine.execution_options(**backend.writing, **{_MODE: _WRITING})
        self._group_commit = GroupCommit(
            self._writers, busy_timeout_s, _append, most_waiting=max(1, connections // 2)
        )

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Session]:
        """A transaction that holds the write lock; committed at the end, rolled back on error.

        Args:
            durable: whether it must be on the disk when the block is left. What is not is lost
                with a power cut, but never later work without it: both databases write their
                changes in one order.
        """
        # The lock is taken now, and not at the first statement: what the caller reads meanwhile
        # (the clock) is read under it.
        with self._group_commit.writer(durable=durable) as writer:
            yield writer.session

    @contextlib.contextmanager
    def writer(self) -> Iterator[Writer]:
        """As :meth:`writing`, with something for the log; the lock is taken at the first use.

        Who uses nothing of the database waits for nobody: what it has for the log is added in the
        next transaction that is committed.
        """
        with self._group_commit.writer() as writer:
            yield writer

    def append(self, events: Sequence[TimedEvent]) -> None:
        """Add events to the log with the next transaction; returns when they are on the disk.

        Raises:
            WriterBusyError: no writer came to an end in time.
        """
        self._group_commit.append(events)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction on one state of the database, which changes nothing."""
        with Session(self._readers, expire_on_commit=False) as session:
            try:
                yield session
            finally:
                session.rollback()

    @contextlib.contextmanager
    def asking(self) -> Iterator[Session]:
        """For one question by itself, which needs no transaction around it."""
        with Session(self._singles, expire_on_commit=False) as session:
            yield session

    def note(self, table: type[Base], values: Mapping[str, Any]) -> bool:
        """Add a row by itself, unless one with its key is there; returns whether it is new.

        It is not waited for on the disk: see ``durable`` of :meth:`writing`.  On PostgreSQL it is
        one statement, which waits for no writer's turn.
        """
        statement = self._backend.insertion(table, values)
        if self._backend.takes_turns:
            with self.writing(durable=False) as session:
                return session.execute(statement).first() is not None
        with self.asking() as session:
            return session.execute(statement).first() is not None

    @contextlib.contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection in one writing transaction, for changes of the schema."""
        with self._writers.begin() as connection:
            yield connection

    def scrub(self, tables: Collection[str], *, patience_s: float) -> frozenset[str]:
        """Rewrite what holds traces of rows that were deleted from these tables.

        Args:
            tables: names.
            patience_s: for how long it is tried again; rewriting a large table takes longer.

        Returns:
            Tables in which nothing is left. The others are in use, or the database is away.
        """
        driver_error = self.engine.dialect.loaded_dbapi.Error
        with contextlib.suppress(DBAPIError, driver_error), self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                return frozenset(self._backend.scrub(raw, tables, patience_s=patience_s))
        return frozenset()

    def close(self) -> None:
        """Close all connections; the next use opens new ones (as after a fork)."""
        self.engine.dispose()


def _key(table: type[Base]) -> Sequence[ColumnElement[Any]]:
    return tuple(inspect(table).primary_key)


def _append(connection: Connection, events: Sequence[TimedEvent]) -> None:
    append_timed(connection, LOG_TABLES, events)


def is_busy(error: DBAPIError) -> bool:
    """Whether another writer, a full disk or a database that is away is the reason, not the
    statement: the same may work later."""
    if isinstance(error, WriterBusyError):
        return True
    original = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_BUSY
    state = getattr(original, "sqlstate", "")
    if state is None:
        # Without a word of the server: it could not be reached, or went away.
        return error.connection_invalidated or type(original).__name__ == "OperationalError"
    return state in _POSTGRESQL_BUSY or state[:2] in _POSTGRESQL_BUSY_CLASSES


_SQLITE_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_SQLITE_BUSY: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_BUSY_CLASSES: Final = frozenset(
    {"08", "40", "53", "57", "58"}  # connection, rollback, resources, operator, system
)
_POSTGRESQL_BUSY: Final = frozenset({"55P03", "25006"})  # lock not available, read only


class _Backend(Protocol):
    """What the two databases do differently."""

    driver: str
    reading: Mapping[str, Any]
    single: Mapping[str, Any]
    writing: Mapping[str, Any]
    takes_turns: bool
    """Whether also a single statement that writes waits for whoever writes now."""

    def engine_options(self, busy_timeout_s: float) -> dict[str, Any]:
        """Arguments of ``create_engine``."""

    def set_up(self, raw: Any, record: Any) -> None:
        """A new connection of the driver."""

    def begin(self, connection: Connection) -> None:
        """A transaction begins; a writer takes its place in the row."""

    def insertion(self, table: type[Base], values: Mapping[str, Any]) -> ReturningInsert[Any]:
        """Adds a row unless its key is there, and returns the key if so."""

    def scrub(self, raw: Any, tables: Collection[str], *, patience_s: float) -> set[str]:
        """See :meth:`Database.scrub`."""


class _Sqlite:
    driver = "sqlite"
    reading: Mapping[str, Any] = {}
    single: Mapping[str, Any] = {}
    writing: Mapping[str, Any] = {}
    takes_turns = True

    def __init__(self) -> None:
        self._busy_timeout_s = 0.0

    def engine_options(self, busy_timeout_s: float) -> dict[str, Any]:
        self._busy_timeout_s = busy_timeout_s
        return {"connect_args": {"timeout": busy_timeout_s}}

    def set_up(self, raw: Any, record: Any) -> None:
        # Transactions begin where `begin` says, not where the driver guesses.
        raw.isolation_level = None
        for pragma in (
            "journal_mode = WAL",
            # An acknowledged upload survives a power cut.
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "temp_store = MEMORY",
        ):
            raw.execute(f"PRAGMA {pragma}").fetchall()

    def begin(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(_MODE) != _WRITING:
            connection.exec_driver_sql("BEGIN DEFERRED")
            return
        level = "FULL" if options.get(DURABLE, True) else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        self._begin_writing(connection)

    def _begin_writing(self, connection: Connection) -> None:
        """Wait for another process's transaction to end, and look often.

        SQLite itself looks less and less often, ten times a second in the end, while everybody in
        this process waits for who waits here.
        """
        raw = connection.connection.dbapi_connection
        deadline = time.monotonic() + self._busy_timeout_s
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    return
                except OperationalError as error:
                    code = getattr(error.orig, "sqlite_errorcode", None)
                    if code not in _SQLITE_LOCKED or time.monotonic() > deadline:
                        raise
                time.sleep(_LOOK_AGAIN_S)
        finally:
            if raw is not None:
                raw.execute(f"PRAGMA busy_timeout = {int(1000 * self._busy_timeout_s)}")

    def insertion(self, table: type[Base], values: Mapping[str, Any]) -> ReturningInsert[Any]:
        added = sqlite.insert(table).values(values)
        return added.on_conflict_do_nothing().returning(*_key(table))

    def scrub(self, raw: Any, tables: Collection[str], *, patience_s: float) -> set[str]:
        return scrub_sqlite(raw, tables, patience_s=patience_s)


class _Postgresql:
    driver = "postgresql+psycopg"
    reading: Mapping[str, Any] = {
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }
    single: Mapping[str, Any] = {"isolation_level": "AUTOCOMMIT"}
    # Each statement sees what was committed before it: the lock is held by then.
    writing: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}

    takes_turns = False

    _ROW: Final = 0x746F6E67716961  # "tongqia": the lock that writers stand in a row for

    def engine_options(self, busy_timeout_s: float) -> dict[str, Any]:
        wait_ms = int(busy_timeout_s * 1000)
        return {
            # A connection that died while nobody used it is replaced before use.
            "pool_pre_ping": True,
            "connect_args": {
                "application_name": "tongqiao",
                "connect_timeout": max(2, int(busy_timeout_s)),
                "options": f"-c lock_timeout={wait_ms} -c timezone=UTC",
                # A machine that vanished is noticed although it never says so.
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": wait_ms,
            },
        }

    def set_up(self, raw: Any, record: Any) -> None:
        """Nothing: all of it is in the options of the connection."""

    def begin(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(_MODE) == _WRITING:
            if not options.get(DURABLE, True):
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self._ROW})")

    def insertion(self, table: type[Base], values: Mapping[str, Any]) -> ReturningInsert[Any]:
        # In the same statement: to say it before would be another way to the database and back.
        relaxed = func.set_config("synchronous_commit", "off", True).table_valued("value")
        columns = [
            literal(value, table.__table__.c[name].type).label(name)
            for name, value in values.items()
        ]
        row = select(*columns).select_from(relaxed)
        added = postgresql.insert(table).from_select(list(values), row)
        return added.on_conflict_do_nothing().returning(*_key(table))

    def scrub(self, raw: Any, tables: Collection[str], *, patience_s: float) -> set[str]:
        return scrub_postgresql(raw, tables, patience_s=patience_s)
