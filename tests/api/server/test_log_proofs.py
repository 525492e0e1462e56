"""What the log proves to offices and auditors, and what witnesses sign."""

import base64
import json
from typing import Any

import pytest

from api.audit.append import read_head
from api.audit.cosignature import WitnessKey, find_cosignatures, witness_name
from api.audit.events import Action
from api.audit.merkle import leaf_hash, verify_consistency
from api.audit.note import VerifierKey, open_checkpoint, parse_note
from api.audit.proof import verify_proof
from api.audit.tiles import parse_bundle
from api.client.terms import parse_terms, terms_sha256
from api.server.models import LOG_TABLES, Project, Round
from api.server.services.work import own_caller
from keys.canonical import canonical_json
from tests.factories import PROFILE_TEXT, PROJECT, ROUND, SECRET
from tests.simulator import OpenRound, Party, SimulatedServer, granted, refused


def log_key(server: SimulatedServer) -> VerifierKey:
    return server.installation.log_key.verifier_key


def witness_key(server: SimulatedServer, party: Party) -> WitnessKey:
    assert party.identity is not None
    name = witness_name(log_key(server).name, party.id)
    return WitnessKey(name, party.identity.public.signing_key)


def test_an_office_sees_all_about_its_data_and_nothing_about_others(
    server: SimulatedServer,
) -> None:
    party = server.open_round()
    party.is_released()
    office, peer = party.office("jinjiang-civil"), party.office("zhongjiang-civil")
    outsider = server.enrolled_office("outside-office")
    granted(office.reads_results(ROUND))
    granted(peer.reads_results(ROUND))
    answer = granted(office.gets("/v1/log/own-entries?limit=1000"))
    entries = [json.loads(text) for text in answer["entries"]]
    assert answer["next"] is None
    actions = [entry["action"] for entry in entries]
    for action in ("member:add", "terms:sign", "upload:put", "results:read", "round:release"):
        assert action in actions
    for entry in entries:
        assert entry["actor"] != peer.id
        assert peer.id not in json.dumps(entry["details"])
    stranger = granted(outsider.gets("/v1/log/own-entries"))
    assert [json.loads(text)["action"] for text in stranger["entries"]] == ["member:add"]


@pytest.mark.parametrize("end", ["review", "cancelled", "expired"])
def test_how_much_alike_registers_are_is_not_told_by_the_way(
    server: SimulatedServer, end: str
) -> None:
    """An office that the terms show no links learns no number of them, before or after."""
    one_way = {"origin-civil-affairs": ["residence-civil-affairs", "education"]}
    party = server.open_round(visibility=one_way)
    party.is_matched()
    if end == "cancelled":
        granted(party.second.takes_step(ROUND, "cancel"))
    elif end == "expired":
        granted(party.second.takes_step(ROUND, "release"))
        server.clock.advance(days=181)
        server.worker().run(once=True)
    for office in (party.office("chengdu-education"), party.coordinator):
        answer = granted(office.gets("/v1/log/own-entries?limit=1000"))
        entries = [json.loads(text) for text in answer["entries"]]
        assert "job:finish" in [entry["action"] for entry in entries]
        assert [entry for entry in entries if "n_links" in entry["details"]] == []


def test_entries_about_ones_data_come_in_pages(server: SimulatedServer) -> None:
    office = server.open_round().office("jinjiang-civil")
    for _ in range(5):
        granted(office.reads_round(ROUND))
    whole = granted(office.gets("/v1/log/own-entries"))["entries"]
    found: list[str] = []
    start: int | None = 0
    while start is not None and len(found) < len(whole):
        page = granted(office.gets(f"/v1/log/own-entries?start={start}&limit=2"))
        found += page["entries"]
        start = page["next"]
    assert found[: len(whole)] == whole


def test_an_office_proves_that_an_entry_about_its_data_is_in_the_log(
    server: SimulatedServer,
) -> None:
    party = server.open_round()
    office, peer = party.office("jinjiang-civil"), party.office("zhongjiang-civil")
    granted(office.uploads(ROUND, party.files[office.id].data))
    (index,) = (entry["index"] for entry in server.log() if entry["action"] == "upload:put")
    proof = granted(office.gets(f"/v1/log/entries/{index}/proof")).body
    proven = verify_proof(proof, log_key(server))
    assert proven.entry.action == "upload:put"
    assert proven.cosignatures == ()
    refused(peer.gets(f"/v1/log/entries/{index}/proof"), "not-found")
    refused(office.gets("/v1/log/entries/9999999999/proof"), "not-found")


