"""The access log of a server: nothing happens without an entry, and it can be verified."""

import base64
import json

import pytest

from api.audit.merkle import CompactRange, leaf_hash
from api.audit.note import VerifierKey, parse_checkpoint, parse_note, verify_note
from api.server.services.work import UnloggedWorkError, own_caller
from tests.factories import ROUND
from tests.simulator import SimulatedServer, granted, refused

EVERYTHING = {
    "checkpoint:read", "data:delete", "data:key", "job:finish", "job:start", "log:read",
    "member:add", "member:approve", "member:enrol", "member:list", "member:read", "member:revoke",
    "profile:read", "project:create", "project:list", "project:read", "results:read",
    "review:read", "round:cancel", "round:create", "round:freeze", "round:list", "round:open",
    "round:read", "round:release", "round:review", "round:run", "secret:get", "secret:put",
    "server:init", "terms:sign", "upload:put", "upload:read", "upload:withdraw", "worker:start",
    "worker:stop", "round:expire", "log:prove", "finding:mark", "tile:read", "checkpoint:cosign",
}  # fmt: skip


def test_a_transaction_without_an_entry_is_rolled_back(server: SimulatedServer) -> None:
    from api.server.models import Nonce

    installation = server.installation
    with pytest.raises(UnloggedWorkError), installation.work(own_caller("server")) as work:
        work.session.add(Nonce(key_id="0" * 32, nonce="0" * 32, expires_at=work.now))
    assert server.rows("nonces") == []


def test_who_did_what_where_from(server: SimulatedServer) -> None:
    party = server.open_round()
    office = party.office("jinjiang-civil")
    answer = granted(office.uploads(ROUND, party.files[office.id].data))
    (entry,) = answer.entries
    assert entry["actor"] == office.id
    assert entry["role"] == "office"
    assert entry["project"] == "sichuan-children"
    assert entry["round"] == ROUND
    assert entry["origin"] == "127.0.0.1"
    assert entry["request"] == answer.headers["X-Request-Id"]
    assert entry["details"]["n_records"] == 45


def test_every_kind_of_thing_that_happens_has_its_entry(server: SimulatedServer) -> None:
    party = server.open_round()
    office, peer = party.offices[0], party.offices[1]
    new = server.office("new-office")
    granted(new.enrols())
    granted(party.first.approves(new))
    granted(party.first.revokes(new))
    for path in ("members", f"members/{office.id}", "projects", "projects/sichuan-children"):
        granted(office.gets(f"/v1/{path}"))
    for path in ("rounds", f"rounds/{ROUND}", f"rounds/{ROUND}/profile"):
        granted(office.gets(f"/v1/{path}"))
    secret = f"/v1/projects/sichuan-children/secrets/1/{office.id}"
    granted(party.coordinator.puts_bytes(secret, b"sealed"))
    granted(office.gets(secret))
    granted(office.uploads(ROUND, party.files[office.id].data))
    granted(office.reads_upload(ROUND))
    granted(office.withdraws(ROUND))
    party.everybody_uploads()
    for action in ("freeze", "run"):
        granted(party.first.takes_step(ROUND, action))
    server.worker().run(once=True)
    granted(party.second.reads_review(ROUND))
    granted(party.second.takes_step(ROUND, "release"))
    granted(peer.reads_results(ROUND))
    granted(party.first.creates_round(round="second"))
    granted(party.first.takes_step("second", "cancel"))
    server.clock.advance(days=181)
    server.worker().run(once=True)
    granted(party.auditor.reads_checkpoint())
    granted(party.auditor.reads_log())
    for path in ("entries/0/proof", "tile/0/000.p/9"):
        granted(party.auditor.gets(f"/v1/log/{path}"))
    granted(party.auditor.cosigns())
    granted(party.auditor.marks_finding("0" * 32))
    assert {entry["action"] for entry in server.log()} == EVERYTHING


def test_entries_hold_no_contents(server: SimulatedServer) -> None:
    party = server.open_round()
    party.is_released()
    granted(party.offices[0].reads_results(ROUND))
    text = json.dumps(server.log())
    for row in server.rows("links"):
        assert row["record_a"] not in text
        assert row["link_a"] not in text
    assert "example 0" not in text


def test_an_auditor_fetches_everything_page_by_page(server: SimulatedServer) -> None:
    he = server.auditor()
    server.open_round()
    found: list[str] = []
    page = granted(he.reads_log(0, 7))
    while page["entries"]:
        found += page["entries"]
        page = granted(he.reads_log(len(found), 7))
        if len(found) > 200:
            break
    assert [json.loads(text)["index"] for text in found] == list(range(len(found)))
    assert page["size"] >= len(found)


@pytest.mark.parametrize("query", ["?start=-1", "?start=x", "?limit=0", "?start=99999999999"])
def test_a_page_that_is_none(server: SimulatedServer, query: str) -> None:
    refused(server.auditor().gets(f"/v1/log/entries{query}"), "invalid")


def test_a_checkpoint_fits_the_entries_and_the_key(server: SimulatedServer) -> None:
    he = server.auditor()
    note = parse_note(granted(he.reads_checkpoint()).body)
    server_says = server.stranger().gets("/v1/server").json
    key = VerifierKey(server_says["log_origin"], base64.b64decode(server_says["log_key"]))
    verify_note(note, key)
    checkpoint = parse_checkpoint(note.text)
    entries = granted(he.reads_log(0, 1000))["entries"]
    assert json.loads(entries[checkpoint.size - 1])["action"] == "checkpoint:read"
    tree = CompactRange()
    for text in entries[: checkpoint.size]:
        tree.append(leaf_hash(text.encode()))
    assert tree.root() == checkpoint.root


def test_refusals_of_nobody_are_logged_without_a_name(server: SimulatedServer) -> None:
    (entry,) = refused(server.stranger().gets("/v1/members"), "unsigned").entries
    assert (entry["actor"], entry["role"], entry["action"]) == (None, None, "member:list")


def test_an_id_that_could_be_a_persons_number_is_not_logged(server: SimulatedServer) -> None:
    he = server.auditor()
    for path in ("/v1/members/13812345678", "/v1/rounds/110101201501010000"):
        (entry,) = refused(he.gets(path), "not-found").entries
        assert "13812345678" not in json.dumps(entry)
        assert "110101201501010000" not in json.dumps(entry)


def test_addresses_that_do_not_exist_do_not_fill_the_log(server: SimulatedServer) -> None:
    size = server.log_size()
    for path in ("/", "/admin", "/v1", "/v1/nothing", "/v1/members/a/b"):
        assert server.stranger().gets(path).status == 404
    assert server.log_size() == size
