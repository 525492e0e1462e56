"""Rows that were deleted while somebody could still read them: owed, and gone in the end."""

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from api.server.logs import JsonFormatter
from api.server.models import Link, Upload
from api.server.models.base import Base
from api.server.services import traces
from api.server.services.database import Database
from api.server.services.traces import leave_traces, scrub_traces, traces_since
from api.server.services.work import Work, own_caller
from tests.factories import ROUND
from tests.simulator import OpenRound, SimulatedServer, granted

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    party = server.open_round()
    party.is_matched()
    granted(party.second.takes_step(ROUND, "release"))
    return party


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_PATIENCE_S", 0.2)


def links_of(server: SimulatedServer) -> list[bytes]:
    return [row[side].encode() for row in server.rows("links") for side in ("link_a", "link_b")]


def are_stored(server: SimulatedServer, pieces: list[bytes]) -> bool:
    kept = b"".join(path.read_bytes() for path in server.database_files())
    return any(piece in kept for piece in pieces)


@contextmanager
def somebody_reading(server: SimulatedServer) -> Iterator[None]:
    """A transaction that sees the database as it is now, as a backup's does."""
    with server.installation.database.reading() as session:
        session.execute(text("SELECT count(*) FROM links"))
        yield


def owed(server: SimulatedServer) -> set[str]:
    return {row["table"] for row in server.rows("traces")}


@pytest.mark.usefixtures("impatient")
def test_what_somebody_still_reads_goes_when_the_reader_has_gone(
    server: SimulatedServer, party: OpenRound, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = links_of(server)
    with somebody_reading(server), caplog.at_level(logging.WARNING, "tongqiao.server"):
        granted(party.first.expires(ROUND), 202)
        granted(party.second.expires(ROUND))
        assert server.rows("links") == []
        assert "links" in owed(server)
        assert "deleted rows still stand" in caplog.text
        assert are_stored(server, pieces)
    server.worker().run(once=True)
    assert owed(server) == set()
    assert not are_stored(server, pieces)


def test_who_deletes_waits_for_a_short_reader(server: SimulatedServer, party: OpenRound) -> None:
    pieces = links_of(server)
    is_reading, is_enough = threading.Event(), threading.Event()

    def read() -> None:
        with somebody_reading(server):
            is_reading.set()
            is_enough.wait(20)

    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(read)
        assert is_reading.wait(20)
        threading.Timer(0.5, is_enough.set).start()
        granted(party.first.expires(ROUND), 202)
        granted(party.second.expires(ROUND))
        reader.result()
    assert owed(server) == set()
    assert not are_stored(server, pieces)


def test_who_deletes_meanwhile_is_not_answered_for(
    server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_rows(*tables: type[Base]) -> None:
        with server.installation.database.writing() as session:
            leave_traces(Work(session, server.clock.now, own_caller("server")), *tables)

    scrub = Database.scrub

    def scrub_slowly(database: Database, tables: list[str], **options: Any) -> frozenset[str]:
        clean = scrub(database, tables, **options)
        delete_rows(Link)
        return clean

    delete_rows(Link, Upload)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "scrub", scrub_slowly)
        assert scrub_traces(server.installation)
    assert owed(server) == {"links"}
    assert scrub_traces(server.installation)
    assert owed(server) == set()


def test_nor_is_who_deletes_after_somebody_elses_scrubbing(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server and worker scrub at the same time; the slower one must not forget what came since."""

    def delete_rows() -> None:
        with server.installation.database.writing() as session:
            leave_traces(Work(session, server.clock(), own_caller("server")), Link)

    scrub = Database.scrub

    def scrub_slowly(database: Database, tables: list[str], **options: Any) -> frozenset[str]:
        clean = scrub(database, tables, **options)
        monkeypatch.setattr(Database, "scrub", scrub)
        assert scrub_traces(server.installation)
        assert owed(server) == set()
        delete_rows()
        return clean

    delete_rows()
    monkeypatch.setattr(Database, "scrub", scrub_slowly)
    assert scrub_traces(server.installation)
    assert owed(server) == {"links"}


def test_a_crash_between_deletion_and_scrubbing_loses_nothing(
    server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCutError(Exception):
        pass

    def cut(*arguments: object, **options: object) -> None:
        raise PowerCutError

    pieces = links_of(server)
    granted(party.first.expires(ROUND), 202)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "scrub", cut)
        assert party.second.expires(ROUND).status == 500
    assert server.rows("links") == []
    assert owed(server) >= {"links", "round_keys"}
    server.worker().run(once=True)
    assert owed(server) == set()
    assert not are_stored(server, pieces)


@pytest.mark.usefixtures("impatient")
def test_monitoring_sees_for_how_long(server: SimulatedServer, party: OpenRound) -> None:
    def shown() -> float:
        metrics = server.client.application.extensions["tongqiao-metrics"]
        lines = generate_latest(metrics.registry).decode().splitlines()
        (line,) = (one for one in lines if one.startswith("tongqiao_deleted_rows_seconds "))
        return float(line.split()[1])

    assert shown() == 0
    with somebody_reading(server):
        granted(party.offices[0].leaves(ROUND))
        with server.installation.database.reading() as session:
            assert traces_since(session) == server.clock.now
        server.clock.advance(days=2)
        assert shown() == pytest.approx(2 * 86_400, abs=1)
    server.worker().run(once=True)
    assert shown() == 0


def test_what_could_not_be_rewritten_is_not_said_to_be_clean(server: SimulatedServer) -> None:
    database = server.installation.database
    # SQLite zeroes deleted rows, whatever table they were in.
    is_sqlite = server.installation.config.database == "sqlite"
    assert database.scrub(["members"], patience_s=0) == {"members"}
    assert database.scrub(["not_there"], patience_s=0) == ({"not_there"} if is_sqlite else set())


def test_the_programs_log_names_the_tables(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tongqiao.server"):
        logging.getLogger("tongqiao.server").warning("left", extra={"tables": ["links"]})
    assert json.loads(JsonFormatter().format(caplog.records[-1]))["tables"] == ["links"]
