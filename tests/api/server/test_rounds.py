"""Rounds: terms that are accepted, signatures, and the operators' steps."""

import base64
import hashlib
from typing import Any

import pytest

from keys import labels
from keys.canonical import canonical_json
from keys.signing import sign_document, verify_document
from tests import factories
from tests.factories import COORDINATOR, PROFILE_TEXT, ROLES, ROUND, SECRET, WRONG_SECRET, terms
from tests.simulator import OpenRound, SimulatedServer, granted, refused

OFFICE, PEER, THIRD = ROLES


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    return server.draft_round()


class TestTerms:
    def test_are_given_out_as_they_came_in(self, party: OpenRound) -> None:
        answer = granted(party.office(OFFICE).reads_round(ROUND))
        assert answer["terms"] == terms()
        assert answer["terms_sha256"] == hashlib.sha256(canonical_json(terms())).hexdigest()
        assert granted(party.office(OFFICE).gets(f"/v1/rounds/{ROUND}/profile")).body == (
            PROFILE_TEXT.encode()
        )

    def test_the_same_again(self, party: OpenRound) -> None:
        granted(party.first.creates_round(), 200)

    def test_others_under_the_same_name(self, party: OpenRound) -> None:
        refused(party.first.creates_round(retention_days=181), "conflict")

    def test_threshold_and_visibility(self, party: OpenRound) -> None:
        pair = [["education", "origin-civil-affairs"]]
        answer = granted(
            party.first.creates_round(round="second", threshold=0.85, visibility=pair), 201
        )
        assert answer["terms"]["threshold"] == 0.85
        assert answer["terms"]["visibility"] == pair

    @pytest.mark.parametrize(
        "changes",
        [
            {"format": "tongqiao-terms-v1"},
            {"format": "tongqiao-terms-v3"},
            {"extra": 1},
            {"round": "Second"},
            {"round": "second/round"},
            {"round": "13812345678"},
            {"purpose": ""},
            {"purpose": "hidden \u202e text"},
            {"purpose": "\ud800"},
            {"coordinating_office": "jinjiang-civil"},
            {"secret_epoch": 0},
            {"secret_epoch": "1"},
            {"secret_epoch": True},
            {"secret_epoch": 1.0},
            {"members": []},
            {"members": [{"office": OFFICE, "role": ROLES[OFFICE]}]},
            {"members": [{"office": OFFICE, "role": ROLES[OFFICE]}] * 2},
            {"members": [{"office": OFFICE, "role": ROLES[OFFICE]}, {"office": PEER}]},
            {
                "members": [
                    {"office": OFFICE, "role": ROLES[OFFICE]},
                    {"office": PEER, "role": "education"},
                ]
            },
            {
                "members": [
                    {"office": OFFICE, "role": ROLES[OFFICE]},
                    {"office": "outside-office", "role": "education"},
                ]
            },
            {"profile": {"name": "test-latin"}},
            {"profile": {"name": "test-latin", "sha256": "XYZ"}},
            {"visibility": "some"},
            {"visibility": []},
            {"visibility": [["education"]]},
            {"visibility": [["education", "nobody"]]},
            {"visibility": {}},
            {"visibility": {"education": []}},
            {"visibility": {"education": "education"}},
            {"visibility": {"education": ["nobody"]}},
            {"visibility": {"nobody": ["education"]}},
            {"visibility": {"education": [["education"]]}},
            {"visibility": {"education": ["education", "education"]}},
            {"solve": "all"},
            {"threshold": 0},
            {"threshold": 1},
            {"threshold": "0.9"},
            {"threshold": True},
            {"retention_days": 0},
            {"retention_days": 100_000},
            {"max_records": 0},
            {"max_records": 10**9},
            {"max_records": 10**30},
        ],
        ids=lambda changes: f"{next(iter(changes))}",
    )
    def test_that_are_wrong(
        self, server: SimulatedServer, party: OpenRound, changes: dict[str, Any]
    ) -> None:
        server.enrolled_office("outside-office")
        refused(party.first.creates_round(**{"round": "second", **changes}), "invalid")

    @pytest.mark.parametrize("field", sorted(terms()))
    def test_that_lack_something(self, party: OpenRound, field: str) -> None:
        wanting = terms(round="second")
        del wanting[field]
        answer = party.first.posts("/v1/rounds", {"terms": wanting, "profile": PROFILE_TEXT})
        assert field in str(refused(answer, "invalid")["errors"])

    def test_of_a_project_that_is_not_there(self, party: OpenRound) -> None:
        refused(party.first.creates_round(round="second", project="unknown"), "not-found")

    def test_that_bind_another_profile(self, party: OpenRound) -> None:
        other = PROFILE_TEXT.replace("hashes = 10", "hashes = 11")
        refused(party.first.creates_round(round="second", profile=other), "wrong-profile")

    @pytest.mark.parametrize("changes", [{"cleaning": "cn-9"}, {"profile": "name"}])
    def test_that_call_the_profile_otherwise(
        self, party: OpenRound, changes: dict[str, Any]
    ) -> None:
        if "profile" in changes:
            changes = {"profile": {"name": "other", "sha256": factories.profile().sha256}}
        document = terms(round="second", **changes)
        answer = party.first.posts("/v1/rounds", {"terms": document, "profile": PROFILE_TEXT})
        refused(answer, "wrong-profile")

    def test_with_a_profile_that_is_none(self, party: OpenRound) -> None:
        refused(party.first.creates_round(round="second", profile="name = 1"), "invalid")

    def test_of_a_member_that_was_revoked(self, party: OpenRound) -> None:
        granted(party.first.revokes(party.office(THIRD)))
        refused(party.first.creates_round(round="second"), "invalid")


