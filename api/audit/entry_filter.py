"""Which entries of the log are wanted: the same conditions on a server and in a fetched folder.

Only the standard library.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from api.audit.events import Entry, subject_of


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Conditions that an entry must all fit; ``None`` leaves one out.

    Args:
        since: first time wanted, as in entries.
        until: first time not wanted any more.
        actor: who did it.
        office: whom it is about: who did it, or whom the details name.
        action: an action, or a subject alone.
    """

    since: str | None = None
    until: str | None = None
    actor: str | None = None
    office: str | None = None
    role: str | None = None
    action: str | None = None
    outcome: str | None = None
    project: str | None = None
    round: str | None = None

    def accepts(self, entry: Entry) -> bool:
        """Whether the entry fits every condition."""
        if self.since is not None and entry.time < self.since:
            return False
        if self.until is not None and entry.time >= self.until:
            return False
        if self.action is not None and self.action not in (
            entry.action,
            entry.action.partition(":")[0],
        ):
            return False
        if self.office is not None and self.office not in (
            entry.actor,
            subject_of(entry.details),
        ):
            return False
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.actor, entry.actor),
                (self.role, entry.role),
                (self.outcome, entry.outcome),
                (self.project, entry.project),
                (self.round, entry.round),
            )
        )

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Name and value of every condition that is there."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                yield field.name, value


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a search.

    Args:
        start: place of the first entry to look at; the first or the last one there is if ``None``.
        stop: first place not to look at, when going upwards: what the log had when the search
            began, since each reading adds to it.
        newest_first: whether to go downwards.
    """

    limit: int
    start: int | None = None
    stop: int | None = None
    newest_first: bool = False
