"""The database: migrations make what the models say, and times keep their zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from api.server.config import ConfigError, load_config
from api.server.models import Base, Nonce, Upload
from api.server.services.database import Database
from api.server.services.installation import (
    create_installation,
    migrate_installation,
    open_installation,
)
from api.server.services.schema import migrate, newest_revision
from tests import databases
from tests.simulator import SimulatedServer


@pytest.fixture
def database(tmp_path: Path, database_kind: str) -> Iterator[Database]:
    address = databases.new_address()
    url = f"sqlite:///{tmp_path / 'test.db'}" if address == "sqlite" else address
    made = Database(url, busy_timeout_s=1, connections=2)
    yield made
    made.close()


def test_migrations_make_what_the_models_say(database: Database) -> None:
    assert migrate(database) == (None, newest_revision())
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert migrate(database) == (newest_revision(), newest_revision())
    database.close()


def test_a_server_does_not_start_on_another_version(tmp_path: Path, database_kind: str) -> None:
    databases.new_installation(tmp_path / "server", "Test").close()
    config = load_config(tmp_path / "server")
    database = Database(config.database_url, busy_timeout_s=1, connections=2)
    for revision, advice in (("9999", "Update the program"), (None, "server migrate")):
        with database.writing() as session:
            connection = session.connection()
            connection.exec_driver_sql("DELETE FROM alembic_version")
            if revision is not None:
                connection.execute(
                    text("INSERT INTO alembic_version VALUES (:new)"), {"new": revision}
                )
        with pytest.raises(ConfigError, match=advice):
            open_installation(config)
    database.close()


def test_a_database_that_is_up_to_date_is_left_alone(tmp_path: Path, database_kind: str) -> None:
    databases.new_installation(tmp_path / "server", "Test").close()
    newest = newest_revision()
    assert migrate_installation(tmp_path / "server") == (newest, newest)


def test_a_folder_that_holds_something_is_not_made_a_servers(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match="not empty"):
        create_installation(tmp_path, "Test")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_half_a_server_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import api.server.services.installation as module

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "migrate", broken)
    with pytest.raises(OSError, match="No space"):
        create_installation(tmp_path / "server", "Test")
    assert list((tmp_path / "server").iterdir()) == []


def test_a_servers_folder_is_for_its_own_account(tmp_path: Path) -> None:
    create_installation(tmp_path / "server", "Test").close()
    assert (tmp_path / "server").stat().st_mode & 0o077 == 0
    assert (tmp_path / "server" / "log.key").stat().st_mode & 0o077 == 0


class TestTimes:
    @pytest.fixture
    def ready(self, database: Database) -> Database:
        migrate(database)
        return database

    def test_keep_their_zone(self, ready: Database) -> None:
        chengdu = timezone(timedelta(hours=8))
        moment = datetime(2026, 8, 3, 9, 0, 0, 123456, tzinfo=chengdu)
        with ready.writing() as session:
            session.add(Nonce(key_id="k", nonce="n", expires_at=moment))
        with ready.reading() as session:
            (stored,) = session.query(Nonce).all()
            assert stored.expires_at == moment
            assert stored.expires_at.tzinfo is UTC
        ready.close()

    def test_without_a_zone_are_refused(self, ready: Database) -> None:
        with pytest.raises(StatementError), ready.writing() as session:
            session.add(Nonce(key_id="k", nonce="n", expires_at=datetime(2026, 8, 3)))  # noqa: DTZ001
        ready.close()


def test_foreign_keys_are_enforced(server: SimulatedServer) -> None:
    with pytest.raises(IntegrityError), server.installation.database.writing() as session:
        session.add(
            Upload(
                round_id="nowhere",
                office_id="nobody",
                sha256="0" * 64,
                n_records=1,
                n_bytes=1,
                received_at=server.clock(),
            )
        )


def test_entries_of_the_log_cannot_be_changed_by_mistake(server: SimulatedServer) -> None:
    for statement in ("DELETE FROM log_entries", "UPDATE log_entries SET body = ''"):
        with pytest.raises(IntegrityError), server.installation.database.writing() as session:
            session.connection().exec_driver_sql(statement)
    assert server.log_size() == 1


def test_two_writers_wait_for_each_other(server: SimulatedServer) -> None:
    import threading

    from api.audit.events import Action
    from api.server.services.work import own_caller

    def write() -> None:
        for _ in range(10):
            with server.installation.work(own_caller("server")) as work:
                work.record(Action.SERVER_START)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry["index"] for entry in server.log()] == list(range(81))
