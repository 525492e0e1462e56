"""Uploads in pieces: connections that break, pieces that are changed, requests that hang."""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from api.server.refusals import RefusalError
from api.server.services import parts
from api.server.services.data_keys import data_key_of, encoding_context
from api.server.services.incoming import IncomingFile, incoming_offset, open_incoming_file
from api.server.services.installation import Installation
from api.server.services.retention import sweep
from api.server.services.uploads import BodyBrokenError, keep_upload
from api.server.services.work import Caller, own_caller
from keys.at_rest import CHUNK_BYTES, HEADER_BYTES, SEALED_CHUNK_BYTES
from tests.factories import ROUND, WRONG_SECRET, children, encoded_file
from tests.simulator import Office, OpenRound, SimulatedServer, granted, refused, simulated_server

OFFICE, PEER = "jinjiang-civil", "zhongjiang-civil"


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    return server.open_round()


@pytest.fixture
def office(party: OpenRound) -> Office:
    return party.office(OFFICE)


@cache
def _large_file(folder: Path) -> bytes:
    return encoded_file(folder / "large.tqe", children(1500)).data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of more than two chunks."""
    found = _large_file(tmp_path_factory.mktemp("parts"))
    assert 2 * CHUNK_BYTES < len(found) < 8 * CHUNK_BYTES
    return found


def stored(server: SimulatedServer) -> set[str]:
    return {row["sha256"] for row in server.rows("uploads")}


def test_in_pieces_is_as_in_one(server: SimulatedServer, office: Office, data: bytes) -> None:
    assert granted(office.begins(ROUND, data), 201)["offset"] == 0
    for offset in range(0, len(data), CHUNK_BYTES):
        piece = data[offset : offset + CHUNK_BYTES]
        assert granted(office.appends(ROUND, offset, piece))["offset"] == offset + len(piece)
    answer = granted(office.completes(ROUND, data), 201)
    sha256 = hashlib.sha256(data).hexdigest()
    assert (answer["sha256"], answer["n_bytes"]) == (sha256, len(data))
    assert server.plaintext(ROUND, sha256) == data
    assert set(server.files()) == {f"encodings/{ROUND}/{sha256}"}
    assert server.rows("upload_parts") == []
    # An answer that was lost is had by asking again.
    assert granted(office.completes(ROUND, data), 200).json == answer.json
    refused(office.reads_part(ROUND), "not-found")


class TestABreak:
    def test_goes_on_where_it_stopped(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        arrived = data[: CHUNK_BYTES + 1000]
        answer = office.appends(ROUND, 0, data, arriving=arrived)
        assert (answer.status, answer.slug) == (400, "cut-off")
        assert granted(office.reads_part(ROUND))["offset"] == CHUNK_BYTES
        # Beginning again finds what is there: a client that lost its memory goes on as well.
        assert granted(office.begins(ROUND, data), 200)["offset"] == CHUNK_BYTES
        granted(office.appends(ROUND, CHUNK_BYTES, data[CHUNK_BYTES:]))
        granted(office.completes(ROUND, data), 201)
        assert server.plaintext(ROUND, hashlib.sha256(data).hexdigest()) == data

    def test_survives_a_restart_of_the_server(
        self, tmp_path: Path, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
        (part,) = server.rows("upload_parts")
        path = server.installation.incoming.path(part["file"])
        # A power cut in the middle of a write leaves half a chunk behind.
        path.write_bytes(path.read_bytes() + b"half a chunk")
        assert granted(office.reads_part(ROUND))["offset"] == CHUNK_BYTES
        granted(office.appends(ROUND, CHUNK_BYTES, data[CHUNK_BYTES:]))
        granted(office.completes(ROUND, data), 201)

    def test_a_piece_that_ends_within_a_chunk_is_kept_up_to_it(
        self, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        assert granted(office.appends(ROUND, 0, data[: CHUNK_BYTES + 5]))["offset"] == CHUNK_BYTES

    @pytest.mark.parametrize("offset", [1, CHUNK_BYTES, 10**9])
    def test_another_offset_is_refused_and_the_right_one_told(
        self, office: Office, data: bytes, offset: int
    ) -> None:
        granted(office.begins(ROUND, data))
        answer = refused(office.appends(ROUND, offset, data[:CHUNK_BYTES]), "wrong-offset")
        assert answer["errors"] == {"offset": [0]}

    def test_an_unfinished_upload_is_not_complete(self, office: Office, data: bytes) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
        answer = refused(office.completes(ROUND, data), "wrong-offset")
        assert answer["errors"] == {"offset": [CHUNK_BYTES]}


class TestAttacks:
    def test_a_piece_changed_on_its_way_is_taken_back(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
        piece = data[CHUNK_BYTES:]
        for arriving in (piece[:-1] + b"\0", b"\0" + piece[1:], piece + b"x"):
            answer = office.appends(ROUND, CHUNK_BYTES, piece, arriving=arriving)
            assert answer.slug == "digest-mismatch"
            assert granted(office.reads_part(ROUND))["offset"] == CHUNK_BYTES
        granted(office.appends(ROUND, CHUNK_BYTES, piece))
        granted(office.completes(ROUND, data), 201)

    def test_no_two_chunks_are_ever_encrypted_alike(
        self, server: SimulatedServer, office: Office, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who sees the disk at two times, and knows what was altered on the way, learns nothing.

        Under the same key and nonce, the difference of two ciphertexts is that of the plaintexts.
        """
        seen: list[bytes] = []
        take_back = IncomingFile.take_back

        def look_first(incoming: IncomingFile, offset: int) -> None:
            seen.append(path().read_bytes())
            take_back(incoming, offset)

        def path() -> Path:
            (part,) = server.rows("upload_parts")
            return server.installation.incoming.path(part["file"])

        monkeypatch.setattr(IncomingFile, "take_back", look_first)
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
        piece = data[CHUNK_BYTES : 3 * CHUNK_BYTES]
        altered = bytes(byte ^ 0x55 for byte in piece)
        assert office.appends(ROUND, CHUNK_BYTES, piece, arriving=altered).slug == "digest-mismatch"
        granted(office.appends(ROUND, CHUNK_BYTES, piece))
        # After a power cut within a chunk, too.
        path().write_bytes(path().read_bytes()[:-100])
        granted(office.appends(ROUND, 2 * CHUNK_BYTES, data[2 * CHUNK_BYTES :]))
        seen.append(path().read_bytes())
        for index in range(3):
            at = HEADER_BYTES + index * SEALED_CHUNK_BYTES
            chunks = {kept[at : at + 64] for kept in seen if len(kept) >= at + SEALED_CHUNK_BYTES}
            salts = {kept[:HEADER_BYTES] for kept in seen if len(kept) >= at + SEALED_CHUNK_BYTES}
            # One salt, one ciphertext; another ciphertext, another salt.
            assert len(chunks) == len(salts)
        assert len({kept[:HEADER_BYTES] for kept in seen}) == 3
        granted(office.completes(ROUND, data), 201)

    def test_who_waited_for_a_file_that_was_renewed_writes_into_no_other(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[: 2 * CHUNK_BYTES]))
        (part,) = server.rows("upload_parts")
        path = server.installation.incoming.path(part["file"])
        keys: dict[str, Any] = {
            "data_key": data_key_of(server.installation, ROUND),
            "context": encoding_context(ROUND, part["sha256"]),
        }
        with (
            open_incoming_file(path, **keys) as first,
            open_incoming_file(path, **keys) as second,
        ):
            with first.locked():
                first.take_back(CHUNK_BYTES)
                assert first.append(data[CHUNK_BYTES:]) == len(data) - CHUNK_BYTES
            with pytest.raises(FileNotFoundError), second.locked():
                pass
            with first.locked():
                assert first.offset == len(data)
        granted(office.completes(ROUND, data), 201)

    def test_other_bytes_than_the_signed_hash_are_never_stored(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[:-1] + bytes([data[-1] ^ 1])))
        assert office.completes(ROUND, data).slug == "digest-mismatch"
        assert stored(server) == set()
        # It is of no use any more, so it is gone and does not stop the next attempt.
        assert server.files() == {}
        assert granted(office.begins(ROUND, data), 201)["offset"] == 0

    def test_a_changed_byte_on_the_servers_disk_is_found(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data))
        (part,) = server.rows("upload_parts")
        path = server.installation.incoming.path(part["file"])
        changed = bytearray(path.read_bytes())
        changed[1000] ^= 1
        path.write_bytes(changed)
        assert office.completes(ROUND, data).slug == "digest-mismatch"
        assert stored(server) == set()

    def test_more_than_was_announced(self, office: Office, data: bytes) -> None:
        granted(office.begins(ROUND, data))
        assert office.appends(ROUND, 0, data + b"more").slug == "digest-mismatch"
        assert granted(office.reads_part(ROUND))["offset"] == 0

    def test_a_file_of_another_secret(
        self, server: SimulatedServer, office: Office, tmp_path: Path
    ) -> None:
        wrong = encoded_file(tmp_path / "wrong.tqe", children(9), secret=WRONG_SECRET).data
        granted(office.begins(ROUND, wrong))
        granted(office.appends(ROUND, 0, wrong))
        assert office.completes(ROUND, wrong).slug == "wrong-secret"
        assert server.files() == {}

    def test_the_earlier_upload_stays_until_the_new_one_is_good(
        self, server: SimulatedServer, party: OpenRound, data: bytes
    ) -> None:
        office, earlier = party.office(OFFICE), party.files[OFFICE]
        granted(office.uploads(ROUND, earlier.data))
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
        assert stored(server) == {earlier.sha256}
        granted(office.appends(ROUND, CHUNK_BYTES, data[CHUNK_BYTES:]))
        granted(office.completes(ROUND, data), 200)
        assert stored(server) == {hashlib.sha256(data).hexdigest()}
        assert len(server.files()) == 1

    def test_a_request_that_hangs_cannot_write_after_a_later_one(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        caller = Caller(OFFICE, "office", "0" * 16)
        first = data[:CHUNK_BYTES]
        seen: list[str] = []

        class Hanging:
            """A body whose sender, meanwhile, has begun another request."""

            def __init__(self) -> None:
                self._left = [first, first]

            def read(self, size: int, /) -> bytes:
                if len(self._left) == 1:
                    granted(office.appends(ROUND, 0, first))
                    seen.append("later request")
                return self._left.pop(0) if self._left else b""

        with pytest.raises(RefusalError) as caught:
            parts.append_part(server.installation, caller, ROUND, OFFICE, 0, Hanging(), bytes(32))
        assert (caught.value.slug, seen) == ("wrong-offset", ["later request"])
        assert granted(office.reads_part(ROUND))["offset"] == CHUNK_BYTES
        granted(office.appends(ROUND, CHUNK_BYTES, data[CHUNK_BYTES:]))
        granted(office.completes(ROUND, data), 201)

    def test_a_sender_that_asks_again_does_not_start_a_second_check(
        self, server: SimulatedServer, office: Office, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data))
        impatient: list[str | None] = []

        def slow(*arguments: Any) -> Any:
            impatient.append(office.completes(ROUND, data).slug)
            return keep_upload(*arguments)

        monkeypatch.setattr(parts, "keep_upload", slow)
        caller = Caller(OFFICE, "office", "0" * 16)
        sha256 = hashlib.sha256(data).hexdigest()
        assert parts.complete_part(server.installation, caller, ROUND, OFFICE, sha256)[1]
        assert impatient == ["unavailable"]

    def test_what_arrives_is_never_on_the_disk_in_the_clear(
        self, server: SimulatedServer, office: Office, data: bytes
    ) -> None:
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data[: 2 * CHUNK_BYTES]))
        samples = [data[at : at + 32] for at in range(0, 2 * CHUNK_BYTES - 32, 997)]
        samples = [sample for sample in samples if len(set(sample)) > 16]
        assert samples
        on_disk = b"".join(p.read_bytes() for p in server.directory.rglob("*") if p.is_file())
        assert not any(sample in on_disk for sample in samples)

    def test_the_freeze_drops_what_is_not_complete(
        self, server: SimulatedServer, party: OpenRound, data: bytes
    ) -> None:
        party.everybody_uploads()
        office = party.office(OFFICE)
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data))
        granted(party.first.takes_step(ROUND, "freeze"))
        refused(office.appends(ROUND, len(data), b""), "wrong-state")
        refused(office.completes(ROUND, data), "wrong-state")
        assert server.rows("upload_parts") == []
        assert [name for name in server.files() if name.startswith("incoming")] == []