class TestSigning:
    @pytest.fixture(autouse=True)
    def opened(self, party: OpenRound) -> None:
        granted(party.first.takes_step(ROUND, "open"))

    def test_is_kept_so_that_anyone_can_verify_it(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        office = party.office(OFFICE)
        granted(office.signs(ROUND), 201)
        granted(office.signs(ROUND), 200)
        (row,) = server.rows("signatures")
        assert office.identity is not None
        verify_document(
            office.identity.public.signing_key,
            labels.TERMS,
            canonical_json(terms()),
            base64.b64decode(row["signature"]),
        )
        members = granted(office.reads_round(ROUND))["members"]
        assert {m["office"]: m["signed"] for m in members} == {
            OFFICE: True,
            PEER: False,
            THIRD: False,
        }

    def test_other_terms(self, party: OpenRound) -> None:
        refused(party.office(OFFICE).signs(ROUND, terms=terms(retention_days=1)), "conflict")

    def test_by_another_key(self, party: OpenRound) -> None:
        other = party.office(PEER).identity
        refused(party.office(OFFICE).signs(ROUND, signer=other), "invalid")

    def test_something_else_with_the_right_hash(self, party: OpenRound) -> None:
        office = party.office(OFFICE)
        assert office.identity is not None
        data = canonical_json(terms())
        for label, document in ((labels.SEALED, data), (labels.TERMS, data + b" ")):
            signature = sign_document(office.identity.signing_private, label, document)
            body = {
                "terms_sha256": hashlib.sha256(data).hexdigest(),
                "signature": base64.b64encode(signature).decode(),
            }
            refused(office.puts(f"/v1/rounds/{ROUND}/signatures/{OFFICE}", body), "invalid")

    def test_for_another_office(self, party: OpenRound) -> None:
        refused(party.office(PEER).signs(ROUND, office=OFFICE), "forbidden")

    def test_by_an_office_without_a_part(self, server: SimulatedServer) -> None:
        refused(server.enrolled_office("outside-office").signs(ROUND), "not-found")

    def test_the_coordinating_office_confirms_the_key(self, party: OpenRound) -> None:
        refused(party.coordinator.signs(ROUND), "invalid")
        assert not granted(party.first.reads_round(ROUND))["key_confirmed"]
        granted(party.coordinator.signs(ROUND, secret=SECRET))
        assert granted(party.first.reads_round(ROUND))["key_confirmed"]

    def test_nobody_else_does(self, party: OpenRound) -> None:
        refused(party.office(OFFICE).signs(ROUND, secret=SECRET), "invalid")

    def test_a_wrong_confirmation_can_be_put_right_before_uploads(self, party: OpenRound) -> None:
        office = party.office(OFFICE)
        granted(party.coordinator.signs(ROUND, secret=WRONG_SECRET))
        granted(office.signs(ROUND))
        refused(office.uploads(ROUND, party.files[OFFICE].data), "wrong-secret")
        granted(party.coordinator.signs(ROUND, secret=SECRET))
        granted(office.uploads(ROUND, party.files[OFFICE].data))
        refused(party.coordinator.signs(ROUND, secret=WRONG_SECRET), "conflict")

    def test_before_and_after_it_is_open(self, party: OpenRound) -> None:
        granted(party.first.creates_round(round="second"))
        refused(party.office(OFFICE).signs("second"), "wrong-state")
        granted(party.first.takes_step(ROUND, "cancel"))
        refused(party.office(OFFICE).signs(ROUND), "wrong-state")


class TestSteps:
    def test_no_step_before_its_time(self, party: OpenRound) -> None:
        for action in ("freeze", "run", "release"):
            refused(party.first.takes_step(ROUND, action), "wrong-state")
        granted(party.first.takes_step(ROUND, "open"))
        for action in ("open", "run", "release"):
            refused(party.first.takes_step(ROUND, action), "wrong-state")

    def test_a_refused_step_is_logged_by_its_name(self, party: OpenRound) -> None:
        (entry,) = refused(party.first.takes_step(ROUND, "release"), "wrong-state").entries
        assert (entry["action"], entry["round"]) == ("round:release", ROUND)

    @pytest.mark.parametrize("action", ["finish", "fail", "expire", "lapse", "", "OPEN"])
    def test_the_workers_steps_are_not_for_asking(self, party: OpenRound, action: str) -> None:
        refused(party.first.takes_step(ROUND, action), "invalid")

    def test_a_round_with_one_file_is_not_frozen(self, server: SimulatedServer) -> None:
        party = server.open_round()
        granted(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data))
        refused(party.first.takes_step(ROUND, "freeze"), "wrong-state")

    def test_run_before_the_freeze(self, server: SimulatedServer) -> None:
        party = server.open_round()
        party.everybody_uploads()
        refused(party.first.takes_step(ROUND, "run"), "wrong-state")
        assert not server.worker().work_once()

    def test_release_by_who_ran_it(self, server: SimulatedServer) -> None:
        party = server.open_round()
        party.is_matched()
        refused(party.first.takes_step(ROUND, "release"), "second-person")
        refused(party.office(OFFICE).reads_results(ROUND), "wrong-state")
        granted(party.second.takes_step(ROUND, "release"))

    def test_history_says_who_did_what_when(self, server: SimulatedServer) -> None:
        party = server.open_round()
        party.is_released()
        history = granted(party.auditor.reads_round(ROUND))["history"]
        assert [(change["state"], change["by"]) for change in history] == [
            ("draft", "chen"),
            ("open", "chen"),
            ("frozen", "chen"),
            ("matching", "chen"),
            ("review", "worker"),
            ("released", "luo"),
        ]

    @pytest.mark.parametrize("state", ["draft", "open", "frozen", "matching", "review"])
    def test_cancel_deletes_everything(self, server: SimulatedServer, state: str) -> None:
        party = server.draft_round() if state == "draft" else server.open_round()
        if state == "review":
            party.is_matched()
        elif state != "draft":
            party.everybody_uploads()
            for action in {"open": [], "frozen": ["freeze"], "matching": ["freeze", "run"]}[state]:
                granted(party.first.takes_step(ROUND, action))
        files = {row["office_id"]: row["sha256"] for row in server.rows("uploads")}
        answer = granted(party.second.takes_step(ROUND, "cancel"))
        assert answer["state"] == "cancelled"
        assert server.files() == {}
        assert not (server.directory / "encodings" / ROUND).exists()
        assert server.rows("uploads") == server.rows("links") == []
        deleted = [e["details"] for e in answer.entries if e["action"] == "data:delete"]
        assert {d["office"]: d["sha256"] for d in deleted if "office" in d} == files
        assert len([d for d in deleted if "links" in d]) == (state == "review")
        refused(party.second.takes_step(ROUND, "open"), "wrong-state")
        assert not server.worker().work_once()

    def test_a_released_round_is_not_cancelled(self, server: SimulatedServer) -> None:
        party = server.open_round()
        party.is_released()
        refused(party.second.takes_step(ROUND, "cancel"), "wrong-state")


