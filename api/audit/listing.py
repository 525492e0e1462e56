"""Choosing entries and writing them as text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.audit.directory import ENTRIES, iterate_lines
from api.audit.errors import DirectoryError, EntryError, FetchError, NoteError
from api.audit.events import DetailValue, Entry, parse_entry, subject_of
from api.audit.fetch import PAGE_ENTRIES, LogSource
from api.audit.note import parse_checkpoint, parse_note

COLUMNS: Final = (
    "index", "time", "action", "outcome", "actor", "role", "project", "round", "reason",
    "request", "origin", "details",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; ``None`` leaves out a condition.

    Args:
        since: first time wanted, as in entries.
        until: first time not wanted any more.
        action: an action, or a subject alone.
        actor: who did it.
        office: whom it is about: who did it, or whom the details name.
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


def directory_entries(directory: Path) -> Iterator[tuple[Entry, str]]:
    """Entries of a fetched folder, each with its text; not verified.

    Raises:
        DirectoryError: there are none, or a line is no entry.
        OSError: the folder cannot be read.
    """
    path = directory / ENTRIES
    if not path.is_file():
        raise DirectoryError(
            "This folder holds no fetched log. Name the folder that you gave to "
            "'tongqiao audit fetch'."
        )
    for number, line in enumerate(iterate_lines(path), start=1):
        body = line.removesuffix(b"\n")
        try:
            yield parse_entry(body), body.decode("ascii")
        except EntryError as error:
            raise DirectoryError(
                f"Line {number} of the fetched log is no entry. Run 'tongqiao audit verify'."
            ) from error


def server_entries(source: LogSource) -> Iterator[tuple[Entry, str]]:
    """All entries that a server has when asked, each with its text; not verified.

    Raises:
        FetchError: what it sends is no checkpoint, no entry, or not the next one.
    """
    try:
        # Reading is logged too: without an end set beforehand there would always be one more.
        stop = parse_checkpoint(parse_note(source.checkpoint()).text).size
    except NoteError as error:
        raise FetchError(
            "The server's checkpoint is malformed. Check the address after --server, and tell the "
            "operator."
        ) from error
    at = 0
    while at < stop:
        page = source.entries(at, min(PAGE_ENTRIES, stop - at))
        for text in page:
            yield _next_entry(text, at), text
            at += 1
        if not page:
            raise FetchError(
                f"The server signed {stop} entries, but does not send those from entry {at} on. "
                "Try again, then tell the operator."
            )


def _next_entry(text: str, index: int) -> Entry:
    try:
        entry = parse_entry(text.encode(errors="replace"))
    except EntryError as error:
        raise FetchError(_NO_ENTRY.format(index=index)) from error
    if entry.index != index:
        raise FetchError(_NO_ENTRY.format(index=index))
    return entry


_NO_ENTRY: Final = (
    "What the server sends as entry {index} is none. Run 'tongqiao audit fetch' to keep what there "
    "is as evidence."
)


def cells(entry: Entry) -> tuple[str | int | None, ...]:
    """An entry as one cell for each of ``COLUMNS``."""
    return (
        entry.index,
        entry.time,
        entry.action,
        entry.outcome,
        entry.actor,
        entry.role,
        entry.project,
        entry.round,
        entry.reason,
        entry.request_id,
        entry.origin,
        json.dumps(dict(entry.details), sort_keys=True),
    )


def describe_details(details: Mapping[str, DetailValue]) -> str:
    """Details on one line for people; hashes are shortened."""
    return ", ".join(f"{name}={_short(value)}" for name, value in sorted(details.items()))


def _short(value: DetailValue) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"
