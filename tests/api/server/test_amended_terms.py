"""Terms that change: every signature is needed again, nothing of the old terms counts."""

import pytest

from tests import factories
from tests.factories import COORDINATOR, PROFILE_TEXT, ROLES, ROUND, SECRET
from tests.simulator import OpenRound, SimulatedServer, granted, refused

OFFICE, PEER, THIRD = ROLES


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    return server.open_round()


def signed(party: OpenRound) -> set[str]:
    members = granted(party.first.reads_round(ROUND))["members"]
    return {member["office"] for member in members if member["signed"]}


def test_every_signature_is_needed_again(server: SimulatedServer, party: OpenRound) -> None:
    office, data = party.office(OFFICE), party.files[OFFICE].data
    granted(office.uploads(ROUND, data))
    answer = granted(party.first.amends(ROUND, purpose="Another purpose."))
    assert answer["terms"]["purpose"] == "Another purpose."
    assert (answer["key_confirmed"], signed(party)) == (False, set())
    # What was uploaded under the old terms is gone, and the key that encrypted it.
    assert server.rows("uploads") == []
    assert server.files() == {}
    refused(office.uploads(ROUND, data), "not-signed")
    granted(office.signs(ROUND))
    refused(office.uploads(ROUND, data), "no-confirmation")
    granted(party.coordinator.signs(ROUND, secret=SECRET))
    granted(office.uploads(ROUND, data), 201)


def test_a_signature_of_the_old_terms_is_refused(server: SimulatedServer, party: OpenRound) -> None:
    old = server.terms_of(ROUND)
    granted(party.first.amends(ROUND, retention_days=90))
    refused(party.office(OFFICE).signs(ROUND, terms=old), "conflict")
    refused(party.coordinator.signs(ROUND, terms=old, secret=SECRET), "conflict")
    assert signed(party) == set()


def test_going_back_to_the_old_terms_brings_no_signature_back(party: OpenRound) -> None:
    granted(party.first.amends(ROUND, retention_days=90))
    granted(party.first.amends(ROUND))
    assert signed(party) == set()


def test_the_same_terms_again_change_nothing(server: SimulatedServer, party: OpenRound) -> None:
    party.everybody_uploads()
    before = server.snapshot()
    granted(party.first.amends(ROUND))
    assert server.snapshot() == before


def test_another_profile_is_what_offices_then_get(party: OpenRound) -> None:
    text = PROFILE_TEXT.replace("hashes = 10", "hashes = 11")
    profile = factories.profile(text)
    refused(party.first.amends(ROUND, profile=text), "wrong-profile")
    bound = {"name": profile.name, "sha256": profile.sha256}
    answer = party.first.puts(
        f"/v1/rounds/{ROUND}/terms", {"terms": factories.terms(profile=bound), "profile": text}
    )
    granted(answer)
    fetched = granted(party.office(OFFICE).gets(f"/v1/rounds/{ROUND}/profile"))
    assert factories.profile(fetched.body.decode()).sha256 == profile.sha256
    # A file by the old profile is refused, with the reason.
    granted(party.office(OFFICE).signs(ROUND))
    granted(party.coordinator.signs(ROUND, secret=SECRET))
    refused(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data), "wrong-profile")


def test_offices_that_the_new_terms_leave_out_have_no_part_any_more(party: OpenRound) -> None:
    members = [{"office": office, "role": ROLES[office]} for office in (OFFICE, PEER)]
    granted(party.first.amends(ROUND, members=members))
    refused(party.office(THIRD).signs(ROUND), "not-found")
    members = [{"office": office, "role": role} for office, role in ROLES.items()]
    refused(
        party.first.amends(ROUND, members=[*members, {"office": "nobody", "role": "x"}]), "invalid"
    )


@pytest.mark.parametrize("change", [{"round": "2027-h1"}, {"project": "another"}])
def test_a_round_keeps_its_name(party: OpenRound, change: dict[str, str]) -> None:
    answer = party.first.amends(ROUND, **change)
    assert answer.slug in ("invalid", "not-found")
    refused(answer, answer.slug)


def test_the_new_retention_counts(server: SimulatedServer, party: OpenRound) -> None:
    granted(party.first.amends(ROUND, retention_days=10))
    server.clock.advance(days=11)
    server.worker().run(once=True)
    assert granted(party.first.reads_round(ROUND))["state"] == "cancelled"


def test_not_after_the_freeze(party: OpenRound) -> None:
    party.everybody_uploads()
    granted(party.first.takes_step(ROUND, "freeze"))
    refused(party.first.amends(ROUND, retention_days=90), "wrong-state")


def test_offices_and_auditors_change_no_terms(party: OpenRound) -> None:
    body = {"terms": {}, "profile": ""}
    for asker in (party.office(OFFICE), party.coordinator, party.auditor):
        refused(asker.puts(f"/v1/rounds/{ROUND}/terms", body), "forbidden")
    assert party.coordinator.id == COORDINATOR
