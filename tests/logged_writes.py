"""Watches every transaction of a server under test: what changes data leaves an entry.

Put on the engine of every simulated server, so that each test of the server is also a test of the
access log's completeness: a commit that changed a row of a project's data, and appended nothing to
the log, fails the test.
"""

import re
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

_CHANGE = re.compile(
    r"(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(?P<table>[a-z_]+)\"?", re.IGNORECASE
)
_SET = re.compile(r"\sSET\s(?P<columns>.*?)(?:\sWHERE\s|\Z)", re.IGNORECASE | re.DOTALL)
_COLUMN = re.compile(r"(?:\A|,)\s*\"?([a-z_]+)\"?\s*=")

UNLOGGED_TABLES: Final = {
    "nonces": "a signed request's number; the request itself has its entry",
    "pending_logins": "taken before what came back is looked at; beginning and end have entries",
    "login_attempts": "counted before the attempt is looked at, which then has its entry",
    "traces": "what is still to be scrubbed; the deletion itself has its entry",
    "alembic_version": "the migration has its entry, once the log's tables are up to date",
}
"""Tables that may change without an entry, and why."""

UNLOGGED_COLUMNS: Final = {
    "rounds": {
        *("lease_expires_at", "stage", "done", "total"),
        *("n_pairs", "n_candidates", "pairs_per_s", "seconds_left"),
    },
    "audit_tasks": {"lease_expires_at", "done", "total"},
    "sessions": {"seen_at"},
}
"""Columns that may: a running job's sign of life and how far it is, a session's last use."""

UNLOGGED_INSERTS: Final = {
    "links": "a match's links, some at a time; nobody can read them before their last transaction, "
    "whose entry has their hash",
}
"""Tables that may grow without an entry, and why; a change or deletion needs one."""


class UnloggedChangeError(AssertionError):
    """A transaction changed data and left no entry in the access log."""


def watch_writes(engine: Engine) -> None:
    """Fail every commit on this engine that changes data without an entry in the access log."""
    event.listen(engine, "before_cursor_execute", _note)
    event.listen(engine, "commit", _check)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "rollback_savepoint", _forget_savepoint)


def _note(connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    table = changed_table(statement)
    if table is not None:
        connection.info.setdefault("changed_tables", []).append(table)


def changed_table(statement: str) -> str | None:
    """The table that a statement changes, unless that needs no entry."""
    match = _CHANGE.match(statement.lstrip())
    if match is None:
        return None
    table = match["table"].lower()
    if table in UNLOGGED_TABLES:
        return None
    if table in UNLOGGED_INSERTS and statement.lstrip().upper().startswith("INSERT"):
        return None
    assigned = _SET.search(statement)
    if table in UNLOGGED_COLUMNS and assigned is not None:
        columns = set(_COLUMN.findall(assigned["columns"]))
        if columns and columns <= UNLOGGED_COLUMNS[table]:
            return None
    return table


def _check(connection: Connection) -> None:
    tables = connection.info.pop("changed_tables", [])
    data = sorted({table for table in tables if not table.startswith("log_")})
    if data and "log_entries" not in tables:
        raise UnloggedChangeError(f"changed without an entry in the access log: {data}")


def _forget(connection: Connection) -> None:
    if connection.invalidated:
        return
    connection.info.pop("changed_tables", None)


def _forget_savepoint(connection: Connection, *_rest: Any) -> None:
    # Tests ask one after the other, so that a savepoint taken back is all there was.
    _forget(connection)
