"""Operators take an office out, or end a round early: who may, when, and what goes."""

from typing import Any

import pytest

from tests.factories import COORDINATOR, PROJECT, ROLES, ROUND, terms
from tests.simulator import Answer, OpenRound, Operator, SimulatedServer, granted, refused

OFFICE, PEER, THIRD = ROLES


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    released = server.open_round()
    released.is_released()
    return released


@pytest.fixture
def unreleased(server: SimulatedServer) -> OpenRound:
    party = server.open_round()
    party.everybody_uploads()
    return party


def links_of(party: OpenRound, office: str) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = granted(party.office(office).reads_results(ROUND))["links"]
    return links


def actions(answer: Answer) -> list[str]:
    return [str(entry["action"]) for entry in answer.entries]


def member(answer: Answer, office: str) -> dict[str, Any]:
    found: dict[str, Any] = next(m for m in answer["members"] if m["office"] == office)
    return found


class TestBeforeTheRelease:
    def test_until_the_freeze_its_upload_goes_and_it_sends_nothing_more(
        self, server: SimulatedServer, unreleased: OpenRound
    ) -> None:
        stored = unreleased.files[OFFICE].sha256
        granted(unreleased.office(OFFICE).begins(ROUND, b"another file, begun"))
        answer = granted(unreleased.first.excludes(ROUND, OFFICE), 200)
        assert actions(answer) == ["upload:drop", "round:exclude"]
        assert member(answer, OFFICE)["excluded"]
        assert member(answer, OFFICE)["withdrawn"]
        assert not member(answer, OFFICE)["uploaded"]
        assert f"encodings/{ROUND}/{stored}" not in server.files()
        assert not [name for name in server.files() if name.startswith("incoming")]
        data = unreleased.files[OFFICE].data
        refused(unreleased.office(OFFICE).uploads(ROUND, data), "forbidden")
        refused(unreleased.office(OFFICE).begins(ROUND, data), "forbidden")
        refused(unreleased.office(OFFICE).signs(ROUND), "forbidden")
        # The others go on, and their links are with each other only.
        granted(unreleased.first.takes_step(ROUND, "freeze"))
        granted(unreleased.first.takes_step(ROUND, "run"))
        assert server.worker().work_once()
        granted(unreleased.second.takes_step(ROUND, "release"))
        assert {link["counterpart"] for link in links_of(unreleased, PEER)} == {THIRD}
        refused(unreleased.office(OFFICE).reads_results(ROUND), "forbidden")

    def test_one_that_has_sent_nothing_is_taken_out_too(self, server: SimulatedServer) -> None:
        party = server.open_round()
        answer = granted(party.first.excludes(ROUND, OFFICE), 200)
        assert member(answer, OFFICE)["excluded"]
        # Again changes nothing.
        granted(party.second.excludes(ROUND, OFFICE), 200)

    def test_other_terms_may_name_it_again(self, unreleased: OpenRound) -> None:
        granted(unreleased.first.excludes(ROUND, OFFICE))
        answer = granted(unreleased.first.amends(ROUND, purpose="Another purpose."))
        assert not member(answer, OFFICE)["excluded"]
        granted(unreleased.office(OFFICE).signs(ROUND))

    def test_a_matching_that_its_records_took_part_in_is_dropped(
        self, server: SimulatedServer, unreleased: OpenRound
    ) -> None:
        granted(unreleased.first.takes_step(ROUND, "freeze"))
        granted(unreleased.first.takes_step(ROUND, "run"))
        assert server.worker().work_once()
        answer = granted(unreleased.second.excludes(ROUND, OFFICE), 200)
        assert answer["state"] == "frozen"
        assert actions(answer) == ["data:delete", "round:exclude", "round:undo"]
        assert server.rows("links") == server.rows("retracted_links") == []
        refused(unreleased.first.reads_review(ROUND), "wrong-state")
        granted(unreleased.first.takes_step(ROUND, "run"))
        assert server.worker().work_once()
        granted(unreleased.second.takes_step(ROUND, "release"))
        assert {link["counterpart"] for link in links_of(unreleased, THIRD)} == {PEER}

    @pytest.mark.parametrize("state", ["frozen", "review"])
    def test_two_files_have_to_be_left(
        self, server: SimulatedServer, unreleased: OpenRound, state: str
    ) -> None:
        granted(unreleased.first.takes_step(ROUND, "freeze"))
        granted(unreleased.first.excludes(ROUND, OFFICE))
        if state == "review":
            granted(unreleased.first.takes_step(ROUND, "run"))
            assert server.worker().work_once()
        refused(unreleased.first.excludes(ROUND, PEER), "wrong-state")

    def test_not_in_the_middle_of_a_matching(self, unreleased: OpenRound) -> None:
        granted(unreleased.first.takes_step(ROUND, "freeze"))
        granted(unreleased.first.takes_step(ROUND, "run"))
        refused(unreleased.first.excludes(ROUND, OFFICE), "wrong-state")

    def test_not_in_a_round_that_is_over_or_not_begun(self, server: SimulatedServer) -> None:
        party = server.draft_round()
        refused(party.first.excludes(ROUND, OFFICE), "wrong-state")
        granted(party.first.takes_step(ROUND, "cancel"))
        refused(party.first.excludes(ROUND, OFFICE), "wrong-state")

    def test_only_who_has_records_there(self, unreleased: OpenRound) -> None:
        refused(unreleased.first.excludes(ROUND, COORDINATOR), "invalid")
        refused(unreleased.first.excludes(ROUND, "somebody-else"), "not-found")

    @pytest.mark.parametrize("state", ["open", "frozen", "review"])
    def test_a_round_that_is_not_released_does_not_expire_early(
        self, server: SimulatedServer, unreleased: OpenRound, state: str
    ) -> None:
        if state != "open":
            granted(unreleased.first.takes_step(ROUND, "freeze"))
        if state == "review":
            granted(unreleased.first.takes_step(ROUND, "run"))
            assert server.worker().work_once()
        refused(unreleased.first.expires(ROUND), "wrong-state")


