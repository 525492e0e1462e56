"""Writers share commits: none is told too early, none loses by another's fault."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from api.audit.append import read_entries, read_head
from api.audit.errors import LogStoreError
from api.audit.events import Action, AuditEvent, parse_entry
from api.audit.merkle import leaf_hash, tree_root
from api.server.models import LOG_TABLES
from api.server.services.database import Database, is_busy
from api.server.services.group_commit import MAX_MEMBERS, TimedEvent, WriterBusyError
from api.server.services.work import own_caller
from tests.simulator import SimulatedServer


@pytest.fixture
def database(server: SimulatedServer) -> Iterator[Database]:
    # Of its own: that of the server under test is watched for writes past the log.
    address = server.installation.database.engine.url
    database = Database(address, busy_timeout_s=20, connections=MAX_MEMBERS)
    with database.migrating() as connection:
        connection.execute(text("CREATE TABLE kept (number INTEGER PRIMARY KEY)"))
    yield database
    database.close()


def insert(session: Session, number: int) -> None:
    session.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})


def kept(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.execute(text("SELECT number FROM kept ORDER BY number")).scalars())


class Commits:
    """Counts commits, makes them slow or lets them fail."""

    def __init__(self, database: Database, *, slow_s: float = 0.0) -> None:
        self.n = 0
        self.slow_s = slow_s
        self.failure: Exception | None = None
        event.listen(database.engine, "commit", self)

    def __call__(self, _connection: object) -> None:
        self.n += 1
        time.sleep(self.slow_s)
        if self.failure is not None:
            raise self.failure


def at_once(n_threads: int, work: Callable[[int], None]) -> list[BaseException | None]:
    """Run in so many threads; what each raised."""
    errors: list[BaseException | None] = [None] * n_threads
    start = threading.Barrier(n_threads)

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:
            errors[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def holding_the_turn(database: Database, others: Callable[[], None], n_waiting: int) -> None:
    """Let others wait until so many stand in the row, then go on."""
    with database.writing() as session:
        insert(session, -1)
        others()
        deadline = time.monotonic() + 20
        while len(database._group_commit._waiting) < n_waiting and time.monotonic() < deadline:
            time.sleep(0.005)


def share(database: Database, n_writers: int, work: Callable[[int], None]) -> list[object]:
    """One writer holds the turn until all others wait; the results of the others."""
    errors: list[object] = []

    def run() -> None:
        errors.extend(at_once(n_writers, work))

    thread = threading.Thread(target=run)
    holding_the_turn(database, thread.start, n_writers)
    thread.join()
    return errors


def test_who_waits_shares_the_commit(database: Database) -> None:
    commits = Commits(database)

    def work(number: int) -> None:
        with database.writing() as session:
            insert(session, number)
        # Whoever is told that it is done can see it done.
        assert number in kept(database)

    assert share(database, 6, work) == [None] * 6
    assert kept(database) == [-1, *range(6)]
    assert commits.n == 1


def test_a_group_has_an_end(database: Database) -> None:
    commits = Commits(database)

    def work(number: int) -> None:
        with database.writing() as session:
            insert(session, number)

    assert share(database, MAX_MEMBERS + 5, work) == [None] * (MAX_MEMBERS + 5)
    assert len(kept(database)) == MAX_MEMBERS + 6
    assert commits.n == 2


def test_one_that_fails_takes_back_its_own_work_alone(database: Database) -> None:
    def work(number: int) -> None:
        with database.writing() as session:
            insert(session, number)
            if number % 2:
                raise KeyError(number)
            if number == 4:
                insert(session, 0 if number in kept(database) else -1)

    errors = share(database, 6, work)
    assert [type(error) for error in errors] == [
        type(None), KeyError, type(None), KeyError, errors[4].__class__, KeyError,
    ]  # fmt: skip
    assert isinstance(errors[4], DBAPIError)
    assert kept(database) == [-1, 0, 2]


def test_a_commit_that_fails_is_told_to_all(database: Database) -> None:
    commits = Commits(database)

    def work(number: int) -> None:
        with database.writing() as session:
            insert(session, number)
            commits.failure = OSError(28, "No space left on device")

    errors: list[object] = []
    with pytest.raises(OSError, match="No space"):
        errors = share(database, 3, work)
    commits.failure = None
    assert kept(database) == []
    with database.writing() as session:
        insert(session, 7)
    assert kept(database) == [7]
    assert errors == []


def test_a_transaction_that_the_database_gave_up_is_not_taken_for_committed(
    database: Database,
) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL never rolls a whole transaction back by itself")

    def work(number: int) -> None:
        with database.writing() as session:
            insert(session, number)
            if number == 1:
                # As SQLite does by itself when the disk is full.
                session.connection().connection.dbapi_connection.execute("ROLLBACK")  # type: ignore[union-attr]
                raise KeyError(number)

    with pytest.raises(OperationalError):
        assert share(database, 2, work)
    assert 0 not in kept(database) or 1 not in kept(database)
    assert -1 not in kept(database)


def test_who_comes_after_a_lost_transaction_keeps_nothing_either(database: Database) -> None:
    """Else its work would stand there without its entry in the log, while it is told of a failure.

    Outside of a transaction, a savepoint of SQLite is one, and releasing it commits it.
    """
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL never rolls a whole transaction back by itself")
    errors: dict[int, BaseException] = {}

    def lose(number: int) -> None:
        with database.writing() as session:
            insert(session, number)
            session.connection().connection.dbapi_connection.execute("ROLLBACK")  # type: ignore[union-attr]
            raise KeyError(number)

    def work(number: int) -> None:
        with database.writer() as writer:
            insert(writer.session, number)
            writer.append([timed(number)])

    def run(do: Callable[[int], None], number: int) -> None:
        try:
            do(number)
        except BaseException as error:
            errors[number] = error

    threads = [
        threading.Thread(target=run, args=(do, number)) for number, do in enumerate((lose, work))
    ]

    def one_behind_the_other() -> None:
        for n_before, thread in enumerate(threads):
            thread.start()
            deadline = time.monotonic() + 20
            while len(database._group_commit._waiting) <= n_before and time.monotonic() < deadline:
                time.sleep(0.005)

    with pytest.raises(OperationalError):
        holding_the_turn(database, one_behind_the_other, 2)
    for thread in threads:
        thread.join()
    assert isinstance(errors[0], KeyError)
    # Whether it is done or not: with its entry, or not at all.
    assert (1 in kept(database), 1 in logged(database)) == (1 not in errors, 1 not in errors)
    work(7)
    assert 7 in kept(database)
    assert logged(database)[-1:] == [7]


def test_a_turn_that_does_not_come_is_told_as_busy(database: Database) -> None:
    database._group_commit._timeout_s = 0.05

    def wait(_number: int) -> None:
        with database.writing():
            raise AssertionError("two at once")

    with database.writing() as session:
        insert(session, 1)
        errors = at_once(1, wait)
        assert isinstance(errors[0], OperationalError)
        assert is_busy(errors[0])
    assert kept(database) == [1]
    with database.writing() as session:
        insert(session, 2)
    assert kept(database) == [1, 2]


def timed(number: int) -> TimedEvent:
    return AuditEvent(Action.SERVER_START, details={"number": number}), datetime.now(UTC)


def logged(database: Database) -> list[int]:
    """The numbers of the entries that tests here added, in order."""
    with database.reading() as session:
        lines = read_entries(session, LOG_TABLES, 0, 10_000)
    entries = [parse_entry(line.encode()) for line in lines]
    numbers = [entry.details.get("number") for entry in entries]
    return [number for number in numbers if isinstance(number, int)]


def test_who_only_adds_to_the_log_is_taken_along(database: Database) -> None:
    commits = Commits(database)

    def work(number: int) -> None:
        with database.writer() as writer:
            writer.append([timed(number)])
        assert number in logged(database)

    assert share(database, 6, work) == [None] * 6
    assert sorted(logged(database)) == list(range(6))
    assert kept(database) == [-1]
    assert commits.n == 1


def test_what_is_for_the_log_is_added_once_for_all(database: Database) -> None:
    n_added = 0
    append = database._group_commit._append

    def counted(connection: Connection, events: Sequence[TimedEvent]) -> None:
        nonlocal n_added
        n_added += 1
        append(connection, events)

    database._group_commit._append = counted

    def work(number: int) -> None:
        with database.writer() as writer:
            if number % 2:
                insert(writer.session, number)
            writer.append([timed(number)])

    assert share(database, 8, work) == [None] * 8
    assert n_added == 1
    assert sorted(logged(database)) == list(range(8))
    assert kept(database) == [-1, 1, 3, 5, 7]


def test_what_cannot_be_logged_did_not_happen(database: Database) -> None:
    append = database._group_commit._append

    def refuse(_connection: Connection, _events: Sequence[TimedEvent]) -> None:
        raise LogStoreError("damaged")

    database._group_commit._append = refuse

    def work(number: int) -> None:
        with database.writer() as writer:
            if number % 2:
                insert(writer.session, number)
            writer.append([timed(number)])

    errors: list[object] = []
    with pytest.raises(LogStoreError):
        holding_the_turn_and_the_log(database, lambda: errors.extend(at_once(4, work)), 4)
    deadline = time.monotonic() + 20
    while len(errors) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [type(error) for error in errors] == [LogStoreError] * 4
    assert kept(database) == []
    assert logged(database) == []
    database._group_commit._append = append
    work(7)
    assert (kept(database), logged(database)) == ([7], [7])


def holding_the_turn_and_the_log(
    database: Database, others: Callable[[], None], n_waiting: int
) -> None:
    thread = threading.Thread(target=others)
    holding_the_turn(database, thread.start, n_waiting)


def test_who_fails_after_reading_its_own_entry_takes_back_nobody_elses(
    database: Database,
) -> None:
    def work(number: int) -> None:
        with database.writer() as writer:
            insert(writer.session, number)
            writer.append([timed(number)])
            if number % 2:
                # Adds what those before it have for the log, too; then fails.
                writer.append_now([timed(100 + number)])
                raise KeyError(number)

    errors = share(database, 6, work)
    assert [type(error) for error in errors] == [type(None), KeyError] * 3
    assert sorted(logged(database)) == [0, 2, 4]
    assert kept(database) == [-1, 0, 2, 4]


def test_a_log_that_does_not_come_free_is_told_as_busy(database: Database) -> None:
    database._group_commit._timeout_s = 0.05

    def add(number: int) -> None:
        with database.writer() as writer:
            writer.append([timed(number)])

    with database.writing() as session:
        insert(session, 1)
        errors = at_once(3, add)
        assert all(isinstance(error, OperationalError) and is_busy(error) for error in errors)
    assert logged(database) == []
    database._group_commit._timeout_s = 20
    add(5)
    assert logged(database) == [5]


def test_a_commit_that_is_not_waited_for_takes_nobody_along(database: Database) -> None:
    """Who adds to the log is told when it is on the disk: a nonce's commit is not."""
    commits = Commits(database)
    with database.writing(durable=False) as session:
        insert(session, 1)
        thread = threading.Thread(target=at_once, args=(1, lambda _: add_one(database)))
        thread.start()
        deadline = time.monotonic() + 20
        while not database._group_commit._waiting and time.monotonic() < deadline:
            time.sleep(0.005)
    thread.join()
    assert commits.n == 2
    assert logged(database) == [3]


