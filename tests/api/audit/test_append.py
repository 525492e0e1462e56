"""Appending: in the caller's transaction, one after the other, whoever writes."""

import json
import multiprocessing
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from api.audit.append import MAX_READ_ENTRIES, append_entry, log_size, read_entries, read_head
from api.audit.errors import AuditEventError, LogStoreError
from api.audit.events import parse_entry
from api.audit.merkle import leaf_hash, tree_root
from tests.api.audit.simulated_log import (
    START,
    TABLES,
    SimulatedLog,
    example_event,
    immediate_engine,
    new_engine,
)


def assert_is_one_history(path: Path, n_entries: int) -> None:
    with Session(immediate_engine(f"sqlite:///{path}")) as session:
        lines = [line.encode() for line in read_entries(session, TABLES, 0, n_entries + 1)]
        head = read_head(session, TABLES)
    entries = [parse_entry(line) for line in lines]
    assert [entry.index for entry in entries] == list(range(n_entries))
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
    assert head.size == n_entries
    assert head.root == tree_root(leaf_hash(line) for line in lines)


def test_entries_are_numbered_and_the_head_is_their_root() -> None:
    log = SimulatedLog(37)
    lines = log.lines()
    assert [parse_entry(line).index for line in lines] == list(range(37))
    with Session(log.engine) as session:
        assert log_size(session, TABLES) == 37
        assert read_head(session, TABLES).root == tree_root(leaf_hash(line) for line in lines)


def test_an_empty_log_has_a_size_and_a_root() -> None:
    with Session(new_engine()) as session:
        assert log_size(session, TABLES) == 0
        assert read_head(session, TABLES).root == tree_root([])
        assert read_entries(session, TABLES, 0, 10) == []


def test_the_columns_to_search_by_repeat_the_body() -> None:
    log = SimulatedLog(9)
    with log.engine.connect() as connection:
        for row in connection.execute(select(TABLES.entries)):
            body = json.loads(row.body)
            assert row.leaf_hash == leaf_hash(row.body.encode())
            for name in ("time", "action", "outcome", "actor", "project", "round"):
                assert getattr(row, name) == body[name]


def test_a_clock_that_goes_back_does_not_take_the_log_back() -> None:
    engine = new_engine()
    with Session(engine) as session, session.begin():
        for offset_s in (0, 5, -3600, 6):
            append_entry(session, TABLES, example_event(0), START + timedelta(seconds=offset_s))
        times = [
            parse_entry(line.encode()).time[17:19] for line in read_entries(session, TABLES, 0, 9)
        ]
    assert times == ["00", "05", "05", "06"]


def test_a_time_without_zone_is_refused() -> None:
    with (
        Session(new_engine()) as session,
        session.begin(),
        pytest.raises(AuditEventError),
    ):
        append_entry(session, TABLES, example_event(0), datetime(2026, 9, 1))  # noqa: DTZ001


def test_what_is_rolled_back_was_never_logged() -> None:
    log = SimulatedLog(3)
    before = log.checkpoint()
    with Session(log.engine) as session:
        append_entry(session, TABLES, example_event(3), START)
        append_entry(session, TABLES, example_event(4), START)
        session.rollback()
    assert log.checkpoint() == before
    assert len(log.lines()) == 3
    log.append(1)
    assert [parse_entry(line).index for line in log.lines()] == [0, 1, 2, 3]


def test_what_is_rolled_back_from_an_empty_log_leaves_it_empty() -> None:
    engine = new_engine()
    with Session(engine) as session:
        append_entry(session, TABLES, example_event(0), START)
        session.rollback()
        assert log_size(session, TABLES) == 0
    SimulatedLog(2, engine)
    with Session(engine) as session:
        assert read_head(session, TABLES).size == 2


def test_reading_is_by_place_and_bounded() -> None:
    log = SimulatedLog(12)
    assert [parse_entry(text.encode()).index for text in log.entries(4, 3)] == [4, 5, 6]
    assert log.entries(12, 5) == []
    assert log.entries(0, -1) == []
    assert len(log.entries(0, MAX_READ_ENTRIES * 10)) == 12


