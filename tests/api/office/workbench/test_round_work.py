"""A round as the workbench takes part in it, with a real server over HTTP."""

import csv
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from werkzeug.serving import make_server

from api.client.errors import ApiError
from api.client.http import ServerClient
from api.client.terms import TermsError
from api.client.upload import upload_file
from api.office.workbench import round_work
from api.office.workbench.desk import Desk, make_desk
from api.office.workbench.error_words import ToldError
from api.office.workbench.folder import OfficeFolder
from api.office.workbench.jobs import Job
from keys.linkage_secret import save_linkage_secret
from tests import factories
from tests.factories import ROUND, SECRET, Child, children
from tests.simulator import OpenRound, SimulatedClock, SimulatedServer, granted, simulated_server

OFFICE, PEER = "jinjiang-civil", "zhongjiang-civil"
KNOWN = children(60)[:45]


@dataclass
class Clerk:
    """Somebody at the workbench of one office, and the round that it takes part in."""

    bench: Desk
    party: OpenRound
    folder: Path

    def takes_in(self, known: Sequence[Child]) -> None:
        """Drop a list, in which records are known by their place alone, and confirm its columns."""
        path = self.folder / "list.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["place", "given", "surname", "born", "number"])
            for place, child in enumerate(known, 1):
                born = child.birth_date.isoformat()
                writer.writerow([place, child.given_name, child.surname, born, child.number])
        self.bench.register.take_in(path, "list.csv")
        self.bench.register.inspect(Job("inspect", ""))
        self.bench.register.choose_columns(
            {
                "record_id": "place",
                "given_name": "given",
                "surname": "surname",
                "birth_date": "born",
                "number": "number",
            }
        )
        self.bench.register.inspect(Job("inspect", ""))

    def encodes(self, *, reason: str = "a test with few records") -> None:
        """Encode the list that is there."""
        assert self.bench.rounds is not None
        self.bench.rounds.encode(ROUND, Job("send", ROUND), reason)

    def sends(self) -> None:
        """Send what was encoded."""
        assert self.bench.rounds is not None
        self.bench.rounds.send(ROUND, Job("send", ROUND))

    def links_of_children(self) -> set[tuple[str, str]]:
        """Fetch the links: number and given name of every own row that has one."""
        assert self.bench.rounds is not None
        self.bench.rounds.fetch(ROUND, Job("fetch", ROUND))
        book = openpyxl.load_workbook(self.bench.rounds.files(ROUND).list, read_only=True)
        rows = book.worksheets[0].iter_rows(min_row=2, values_only=True)
        found = {(str(row[4]), str(row[1])) for row in rows}
        book.close()
        return found


@pytest.fixture
def clerk(tmp_path: Path) -> Iterator[Clerk]:
    clock = SimulatedClock()
    with simulated_server(tmp_path, clock=clock) as server:
        party = server.open_round()
        clock.now = datetime.now(UTC)
        with _served(server) as url:
            identity = party.office(OFFICE).identity
            assert identity is not None
            folder = OfficeFolder(tmp_path / "bench")
            bench = make_desk(folder, factories.profile(), ServerClient(url, identity))
            save_linkage_secret(SECRET, folder.secret)
            assert bench.rounds is not None
            bench.rounds.keep_terms(bench.rounds.view(ROUND).terms)
            yield Clerk(bench, party, tmp_path)


@contextmanager
def _served(server: SimulatedServer) -> Iterator[str]:
    http = make_server("127.0.0.1", 0, server.client.application, threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def is_matched_and_released(party: OpenRound) -> None:
    granted(party.first.takes_step(ROUND, "run"))
    assert party.first.server.worker().work_once()
    granted(party.second.takes_step(ROUND, "release"))


EXPECTED = {(child.number, child.given_name) for child in KNOWN[15:]}
"""Those that the peer knows too."""


def test_a_list_is_sent_and_its_links_are_joined(clerk: Clerk) -> None:
    clerk.takes_in(KNOWN)
    clerk.encodes()
    clerk.sends()
    granted(clerk.party.office(PEER).uploads(ROUND, clerk.party.files[PEER].data))
    granted(clerk.party.first.takes_step(ROUND, "freeze"))
    is_matched_and_released(clerk.party)
    assert clerk.links_of_children() == EXPECTED


class TestAMendedList:
    """The links are of what was sent: joined with another list, they would be of other children."""

    @pytest.fixture(autouse=True)
    def first_list(self, clerk: Clerk) -> None:
        clerk.takes_in(KNOWN)
        clerk.encodes()
        clerk.sends()
        granted(clerk.party.office(PEER).uploads(ROUND, clerk.party.files[PEER].data))
        clerk.takes_in(KNOWN[1:])

    def test_takes_the_place_of_the_one_before(self, clerk: Clerk) -> None:
        clerk.encodes()
        clerk.sends()
        granted(clerk.party.first.takes_step(ROUND, "freeze"))
        is_matched_and_released(clerk.party)
        assert clerk.links_of_children() == EXPECTED

    def test_that_came_too_late_takes_nothings_place(self, clerk: Clerk) -> None:
        granted(clerk.party.first.takes_step(ROUND, "freeze"))
        clerk.encodes()
        with pytest.raises((TermsError, ApiError)):
            clerk.sends()
        is_matched_and_released(clerk.party)
        assert clerk.links_of_children() == EXPECTED

    def test_that_the_check_refused_takes_nothings_place(self, clerk: Clerk) -> None:
        # Every child twice: more copies than a file may have.
        clerk.takes_in([*KNOWN[1:], *KNOWN[1:]])
        with pytest.raises(ToldError):
            clerk.encodes(reason="")
        granted(clerk.party.first.takes_step(ROUND, "freeze"))
        is_matched_and_released(clerk.party)
        assert clerk.links_of_children() == EXPECTED

    def test_that_was_sent_but_for_the_servers_answer(
        self, clerk: Clerk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose_the_answer(*arguments: Any, **options: Any) -> Any:
            upload_file(*arguments, **options)
            raise ApiError("unreachable", 0, "The network is gone.")

        monkeypatch.setattr(round_work, "upload_file", lose_the_answer)
        clerk.encodes()
        with pytest.raises(ApiError):
            clerk.sends()
        granted(clerk.party.first.takes_step(ROUND, "freeze"))
        is_matched_and_released(clerk.party)
        assert clerk.links_of_children() == EXPECTED