class TestReading:
    def test_an_office_sees_the_number_of_its_own_records_only(
        self, server: SimulatedServer
    ) -> None:
        party = server.open_round()
        party.everybody_uploads()

        def seen(by: Any) -> dict[str, Any]:
            members = granted(by.reads_round(ROUND))["members"]
            assert all(member["uploaded"] for member in members)
            return {member["office"]: member["n_records"] for member in members}

        assert seen(party.office(OFFICE)) == {OFFICE: 45, PEER: None, THIRD: None}
        assert seen(party.coordinator) == {OFFICE: None, PEER: None, THIRD: None}
        assert seen(party.first) == seen(party.auditor) == {OFFICE: 45, PEER: 45, THIRD: 20}

    def test_lists_hold_what_one_may_know_of(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        outside = server.enrolled_office("outside-office")
        for asker, n_known in ((party.office(OFFICE), 1), (party.first, 1), (outside, 0)):
            assert len(granted(asker.gets("/v1/rounds"))["rounds"]) == n_known
            assert len(granted(asker.gets("/v1/projects"))["projects"]) == n_known
        assert granted(party.coordinator.gets("/v1/rounds"))["rounds"][0]["id"] == ROUND
        assert granted(party.coordinator.gets("/v1/projects"))["projects"][0]["id"]

    def test_a_list_says_how_far_the_asking_office_is(self, server: SimulatedServer) -> None:
        party = server.open_round()

        def own(by: Any) -> Any:
            return granted(by.gets("/v1/rounds"))["rounds"][0]["own"]

        before = own(party.office(OFFICE))
        assert before["uploaded"] is False
        party.everybody_uploads()
        assert own(party.office(OFFICE)) == {"signed": True, "uploaded": True, "withdrawn": False}
        assert own(party.coordinator) is None
        assert own(party.first) is None
        listed = granted(party.office(OFFICE).gets("/v1/rounds"))["rounds"][0]
        shown = granted(party.office(OFFICE).reads_round(ROUND))
        assert listed["key_confirmed"] == shown["key_confirmed"]
        assert listed["coordinating_office"] == shown["terms"]["coordinating_office"]

    def test_review_before_there_is_one(self, party: OpenRound) -> None:
        refused(party.first.reads_review(ROUND), "wrong-state")

    def test_the_coordinating_office_has_no_results(self, server: SimulatedServer) -> None:
        party = server.open_round()
        party.is_released()
        refused(party.coordinator.reads_results(ROUND), "forbidden")
        assert party.coordinator.id == COORDINATOR