def test_another_file_drops_the_part_before(
    server: SimulatedServer, party: OpenRound, data: bytes
) -> None:
    office = party.office(OFFICE)
    granted(office.begins(ROUND, data))
    granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
    assert granted(office.begins(ROUND, party.files[OFFICE].data), 201)["offset"] == 0
    assert len(server.files()) == len(server.rows("upload_parts")) == 1


def test_giving_up(server: SimulatedServer, office: Office, data: bytes) -> None:
    granted(office.begins(ROUND, data))
    granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
    assert granted(office.drops(ROUND))["offset"] == CHUNK_BYTES
    assert server.files() == {}
    refused(office.drops(ROUND), "not-found")


def test_what_is_not_gone_on_with_is_swept(
    server: SimulatedServer, office: Office, data: bytes
) -> None:
    granted(office.begins(ROUND, data))
    granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
    (part,) = server.rows("upload_parts")
    path = server.installation.incoming.path(part["file"])

    def touched(hours_ago: float) -> None:
        moment = server.clock().timestamp() - 3600 * hours_ago
        os.utime(path, (moment, moment))

    touched(hours_ago=23)
    server.worker()._keep_house()
    assert incoming_offset(path, len(data)) == CHUNK_BYTES
    touched(hours_ago=25)
    server.worker()._keep_house()
    assert server.files() == {}
    assert server.rows("upload_parts") == []
    assert [entry["action"] for entry in server.log()[-2:]] == ["upload:drop", "data:sweep"]


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_is_gone_on_with_at_that_moment_is_not_swept(
    server: SimulatedServer,
    office: Office,
    data: bytes,
    monkeypatch: pytest.MonkeyPatch,
    goes_on: bool,
) -> None:
    granted(office.begins(ROUND, data))
    granted(office.appends(ROUND, 0, data[:CHUNK_BYTES]))
    (part,) = server.rows("upload_parts")
    path = server.installation.incoming.path(part["file"])
    long_ago = server.clock().timestamp() - 25 * 3600
    os.utime(path, (long_ago, long_ago))
    work = Installation.work

    def comes_in_between(installation: Installation, caller: Caller) -> Any:
        monkeypatch.setattr(Installation, "work", work)
        if goes_on:
            granted(office.appends(ROUND, CHUNK_BYTES, data[CHUNK_BYTES:]))
        else:
            granted(office.drops(ROUND))
        return work(installation, caller)

    monkeypatch.setattr(Installation, "work", comes_in_between)
    assert sweep(server.installation, own_caller("worker")) == 0
    if goes_on:
        granted(office.completes(ROUND, data), 201)
    assert [e["action"] for e in server.log() if e["role"] == "worker"] == []


