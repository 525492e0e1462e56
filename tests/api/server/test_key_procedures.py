"""The procedures of ``docs/key-procedures.md``, step by step, and the attacks they are for."""

from pathlib import Path

import pytest

from keys.epochs import rotate_identity
from keys.identity import PrivateIdentity
from keys.linkage_secret import open_linkage_secret, seal_linkage_secret
from tests import factories
from tests.factories import PROJECT, ROUND, SECRET, WRONG_SECRET, children, encoded_file
from tests.simulator import Office, OpenRound, SimulatedServer, granted, refused

OFFICE, PEER, THIRD = factories.ROLES
NEW_SECRET = WRONG_SECRET


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    return server.open_round()


def with_new_keys(office: Office, key: int = 1) -> Office:
    """The same office, on a machine with new keys."""
    return Office(office.server, factories.identity(office.id, key=key))


def keys_of(office: Office) -> PrivateIdentity:
    assert office.identity is not None
    return office.identity


def seals(party: OpenRound, office: Office, epoch: int = 1) -> None:
    """The coordinating office seals the secret to an office's present key; the office opens it."""
    secret = SECRET if epoch == 1 else NEW_SECRET
    coordinator, own = keys_of(party.coordinator), keys_of(office)
    blob = seal_linkage_secret(
        secret, recipient=own.public, sender=coordinator, project=PROJECT, epoch=epoch
    )
    path = f"/v1/projects/{PROJECT}/secrets/{epoch}/{office.id}"
    granted(party.coordinator.puts_bytes(path, blob))
    fetched = granted(office.gets(path)).body
    opened = open_linkage_secret(
        fetched, recipient=own, sender=coordinator.public, project=PROJECT, epoch=epoch
    )
    assert opened == secret


class TestRotation:
    def test_step_by_step(self, server: SimulatedServer, party: OpenRound) -> None:
        office = party.office(OFFICE)
        granted(office.uploads(ROUND, party.files[OFFICE].data))
        new = with_new_keys(office)
        answer = granted(office.rotates_to(new))
        assert [key["ended"] for key in answer["keys"]] == ["rotated", None]
        # The old key is refused from this moment; the new one is the office.
        refused(office.reads_round(ROUND), "bad-signature")
        granted(new.reads_round(ROUND))
        # Nothing is interrupted: what the old key signed and uploaded stays.
        assert granted(new.reads_upload(ROUND))["sha256"] == party.files[OFFICE].sha256
        # Others follow the old key's word.
        shown = granted(party.coordinator.gets(f"/v1/members/{OFFICE}"))
        from keys.epochs import parse_rotation, verify_rotation

        rotation = parse_rotation(shown["keys"][-1]["rotation"])
        verify_rotation(rotation, keys_of(office).public)
        assert rotation.new == keys_of(new).public
        seals(party, new)

    def test_nobody_rotates_another_or_without_the_old_key(self, party: OpenRound) -> None:
        office, peer = party.office(OFFICE), party.office(PEER)
        new = with_new_keys(office)
        rotation = rotate_identity(keys_of(office), keys_of(new)).to_json()
        path = f"/v1/members/{OFFICE}/key"
        json_type = "application/json"
        refused(peer.sends("PUT", path, rotation, content_type=json_type), "forbidden")
        # A rotation that the new key signed itself.
        forged = rotation.replace(
            keys_of(office).public.key_id.encode(), keys_of(new).public.key_id.encode()
        )
        refused(office.sends("PUT", path, forged, content_type=json_type), "invalid")
        refused(office.sends("PUT", path, b"{}", content_type=json_type), "invalid")

    def test_a_key_that_was_replaced_never_comes_back(self, party: OpenRound) -> None:
        office = party.office(OFFICE)
        new = with_new_keys(office)
        granted(office.rotates_to(new))
        refused(new.rotates_to(office), "conflict")
        refused(office.enrols(), "conflict")

    def test_operators_and_auditors_rotate_too(self, party: OpenRound) -> None:
        identity = factories.identity("he", "auditor", key=1)
        rotation = rotate_identity(keys_of(party.auditor), identity)  # type: ignore[arg-type]
        answer = party.auditor.sends(
            "PUT", "/v1/members/he/key", rotation.to_json(), content_type="application/json"
        )
        granted(answer)


