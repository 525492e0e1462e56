"""The access log as auditors search it: filtered and paged by the server, each reading an entry."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from api.audit.append import log_size
from api.audit.entry_filter import EntryFilter, Page
from api.audit.events import Action, is_loggable_id, parse_entry
from api.audit.stored_search import index_range
from api.server.models import LOG_TABLES
from api.server.services.installation import Installation
from api.server.services.work import Caller

MAX_LOOKED_AT: Final = 200_000
"""So many entries are looked at for one page where no index leads to them: a page that finds fewer
than were asked for says where to go on."""

_INDEXED: Final = frozenset({"actor", "office", "round"})


def search_log(
    installation: Installation, caller: Caller, wanted: EntryFilter, page: Page
) -> dict[str, Any]:
    """Entries that fit, and where to go on.

    Returns:
        ``entries`` as canonical JSON text; ``next``, the ``start`` of the next page, or ``None``;
        ``size`` of the log, and ``sealed_size``: entries before it are in archives, not here.
    """
    project, round_id, details = filter_details(wanted)
    with installation.look(caller) as work:
        found = _search(work.session, wanted, page)
        work.record(
            Action.LOG_READ,
            project=project,
            round_id=round_id,
            details={"start": page.start, "n_entries": len(found["entries"]), **details},
        )
    return found


def filter_details(wanted: EntryFilter) -> tuple[str | None, str | None, dict[str, str | None]]:
    """What was looked for, as it may stand in the log: project, round, and details."""
    conditions = dict(wanted.conditions())
    project, round_id = (_loggable(conditions.pop(name, None)) for name in ("project", "round"))
    details = {
        name: value if name in ("since", "until", "action") else _loggable(value)
        for name, value in conditions.items()
    }
    return project, round_id, details


def matching(wanted: EntryFilter) -> Select[tuple[int, str]]:
    """Index and text of what fits; the columns decide all but lookalikes, the entry the rest."""
    entries = LOG_TABLES.entries
    return select(entries.c.entry_index, entries.c.body).where(*_conditions(wanted))


def _search(session: Session, wanted: EntryFilter, page: Page) -> dict[str, Any]:
    size = log_size(session, LOG_TABLES)
    sealed_size = session.scalar(select(LOG_TABLES.head.c.sealed_size)) or 0
    first, end = index_range(session, LOG_TABLES, wanted.since, wanted.until, sealed_size, size)
    if page.newest_first:
        end = end if page.start is None else min(end, page.start + 1)
    else:
        first = first if page.start is None else max(first, page.start)
        end = end if page.stop is None else min(end, page.stop)
    # Where an index leads to what fits, all of it is looked at; else a stretch at a time.
    low, high = first, end
    if not _INDEXED & dict(wanted.conditions()).keys():
        low = max(first, end - MAX_LOOKED_AT) if page.newest_first else first
        high = end if page.newest_first else min(end, first + MAX_LOOKED_AT)
    place = LOG_TABLES.entries.c.entry_index
    query = (
        matching(wanted)
        .where(place >= low, place < high)
        .order_by(place.desc() if page.newest_first else place)
        .limit(page.limit + 1)
    )
    rows = session.execute(query).all()
    texts = [
        row.body for row in rows[: page.limit] if wanted.accepts(parse_entry(row.body.encode()))
    ]
    following: int | None = None
    if len(rows) > page.limit:
        following = rows[page.limit].entry_index
    elif page.newest_first and low > first:
        following = low - 1
    elif not page.newest_first and high < end:
        following = high
    return {"entries": texts, "next": following, "size": size, "sealed_size": sealed_size}


def _conditions(wanted: EntryFilter) -> list[ColumnElement[bool]]:
    entries = LOG_TABLES.entries
    conditions = [
        column == value
        for column, value in (
            (entries.c.actor, wanted.actor),
            (entries.c.outcome, wanted.outcome),
            (entries.c.project, wanted.project),
            (entries.c.round, wanted.round),
        )
        if value is not None
    ]
    if wanted.office is not None:
        conditions.append(or_(entries.c.actor == wanted.office, entries.c.subject == wanted.office))
    if wanted.action is not None:
        conditions.append(
            entries.c.action == wanted.action
            if ":" in wanted.action
            else entries.c.action.startswith(f"{wanted.action}:", autoescape=True)
        )
    if wanted.role is not None:
        # Canonical JSON has one spelling; no column repeats the role.
        conditions.append(entries.c.body.contains(f'"role":"{wanted.role}"', autoescape=True))
    return conditions


def _loggable(text: str | None) -> str | None:
    return text if text is not None and is_loggable_id(text) else None