def test_a_file_over_the_servers_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with simulated_server(tmp_path, settings="max_upload_bytes = 2048\n") as server:
        party = server.open_round()
        refused(party.office(OFFICE).begins(ROUND, party.files[OFFICE].data), "too-large")


def test_a_large_body_is_received_in_constant_memory() -> None:
    import tracemalloc

    from api.server.services.uploads import receive

    n_bytes, piece = 256 * 1024 * 1024, bytes(256 * 1024)
    left = n_bytes

    class Body:
        def read(self, size: int, /) -> bytes:
            nonlocal left
            sent = piece[: min(size, left)]
            left -= len(sent)
            return sent

    tracemalloc.start()
    try:
        receive(Body(), lambda data: len(data), n_bytes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("broken_at", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 7])
def test_what_came_before_a_break_is_appended(broken_at: int) -> None:
    from api.server.services.uploads import receive

    appended = bytearray()

    def take(data: bytearray) -> int:
        appended.extend(data)
        return len(data)

    class Body:
        sent = False

        def read(self, size: int, /) -> bytes:
            if self.sent:
                raise BodyBrokenError
            self.sent = True
            return bytes(broken_at) or self.read(size)

    with pytest.raises(BodyBrokenError):
        receive(Body(), take, 10**9)
    assert len(appended) == broken_at
