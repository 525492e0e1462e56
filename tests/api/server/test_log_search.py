"""The server chooses entries as a fetched folder does, page by page, and logs each reading."""

import json
from typing import Any

import pytest

import api.server.services.log_search as log_search
from api.audit.entry_filter import EntryFilter
from api.audit.events import parse_entry
from api.audit.listing import server_entries
from api.audit.server_log import ServerLog
from tests.factories import PROJECT, ROUND
from tests.simulator import Auditor, SimulatedServer, granted, refused


@pytest.fixture
def he(server: SimulatedServer) -> Auditor:
    """An auditor of a server with a released round."""
    party = server.open_round()
    party.is_released()
    refused(party.office("jinjiang-civil").gets("/v1/log/entries"), "forbidden")
    return party.auditor


def search(he: Auditor, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = granted(he.posts("/v1/log/search", query)).json
    return answer


def all_pages(he: Auditor, **query: Any) -> list[str]:
    found: list[str] = []
    page = search(he, **query)
    stop = query.get("stop", page["size"])
    while True:
        found += page["entries"]
        if page["next"] is None:
            return found
        page = search(he, **{**query, "start": page["next"], "stop": stop})


FILTERS = [
    {},
    {"actor": "jinjiang-civil"},
    {"office": "jinjiang-civil"},
    {"role": "worker"},
    {"role": "office", "outcome": "refused"},
    {"action": "upload"},
    {"action": "upload:put"},
    {"outcome": "refused"},
    {"project": PROJECT},
    {"round": ROUND, "action": "round"},
    {"actor": "nobody"},
]


@pytest.mark.parametrize("max_looked_at", [3, 200_000])
def test_the_server_chooses_what_the_filter_says(
    server: SimulatedServer, he: Auditor, monkeypatch: pytest.MonkeyPatch, max_looked_at: int
) -> None:
    monkeypatch.setattr(log_search, "MAX_LOOKED_AT", max_looked_at)
    size = server.log_size()
    entries = [parse_entry(json_text(entry)) for entry in server.log()]
    for query in FILTERS:
        wanted = EntryFilter(**query)
        expected = [entry.index for entry in entries if wanted.accepts(entry)]
        assert expected or query == {"actor": "nobody"}
        for order, span in (("oldest", {"stop": size}), ("newest", {"start": size - 1})):
            pages = all_pages(he, **query, **span, limit=4, order=order)
            found = [json.loads(text)["index"] for text in pages]
            assert found == (expected if order == "oldest" else expected[::-1]), (query, order)


def json_text(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


def test_times_are_from_and_before(server: SimulatedServer, he: Auditor) -> None:
    # The first entry has the machine's own time.
    server.clock.advance(days=3650)
    since = server.log_size()
    granted(he.gets("/v1/rounds"))
    server.clock.advance(hours=1)
    granted(he.gets("/v1/rounds"))
    entries = server.log()
    times = {"since": entries[since]["time"], "until": entries[since + 1]["time"]}
    assert [json.loads(text)["index"] for text in all_pages(he, **times)] == [since]
    assert all_pages(he, since="2099-01-01T00:00:00.000Z") == []


def test_each_page_is_an_entry_that_says_what_was_looked_for(
    server: SimulatedServer, he: Auditor
) -> None:
    wanted = {"office": "jinjiang-civil", "round": ROUND, "outcome": "refused", "limit": 5}
    answer = granted(he.posts("/v1/log/search", wanted))
    (entry,) = answer.entries
    assert (entry["action"], entry["actor"], entry["round"]) == ("log:read", "he", ROUND)
    assert entry["details"] == {
        "start": None, "n_entries": 0, "office": "jinjiang-civil", "outcome": "refused",
    }  # fmt: skip


def test_the_office_that_was_looked_at_finds_the_reading(
    server: SimulatedServer, he: Auditor
) -> None:
    search(he, office="jinjiang-civil")
    party = server.office("jinjiang-civil")
    found = granted(party.gets("/v1/log/own-entries"))["entries"]
    assert any(
        json.loads(text)["actor"] == "he" and json.loads(text)["action"] == "log:read"
        for text in found
    )


NO_SEARCHES: list[dict[str, Any]] = [
    {"since": "yesterday"},
    {"since": "2026-13-01T00:00:00.000Z"},
    {"actor": "A"},
    {"role": "king"},
    {"action": "Upload"},
    {"action": "upload:"},
    {"outcome": "maybe"},
    {"order": "random"},
    {"limit": 0},
    {"limit": 10_001},
    {"limit": "5"},
    {"start": -1},
    {"colour": "red"},
    {"office": "' OR 1=1"},
]


def test_a_search_that_is_none_is_refused(server: SimulatedServer) -> None:
    he = server.auditor()
    for query in NO_SEARCHES:
        refused(he.posts("/v1/log/search", query), "invalid")


def test_a_number_of_a_person_is_searched_for_but_not_logged(
    server: SimulatedServer, he: Auditor
) -> None:
    for name in ("actor", "office", "project", "round"):
        (entry,) = granted(he.posts("/v1/log/search", {name: "13812345678"})).entries
        assert "13812345678" not in json.dumps(entry)


def test_sealed_entries_are_said_to_be_elsewhere(server: SimulatedServer, he: Auditor) -> None:
    assert search(he)["sealed_size"] == 0


class Asking:
    """Stands for the HTTP client: asks the simulated server."""

    def __init__(self, he: Auditor) -> None:
        self._he = he

    def post_json(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = granted(self._he.posts(path, body)).json
        return answer


def test_the_command_line_pages_through(
    server: SimulatedServer, he: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.audit.server_log.PAGE_ENTRIES", 3)
    wanted = EntryFilter(project=PROJECT, role="office")
    expected = [
        entry["index"]
        for entry in server.log()
        if (entry["project"], entry["role"]) == (PROJECT, "office")
    ]
    log = ServerLog(Asking(he))  # type: ignore[arg-type]
    for last in (None, 1, 5, 1000):
        found = [entry.index for entry, _ in server_entries(log, wanted, last)]
        assert found == (expected if last is None else expected[-last:])
