"""Uploads: what is refused, why, and that nothing is lost by it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.server.refusals import RefusalError
from api.server.services.encodings import EncodingStorage
from api.server.services.inspection import Inspection
from api.server.services.uploads import receive_upload
from api.server.services.work import Caller
from keys.at_rest import is_encrypted
from linkage.types import Evidence, GroupLayout, ViewLayout
from tests import factories
from tests.factories import PROFILE_TEXT, ROUND, SECRET, WRONG_SECRET, children, encoded_file
from tests.simulator import Office, OpenRound, SimulatedServer, granted, refused, simulated_server

OFFICE, PEER = "jinjiang-civil", "zhongjiang-civil"


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    return server.open_round()


def stored(server: SimulatedServer) -> set[str]:
    return {row["sha256"] for row in server.rows("uploads")}


def test_an_upload_is_kept_as_it_came(server: SimulatedServer, party: OpenRound) -> None:
    file = party.files[OFFICE]
    answer = granted(party.office(OFFICE).uploads(ROUND, file.data), 201)
    assert answer.json == {
        "sha256": file.sha256,
        "n_records": 45,
        "n_bytes": len(file.data),
        "received_at": answer["received_at"],
    }
    assert set(server.files()) == {f"encodings/{ROUND}/{file.sha256}"}
    assert server.plaintext(ROUND, file.sha256) == file.data
    assert granted(party.office(OFFICE).reads_upload(ROUND)).json == answer.json
    (entry,) = answer.entries
    assert entry["action"] == "upload:put"
    assert entry["details"]["sha256"] == file.sha256


def test_the_same_upload_again_changes_nothing(server: SimulatedServer, party: OpenRound) -> None:
    office, data = party.office(OFFICE), party.files[OFFICE].data
    granted(office.uploads(ROUND, data), 201)
    granted(office.uploads(ROUND, data), 200)
    assert len(server.files()) == 1


def test_a_later_upload_replaces_the_earlier(
    server: SimulatedServer, party: OpenRound, tmp_path: Path
) -> None:
    office = party.office(OFFICE)
    granted(office.uploads(ROUND, party.files[OFFICE].data), 201)
    later = encoded_file(tmp_path / "later.tqe", children(10))
    answer = granted(office.uploads(ROUND, later.data), 200)
    assert set(server.files()) == {f"encodings/{ROUND}/{later.sha256}"}
    assert server.plaintext(ROUND, later.sha256) == later.data
    assert answer.entries[0]["details"]["replaced"] == party.files[OFFICE].sha256


def test_a_withdrawn_upload_is_gone(server: SimulatedServer, party: OpenRound) -> None:
    office = party.office(OFFICE)
    granted(office.uploads(ROUND, party.files[OFFICE].data))
    granted(office.withdraws(ROUND))
    assert server.files() == {}
    assert stored(server) == set()
    refused(office.reads_upload(ROUND), "not-found")
    refused(office.withdraws(ROUND), "not-found")
    granted(office.uploads(ROUND, party.files[OFFICE].data), 201)


class TestRefused:
    """Each leaves the earlier upload of the office as it was."""

    @pytest.fixture(autouse=True)
    def earlier(self, server: SimulatedServer, party: OpenRound) -> None:
        granted(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data))

    def test_another_secret(self, party: OpenRound, tmp_path: Path) -> None:
        wrong = encoded_file(tmp_path / "wrong.tqe", children(9), secret=WRONG_SECRET)
        answer = refused(party.office(OFFICE).uploads(ROUND, wrong.data), "wrong-secret")
        assert "fingerprint" in answer["detail"]

    def test_another_round(self, party: OpenRound, tmp_path: Path) -> None:
        wrong = encoded_file(tmp_path / "w.tqe", children(9), context="sichuan-children/2026-h1")
        refused(party.office(OFFICE).uploads(ROUND, wrong.data), "wrong-profile")

    def test_another_profile(self, party: OpenRound, tmp_path: Path) -> None:
        text = PROFILE_TEXT.replace("hashes = 10", "hashes = 11")
        wrong = encoded_file(tmp_path / "wrong.tqe", children(9), profile_text=text)
        refused(party.office(OFFICE).uploads(ROUND, wrong.data), "wrong-profile")

    @pytest.mark.parametrize(
        "manifest",
        [
            {"cleaning_version": "latin-2"},
            {"profile_sha256": "0" * 64},
            {"diffusion": 0},
            {"evidence": Evidence(household=("birth",), twins=())},
        ],
        ids=lambda manifest: str(next(iter(manifest))),
    )
    def test_a_manifest_by_other_rules(
        self, party: OpenRound, tmp_path: Path, manifest: dict[str, Any]
    ) -> None:
        wrong = encoded_file(tmp_path / "wrong.tqe", children(9), manifest=manifest)
        refused(party.office(OFFICE).uploads(ROUND, wrong.data), "wrong-profile")

    def test_a_file_that_claims_a_profile_whose_views_it_has_not(
        self, party: OpenRound, tmp_path: Path
    ) -> None:
        text = PROFILE_TEXT.replace("filter_bits = 256", "filter_bits = 512")
        claimed = factories.profile()
        wrong = encoded_file(
            tmp_path / "wrong.tqe",
            children(9),
            profile_text=text,
            manifest={"profile_sha256": claimed.sha256},
        )
        refused(party.office(OFFICE).uploads(ROUND, wrong.data), "wrong-profile")
        assert claimed.layout()[0] != ViewLayout("identity", True, (GroupLayout("name", 512),))

    def test_changed_on_its_way(self, party: OpenRound) -> None:
        data = party.files[OFFICE].data
        for arriving in (data[:-1], data + b"x", data[:100] + b"\0" + data[101:], b""):
            answer = party.office(OFFICE).uploads(ROUND, data, arriving=arriving)
            refused(answer, "digest-mismatch")

    @pytest.mark.parametrize("at", [0.0, 0.002, 0.01, 0.3, 0.5, 0.7, 0.9999])
    def test_changed_before_it_was_signed(self, party: OpenRound, at: float) -> None:
        data = bytearray(party.files[PEER].data)
        data[int(at * len(data))] ^= 0x55
        answer = party.office(OFFICE).uploads(ROUND, bytes(data))
        assert answer.slug in ("bad-upload", "wrong-profile", "wrong-secret")
        refused(answer, answer.slug)

    @pytest.mark.parametrize("data", [b"", b"ARROW1", b"PK\x03\x04" * 100, b"\0" * 5000])
    def test_something_else(self, party: OpenRound, data: bytes) -> None:
        refused(party.office(OFFICE).uploads(ROUND, data), "bad-upload")

    def test_cut_off_but_signed(self, party: OpenRound) -> None:
        data = party.files[PEER].data
        refused(party.office(OFFICE).uploads(ROUND, data[: len(data) // 2]), "bad-upload")

    def test_anothers_place(self, party: OpenRound) -> None:
        data = party.files[PEER].data
        refused(party.office(PEER).uploads(ROUND, data, office=OFFICE), "forbidden")
        refused(party.office(PEER).withdraws(ROUND, office=OFFICE), "forbidden")
        refused(party.office(PEER).reads_upload(ROUND, office=OFFICE), "forbidden")

    def test_anothers_file(self, party: OpenRound) -> None:
        refused(party.office(PEER).uploads(ROUND, party.files[OFFICE].data), "conflict")

    def test_an_office_without_a_part(self, server: SimulatedServer, party: OpenRound) -> None:
        outside = server.enrolled_office("outside-office")
        refused(outside.uploads(ROUND, party.files[PEER].data), "not-found")

    def test_the_coordinating_office(self, party: OpenRound) -> None:
        refused(party.coordinator.uploads(ROUND, party.files[PEER].data), "forbidden")

    def test_a_round_that_is_not_there(self, party: OpenRound) -> None:
        refused(party.office(OFFICE).uploads("2027-h1", party.files[OFFICE].data), "not-found")

    def test_a_round_that_is_frozen(self, party: OpenRound) -> None:
        granted(party.office(PEER).uploads(ROUND, party.files[PEER].data))
        granted(party.first.takes_step(ROUND, "freeze"))
        refused(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data), "wrong-state")
        refused(party.office(OFFICE).withdraws(ROUND), "wrong-state")

    def test_unsigned(self, server: SimulatedServer) -> None:
        refused(server.stranger().uploads(ROUND, b"x", office=OFFICE), "unsigned")

    def test_a_full_disk(self, party: OpenRound, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(type(party.first.server.installation.encodings), "place", full)
        answer = party.office(OFFICE).uploads(ROUND, party.files[PEER].data)
        assert (answer.status, answer.slug) == (503, "unavailable")
        assert not answer.changed
        assert [entry["outcome"] for entry in answer.entries] == ["failed"]

    def test_a_failure_between_the_file_and_its_row(
        self, party: OpenRound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = type(party.first.server.installation.encodings)
        place = storage.place

        def broken(self: EncodingStorage, *arguments: Any) -> None:
            place(self, *arguments)
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(storage, "place", broken)
        answer = party.office(OFFICE).uploads(ROUND, party.files[PEER].data)
        assert answer.slug == "unavailable"
        assert not answer.changed

    def test_a_fault_of_the_program(
        self, party: OpenRound, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def faulty(*_: object) -> None:
            raise ValueError("锦江区 110101201501010000")

        monkeypatch.setattr(type(party.first.server.installation.encodings), "place", faulty)
        answer = party.office(OFFICE).uploads(ROUND, party.files[PEER].data)
        assert (answer.status, answer.slug) == (500, "internal")
        assert not answer.changed
        # Neither the answer nor the program's log repeats what an unexpected error says.
        assert "110101" not in answer.body.decode() + caplog.text


def test_before_the_office_has_signed(server: SimulatedServer) -> None:
    party = server.draft_round()
    office, data = party.office(OFFICE), party.files[OFFICE].data
    refused(office.uploads(ROUND, data), "wrong-state")
    granted(party.first.takes_step(ROUND, "open"))
    refused(office.uploads(ROUND, data), "not-signed")
    granted(office.signs(ROUND))
    refused(office.uploads(ROUND, data), "no-confirmation")
    granted(party.coordinator.signs(ROUND, secret=SECRET))
    granted(office.uploads(ROUND, data))


def test_more_records_than_the_terms_allow(server: SimulatedServer) -> None:
    party = server.open_round(max_records=44)
    refused(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data), "too-large")


def test_a_file_without_records(server: SimulatedServer, party: OpenRound, tmp_path: Path) -> None:
    empty = encoded_file(tmp_path / "empty.tqe", [])
    refused(party.office(OFFICE).uploads(ROUND, empty.data), "bad-upload")


def test_a_file_over_the_servers_limit(tmp_path: Path) -> None:
    with simulated_server(tmp_path, settings="max_upload_bytes = 2048\n") as server:
        party = server.open_round()
        data = party.files[OFFICE].data
        assert len(data) > 2048
        refused(party.office(OFFICE).uploads(ROUND, data), "too-large")
        assert server.files() == {}


def test_what_was_stored_is_what_was_signed(server: SimulatedServer, party: OpenRound) -> None:
    party.everybody_uploads()
    for row in server.rows("uploads"):
        plain = server.plaintext(row["round_id"], row["sha256"])
        assert hashlib.sha256(plain).hexdigest() == row["sha256"]
        assert is_encrypted(server.stored_bytes(row["round_id"], row["sha256"]))


def test_uploads_leave_threads_to_everybody_else(tmp_path: Path) -> None:
    """Half of the threads are taken by uploads; the next one is told to come back."""
    with simulated_server(tmp_path, settings="threads = 4\n") as server:
        party = server.open_round()
        office = party.office(OFFICE)
        data = party.files[OFFICE].data
        transfers = server.installation.transfers
        granted(office.begins(ROUND, data))
        with transfers.taking_place(), transfers.taking_place():
            refused(office.uploads(ROUND, data), "unavailable")
            refused(office.appends(ROUND, 0, data), "unavailable")
            refused(office.completes(ROUND, data), "unavailable")
            granted(office.reads_part(ROUND))
        granted(office.appends(ROUND, 0, data))
        granted(office.completes(ROUND, data), 201)


class _Meanwhile:
    """A body that arrives slowly: before its last byte, something else happens."""

    def __init__(self, data: bytes, happens: Callable[[], object]) -> None:
        self._left = [data[:-1], data[-1:]]
        self._happens = happens

    def read(self, size: int, /) -> bytes:
        if len(self._left) == 1:
            self._happens()
        return self._left.pop(0) if self._left else b""


def receives_slowly(
    server: SimulatedServer, data: bytes, happens: Callable[[], object]
) -> dict[str, Any]:
    """What the office's upload in one request is told, that was begun before something happened."""
    status, _ = receive_upload(
        server.installation,
        Caller(OFFICE, "office", "0" * 16),
        ROUND,
        OFFICE,
        _Meanwhile(data, happens),
        len(data),
        hashlib.sha256(data).digest(),
    )
    return status