def test_threads_write_one_history(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    new_engine(path).dispose()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        engine = immediate_engine(f"sqlite:///{path}")
        try:
            for number in range(25):
                with Session(engine) as session, session.begin():
                    append_entry(session, TABLES, example_event(seed + number))
                    if number % 5 == 4:
                        session.rollback()
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            engine.dispose()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert_is_one_history(path, 4 * 20)


def write_in_process(path: Path, n_entries: int) -> None:
    engine = immediate_engine(f"sqlite:///{path}")
    for number in range(n_entries):
        with Session(engine) as session, session.begin():
            append_entry(session, TABLES, example_event(number))
    engine.dispose()


@pytest.mark.process
def test_processes_write_one_history_though_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    new_engine(path).dispose()
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_in_process, args=(path, 40)) for _ in range(2)]
    victim = context.Process(target=write_in_process, args=(path, 1_000_000))
    for process in (*writers, victim):
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    victim.kill()
    victim.join()
    with Session(immediate_engine(f"sqlite:///{path}")) as session:
        size = log_size(session, TABLES)
    assert size >= 80
    assert_is_one_history(path, size)


def test_an_engine_without_immediate_transactions_may_fail_but_not_fork(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    new_engine(path).dispose()
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.1})
    with Session(engine) as first, Session(engine) as second:
        assert log_size(first, TABLES) == log_size(second, TABLES) == 0
        append_entry(first, TABLES, example_event(0), START)
        with pytest.raises(OperationalError):
            append_entry(second, TABLES, example_event(1), START)
        first.commit()
    assert_is_one_history(path, 1)


def test_no_index_is_given_twice() -> None:
    log = SimulatedLog(3)
    with log.engine.connect() as connection:
        row = connection.execute(select(TABLES.entries).limit(1)).one()
        with pytest.raises(IntegrityError):
            connection.execute(insert(TABLES.entries).values(**row._asdict()))


def test_a_damaged_head_stops_the_log() -> None:
    engine = new_engine(guards=False)
    SimulatedLog(5, engine)
    with engine.begin() as connection:
        connection.execute(update(TABLES.head).values(compact_range=b"x"))
    with Session(engine) as session:
        with pytest.raises(LogStoreError):
            append_entry(session, TABLES, example_event(5), START)
        session.rollback()
        with pytest.raises(LogStoreError):
            read_head(session, TABLES)


@pytest.mark.parametrize(
    "statement",
    [
        delete(TABLES.entries).where(TABLES.entries.c.entry_index == 4),
        delete(TABLES.head),
        update(TABLES.head).values(size=4, compact_range=bytes(32)),
    ],
)
def test_a_head_that_does_not_fit_its_entries_is_not_read(statement: object) -> None:
    engine = new_engine(guards=False)
    SimulatedLog(5, engine)
    with engine.begin() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    with Session(engine) as session, pytest.raises(LogStoreError):
        read_head(session, TABLES)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE log_entries SET body = replace(body, 'granted', 'refused')",
        "DELETE FROM log_entries WHERE entry_index = 4",
        "INSERT OR REPLACE INTO log_entries SELECT * FROM log_entries WHERE entry_index = 2",
        "UPDATE log_head SET size = 4",
        "DELETE FROM log_head",
        "INSERT OR REPLACE INTO log_head SELECT * FROM log_head",
        "UPDATE log_checkpoints SET note = 'x'",
        "DELETE FROM log_checkpoints",
        "INSERT OR REPLACE INTO log_checkpoints SELECT * FROM log_checkpoints",
    ],
)
def test_the_database_refuses_to_change_what_is_logged(sql: str) -> None:
    log = SimulatedLog(5)
    note = log.checkpoint()
    lines = log.lines()
    with pytest.raises(DBAPIError, match="access log"), log.engine.begin() as connection:
        connection.execute(text(sql))
    assert log.lines() == lines
    assert log.checkpoint() == note
    with log.engine.connect() as connection:
        n_kept = connection.execute(select(func.count()).select_from(TABLES.checkpoints))
        assert n_kept.scalar_one() == 1