class TestALostKey:
    def test_step_by_step(self, server: SimulatedServer, party: OpenRound) -> None:
        office, operator = party.office(OFFICE), party.first
        granted(office.uploads(ROUND, party.files[OFFICE].data))
        new = with_new_keys(office)
        # 1. Revoked: in open rounds, signature and upload are undone.
        granted(operator.revokes(office))
        refused(office.reads_round(ROUND), "bad-signature")
        assert server.rows("uploads") == []
        assert server.files() == {}
        # 2. and 3. The same id, a new key, compared by voice.
        assert granted(new.enrols())["state"] == "pending"
        refused(new.reads_round(ROUND), "bad-signature")
        refused(operator.approves(new, keys_of(office).public.fingerprint), "invalid")
        granted(party.second.approves(new))
        # 4. The secret, sealed to the new key.
        seals(party, new)
        # 5. Signed and uploaded again.
        refused(new.uploads(ROUND, party.files[OFFICE].data), "not-signed")
        granted(new.signs(ROUND))
        granted(new.uploads(ROUND, party.files[OFFICE].data), 201)

    def test_a_stranger_who_enrols_first_is_not_approved_and_not_in_the_way(
        self, party: OpenRound
    ) -> None:
        office, operator = party.office(OFFICE), party.first
        granted(operator.revokes(office))
        stranger, new = with_new_keys(office, key=7), with_new_keys(office, key=1)
        granted(stranger.enrols())
        refused(operator.approves(stranger, keys_of(new).public.fingerprint), "invalid")
        granted(operator.revokes(stranger))
        granted(new.enrols())
        granted(party.second.approves(new))
        granted(new.reads_round(ROUND))
        refused(stranger.reads_round(ROUND), "bad-signature")

    def test_one_operator_alone_does_not_become_an_office(self, party: OpenRound) -> None:
        """Revoked, enrolled under its name, approved: its links would be that operator's."""
        party.is_released()
        office, operator = party.office(OFFICE), party.first
        granted(operator.revokes(office))
        taken = with_new_keys(office, key=7)
        granted(taken.enrols())
        refused(operator.approves(taken), "second-person")
        refused(operator.server.logged_in("chen").posts(
            f"/v1/members/{OFFICE}/approval", {"fingerprint": keys_of(taken).public.fingerprint}
        ), "second-person")  # fmt: skip
        refused(taken.reads_results(ROUND), "bad-signature")
        # Revoking what was enrolled makes nobody else the one who revoked the office.
        granted(operator.revokes(taken))
        new = with_new_keys(office, key=1)
        granted(new.enrols())
        refused(operator.approves(new), "second-person")
        granted(party.second.approves(new))
        granted(new.reads_results(ROUND))

    def test_while_the_key_is_valid_nobody_takes_the_id(self, party: OpenRound) -> None:
        refused(with_new_keys(party.office(OFFICE)).enrols(), "conflict")

    def test_an_operators_key_is_renewed_on_the_server_itself(
        self, server: SimulatedServer
    ) -> None:
        from api.server.services.members import add_member, revoke
        from api.server.services.work import own_caller

        operator, administrator = server.operator("chen"), own_caller("administrator")
        new = factories.identity("chen", "operator", key=1)
        revoke(server.installation, administrator, "chen", "lost")
        assert add_member(server.installation, administrator, new.public)["state"] == "approved"
        refused(operator.gets("/v1/members"), "bad-signature")
        operator.identity = new
        granted(operator.gets("/v1/members"))

    def test_the_coordinating_office_confirms_the_key_again(self, party: OpenRound) -> None:
        granted(party.first.revokes(party.coordinator))
        office = party.office(OFFICE)
        refused(office.uploads(ROUND, party.files[OFFICE].data), "no-confirmation")
        new = with_new_keys(party.coordinator)
        granted(new.enrols())
        granted(party.second.approves(new))
        granted(new.signs(ROUND, secret=SECRET))
        granted(office.uploads(ROUND, party.files[OFFICE].data), 201)

    def test_files_of_two_secrets_never_meet_in_a_round(
        self, server: SimulatedServer, party: OpenRound, tmp_path: Path
    ) -> None:
        """What others uploaded was checked against what the lost key confirmed."""
        office, peer = party.office(OFFICE), party.office(PEER)
        granted(office.uploads(ROUND, party.files[OFFICE].data))
        granted(party.first.revokes(party.coordinator))
        new = with_new_keys(party.coordinator)
        granted(new.enrols())
        granted(party.second.approves(new))
        assert not granted(party.first.reads_round(ROUND))["key_confirmed"]
        (listed,) = granted(party.first.gets("/v1/rounds"))["rounds"]
        assert not listed["key_confirmed"]
        refused(new.signs(ROUND, secret=NEW_SECRET), "conflict")
        refused(peer.uploads(ROUND, party.files[PEER].data), "no-confirmation")
        granted(office.withdraws(ROUND))
        granted(new.signs(ROUND, secret=NEW_SECRET))
        refused(peer.uploads(ROUND, party.files[PEER].data), "wrong-secret")
        fresh = encoded_file(tmp_path / "fresh.tqe", children(45), secret=NEW_SECRET)
        granted(peer.uploads(ROUND, fresh.data), 201)


