"""Sealing, exporting and looking at the log, on both databases."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.audit.archive import verify_archive
from api.audit.stored_check import check_tiles
from api.server.config import ConfigError, parse_config
from api.server.services.log_keeping import check_log, export_log, seal_log
from api.server.services.work import own_caller
from tests.simulator import SimulatedServer, granted, refused

ADMINISTRATOR = own_caller("administrator")


def fill(server: SimulatedServer, n_entries: int) -> None:
    from api.audit.events import Action

    with server.installation.work(own_caller("server")) as work:
        for number in range(n_entries):
            work.record(Action.SERVER_START, details={"number": number})


def test_old_entries_are_sealed_and_the_log_goes_on(server: SimulatedServer) -> None:
    he = server.auditor()
    fill(server, 300)
    assert seal_log(server.installation, ADMINISTRATOR) is None
    server.clock.advance(days=1300)
    fill(server, 10)
    sealed = seal_log(server.installation, ADMINISTRATOR)
    assert sealed is not None
    assert (sealed.start, sealed.stop) == (0, 256)
    key = server.installation.log_key.verifier_key
    assert verify_archive(sealed.path, key).stop == 256
    (entry,) = (one for one in server.log() if one["action"] == "log:seal")
    assert entry["details"] == {"sha256": sealed.sha256, "start": 0, "stop": 256}
    assert check_log(server.installation, ADMINISTRATOR) == []
    assert "archive" in refused(he.reads_log(0), "not-found")["detail"]
    assert json.loads(granted(he.reads_log(256))["entries"][0])["index"] == 256
    refused(he.gets("/v1/log/entries/5/proof"), "not-found")
    granted(he.gets("/v1/log/consistency/5/300"))


def test_a_static_copy_is_whole(server: SimulatedServer, tmp_path: Path) -> None:
    fill(server, 300)
    done = export_log(server.installation, ADMINISTRATOR, tmp_path / "copy")
    assert done.size == server.log_size()
    assert check_tiles(tmp_path / "copy", server.installation.log_key.verifier_key) == []


def test_what_was_changed_in_the_database_is_told(server: SimulatedServer) -> None:
    if server.installation.database.engine.dialect.name != "sqlite":
        pytest.skip("the guards are taken away as SQLite has them")
    granted(server.auditor().cosigns())
    assert check_log(server.installation, ADMINISTRATOR) == []
    with server.installation.database.migrating() as connection:
        connection.exec_driver_sql("DROP TRIGGER log_cosignatures_never_change")
        connection.exec_driver_sql("UPDATE log_cosignatures SET signed_at = signed_at + 1")
    (fault,) = check_log(server.installation, ADMINISTRATOR)
    assert "cosignature" in str(fault)


def test_the_log_is_kept_longer_than_data(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="log_retention_days"):
        parse_config("log_retention_days = 183", tmp_path)
    with pytest.raises(ConfigError, match="must not go before the data"):
        parse_config("log_retention_days = 700", tmp_path)
    both = "max_retention_days = 100\nlog_retention_days = 184"
    assert parse_config(both, tmp_path).log_retention_days == 184


def test_the_worker_seals_as_a_job(server: SimulatedServer) -> None:
    sealing(server, every_days=7)
    fill(server, 600)
    server.clock.advance(days=1300)
    fill(server, 10)
    size = server.log_size()
    server.worker().run(once=True)
    (entry,) = (one for one in entries_from(server, size) if one["action"] == "log:seal")
    assert (entry["role"], entry["outcome"]) == ("worker", "granted")
    assert (entry["details"]["start"], entry["details"]["stop"]) == (0, 512)
    key = server.installation.log_key.verifier_key
    (archive,) = server.installation.config.log_archive_directory.glob("log-*")
    assert verify_archive(archive, key).stop == 512
    assert check_log(server.installation, ADMINISTRATOR) == []
    server.worker().run(once=True)
    assert len(list(archive.parent.glob("log-*"))) == 1


def test_without_the_setting_the_worker_seals_nothing(server: SimulatedServer) -> None:
    fill(server, 300)
    server.clock.advance(days=36_500)
    server.worker().run(once=True)
    assert not server.installation.config.log_archive_directory.exists()


def test_a_sealing_that_fails_is_an_entry_and_ends_no_worker(server: SimulatedServer) -> None:
    sealing(server, every_days=1)
    fill(server, 300)
    server.clock.advance(days=1300)
    # In the way, as a disk that is not mounted may be.
    server.installation.config.log_archive_directory.write_bytes(b"")
    size = server.log_size()
    server.worker().run(once=True)
    actions = [(one["action"], one["outcome"], one["reason"]) for one in server.log(size)]
    assert ("log:seal", "failed", "write-error") in actions
    assert actions[-1][0] == "worker:stop"


@pytest.mark.parametrize(("days", "is_sealed"), [(1094.9, False), (1095.1, True)])
def test_entries_are_sealed_at_their_age_and_not_before(
    server: SimulatedServer, days: float, is_sealed: bool
) -> None:
    # The first entry has the machine's own time, which the log's never go behind.
    server.clock.advance(days=3650)
    fill(server, 600)
    server.clock.advance(days=days)
    assert (seal_log(server.installation, ADMINISTRATOR) is not None) is is_sealed


def test_no_entry_is_sealed_while_data_of_its_time_is_kept(server: SimulatedServer) -> None:
    """Data that was promised to be kept for longer than the settings of today allow."""
    server.clock.advance(days=3650)
    fill(server, 600)
    server.clock.advance(days=1)
    server.open_round()
    fill(server, 600)
    server.clock.advance(days=1500)
    sealed = seal_log(server.installation, ADMINISTRATOR)
    assert sealed is not None
    assert sealed.stop < 700
    assert seal_log(server.installation, ADMINISTRATOR) is None
    server.worker().run(once=True)
    assert seal_log(server.installation, ADMINISTRATOR) is not None


def test_a_sealing_that_was_cut_off_is_begun_anew(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the archive was written and before its entries were taken out."""
    from api.server.services import log_keeping

    fill(server, 300)
    server.clock.advance(days=1300)
    with monkeypatch.context() as patch:
        patch.setattr(log_keeping, "remove_sealed", _killed)
        with pytest.raises(KeyboardInterrupt):
            seal_log(server.installation, ADMINISTRATOR)
    fill(server, 300)
    server.clock.advance(days=1300)
    sealed = seal_log(server.installation, ADMINISTRATOR)
    assert sealed is not None
    assert [one.name for one in sealed.path.parent.glob("log-*")] == [sealed.path.name]
    assert (sealed.start, sealed.stop) == (0, 512)


def _killed(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_two_do_not_seal_at_the_same_time(server: SimulatedServer) -> None:
    from api.server.services.log_keeping import _alone

    folder = server.installation.config.log_archive_directory
    folder.mkdir()
    with _alone(folder), pytest.raises(BlockingIOError):
        seal_log(server.installation, ADMINISTRATOR)


def sealing(server: SimulatedServer, *, every_days: int) -> None:
    config = replace(server.installation.config, log_seal_every_days=every_days)
    server.installation = replace(server.installation, config=config)


def entries_from(server: SimulatedServer, start: int) -> list[dict[str, Any]]:
    """What is in the database; entries before are sealed."""
    return [entry for entry in server.log(start) if entry["index"] >= start]
