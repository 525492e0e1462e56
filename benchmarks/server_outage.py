"""The database goes away for a while, in the middle of uploads and of a match, and comes back.

Meanwhile every answer is either right or says clearly to try again later; the process says that it
is alive; afterwards everything goes on by itself, and nothing is lost.
"""

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from api.client.errors import ApiError
from api.client.upload import upload_file
from benchmarks.server_setup import (
    Beside,
    Processes,
    encoded_shares,
    new_server,
    open_round,
    verify_log,
)
from tests import postgresql

ROUND = "2026-h2"
LATER = "2027-h1"
OFFICES = ("office-a", "office-b", "office-c")
_N_CLIENTS = 24
_N_RECORDS = 2000
# As the container file asks, which gives up on a server that takes longer.
_ALIVE_WITHIN_S = 5.0


def measure_outage(folder: Path, away_s: float, database: str = "sqlite") -> dict[str, Any]:
    """Take the database away for so many seconds while it is needed by everybody."""
    # A writer gives up before the database is back, so that its clients are told.
    settings = {"busy_timeout_s": max(1.0, away_s / 3), "lease_s": 5.0, "poll_s": 0.1}
    # How soon the worker is done afterwards is not what is measured.
    settings["worker_nice"] = 0
    directory = new_server(folder, OFFICES, database=database, **settings)
    files = {name: encoded_shares(folder, name, OFFICES, _N_RECORDS) for name in (ROUND, LATER)}
    processes = Processes(directory)
    processes.start("server")
    try:
        for name in files:
            open_round(processes, name, OFFICES, _N_RECORDS)
        for office, path in files[ROUND].items():
            upload_file(processes.client(office), f"/v1/rounds/{ROUND}/uploads/{office}", path)
        chen = processes.client("chen", "operator")
        for action in ("freeze", "run"):
            chen.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": action})
        processes.start("worker")
        while chen.get_json(f"/v1/rounds/{ROUND}")["progress"]["stage"] == "queued":
            time.sleep(0.02)
        with _asked(processes) as (asking, pulse):
            with _away(directory, database, away_s) as is_back:
                receipts = _upload_meanwhile(processes, files[LATER])
                is_back.wait()
                back = time.perf_counter()
            sent = receipts()
            recovered_s = time.perf_counter() - back
            state = _state_once(processes, "review")
            matched_s = time.perf_counter() - back
    finally:
        processes.stop()
    if any(receipt["n_records"] != _N_RECORDS for receipt in sent):
        raise AssertionError("an upload that was under way is lost")
    answers = sum((one.answers for one in asking), Counter[str]())
    if set(answers) - {"200", "503 unavailable"}:
        raise AssertionError(f"an answer that is neither right nor 'try later': {answers}")
    if pulse.slowest_s > _ALIVE_WITHIN_S:
        raise AssertionError(f"/health took {pulse.slowest_s:.1f} s")
    return {
        "database": database.partition(":")[0],
        "away_s": away_s,
        "answers": dict(answers),
        "slowest_health_s": round(pulse.slowest_s, 2),
        "ready_answers": dict(pulse.ready),
        "uploads_done_after_s": round(recovered_s, 1),
        "round": state,
        "round_matched_after_s": round(matched_s, 1),
        "log_entries_verified": verify_log(directory),
    }


@contextlib.contextmanager
def _asked(processes: Processes) -> "Iterator[tuple[list[_Asking], _Pulse]]":
    """Clients ask, and somebody takes the server's pulse, until the block ends."""
    asking, pulse = [_Asking(processes) for _ in range(_N_CLIENTS)], _Pulse(processes)
    for one in asking:
        one.start()
    pulse.start()
    try:
        yield asking, pulse
    finally:
        for one in asking:
            one.stop()
        pulse.stop()


@contextlib.contextmanager
def _away(directory: Path, database: str, away_s: float) -> Iterator[threading.Event]:
    """The database is away when the block begins; the event is set when it is back."""
    is_back = threading.Event()
    come_back = _lock(directory) if database == "sqlite" else _stop_postgresql()

    def wait() -> None:
        time.sleep(away_s)
        come_back()
        is_back.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield is_back
    finally:
        waiting.join()


def _lock(directory: Path) -> Callable[[], None]:
    """Another program holds the file's lock, as a copy or a check by hand would."""
    connection = sqlite3.connect(
        directory / "tongqiao.db", isolation_level=None, check_same_thread=False
    )
    connection.execute("BEGIN EXCLUSIVE")

    def come_back() -> None:
        connection.execute("ROLLBACK")
        connection.close()

    return come_back


def _stop_postgresql() -> Callable[[], None]:
    postgresql.stop()
    return postgresql.start


class _Asking(Beside):
    """A client that asks for a round's status again and again, whatever it is told."""

    def __init__(self, processes: Processes) -> None:
        self.answers: Counter[str] = Counter()
        self._processes = processes
        super().__init__(self._run)

    def _run(self) -> None:
        chen = self._processes.client("chen", "operator")
        while not self.is_over.wait(0.1):
            try:
                chen.get_json(f"/v1/rounds/{ROUND}")
                self.answers["200"] += 1
            except ApiError as error:
                self.answers[f"{error.status} {error.slug}"] += 1


class _Pulse(Beside):
    """Asks whether the process is alive, and whether it is ready.

    Attributes:
        slowest_s: answer of ``/health``.
        ready: statuses of ``/ready``.
    """

    def __init__(self, processes: Processes) -> None:
        self.slowest_s = 0.0
        self.ready: Counter[int] = Counter()
        self._address = f"http://127.0.0.1:{processes.port}"
        super().__init__(self._health, self._readiness)

    def _health(self) -> None:
        while not self.is_over.wait(0.2):
            began = time.perf_counter()
            requests.get(f"{self._address}/health", timeout=60).raise_for_status()
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)

    def _readiness(self) -> None:
        while not self.is_over.wait(0.5):
            self.ready[requests.get(f"{self._address}/ready", timeout=120).status_code] += 1


def _upload_meanwhile(processes: Processes, files: Any) -> Callable[[], list[dict[str, Any]]]:
    """Upload in threads; the returned function waits for the receipts."""
    receipts: list[dict[str, Any]] = []

    def send(office: str, path: Path) -> None:
        client = processes.client(office)
        receipts.append(upload_file(client, f"/v1/rounds/{LATER}/uploads/{office}", path))

    threads = [threading.Thread(target=send, args=pair) for pair in files.items()]
    for thread in threads:
        thread.start()

    def wait() -> list[dict[str, Any]]:
        for thread in threads:
            thread.join()
        if len(receipts) != len(threads):
            raise AssertionError("an upload gave up")
        return receipts

    return wait


def _state_once(processes: Processes, wanted: str) -> str:
    chen = processes.client("chen", "operator")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state: str = chen.get_json(f"/v1/rounds/{ROUND}")["state"]
        if state == wanted:
            return state
        time.sleep(0.1)
    raise AssertionError(f"the round did not reach {wanted}")
