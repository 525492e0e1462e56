"""Traces of deleted rows: remembered in the transaction that deletes, gone once they are scrubbed.

A deleted row may stand in a file of the database until the file is rewritten, and a reader who
still sees the state from before keeps it there.  So what is owed is written down: whoever deleted
tries at once, and the worker tries again until nothing is left, across crashes.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, delete, select
from sqlalchemy.orm import Session

from api.server.models import Trace
from api.server.models.base import Base
from api.server.services.installation import Installation
from api.server.services.work import Work

_PATIENCE_S: Final = 5.0
"""So long at most does who deleted something wait for those who still read it."""

_LOG = logging.getLogger("tongqiao.server")


def leave_traces(work: Work, *tables: type[Base]) -> None:
    """Write down that rows of these tables were deleted, or overwritten, in this transaction."""
    for table in sorted(entry.__tablename__ for entry in tables):
        trace = work.session.get(Trace, table)
        if trace is None:
            work.session.add(Trace(table=table, n_deletions=1, since=work.now))
        else:
            trace.n_deletions += 1
    work.session.flush()


def delete_rows(work: Work, table: type[Base], *conditions: ColumnElement[bool]) -> None:
    """Delete rows, and write down that they have left traces, if there were any."""
    deleted = work.session.execute(delete(table).where(*conditions))
    if cast("CursorResult[Any]", deleted).rowcount:
        leave_traces(work, table)


def scrub_traces(installation: Installation) -> bool:
    """Rewrite what may still hold deleted rows.

    To be called outside of a transaction: one that reads is what keeps deleted rows.

    Returns:
        Whether nothing is left. What is left stays written down, for the worker's next round.
    """
    with installation.database.reading() as session:
        due = {t.table: (t.n_deletions, t.since) for t in session.scalars(select(Trace))}
    if not due:
        return True
    clean = installation.database.scrub(sorted(due), patience_s=_PATIENCE_S)
    if clean:
        with installation.database.writing() as session:
            _forget(session, {table: state for table, state in due.items() if table in clean})
    left = sorted(due.keys() - clean)
    if left:
        _LOG.warning(
            "deleted rows still stand in files of the database, since a transaction that began "
            "before may read them; the worker tries again every minute",
            extra={"tables": left},
        )
    return not left


def traces_since(session: Session) -> datetime | None:
    """When the oldest deletion was whose traces are not gone yet."""
    return session.scalar(select(Trace.since).order_by(Trace.since).limit(1))


def _forget(session: Session, scrubbed: Mapping[str, tuple[int, datetime]]) -> None:
    for table, (n_deletions, since) in scrubbed.items():
        # Who has deleted more since then has not been answered for; nor has who did after another
        # process had scrubbed, which began to count anew.
        done = (Trace.table == table, Trace.n_deletions == n_deletions, Trace.since == since)
        session.execute(delete(Trace).where(*done))