class TestMeanwhile:
    """Hours may lie between the first byte of an upload and its last."""

    def test_what_a_revoked_key_began_does_not_count_when_the_office_is_back(
        self, server: SimulatedServer, party: OpenRound, tmp_path: Path
    ) -> None:
        office = party.office(OFFICE)
        new = Office(server, factories.identity(OFFICE, key=1))
        theirs = encoded_file(tmp_path / "theirs.tqe", children(10)).data

        def comes_back() -> None:
            granted(party.first.revokes(office))
            granted(new.enrols())
            granted(party.second.approves(new))
            granted(new.signs(ROUND))
            granted(new.uploads(ROUND, party.files[OFFICE].data))

        with pytest.raises(RefusalError) as caught:
            receives_slowly(server, theirs, comes_back)
        assert caught.value.slug == "conflict"
        assert stored(server) == {party.files[OFFICE].sha256}
        assert len(server.files()) == 1

    def test_new_keys_in_time_interrupt_nothing(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        office = party.office(OFFICE)
        new = Office(server, factories.identity(OFFICE, key=1))
        data = party.files[OFFICE].data
        receives_slowly(server, data, lambda: office.rotates_to(new))
        refused(office.reads_round(ROUND), "bad-signature")
        assert server.plaintext(ROUND, party.files[OFFICE].sha256) == data

    @pytest.mark.parametrize("in_pieces", [False, True])
    def test_terms_that_were_amended_and_signed_again_while_a_file_was_checked(
        self,
        server: SimulatedServer,
        party: OpenRound,
        monkeypatch: pytest.MonkeyPatch,
        in_pieces: bool,
    ) -> None:
        """Else a file would be kept that is encrypted with a key that was destroyed."""
        office, data = party.office(OFFICE), party.files[OFFICE].data
        inspect = Inspection.inspect

        def inspect_slowly(self: Inspection, *arguments: Any) -> Any:
            manifest = inspect(self, *arguments)
            monkeypatch.setattr(Inspection, "inspect", inspect)
            granted(party.first.amends(ROUND, retention_days=90))
            granted(party.coordinator.signs(ROUND, secret=SECRET))
            granted(office.signs(ROUND))
            return manifest

        monkeypatch.setattr(Inspection, "inspect", inspect_slowly)
        if in_pieces:
            granted(office.begins(ROUND, data))
            granted(office.appends(ROUND, 0, data))
            answer = office.completes(ROUND, data)
        else:
            answer = office.uploads(ROUND, data)
        assert answer.slug == "conflict"
        assert stored(server) == set()
        assert server.files() == {}
        granted(office.uploads(ROUND, data), 201)
        assert server.plaintext(ROUND, party.files[OFFICE].sha256) == data
