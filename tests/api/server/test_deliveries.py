"""After the release: receipts that must be true, and offices that leave."""

from typing import Any

import pytest
from sqlalchemy import select

from api.server.models import Link, Round
from api.server.round_states import Step
from api.server.services import jobs
from api.server.services.steps import take_step
from api.server.services.work import Work
from tests.factories import ROLES, ROUND
from tests.simulator import OpenRound, SimulatedServer, granted, refused

OFFICE, PEER, THIRD = ROLES


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    released = server.open_round()
    released.is_released()
    return released


def links_of(party: OpenRound, office: str) -> list[dict[str, object]]:
    links: list[dict[str, object]] = granted(party.office(office).reads_results(ROUND))["links"]
    return links


class TestReceipts:
    def test_who_has_everything_says_so_and_the_operator_sees_it(self, party: OpenRound) -> None:
        office = party.office(OFFICE)
        links = links_of(party, OFFICE)
        granted(office.acknowledges(ROUND, links), 201)
        granted(office.acknowledges(ROUND, links), 200)
        members = granted(party.first.reads_round(ROUND))["members"]
        fetched = {member["office"]: member["fetched"] for member in members}
        assert fetched == {OFFICE: True, PEER: False, THIRD: False}

    def test_a_receipt_for_other_links_is_refused(self, party: OpenRound) -> None:
        office, links = party.office(OFFICE), links_of(party, OFFICE)
        refused(office.acknowledges(ROUND, links[:-1]), "conflict")
        refused(office.acknowledges(ROUND, links[::-1]), "conflict")
        refused(office.acknowledges(ROUND, links_of(party, PEER)), "conflict")
        refused(office.acknowledges(ROUND, []), "conflict")

    def test_before_the_release_there_is_nothing_to_acknowledge(
        self, server: SimulatedServer
    ) -> None:
        party = server.open_round()
        party.is_matched()
        refused(party.office(OFFICE).acknowledges(ROUND, []), "wrong-state")


class TestLeaving:
    def test_links_are_taken_back_and_the_others_are_told(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        before = {office: links_of(party, office) for office in (PEER, THIRD)}
        own = links_of(party, OFFICE)
        answer = granted(party.office(OFFICE).leaves(ROUND))
        assert answer["n_links"] == len(own) == 50
        assert answer.entries[0]["action"] == "round:withdraw"
        for office in (PEER, THIRD):
            after = links_of(party, office)
            # Nothing else changes: same references, same records, in the same order.
            assert [{**link, "band": ""} for link in after] == [
                {**link, "band": ""} for link in before[office]
            ]
            for link, old in zip(after, before[office], strict=True):
                gone = link["counterpart"] == OFFICE
                assert link["band"] == ("withdrawn" if gone else old["band"])
        members = granted(party.first.reads_round(ROUND))["members"]
        assert [m["office"] for m in members if m["withdrawn"]] == [OFFICE]

    @pytest.mark.usefixtures("patient")
    def test_nothing_of_the_office_is_left(self, server: SimulatedServer, party: OpenRound) -> None:
        own = links_of(party, OFFICE)
        traces = [str(link[key]).encode() for link in own for key in ("link", "record")]
        stored = party.files[OFFICE].sha256
        granted(party.office(OFFICE).leaves(ROUND))
        assert stored not in {row["sha256"] for row in server.rows("uploads")}
        assert f"encodings/{ROUND}/{stored}" not in server.files()
        kept = b"".join(path.read_bytes() for path in server.database_files())
        assert not any(trace in kept for trace in traces)
        for table in ("links", "retracted_links"):
            rows = repr(server.rows(table)).encode()
            assert not any(trace in rows for trace in traces)

    @pytest.mark.usefixtures("patient")
    def test_nothing_is_left_of_links_that_a_later_match_replaced(
        self, server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A match that failed after it had written links is run again; then the office leaves."""
        party = server.open_round()
        party.everybody_uploads()
        granted(party.first.takes_step(ROUND, "freeze"))
        granted(party.first.takes_step(ROUND, "run"))
        replaced: list[bytes] = []

        def full(work: Work, entry: Round, step: Step, **options: Any) -> None:
            if step is Step.FINISH:
                for link in work.session.scalars(select(Link)):
                    replaced.extend((link.link_a.encode(), link.link_b.encode()))
                raise OSError(28, "No space left on device")
            take_step(work, entry, step, **options)

        monkeypatch.setattr(jobs, "take_step", full)
        assert server.worker().work_once()
        assert server.rows("links") == []
        monkeypatch.setattr(jobs, "take_step", take_step)
        granted(party.first.takes_step(ROUND, "run"))
        assert server.worker().work_once()
        granted(party.second.takes_step(ROUND, "release"))
        granted(party.office(OFFICE).leaves(ROUND))
        kept = b"".join(path.read_bytes() for path in server.database_files())
        assert len(replaced) == 140
        assert not any(trace in kept for trace in replaced)

    def test_who_has_left_sees_nothing_more(self, party: OpenRound) -> None:
        office = party.office(OFFICE)
        granted(office.leaves(ROUND))
        refused(office.reads_results(ROUND), "forbidden")
        refused(office.acknowledges(ROUND, []), "forbidden")
        # Leaving again changes nothing.
        assert granted(office.leaves(ROUND))["n_links"] == 0

    def test_a_receipt_from_before_does_not_hold_for_what_is_now(self, party: OpenRound) -> None:
        before = links_of(party, PEER)
        granted(party.office(OFFICE).leaves(ROUND))
        refused(party.office(PEER).acknowledges(ROUND, before), "conflict")
        granted(party.office(PEER).acknowledges(ROUND, links_of(party, PEER)))

    def test_two_offices_leave(self, server: SimulatedServer, party: OpenRound) -> None:
        granted(party.office(OFFICE).leaves(ROUND))
        granted(party.office(PEER).leaves(ROUND))
        assert {link["band"] for link in links_of(party, THIRD)} == {"withdrawn"}
        assert server.rows("links") == []
        assert {row["office_id"] for row in server.rows("retracted_links")} == {THIRD}

    @pytest.mark.parametrize("state", ["open", "frozen", "review"])
    def test_only_after_the_release(self, server: SimulatedServer, state: str) -> None:
        party = server.open_round()
        party.everybody_uploads()
        if state != "open":
            granted(party.first.takes_step(ROUND, "freeze"))
        if state == "review":
            granted(party.first.takes_step(ROUND, "run"))
            server.worker().work_once()
        refused(party.office(OFFICE).leaves(ROUND), "wrong-state")

    def test_nobody_takes_another_out(self, party: OpenRound) -> None:
        refused(party.office(PEER).leaves(ROUND, office=OFFICE), "forbidden")
        refused(party.first.sends("PUT", f"/v1/rounds/{ROUND}/withdrawals/{OFFICE}"), "forbidden")

    def test_marks_go_when_the_round_expires(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        granted(party.office(OFFICE).leaves(ROUND))
        server.clock.advance(days=181)
        server.worker().run(once=True)
        assert server.rows("retracted_links") == server.rows("links") == []
        assert server.rows("round_keys") == []
        assert server.files() == {}

    def test_pages_hold_marks_and_links_in_one_order(self, party: OpenRound) -> None:
        granted(party.office(OFFICE).leaves(ROUND))
        everything = links_of(party, PEER)
        found, after = [], ""
        while True:
            page = granted(party.office(PEER).reads_results(ROUND, query=f"?limit=7{after}"))
            found += page["links"]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert found == everything
