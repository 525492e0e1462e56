"""Choosing entries, and writing them down."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from api.audit.entry_filter import EntryFilter
from api.audit.errors import DirectoryError, FetchError
from api.audit.events import Entry, parse_entry
from api.audit.export import csv_lines
from api.audit.fetch import fetch_log
from api.audit.listing import (
    COLUMNS,
    describe_details,
    directory_entries,
    server_entries,
)
from tests.api.audit.simulated_log import SimulatedLog

LINES = SimulatedLog(40).lines()
ENTRIES = [parse_entry(line) for line in LINES]


def chosen(**conditions: str) -> list[Entry]:
    wanted = EntryFilter(**conditions)
    return [entry for entry in ENTRIES if wanted.accepts(entry)]


def test_no_condition_chooses_all() -> None:
    assert chosen() == ENTRIES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor", "xuyong-civil"),
        ("action", "results:read"),
        ("outcome", "refused"),
        ("project", "sichuan-children"),
        ("round", "2026-h2"),
    ],
)
def test_a_condition_chooses_what_fits_it(name: str, value: str) -> None:
    found = chosen(**{name: value})
    assert found == [entry for entry in ENTRIES if getattr(entry, name) == value]
    assert found
    assert chosen(**{name: "nothing-like-it"}) == []


def test_a_subject_chooses_all_its_verbs() -> None:
    assert {entry.action for entry in chosen(action="round")} == {"round:read"}


def test_times_are_from_and_before() -> None:
    found = chosen(since="2026-09-01T08:00:05.000Z", until="2026-09-01T08:00:08.000Z")
    assert [entry.index for entry in found] == [5, 6, 7]


def test_conditions_add_up() -> None:
    found = chosen(actor="xuyong-civil", outcome="refused")
    assert [entry.index for entry in found] == [10, 31]


def test_csv_reads_back() -> None:
    rows = list(csv.DictReader(csv_lines(ENTRIES)))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 40
    assert rows[3]["index"] == "3"
    assert rows[3]["reason"] == "wrong-state"
    assert rows[4]["reason"] == ""
    assert json.loads(rows[3]["details"]) == dict(ENTRIES[3].details)


def test_details_for_people_are_short() -> None:
    assert describe_details(ENTRIES[5].details) == "n_records=5, sha256=000000000000…"
    assert describe_details({"office": None}) == "office=-"


def test_a_folder_gives_its_entries_as_they_were_hashed(tmp_path: Path) -> None:
    fetch_log(SimulatedLog(40), tmp_path / "log")
    assert [text.encode() for _, text in directory_entries(tmp_path / "log")] == LINES


def test_a_folder_without_a_log_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError):
        list(directory_entries(tmp_path))
    (tmp_path / "entries.jsonl").write_bytes(LINES[0] + b"\nx\n")
    with pytest.raises(DirectoryError, match="Line 2"):
        list(directory_entries(tmp_path))


class Answering:
    """A server's search, answered from a list."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.texts = [line.decode() for line in lines]

    def search(self, wanted: EntryFilter, limit: int | None = None) -> Iterator[str]:
        """All there is, whatever is wanted."""
        return iter(self.texts if limit is None else self.texts[-limit:][::-1])


def test_what_a_server_chooses_comes_in_order() -> None:
    assert [text.encode() for _, text in server_entries(Answering(LINES), EntryFilter())] == LINES
    last = [text.encode() for _, text in server_entries(Answering(LINES), EntryFilter(), 3)]
    assert last == LINES[-3:]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([*LINES[:3], b"x", *LINES[4:]], EntryFilter()),
        ([LINES[1], LINES[0], *LINES[2:]], EntryFilter()),
        ([*LINES[:3], LINES[3], LINES[3]], EntryFilter()),
        ([*LINES[:3], *LINES[4:]], EntryFilter(since="2026-01-01T00:00:00.000Z")),
        (LINES, EntryFilter(outcome="refused")),
    ],
    ids=["no entry", "order", "twice", "missing", "not asked for"],
)
def test_a_server_that_sends_something_else_is_refused(
    lines: list[bytes], wanted: EntryFilter
) -> None:
    with pytest.raises(FetchError):
        list(server_entries(Answering(lines), wanted))