def add_one(database: Database) -> None:
    with database.writer() as writer:
        writer.append([timed(3)])


def test_requests_at_once_make_one_history(server: SimulatedServer) -> None:
    def work(number: int) -> None:
        for step in range(6):
            try:
                with server.installation.work(own_caller("server")) as work:
                    work.record(Action.SERVER_START, details={"number": number, "step": step})
                    if step == 3:
                        raise KeyError(step)
            except KeyError:
                pass

    assert at_once(8, work) == [None] * 8
    lines = server.log()
    assert [entry["index"] for entry in lines] == list(range(len(lines)))
    assert len(lines) == 1 + 8 * 5
    assert [entry["time"] for entry in lines] == sorted(entry["time"] for entry in lines)
    with server.installation.database.reading() as session:
        head = read_head(session, LOG_TABLES)
        bodies = session.execute(
            LOG_TABLES.entries.select().order_by(LOG_TABLES.entries.c.entry_index)
        ).all()
    assert head.root == tree_root(leaf_hash(row.body.encode()) for row in bodies)


def test_a_row_behind_a_writer_that_is_stuck_grows_no_further(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every thread would wait in it, and nobody could be told that the server is alive."""
    monkeypatch.setattr("api.server.services.group_commit.PATIENCE_S", 0.1)
    database = Database(server.installation.database.engine.url, busy_timeout_s=20, connections=4)
    stuck, go_on = threading.Event(), threading.Event()

    def hold(_number: int) -> None:
        with database.writing():
            stuck.set()
            go_on.wait(20)

    def wait(_number: int) -> None:
        with database.writing():
            pass

    threads = [threading.Thread(target=hold, args=(0,))]
    threads[0].start()
    assert stuck.wait(20)
    threads += [threading.Thread(target=wait, args=(number,)) for number in range(2)]
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    with pytest.raises(WriterBusyError) as caught:
        wait(0)
    assert time.monotonic() - began < 5
    assert is_busy(caught.value)
    go_on.set()
    for thread in threads:
        thread.join()
    wait(0)
    database.close()