def test_a_proof_bears_the_signatures_of_witnesses(server: SimulatedServer) -> None:
    party = server.open_round()
    office, he = party.office("jinjiang-civil"), party.auditor
    granted(office.reads_round(ROUND))
    index = server.log_size() - 1
    checkpoint = granted(office.gets("/v1/log/checkpoint")).body
    granted(he.cosigns(checkpoint), 201)
    granted(he.cosigns(checkpoint), 200)
    granted(party.offices[1].cosigns(checkpoint), 201)
    proof = granted(office.gets(f"/v1/log/entries/{index}/proof")).body
    keys = [witness_key(server, he), witness_key(server, party.offices[1])]
    proven = verify_proof(proof, log_key(server), keys)
    assert {one.witness for one in proven.cosignatures} == set(keys)


def test_cosigned_checkpoints_are_handed_out(server: SimulatedServer) -> None:
    party = server.open_round()
    he = party.auditor
    first = granted(he.reads_checkpoint()).body
    granted(he.cosigns(first))
    second = granted(he.reads_checkpoint()).body
    granted(he.cosigns(second))
    key = witness_key(server, he)
    notes = granted(party.offices[0].gets("/v1/log/cosignatures"))["checkpoints"]
    assert len(notes) == 2
    sizes = []
    for note in notes:
        sizes.append(open_checkpoint(note.encode(), log_key(server)).size)
        (found,) = find_cosignatures(parse_note(note.encode()), [key])
        assert found.time > 0
    later = granted(he.gets(f"/v1/log/cosignatures?after={sizes[0]}"))["checkpoints"]
    assert later == notes[1:]


def test_what_is_no_cosignature_is_not_kept(server: SimulatedServer) -> None:
    party = server.open_round()
    he, office = party.auditor, party.offices[0]
    checkpoint = granted(he.reads_checkpoint()).body
    refused(he.cosigns(checkpoint, name="someone-else"), "invalid")
    other = checkpoint.replace(b"\n", b"x\n", 1)
    refused(he.cosigns(other), "invalid")
    refused(he.posts("/v1/log/cosignatures", {"size": 1, "line": "none"}), "invalid")
    assert server.rows("log_cosignatures") == []
    granted(office.cosigns(checkpoint))
    refused(party.first.cosigns(checkpoint), "forbidden")


def test_two_checkpoints_are_compared_by_a_proof(server: SimulatedServer) -> None:
    party = server.open_round()
    office = party.offices[0]
    key = log_key(server)
    old = open_checkpoint(granted(office.gets("/v1/log/checkpoint")).body, key)
    granted(office.reads_round(ROUND))
    new = open_checkpoint(granted(office.gets("/v1/log/checkpoint")).body, key)
    answer = granted(office.gets(f"/v1/log/consistency/{old.size}/{new.size}"))
    proof = [base64.b64decode(text) for text in answer["proof"]]
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    refused(office.gets(f"/v1/log/consistency/{new.size}/{old.size}"), "not-found")
    refused(office.gets("/v1/log/consistency/1/9999999"), "not-found")


def test_tiles_hold_what_entries_hold(server: SimulatedServer) -> None:
    he = server.auditor()
    server.open_round()
    bundle = granted(he.gets("/v1/log/tile/entries/000.p/5"))
    assert bundle.headers["Content-Type"] == "application/octet-stream"
    lines = parse_bundle(bundle.body)
    assert [json.loads(line)["index"] for line in lines] == [0, 1, 2, 3, 4]
    hashes = granted(he.gets("/v1/log/tile/0/000.p/5")).body
    assert hashes == b"".join(leaf_hash(line) for line in lines)


@pytest.mark.parametrize("name", ["0/000", "0/0", "entries/001", "1/000.p/1", "../0/000.p/1", "9"])
def test_tiles_that_are_none(server: SimulatedServer, name: str) -> None:
    answer = server.auditor().gets(f"/v1/log/tile/{name}")
    assert answer.slug == "not-found"


def test_the_head_is_the_root_of_the_tiles(server: SimulatedServer) -> None:
    from api.audit.stored_tiles import StoredTiles
    from api.audit.tiles import TileTree

    server.open_round()
    with server.installation.database.reading() as session:
        head = read_head(session, LOG_TABLES)
        tree = TileTree(StoredTiles(session, LOG_TABLES), head.size)
        assert tree.root() == head.root


def test_terms_may_ask_for_witnesses_before_a_release(server: SimulatedServer) -> None:
    party = server.open_round(min_witnesses=2)
    early = granted(party.auditor.reads_checkpoint()).body
    granted(party.auditor.cosigns(early))
    party.is_matched()
    answer = refused(party.second.takes_step(ROUND, "release"), "not-witnessed")
    assert "0 have signed" in answer["detail"]
    granted(party.auditor.cosigns())
    granted(party.auditor.cosigns())
    answer = refused(party.second.takes_step(ROUND, "release"), "not-witnessed")
    assert "1 have signed" in answer["detail"]
    granted(party.offices[0].cosigns())
    refused(party.first.takes_step(ROUND, "release"), "second-person")
    granted(party.second.takes_step(ROUND, "release"))


