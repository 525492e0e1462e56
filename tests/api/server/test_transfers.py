"""Uploads give way to requests, and take the processors one by one."""

import threading
from pathlib import Path

import pytest

from api.audit.events import Action
from api.server.refusals import RefusalError
from api.server.services.installation import Installation
from api.server.services.transfers import Transfers
from api.server.services.work import UnloggedWorkError, own_caller
from tests.databases import new_installation


def test_no_more_work_at_the_same_time_than_there_are_turns() -> None:
    transfers = Transfers(8, at_work=2)
    at_work, most, count = 0, 0, threading.Lock()
    start = threading.Barrier(8)

    def take_in() -> None:
        nonlocal at_work, most
        start.wait()
        for _ in range(20):
            with transfers.taking_in():
                with count:
                    at_work += 1
                    most = max(most, at_work)
                threading.Event().wait(0.0005)
                with count:
                    at_work -= 1

    threads = [threading.Thread(target=take_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_an_upload_goes_on_although_requests_never_end() -> None:
    transfers = Transfers(1)
    transfers.begin_answer()
    for _ in range(3):
        with transfers.taking_in():
            pass


def test_without_a_place_nobody_waits() -> None:
    transfers = Transfers(1)
    with transfers.taking_place(), pytest.raises(RefusalError), transfers.taking_place():
        pass


@pytest.fixture
def installation(tmp_path: Path, database_kind: str) -> Installation:
    return new_installation(tmp_path / "server", "Test")


class TestLooking:
    def test_who_only_reads_reads_while_another_writes(self, installation: Installation) -> None:
        has_read, may_end, answered = threading.Event(), threading.Event(), threading.Event()

        def look() -> None:
            with installation.look(own_caller("server")) as work:
                assert work.session.connection() is not None
                work.record(Action.ROUND_LIST, details={"n_rounds": 0})
                has_read.set()
            answered.set()

        def write() -> None:
            with installation.work(own_caller("server")) as work:
                work.session.connection()
                work.record(Action.SERVER_START)
                reader.start()
                assert has_read.wait(20), "the reader waits for the writer"
                # The entry is not in the log yet, so nobody is told what was read.
                assert not answered.wait(0.05)
            may_end.set()

        reader = threading.Thread(target=look)
        write()
        reader.join()
        assert may_end.is_set()
        assert answered.is_set()
        installation.close()

    def test_reading_without_an_entry_is_a_fault(self, installation: Installation) -> None:
        with (
            pytest.raises(UnloggedWorkError),
            installation.look(own_caller("server")) as work,
        ):
            work.session.connection()
        installation.close()
