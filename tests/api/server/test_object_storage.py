"""A server whose encodings lie with a real S3 server: as on files, and when that one is away."""

import dataclasses
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
import requests
from click.testing import CliRunner, Result

from api.cli import cli
from api.server.config import ConfigError, load_config, parse_config
from api.server.services.backup import make_backup, restore_backup
from api.server.services.encodings import FileStorage, StorageAwayError
from api.server.services.installation import create_installation, open_installation
from api.server.services.object_storage import ObjectStorage, open_object_storage
from api.server.services.retention import sweep
from api.server.services.work import own_caller
from keys.at_rest import is_encrypted
from tests import databases
from tests.api.server import test_nothing_left, test_parts, test_uploads, test_worker
from tests.api.server.running_server import server_process
from tests.factories import ROUND
from tests.s3_server import SECRET_ACCESS_KEY, RunningS3, running_s3
from tests.simulator import OpenRound, SimulatedServer, granted, refused, simulated_server

pytestmark = pytest.mark.process

OFFICE, PEER = "jinjiang-civil", "zhongjiang-civil"
ADMINISTRATOR = own_caller("administrator")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return os.urandom(6).hex()


@pytest.fixture
def server(
    tmp_path: Path, s3: RunningS3, prefix: str, database_kind: str
) -> Iterator[SimulatedServer]:
    settings = s3.settings(tmp_path, prefix) + "poll_s = 0.05\n"
    with simulated_server(tmp_path, settings=settings) as running:
        assert isinstance(running.installation.encodings, ObjectStorage)
        yield running


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    return server.open_round()


office = test_parts.office
data = test_parts.data


class TestAsOnFiles:
    """Tests of the server's that hold whatever the storage is."""

    test_kept = staticmethod(test_uploads.test_an_upload_is_kept_as_it_came)
    test_the_same_again = staticmethod(test_uploads.test_the_same_upload_again_changes_nothing)
    test_replaced = staticmethod(test_uploads.test_a_later_upload_replaces_the_earlier)
    test_withdrawn = staticmethod(test_uploads.test_a_withdrawn_upload_is_gone)
    test_what_was_signed = staticmethod(test_uploads.test_what_was_stored_is_what_was_signed)
    test_in_pieces = staticmethod(test_parts.test_in_pieces_is_as_in_one)
    test_nothing_is_left = staticmethod(
        test_nothing_left.test_nothing_is_left_but_hashes_in_the_log
    )


class TestFailingAsOnFiles:
    """What fails between the file and its row leaves everything as it was."""

    test_no_room = test_uploads.TestRefused.test_a_full_disk
    test_between = test_uploads.TestRefused.test_a_failure_between_the_file_and_its_row
    test_a_fault = test_uploads.TestRefused.test_a_fault_of_the_program
    test_lapses = test_worker.TestRetention.test_a_round_that_nobody_ends_lapses


def test_a_whole_round(server: SimulatedServer, s3: RunningS3, prefix: str) -> None:
    party = server.open_round()
    party.everybody_uploads()
    objects = s3.objects(prefix)
    assert set(objects) == {f"{ROUND}/{file.sha256}" for file in party.files.values()}
    assert all(is_encrypted(data) for data in objects.values())
    bucket = b"".join(objects.values())
    for file in party.files.values():
        assert not any(piece in bucket for piece in test_nothing_left.samples(file.data))
    assert list((server.directory / "encodings").rglob("*")) == []
    granted(party.first.takes_step(ROUND, "freeze"))
    granted(party.first.takes_step(ROUND, "run"))
    assert server.worker().work_once()
    granted(party.second.takes_step(ROUND, "release"))
    assert len(granted(party.office(OFFICE).reads_results(ROUND))["links"]) > 0
    granted(party.office(PEER).leaves(ROUND))
    assert f"{ROUND}/{party.files[PEER].sha256}" not in s3.objects(prefix)
    server.clock.advance(days=181)
    server.worker().run(once=True)
    assert s3.objects(prefix) == {}


