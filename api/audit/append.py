"""Appending to the log, in the transaction of what is logged: both happen, or neither.

Writers are put in a row by the first statement of :func:`append_entries`, which changes the log's
single head row: PostgreSQL locks that row, SQLite the database, until the transaction ends. On
SQLite the engine must begin its transactions with ``BEGIN IMMEDIATE``, or a transaction that has
read before it appends may fail with "database is locked"; it cannot fork the log even so, because
each index can be inserted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from api.audit.errors import LogStoreError, ProofError
from api.audit.events import AuditEvent, entry_bytes, format_time, subject_of
from api.audit.merkle import CompactRange, leaf_hash
from api.audit.tables import HEAD_ID, LogTables

MAX_READ_ENTRIES = 10_000
"""So many entries are read at once at most."""


@dataclass(frozen=True, slots=True)
class LogHead:
    """Size, root (32 bytes) and latest time of the log; the time is ``""`` if it is empty."""

    size: int
    root: bytes
    last_time: str


@dataclass(frozen=True, slots=True)
class _Statements:
    """The statements of an append; built once, since building takes longer than running."""

    lock: Executable
    begin: Executable
    add: Executable
    add_at_once: str
    add_subtrees: Executable
    advance: Executable


@cache
def _statements(tables: LogTables) -> _Statements:
    head = tables.head
    mine = head.c.id == HEAD_ID
    return _Statements(
        lock=update(head)
        .where(mine)
        .values(size=head.c.size + bindparam("n_entries"))
        .returning(head.c.size, head.c.compact_range, head.c.last_time),
        begin=insert(head),
        add=insert(tables.entries),
        add_at_once=_insert_all(tables.entries),
        add_subtrees=insert(tables.subtrees),
        advance=update(head).where(mine),
    )


def _insert_all(table: Table) -> str:
    """One statement for any number of rows, given a list for each column (PostgreSQL, psycopg).

    There, a statement a row is a message a row, even if they are sent together. ``%b``: in binary,
    which needs no quoting.
    """
    names = ", ".join(column.name for column in table.c)
    types = (column.type.compile(dialect=postgresql.dialect()) for column in table.c)  # type: ignore[no-untyped-call]
    lists = ", ".join(f"%b::{of_column}[]" for of_column in types)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({lists})"  # noqa: S608


def append_entry(
    session: Session | Connection,
    tables: LogTables,
    event: AuditEvent,
    now: datetime | None = None,
) -> int:
    """Append one event; as :func:`append_entries`."""
    return append_entries(session, tables, [event], now)[0]


def append_entries(
    session: Session | Connection,
    tables: LogTables,
    events: Sequence[AuditEvent],
    now: datetime | None = None,
) -> range:
    """Append events in the caller's transaction and return their indexes.

    The time is ``now`` (the clock if ``None``); see :func:`append_timed`.

    Raises:
        AuditEventError: ``now`` has no time zone, or an event is too long.
        LogStoreError: the log's head is damaged.
    """
    moment = datetime.now(UTC) if now is None else now
    # Straight to the connection: nothing here is an object that the session keeps.
    connection = session.connection() if isinstance(session, Session) else session
    return append_timed(connection, tables, [(event, moment) for event in events])


def append_timed(
    connection: Connection, tables: LogTables, events: Sequence[tuple[AuditEvent, datetime]]
) -> range:
    """Append events with their times in the connection's transaction; return their indexes.

    Where a time is before that of the entry before, which another clock or another writer may have
    seen later, it is logged as that of the entry before. Append late in the transaction, and all at
    once: others wait from here until it ends.

    Raises:
        AuditEventError: a time has no time zone, or an event is too long.
        LogStoreError: the log's head is damaged.
    """
    if not events:
        return range(0)
    statements = _statements(tables)
    locked = connection.execute(statements.lock, {"n_entries": len(events)}).one_or_none()
    if locked is None:
        start, tree, time = 0, CompactRange(), ""
        first = {"id": HEAD_ID, "size": len(events), "compact_range": b"", "last_time": ""}
        connection.execute(statements.begin, first)
    else:
        start, time = locked.size - len(events), locked.last_time
        tree = _load_tree(start, locked.compact_range)

    completed: list[tuple[int, int, bytes]] = []
    rows = []
    for index, (event, moment) in enumerate(events, start):
        time = max(format_time(moment), time)
        body = entry_bytes(event, index, time)
        leaf = leaf_hash(body)
        tree.append_noting(leaf, completed)
        rows.append(_row(event, index, time, body, leaf))
    if connection.dialect.name == "postgresql":
        lists = tuple([row[column.name] for row in rows] for column in tables.entries.c)
        connection.exec_driver_sql(statements.add_at_once, lists)
    else:
        connection.execute(statements.add, rows)
    if completed:
        connection.execute(
            statements.add_subtrees,
            [
                {"level": level, "subtree_index": index, "hash": value}
                for level, index, value in completed
            ],
        )
    connection.execute(statements.advance, {"compact_range": tree.to_bytes(), "last_time": time})
    return range(start, start + len(events))


def _row(event: AuditEvent, index: int, time: str, body: bytes, leaf: bytes) -> dict[str, Any]:
    return {
        "entry_index": index,
        "leaf_hash": leaf,
        "body": body.decode("ascii"),
        "time": time,
        "action": str(event.action),
        "outcome": str(event.outcome),
        "actor": event.actor,
        "project": event.project,
        "round": event.round,
        "subject": subject_of(event.details),
    }


def read_entries(
    session: Session | Connection, tables: LogTables, start: int, limit: int
) -> list[str]:
    """Entries from index ``start`` on, at most ``limit`` and ``MAX_READ_ENTRIES``, in order."""
    entries = tables.entries
    query = (
        select(entries.c.body)
        .where(entries.c.entry_index >= start)
        .order_by(entries.c.entry_index)
        .limit(max(0, min(limit, MAX_READ_ENTRIES)))
    )
    return list(session.execute(query).scalars())


def log_size(session: Session | Connection, tables: LogTables) -> int:
    """Number of entries."""
    size = session.execute(
        select(tables.head.c.size).where(tables.head.c.id == HEAD_ID)
    ).scalar_one_or_none()
    return 0 if size is None else int(size)


def read_head(session: Session | Connection, tables: LogTables) -> LogHead:
    """Size and root of the log as the transaction sees it.

    Raises:
        LogStoreError: the head is damaged, or does not fit the entries and checkpoints kept.
    """
    head = tables.head
    # One statement, because with READ COMMITTED two would see two states of the log.
    row = session.execute(
        select(
            select(func.max(tables.entries.c.entry_index)).scalar_subquery().label("last_index"),
            select(func.max(tables.checkpoints.c.size)).scalar_subquery().label("signed_size"),
            head.c.size,
            head.c.compact_range,
            head.c.last_time,
            head.c.sealed_size,
        )
        .select_from(select(literal(HEAD_ID).label("id")).subquery("wanted"))
        .outerjoin(head, head.c.id == HEAD_ID)
    ).one()
    size = 0 if row.size is None else int(row.size)
    n_entries = (row.sealed_size or 0) if row.last_index is None else row.last_index + 1
    if n_entries != size or (row.signed_size or 0) > size:
        raise LogStoreError(
            "Entries of the access log are missing, or were added past it. Stop the server, keep "
            "its database as it is, and tell the auditors."
        )
    if row.size is None:
        return LogHead(0, CompactRange().root(), "")
    return LogHead(size, _load_tree(size, row.compact_range).root(), row.last_time)


def _load_tree(size: int, data: bytes) -> CompactRange:
    try:
        return CompactRange.from_bytes(size, data)
    except ProofError as error:
        raise LogStoreError(
            "The head of the access log is damaged. Stop the server, keep its database as it is, "
            "and restore the latest backup."
        ) from error
