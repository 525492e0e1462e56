"""Single statements: what needs no transaction around it, and waits for nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select, text

from api.server.models import Nonce
from tests.simulator import SimulatedServer


def row(server: SimulatedServer, nonce: str) -> dict[str, object]:
    return {
        "key_id": "key",
        "nonce": nonce,
        "expires_at": server.clock.now + timedelta(minutes=15),
    }


def test_of_many_who_note_the_same_one_is_first(server: SimulatedServer) -> None:
    database = server.installation.database
    n_threads = 8
    together = threading.Barrier(n_threads)

    def note(_: int) -> list[bool]:
        together.wait(20)
        return [database.note(Nonce, row(server, f"nonce-{number}")) for number in range(20)]

    with ThreadPoolExecutor(n_threads) as threads:
        answers = list(threads.map(note, range(n_threads)))
    assert [sum(said) for said in zip(*answers, strict=True)] == [1] * 20
    assert len(server.rows("nonces")) == 20


def test_what_was_noted_is_there_for_everybody_at_once(server: SimulatedServer) -> None:
    database = server.installation.database
    assert database.note(Nonce, row(server, "new"))
    with database.asking() as session:
        (found,) = session.scalars(select(Nonce))
    assert (found.nonce, found.expires_at) == ("new", server.clock.now + timedelta(minutes=15))
    assert not database.note(Nonce, row(server, "new"))


def test_a_note_on_postgresql_waits_for_no_writer(server: SimulatedServer) -> None:
    database = server.installation.database
    with ThreadPoolExecutor(1) as threads:
        with database.writing():
            noted = threads.submit(database.note, Nonce, row(server, "new"))
            if server.installation.config.database != "sqlite":
                assert noted.result(20)
        assert noted.result(20)


def test_a_note_leaves_later_commits_durable(server: SimulatedServer) -> None:
    """That one row may be lost with a power cut is said of it alone."""
    database = server.installation.database
    is_sqlite = server.installation.config.database == "sqlite"
    setting = "PRAGMA synchronous" if is_sqlite else "SHOW synchronous_commit"
    durable = "2" if is_sqlite else "on"
    for number in range(3):
        assert database.note(Nonce, row(server, str(number)))
        with database.writing() as session:
            assert str(session.scalar(text(setting))) == durable