class TestAway:
    def test_an_upload_is_refused_and_nothing_is_lost(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3
    ) -> None:
        granted(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data))
        answer = without(s3, lambda: party.office(OFFICE).uploads(ROUND, party.files[PEER].data))
        assert (answer.status, answer.slug) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "30"
        (row,) = server.rows("uploads")
        assert row["sha256"] == party.files[OFFICE].sha256
        assert server.plaintext(ROUND, row["sha256"]) == party.files[OFFICE].data
        granted(party.office(OFFICE).uploads(ROUND, party.files[PEER].data))

    def test_what_arrived_in_pieces_waits_for_it(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, data: bytes
    ) -> None:
        office = party.office(OFFICE)
        granted(office.begins(ROUND, data))
        granted(office.appends(ROUND, 0, data))
        answer = without(s3, lambda: office.completes(ROUND, data))
        assert answer.slug == "unavailable"
        assert granted(office.reads_part(ROUND))["offset"] == len(data)
        granted(office.completes(ROUND, data))
        assert server.plaintext(ROUND, server.rows("uploads")[0]["sha256"]) == data

    def test_what_could_not_be_deleted_is_swept_when_it_is_back(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, prefix: str
    ) -> None:
        office = party.office(OFFICE)
        granted(office.uploads(ROUND, party.files[OFFICE].data))
        granted(without(s3, lambda: office.withdraws(ROUND)))
        assert server.rows("uploads") == []
        assert len(s3.objects(prefix)) == 1
        assert sweep(server.installation, own_caller("worker")) == 1
        assert s3.objects(prefix) == {}
        assert server.log()[-1]["action"] == "data:sweep"

    def test_a_round_says_so_and_runs_again(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3
    ) -> None:
        party.everybody_uploads()
        granted(party.first.takes_step(ROUND, "freeze"))
        granted(party.first.takes_step(ROUND, "run"))
        assert without(s3, lambda: server.worker().work_once())
        told = granted(party.first.reads_round(ROUND))
        assert told["state"] == "frozen"
        assert "did not answer" in told["failure"]
        granted(party.first.takes_step(ROUND, "run"))
        assert server.worker().work_once()
        assert granted(party.first.reads_round(ROUND))["state"] == "review"

    def test_a_freeze_waits_for_it(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3
    ) -> None:
        party.everybody_uploads()
        answer = without(s3, lambda: party.first.takes_step(ROUND, "freeze"))
        assert answer.slug == "unavailable"
        granted(party.first.takes_step(ROUND, "freeze"))

    def test_a_worker_goes_on_when_it_is_back(
        self, server: SimulatedServer, s3: RunningS3, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker = server.worker()
        thread = threading.Thread(target=worker.run)
        s3.refuse()
        try:
            thread.start()
            deadline = time.monotonic() + 60
            while "storage of encodings is not available" not in caplog.text:
                assert thread.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            s3.serve()
            worker.stop()
            thread.join(60)
        assert not thread.is_alive()
        assert server.log()[-1]["action"] == "worker:stop"

    def test_readiness(self, server: SimulatedServer, s3: RunningS3) -> None:
        assert server.client.get("/ready").status_code == 200
        answer = without(s3, lambda: server.client.get("/ready"))
        assert answer.status_code == 503
        assert "check-storage" in answer.json["detail"]

    def test_one_that_takes_the_connection_and_says_nothing(
        self, server: SimulatedServer, s3: RunningS3
    ) -> None:
        config = dataclasses.replace(server.installation.config, s3_timeout_s=0.3)
        storage = open_object_storage(config)
        s3.pause()
        try:
            with pytest.raises(StorageAwayError):
                storage.verify_reachable()
        finally:
            s3.go_on()


class TestAfterACrash:
    def test_an_object_without_a_row_is_swept(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, prefix: str
    ) -> None:
        granted(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data))
        s3.store(prefix).put(f"{ROUND}/{'0' * 64}", b"of a request that died")
        assert sweep(server.installation, own_caller("worker")) == 1
        assert set(s3.objects(prefix)) == {f"{ROUND}/{party.files[OFFICE].sha256}"}

    def test_one_that_an_upload_in_pieces_is_about_to_have_is_not(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, prefix: str, data: bytes
    ) -> None:
        office = party.office(OFFICE)
        granted(office.begins(ROUND, data))
        sha256 = server.rows("upload_parts")[0]["sha256"]
        s3.store(prefix).put(f"{ROUND}/{sha256}", b"brought, and not in a row yet")
        assert sweep(server.installation, own_caller("worker")) == 0
        granted(office.drops(ROUND))
        assert sweep(server.installation, own_caller("worker")) == 1

    def test_an_object_that_went_before_its_row_was_there(
        self,
        server: SimulatedServer,
        party: OpenRound,
        s3: RunningS3,
        prefix: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        bring = ObjectStorage.bring

        def brought_and_swept(self: ObjectStorage, *arguments: Any) -> None:
            bring(self, *arguments)
            assert sweep(server.installation, own_caller("worker")) == 1

        monkeypatch.setattr(ObjectStorage, "bring", brought_and_swept)
        answer = party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data)
        assert answer.slug == "unavailable"
        assert server.rows("uploads") == []
        monkeypatch.undo()
        granted(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data))

    def test_a_row_without_an_object_is_told_while_it_can_be_mended(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, prefix: str
    ) -> None:
        party.everybody_uploads()
        obstore.delete(s3.store(prefix), f"{ROUND}/{party.files[OFFICE].sha256}")
        answer = refused(party.first.takes_step(ROUND, "freeze"), "conflict")
        assert OFFICE in answer["detail"]
        (entry,) = answer.entries
        assert (entry["action"], entry["details"]["office"]) == ("round:freeze", OFFICE)
        told = run("server", "check-storage", server.directory)
        assert f"the file of {OFFICE} is gone" in told.output
        assert told.exit_code == 1
        granted(party.office(OFFICE).uploads(ROUND, party.files[OFFICE].data))
        assert run("server", "check-storage", server.directory).exit_code == 0
        granted(party.first.takes_step(ROUND, "freeze"))


