"""Deleted rows out of the files of the database: what both databases need for it.

SQLite zeroes pages as rows are deleted (``secure_delete``); only its write-ahead log has to be
emptied.  PostgreSQL keeps deleted rows in a table's file until it is rewritten, and rewriting takes
along those that a transaction from before may still see.  So the end of those is waited for, which
costs nothing; then the table is rewritten, and PostgreSQL says what it had to keep.
"""

import contextlib
import re
import time
from collections.abc import Callable, Collection
from typing import Any, Final

# Everybody else waits behind who waits for a table: so not for long, but again.
_LOCK_WAIT_MS: Final = 250
_FIRST_NAP_S: Final = 0.05

_NUMBER: Final = re.compile("[0-9]+")

# Snapshots of this database alone: PostgreSQL looks at no others, but for a few of its own. The
# numbers of transactions wrap around; their ages can be compared.
_READERS_FROM_BEFORE: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND age(backend_xmin) > age(%s::xid)
"""


def scrub_sqlite(raw: Any, tables: Collection[str], *, patience_s: float) -> set[str]:
    """Empty the write-ahead log; returns the tables in which nothing is left, so all or none."""
    ((before,),) = raw.execute("PRAGMA busy_timeout").fetchall()
    raw.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
    try:

        def is_emptied() -> bool:
            ((is_blocked, _, _),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not is_blocked

        return set(tables) if _wait_for(is_emptied, time.monotonic() + patience_s) else set()
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before}")


def scrub_postgresql(raw: Any, tables: Collection[str], *, patience_s: float) -> set[str]:
    """Rewrite tables; returns those in which no deleted row is left.

    Args:
        raw: the driver's connection, without a transaction.
    """
    deadline = time.monotonic() + patience_s
    left = set(tables)
    raw.autocommit = True
    try:
        raw.execute(f"SET lock_timeout = {_LOCK_WAIT_MS}")
        ((now,),) = raw.execute("SELECT xid(pg_snapshot_xmax(pg_current_snapshot()))::text")

        def is_unread() -> bool:
            ((n_readers,),) = raw.execute(_READERS_FROM_BEFORE, [now])
            return not n_readers

        def is_rewritten() -> bool:
            left.difference_update([table for table in sorted(left) if _rewrite(raw, table) == 0])
            return not left

        if _wait_for(is_unread, deadline):
            _wait_for(is_rewritten, deadline)
    finally:
        with contextlib.suppress(raw.Error):
            raw.execute("RESET lock_timeout")
            raw.autocommit = False
    return set(tables) - left


def _rewrite(raw: Any, table: str) -> int:
    """Write a table anew; returns how many deleted rows had to stay in it, 1 if it is in use.

    Also a ``CREATE DATABASE`` in the same cluster keeps them, for the half second that it takes.
    """
    from psycopg.errors import LockNotAvailable

    told: list[str] = []

    def listen(notice: Any) -> None:
        told.append(notice.message_detail or "")

    raw.add_notice_handler(listen)
    try:
        raw.execute(f'VACUUM (FULL, VERBOSE) "{table}"')
    except LockNotAvailable:
        return 1
    finally:
        raw.remove_notice_handler(listen)
    # "12 dead row versions cannot be removed yet.": in whatever language, the number is first.
    found = next((match for detail in told if (match := _NUMBER.search(detail))), None)
    return 1 if found is None else int(found[0])


def _wait_for(is_done: Callable[[], bool], deadline: float) -> bool:
    """Ask again and again, less and less often, at least once; whether it was done in time."""
    nap_s = _FIRST_NAP_S
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(nap_s)
        nap_s *= 2
    return True