class TestACompromisedKey:
    def test_step_by_step(self, server: SimulatedServer, party: OpenRound, tmp_path: Path) -> None:
        office, operator, thief = party.office(OFFICE), party.first, party.office(OFFICE)
        server.clock.advance(days=2)
        stolen_at = server.clock()
        server.clock.advance(days=1)
        granted(thief.uploads(ROUND, party.files[OFFICE].data))
        # 1. Revoked, with the time since when: what it did since does not count.
        granted(operator.revokes(office, compromised_since=stolen_at))
        refused(thief.uploads(ROUND, party.files[OFFICE].data), "bad-signature")
        assert server.rows("uploads") == []
        (key,) = granted(operator.gets(f"/v1/members/{OFFICE}"))["keys"]
        assert key["ended"] == "compromised"
        assert key["valid_until"] == stolen_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        # 2. The auditor sees what the key did.
        actions = [e["action"] for e in server.log() if e["actor"] == OFFICE]
        assert "upload:put" in actions
        # 3. Renewed as after a loss.
        new = with_new_keys(office)
        granted(new.enrols())
        granted(party.second.approves(new))
        # 4. A new secret for everybody; the terms name it.
        for one in (new, party.office(PEER), party.office(THIRD)):
            seals(party, one, epoch=2)
        granted(operator.amends(ROUND, secret_epoch=2))
        granted(party.coordinator.signs(ROUND, secret=NEW_SECRET))
        granted(new.signs(ROUND))
        # What was encoded with the old secret is refused before any matching.
        refused(new.uploads(ROUND, party.files[OFFICE].data), "wrong-secret")
        fresh = encoded_file(tmp_path / "fresh.tqe", children(45), secret=NEW_SECRET)
        granted(new.uploads(ROUND, fresh.data), 201)

    def test_a_thief_cannot_rotate_after_the_revocation(self, party: OpenRound) -> None:
        office = party.office(OFFICE)
        granted(party.first.revokes(office))
        refused(office.rotates_to(with_new_keys(office)), "bad-signature")

    @pytest.mark.parametrize("since", ["2026-13-01T00:00:00Z", "yesterday", "2999-01-01T00:00:00Z"])
    def test_a_time_that_is_none_or_still_to_come(self, party: OpenRound, since: str) -> None:
        body = {"reason": "stolen", "compromised_since": since}
        path = f"/v1/members/{OFFICE}/revocation"
        refused(party.first.posts(path, body), "invalid")


class TestTheInstallationKey:
    def test_with_another_one_nothing_is_read_and_nothing_is_lost(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        from dataclasses import replace

        from api.server.services.data_keys import data_key_of
        from keys.errors import AtRestError
        from keys.installation_key import new_installation_key

        party.everybody_uploads()
        other = replace(server.installation, data_key=new_installation_key())
        with pytest.raises(AtRestError):
            data_key_of(other, ROUND)
        for file in party.files.values():
            assert server.plaintext(ROUND, file.sha256) == file.data