def new_database() -> str | None:
    """Where a backup may be restored to; SQLite needs no address."""
    address = databases.new_address()
    return None if address == "sqlite" else address


def new_database_option() -> tuple[str, ...]:
    """The same on the command line."""
    address = new_database()
    return () if address is None else ("--database", address)


class TestBackup:
    def test_into_files_and_into_another_prefix(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, prefix: str, tmp_path: Path
    ) -> None:
        party.everybody_uploads()
        make_backup(server.installation, ADMINISTRATOR, tmp_path / "backup")
        for name, where in (("a", "files"), ("b", f"s3://encodings/{prefix}-again")):
            done = run(
                "server", "restore", tmp_path / "backup", tmp_path / name, "--encodings", where,
                "--data-key", server.installation.config.data_key_file,
                "--s3-credentials", tmp_path / "s3.toml", *new_database_option(),
            )  # fmt: skip
            assert done.exit_code == 0, done.output
            again = open_installation(load_config(tmp_path / name), server.clock)
            assert isinstance(again.encodings, FileStorage) is (where == "files")
            found = SimulatedServer(tmp_path / name, server.clock, again, server.client)
            for file in party.files.values():
                assert found.plaintext(ROUND, file.sha256) == file.data
            again.close()

    def test_not_into_a_prefix_that_is_used(
        self, server: SimulatedServer, party: OpenRound, s3: RunningS3, prefix: str, tmp_path: Path
    ) -> None:
        party.everybody_uploads()
        make_backup(server.installation, ADMINISTRATOR, tmp_path / "backup")
        before = s3.objects(prefix)
        key = server.installation.config.data_key_file
        with pytest.raises(ConfigError, match="another prefix"):
            restore_backup(
                tmp_path / "backup",
                tmp_path / "again",
                ADMINISTRATOR,
                data_key=key,
                database=new_database(),
            )
        assert s3.objects(prefix) == before
        assert not (tmp_path / "again").exists()

    def test_what_was_restored_in_vain_goes_again(
        self,
        server: SimulatedServer,
        party: OpenRound,
        s3: RunningS3,
        prefix: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        party.everybody_uploads()
        make_backup(server.installation, ADMINISTRATOR, tmp_path / "backup")

        def fails(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("api.server.services.backup._verify", fails)
        with pytest.raises(OSError, match="No space"):
            restore_backup(
                tmp_path / "backup",
                tmp_path / "again",
                ADMINISTRATOR,
                data_key=server.installation.config.data_key_file,
                encodings=f"s3://encodings/{prefix}-again",
                database=new_database(),
            )
        assert s3.objects(f"{prefix}-again") == {}


class TestSettings:
    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            "access_key_id = 'x'",
            f"secret_access_key = '{SECRET_ACCESS_KEY}'",
            f"{SECRET_ACCESS_KEY} = ",
            "\xff",
        ],
    )
    def test_credentials_that_are_none(self, tmp_path: Path, text: str | None) -> None:
        if text is not None:
            (tmp_path / "s3.toml").write_text(text, encoding="latin-1")
            (tmp_path / "s3.toml").chmod(0o600)
        config = parse_config('encodings = "s3://encodings"', tmp_path)
        with pytest.raises(ConfigError, match="s3_credentials_path") as told:
            open_object_storage(config)
        assert SECRET_ACCESS_KEY not in repr(told.value) + str(told.value.__cause__)

    def test_credentials_that_others_may_read(self, tmp_path: Path, s3: RunningS3) -> None:
        config = parse_config(s3.settings(tmp_path), tmp_path)
        (tmp_path / "s3.toml").chmod(0o644)
        with pytest.raises(ConfigError, match="chmod 600"):
            open_object_storage(config)

    @pytest.mark.parametrize(
        "line",
        [
            "encodings = 's3://'",
            "encodings = 's3://bucket/../other'",
            "encodings = 's3://bucket//x'",
            "encodings = 'gs://bucket'",
            "encodings = '/srv/encodings'",
            "s3_endpoint = 'http://storage.example'",
            "s3_endpoint = 'https://key:secret@storage.example'",
            "s3_addressing = 'other'",
        ],
    )
    def test_that_make_no_sense(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(ConfigError):
            parse_config(line, tmp_path)

    def test_a_bucket_that_is_not_there(self, server: SimulatedServer, prefix: str) -> None:
        settings = server.directory / "server.toml"
        settings.write_text(settings.read_text().replace("s3://encodings/", "s3://nowhere/"))
        told = run("server", "check-storage", server.directory)
        assert told.exit_code == 1
        assert "does not answer as it should" in told.output
        assert SECRET_ACCESS_KEY not in told.output

    def test_the_secret_shows_nowhere(self, server: SimulatedServer, party: OpenRound) -> None:
        party.everybody_uploads()
        told = run("server", "config", server.directory).output
        told += repr(server.installation) + repr(server.installation.encodings)
        told += str(server.log()) + "".join(str(server.rows(t)) for t in ("rounds", "uploads"))
        assert SECRET_ACCESS_KEY not in told


def test_a_server_process_answers_after_it_forked(tmp_path: Path, s3: RunningS3) -> None:
    create_installation(tmp_path / "server", "Test").close()
    with (tmp_path / "server" / "server.toml").open("a") as file:
        file.write(s3.settings(tmp_path))
    with server_process(tmp_path / "server") as running:
        assert requests.get(f"{running.url}/ready", timeout=60).status_code == 200
        assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def run(*arguments: object) -> Result:
    """A command, as who runs the machine types it."""
    before = os.umask(0o022)
    try:
        return CliRunner().invoke(cli, [str(word) for word in arguments])
    finally:
        os.umask(before)


def without(s3: RunningS3, ask: Any) -> Any:
    """What is answered while the storage refuses everything."""
    s3.refuse()
    try:
        return ask()
    finally:
        s3.serve()
