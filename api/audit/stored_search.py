"""Searching the log where it lies: newest entries first, page by page, never counting all.

For people who turn pages, in both directions, with the conditions of a form; what programs ask
for (``services/log_search.py``: any condition, either order, from a place they name) shares the
way from times to places.

Entries are only appended and their times never run backwards, so a period is a range of indexes,
and a page begins where the last one ended (keyset paging).  One condition is answered by its index
in order.  Several conditions are looked for in stretches that grow: where little fits them, a page
may be short and say how far it has looked, but it is never late.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Row, Select, select
from sqlalchemy.orm import Session

from api.audit.append import log_size
from api.audit.tables import NOT_GRANTED, LogTables

_FIRST_STRETCH: Final = 20_000
_GROWTH: Final = 4
_LAST_STRETCH_BEGINS_S: Final = 0.015
"""A stretch is begun only if those before it took less: the next may take four times as long."""

_EXPORT_PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which entries are wanted; ``None`` leaves out a condition.

    Attributes:
        since: first time wanted, as in entries.
        until: first time not wanted any more.
        actor: who did it.
        office: whom it is about: who did it, or whom the details name.
    """

    since: str | None = None
    until: str | None = None
    actor: str | None = None
    office: str | None = None
    round: str | None = None
    action: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of entries, newest first.

    Attributes:
        bodies: the entries' text.
        size: entries in the whole log.
        sealed_size: so many first entries are in archives, and cannot be searched.
        older: the next page has what is below this index; ``None`` if there is none.
        newer: the page before has what is above this index; ``None`` if this is the first.
        unfinished: whether the search ended early, and ``older`` goes on with it.
    """

    bodies: tuple[str, ...]
    size: int
    sealed_size: int
    older: int | None
    newer: int | None
    unfinished: bool


def search_page(
    session: Session | Connection,
    tables: LogTables,
    wanted: LogQuery,
    *,
    below: int | None = None,
    above: int | None = None,
    limit: int,
) -> LogPage:
    """One page of what fits.

    Args:
        below: only entries before this index: the page after another.
        above: only entries after this index, the nearest to it: the page before another.
        limit: entries on a page.
    """
    size = log_size(session, tables)
    sealed_size = int(session.execute(select(tables.head.c.sealed_size)).scalar_one_or_none() or 0)
    low, high = index_range(session, tables, wanted.since, wanted.until, sealed_size, size)
    search = _Search(session, tables, wanted)
    if above is not None:
        rows, reached = search.upwards(max(low, above + 1), high, limit + 1)
        page = rows[:limit][::-1]
        return LogPage(
            bodies=tuple(row.body for row in page),
            size=size,
            sealed_size=sealed_size,
            older=page[-1].entry_index if page else above + 1,
            newer=page[0].entry_index if len(rows) > limit else _unless(reached - 1, high - 1),
            unfinished=len(rows) <= limit and reached < high,
        )
    stop = high if below is None else min(high, below)
    rows, reached = search.downwards(low, stop, limit + 1)
    page = rows[:limit]
    newer = None
    if below is not None and stop < high:
        newer = page[0].entry_index if page else stop - 1
    return LogPage(
        bodies=tuple(row.body for row in page),
        size=size,
        sealed_size=sealed_size,
        older=page[-1].entry_index if len(rows) > limit else _unless(reached, low),
        newer=newer,
        unfinished=len(rows) <= limit and reached > low,
    )


def search_all(
    session: Session | Connection, tables: LogTables, wanted: LogQuery, size: int
) -> Iterator[tuple[int, str]]:
    """Index and text of every entry that fits, of the first ``size``, oldest first."""
    sealed_size = int(session.execute(select(tables.head.c.sealed_size)).scalar_one_or_none() or 0)
    at, stop = index_range(session, tables, wanted.since, wanted.until, sealed_size, size)
    search = _Search(session, tables, wanted)
    while rows := search.query(at, stop, _EXPORT_PAGE, upwards=True):
        for row in rows:
            yield row.entry_index, row.body
        at = rows[-1].entry_index + 1


def index_at(session: Session | Connection, tables: LogTables, moment: str, size: int) -> int:
    """Index of the first entry that is not before a time; ``size`` if all are."""
    entries = tables.entries
    query = (
        select(entries.c.entry_index)
        .where(entries.c.time >= moment)
        .order_by(entries.c.time, entries.c.entry_index)
        .limit(1)
    )
    found = session.execute(query).scalar_one_or_none()
    return size if found is None else min(size, int(found))


def index_range(
    session: Session | Connection,
    tables: LogTables,
    since: str | None,
    until: str | None,
    sealed_size: int,
    size: int,
) -> tuple[int, int]:
    """From where to where entries have times from ``since`` on and before ``until``.

    Args:
        sealed_size, size: where what can be searched begins and ends.
    """
    low, high = sealed_size, size
    if since is not None:
        low = max(low, index_at(session, tables, since, size))
    if until is not None:
        high = index_at(session, tables, until, size)
    return low, max(low, high)


def _unless(reached: int, end: int) -> int | None:
    return None if reached == end else reached


class _Search:
    """Entries that fit the conditions, within ranges of indexes."""

    def __init__(self, session: Session | Connection, tables: LogTables, wanted: LogQuery) -> None:
        self._session = session
        self._entries = tables.entries
        self._office = wanted.office
        self._conditions = self._plain(wanted)
        self._is_mixed = len(self._conditions) + (self._office is not None) > 1

    def downwards(self, low: int, stop: int, limit: int) -> tuple[list[Row[tuple[int, str]]], int]:
        """The last ``limit`` entries before ``stop``, and down to where was looked."""
        rows: list[Row[tuple[int, str]]] = []
        for width in self._stretches(stop - low):
            start = max(low, stop - width)
            rows += self.query(start, stop, limit - len(rows), upwards=False)
            stop = start
            if len(rows) >= limit:
                break
        return rows, stop

    def upwards(self, at: int, high: int, limit: int) -> tuple[list[Row[tuple[int, str]]], int]:
        """The first ``limit`` entries from ``at`` on, and up to where was looked."""
        rows: list[Row[tuple[int, str]]] = []
        for width in self._stretches(high - at):
            stop = min(high, at + width)
            rows += self.query(at, stop, limit - len(rows), upwards=True)
            at = stop
            if len(rows) >= limit:
                break
        return rows, at

    def query(
        self, start: int, stop: int, limit: int, *, upwards: bool
    ) -> Sequence[Row[tuple[int, str]]]:
        """Entries of a range, in order, at most ``limit``."""
        if self._office is None:
            statement = self._ordered(start, stop, limit, upwards=upwards)
            return self._session.execute(statement).all()
        # Each half by its own index; an OR of both would sort all that fits first.
        found: dict[int, Row[tuple[int, str]]] = {}
        for column in (self._entries.c.actor, self._entries.c.subject):
            about = column == self._office
            statement = self._ordered(start, stop, limit, about, upwards=upwards)
            found |= {row.entry_index: row for row in self._session.execute(statement)}
        return [found[index] for index in sorted(found, reverse=not upwards)[:limit]]

    def _ordered(
        self, start: int, stop: int, limit: int, *about: ColumnElement[bool], upwards: bool
    ) -> Select[tuple[int, str]]:
        index = self._entries.c.entry_index
        return (
            select(index, self._entries.c.body)
            .where(index >= start, index < stop, *self._conditions, *about)
            .order_by(index if upwards else index.desc())
            .limit(limit)
        )

    def _stretches(self, width: int) -> Iterator[int]:
        if not self._is_mixed:
            if width > 0:
                yield width
            return
        began, stretch = time.monotonic(), _FIRST_STRETCH
        while width > 0:
            yield stretch
            width -= stretch
            stretch *= _GROWTH
            if time.monotonic() - began > _LAST_STRETCH_BEGINS_S:
                return

    def _plain(self, wanted: LogQuery) -> list[ColumnElement[bool]]:
        columns = self._entries.c
        pairs = (
            (columns.actor, wanted.actor),
            (columns.round, wanted.round),
            (columns.action, wanted.action),
            (columns.outcome, wanted.outcome),
        )
        conditions: list[ColumnElement[bool]] = [
            column == value for column, value in pairs if value is not None
        ]
        if wanted.outcome not in (None, "granted"):
            conditions[-1] = conditions[-1] & NOT_GRANTED
        return conditions