def asks_to_exclude(operator: Operator) -> Answer:
    return operator.excludes(ROUND, OFFICE)


def asks_to_expire(operator: Operator) -> Answer:
    return operator.expires(ROUND)


@pytest.mark.parametrize("ask", [asks_to_exclude, asks_to_expire])
class TestTwoPeople:
    def test_one_alone_changes_nothing_for_the_offices(self, party: OpenRound, ask: Any) -> None:
        before = {office: links_of(party, office) for office in ROLES}
        for _ in range(3):
            answer = granted(ask(party.first), 202)
            assert actions(answer) == ["round:ask"]
            assert answer["state"] == "released"
            (request,) = answer["requests"]
            assert request["by"] == "chen"
        assert {office: links_of(party, office) for office in ROLES} == before

    def test_the_second_carries_it_out(self, party: OpenRound, ask: Any) -> None:
        granted(ask(party.first), 202)
        answer = granted(ask(party.second), 200)
        assert answer["requests"] == []
        (entry,) = (e for e in answer.entries if e["action"] in ("round:exclude", "round:expire"))
        assert entry["actor"] == "luo"
        assert entry["details"]["asked_by"] == "chen"

    def test_one_person_is_not_two_by_key_and_in_a_browser(
        self, server: SimulatedServer, party: OpenRound, ask: Any
    ) -> None:
        granted(ask(party.first), 202)
        browser = server.logged_in("chen")
        path = f"/v1/rounds/{ROUND}/" + (
            "expiry" if ask is asks_to_expire else f"exclusions/{OFFICE}"
        )
        assert browser.sends("PUT", path).status == 202
        assert server.logged_in("luo").sends("PUT", path).status == 200

    def test_it_can_be_taken_back(self, party: OpenRound, ask: Any) -> None:
        recall = party.second.recalls_expiry if ask is asks_to_expire else party.second.recalls
        refused(recall(ROUND), "not-found")
        granted(ask(party.first), 202)
        answer = granted(recall(ROUND))
        assert actions(answer) == ["round:recall"]
        assert answer["requests"] == []
        granted(ask(party.second), 202)

    def test_it_lapses(self, server: SimulatedServer, party: OpenRound, ask: Any) -> None:
        granted(ask(party.first), 202)
        server.clock.advance(days=7)
        answer = granted(ask(party.second), 202)
        assert [request["by"] for request in answer["requests"]] == ["luo"]
        server.clock.advance(days=8)
        server.worker().run(once=True)
        assert granted(party.first.reads_round(ROUND))["requests"] == []
        assert [e for e in server.log() if e["action"] == "round:recall" and e["role"] == "worker"]

    def test_a_request_of_who_is_no_operator_any_more_counts_for_nothing(
        self, server: SimulatedServer, party: OpenRound, ask: Any
    ) -> None:
        from api.server.services.members import revoke
        from api.server.services.work import own_caller

        granted(ask(party.first), 202)
        revoke(server.installation, own_caller("administrator"), "chen", "left us")
        answer = granted(ask(party.second), 202)
        assert [request["by"] for request in answer["requests"]] == ["luo"]

    def test_what_is_asked_for_is_not_another_thing(self, party: OpenRound, ask: Any) -> None:
        granted(ask(party.first), 202)
        granted(party.second.excludes(ROUND, PEER), 202)
        other = asks_to_exclude if ask is asks_to_expire else asks_to_expire
        granted(other(party.second), 202)
        assert granted(party.first.reads_round(ROUND))["state"] == "released"