def test_offices_that_an_operator_made_up_are_no_witnesses(server: SimulatedServer) -> None:
    """One operator approves whom it likes; whom the terms name, every office has signed."""
    party = server.open_round(min_witnesses=1)
    party.is_matched()
    puppet = server.office("made-up-office")
    granted(puppet.enrols())
    granted(party.first.approves(puppet))
    granted(puppet.cosigns())
    answer = refused(party.second.takes_step(ROUND, "release"), "not-witnessed")
    assert "0 have signed" in answer["detail"]
    # Nor does a signature count by a key that was revoked since.
    granted(party.offices[0].cosigns())
    granted(party.first.revokes(party.offices[0]))
    refused(party.second.takes_step(ROUND, "release"), "not-witnessed")
    granted(party.coordinator.cosigns())
    granted(party.second.takes_step(ROUND, "release"))


def asks_for_witnesses(server: SimulatedServer, n_members: int) -> None:
    with server.installation.work(own_caller("server")) as work:
        work.session.get_one(Project, PROJECT).min_witnesses = n_members
        work.record(Action.SERVER_START)


def test_what_was_signed_is_obeyed_and_not_what_the_project_says_later(
    server: SimulatedServer,
) -> None:
    party = server.open_round(min_witnesses=1)
    party.is_matched()
    asks_for_witnesses(server, 0)
    refused(party.second.takes_step(ROUND, "release"), "not-witnessed")
    asks_for_witnesses(server, 5)
    granted(party.auditor.cosigns())
    granted(party.second.takes_step(ROUND, "release"))


def test_terms_ask_for_no_fewer_witnesses_than_the_project(server: SimulatedServer) -> None:
    party = server.open_round()
    asks_for_witnesses(server, 2)
    answer = refused(party.first.creates_round(round="second"), "invalid")
    assert "2 witnesses" in answer["detail"]
    refused(party.first.amends(ROUND, min_witnesses=1), "invalid")
    granted(party.first.amends(ROUND, min_witnesses=3))


def old_terms(party: OpenRound) -> dict[str, Any]:
    terms = dict(party.first.server.terms_of(ROUND)) | {"format": "tongqiao-terms-v1"}
    del terms["min_witnesses"]
    return terms


def test_terms_of_older_rounds_stay_as_they_were_signed(server: SimulatedServer) -> None:
    """A round from before terms spoke of witnesses: the project's word holds, as it did."""
    party = server.open_round()
    old = old_terms(party)
    body = {"terms": old, "profile": PROFILE_TEXT}
    refused(party.first.puts(f"/v1/rounds/{ROUND}/terms", body), "invalid")
    refused(party.first.posts("/v1/rounds", body | {"terms": old | {"round": "new"}}), "invalid")
    sha256 = terms_sha256(old)
    with server.installation.work(own_caller("server")) as work:
        entry = work.session.get_one(Round, ROUND)
        entry.terms, entry.terms_sha256 = canonical_json(old).decode(), sha256
        work.record(Action.SERVER_START)
    assert parse_terms(granted(party.offices[0].reads_round(ROUND))["terms"]).min_witnesses is None
    # The same again changes nothing, and is no new round.
    granted(party.first.posts("/v1/rounds", body), 200)
    granted(party.coordinator.signs(ROUND, secret=SECRET))
    for office in party.offices:
        granted(office.signs(ROUND))
    asks_for_witnesses(server, 1)
    party.is_matched()
    refused(party.second.takes_step(ROUND, "release"), "not-witnessed")
    granted(party.auditor.cosigns())
    granted(party.second.takes_step(ROUND, "release"))


def test_a_project_says_how_many_witnesses_it_asks_for(server: SimulatedServer) -> None:
    party = server.draft_round()
    known = granted(party.first.gets(f"/v1/projects/{PROJECT}"))
    assert known["min_witnesses"] == 0
    refused(party.first.creates_project(min_witnesses=1), "conflict")
    granted(party.first.creates_project(id="second", min_witnesses=1), 201)
    refused(party.first.creates_project(id="third", min_witnesses=-1), "invalid")


def test_marking_a_finding_is_an_entry_and_nothing_else(server: SimulatedServer) -> None:
    he = server.auditor()
    answer = granted(he.marks_finding("ab" * 16, verdict="reported"), 201)
    (entry,) = answer.entries
    assert entry["action"] == "finding:mark"
    assert entry["details"] == {
        "entry": 0, "finding": "ab" * 16, "kind": "night", "verdict": "reported",
    }  # fmt: skip
    refused(he.marks_finding("ab" * 16, entry=9_999_999), "not-found")
    refused(he.marks_finding("ab" * 16, verdict="a free text"), "invalid")
