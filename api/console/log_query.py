"""What an auditor asks the log for, as a form says it and as an address keeps it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask_babel import gettext

from api.audit.events import Action, Outcome, format_time, is_loggable_id
from api.audit.stored_search import LogQuery
from api.pages.languages import LOCAL_TIME

_FIELDS: Final = ("since", "until", "actor", "office", "round", "action", "outcome")
_PLACE: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_ZONE: Final = ZoneInfo(LOCAL_TIME)


@dataclass(frozen=True, slots=True)
class AskedFor:
    """A form that was filled in.

    Attributes:
        given: field -> what was written, for the form and for links to other pages.
        query: what it means.
        trouble: what is wrong with it, in the reader's language; the query is empty then.
    """

    given: Mapping[str, str]
    query: LogQuery
    trouble: str = ""


def parse_query(form: Mapping[str, str]) -> AskedFor:
    """Read the fields of the filter; days are local, and the last one is included."""
    given = {name: form.get(name, "").strip() for name in _FIELDS}
    given = {name: value for name, value in given.items() if value}
    try:
        values = {name: _value(name, text) for name, text in given.items()}
    except ValueError as error:
        return AskedFor(given, LogQuery(), str(error))
    query = LogQuery(**values)
    if query.since is not None and query.until is not None and query.until <= query.since:
        return AskedFor(given, LogQuery(), gettext("The last day is before the first."))
    return AskedFor(given, query)


def parse_place(text: str) -> int | None:
    """A place in the log out of an address; ``None`` for anything else."""
    return int(text) if _PLACE.fullmatch(text) else None


def day_begins(text: str, *, after_days: int = 0) -> str:
    """When a local day (``2026-09-01``) begins, or one some days later; as in entries.

    Raises:
        ValueError: no day.
    """
    day = date.fromisoformat(text) + timedelta(days=after_days)
    return format_time(datetime(day.year, day.month, day.day, tzinfo=_ZONE).astimezone(UTC))


def _value(name: str, text: str) -> str:
    if name in ("since", "until"):
        try:
            return day_begins(text, after_days=int(name == "until"))
        except (ValueError, OverflowError) as error:
            raise ValueError(gettext("A day is written like 2026-09-01.")) from error
    if name == "action":
        if text not in tuple(Action):
            raise ValueError(gettext("Choose an action from the list."))
    elif name == "outcome":
        if text not in tuple(Outcome):
            raise ValueError(gettext("Choose an outcome from the list."))
    elif not is_loggable_id(text):
        raise ValueError(gettext("An id has small letters, digits and hyphens only."))
    return text