class TestAfterTheRelease:
    @pytest.mark.usefixtures("patient")
    def test_links_are_taken_back_as_if_it_had_left(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        own = links_of(party, OFFICE)
        traces = [str(link[key]).encode() for link in own for key in ("link", "record")]
        stored = party.files[OFFICE].sha256
        granted(party.first.excludes(ROUND, OFFICE), 202)
        answer = granted(party.second.excludes(ROUND, OFFICE), 200)
        assert answer["state"] == "released"
        gone = {
            link["counterpart"] for link in links_of(party, PEER) if link["band"] == "withdrawn"
        }
        assert gone == {OFFICE}
        refused(party.office(OFFICE).reads_results(ROUND), "forbidden")
        assert f"encodings/{ROUND}/{stored}" not in server.files()
        kept = b"".join(path.read_bytes() for path in server.database_files())
        assert not any(trace in kept for trace in traces)

    def test_who_left_meanwhile_need_not_be_taken_out(self, party: OpenRound) -> None:
        granted(party.first.excludes(ROUND, OFFICE), 202)
        granted(party.office(OFFICE).leaves(ROUND))
        answer = granted(party.second.excludes(ROUND, OFFICE), 200)
        assert answer["requests"] == []
        assert not member(answer, OFFICE)["excluded"]

    @pytest.mark.usefixtures("patient")
    def test_nothing_is_left_of_a_round_that_ended_early(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        granted(party.first.excludes(ROUND, OFFICE), 202)
        granted(party.first.expires(ROUND), 202)
        answer = granted(party.second.expires(ROUND), 200)
        assert answer["state"] == "expired"
        assert answer["history"][-1]["by"] == "luo"
        assert actions(answer)[0] == "round:expire"
        assert actions(answer).count("data:delete") == 5
        for table in ("links", "retracted_links", "uploads", "round_keys", "pending_requests"):
            assert server.rows(table) == []
        assert server.files() == {}
        refused(party.office(PEER).reads_results(ROUND), "wrong-state")
        refused(party.second.expires(ROUND), "wrong-state")

    def test_an_office_sees_what_is_about_it_only(self, party: OpenRound) -> None:
        granted(party.first.excludes(ROUND, OFFICE), 202)
        granted(party.first.expires(ROUND), 202)

        def seen(office: str) -> list[str]:
            answer = granted(party.office(office).reads_round(ROUND))
            return [request["what"] for request in answer["requests"]]

        assert seen(OFFICE) == ["exclude", "expire"]
        assert seen(PEER) == ["expire"]


class TestProjects:
    def test_no_new_round_names_it_and_it_sees_nothing(
        self, server: SimulatedServer, unreleased: OpenRound
    ) -> None:
        project = f"/v1/projects/{PROJECT}"
        granted(unreleased.coordinator.puts_bytes(f"{project}/secrets/1/{OFFICE}", b"sealed"))
        refused(unreleased.first.excludes_from_project(OFFICE), "conflict")
        granted(unreleased.first.excludes(ROUND, OFFICE))
        answer = granted(unreleased.first.excludes_from_project(OFFICE))
        assert member(answer, OFFICE)["excluded_at"]
        assert actions(answer) == ["project:exclude"]
        assert server.rows("sealed_secrets") == []
        refused(unreleased.office(OFFICE).gets(project), "not-found")
        assert granted(unreleased.office(OFFICE).gets("/v1/projects"))["projects"] == []
        refused(unreleased.first.creates_round(round="another"), "invalid")
        others = [m for m in terms()["members"] if m["office"] != OFFICE]
        granted(unreleased.first.creates_round(round="another", members=others))
        refused(
            unreleased.coordinator.puts_bytes(f"{project}/secrets/2/{OFFICE}", b"sealed"),
            "not-found",
        )
        # Again changes nothing.
        again = granted(unreleased.first.excludes_from_project(OFFICE))
        assert member(again, OFFICE) == member(answer, OFFICE)

    def test_a_round_that_is_over_keeps_nobody_in(self, party: OpenRound) -> None:
        refused(party.first.excludes_from_project(OFFICE), "conflict")
        granted(party.first.expires(ROUND), 202)
        granted(party.second.expires(ROUND), 200)
        granted(party.first.excludes_from_project(OFFICE))

    def test_not_its_coordinating_office_and_nobody_else(self, party: OpenRound) -> None:
        refused(party.first.excludes_from_project(COORDINATOR), "invalid")
        refused(party.first.excludes_from_project("somebody-else"), "not-found")
