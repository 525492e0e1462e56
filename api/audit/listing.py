"""Choosing entries and writing them as text."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from api.audit.directory import ENTRIES, iterate_lines
from api.audit.entry_filter import EntryFilter
from api.audit.errors import DirectoryError, EntryError, FetchError
from api.audit.events import DetailValue, Entry, parse_entry

COLUMNS: Final = (
    "index", "time", "action", "outcome", "actor", "role", "project", "round", "reason",
    "request", "origin", "details",
)  # fmt: skip


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


class Searchable(Protocol):
    """A log that can be asked for entries that fit: a server, or a stand-in for one."""

    def search(self, wanted: EntryFilter, limit: int | None = None) -> Iterator[str]:
        """Texts of entries that fit, in order; with ``limit`` the newest so many, newest first."""


def server_entries(
    source: Searchable, wanted: EntryFilter, last: int | None = None
) -> Iterator[tuple[Entry, str]]:
    """Entries that the server chooses, each with its text, in order; not verified.

    Args:
        last: only the last so many.

    Raises:
        FetchError: what it sends is no entry, not in order, or not what was asked for.
    """
    texts: Iterable[str] = source.search(wanted, last)
    if last is not None:
        texts = reversed(list(texts))
    before: int | None = None
    is_dense = dict(wanted.conditions()).keys() <= {"since", "until"}
    for text in texts:
        try:
            entry = parse_entry(text.encode(errors="replace"))
        except EntryError as error:
            raise FetchError(_NO_ENTRY) from error
        follows = before is None or entry.index > before
        is_missing = is_dense and before is not None and entry.index != before + 1
        if not follows or is_missing or not wanted.accepts(entry):
            raise FetchError(_NO_ENTRY)
        before = entry.index
        yield entry, text


_NO_ENTRY: Final = (
    "What the server sends is no entry, or not what was asked for. Run 'tongqiao audit fetch' to "
    "keep what there is as evidence."
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
