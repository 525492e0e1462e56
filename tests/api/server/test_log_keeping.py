"""Sealing, exporting and looking at the log, on both databases."""

import json
from pathlib import Path

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
