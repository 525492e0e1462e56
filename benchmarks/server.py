"""What a server takes: load, kill -9 at random moments, bad input.

``python -m benchmarks.server --quick --json FILE``; one part with ``--part load|kills|fuzz``.
Every part ends with checks that fail the run: hashes equal, links equal, the log verifies, no 5xx.
"""

import argparse
import hashlib
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from api.client.errors import ApiError
from benchmarks.server_fuzz import fuzz
from benchmarks.server_setup import (
    Processes,
    encoded_shares,
    new_server,
    open_round,
    verify_log,
)

ROUND = "2026-h2"
BUSY = "2026-h1"
MATCHED = ("office-a", "office-b", "office-c")


def measure_load(folder: Path, n_offices: int, n_records: int) -> dict[str, Any]:
    """All offices upload at the same time while a round is matched."""
    offices = [f"office-{number:02d}" for number in range(n_offices)]
    directory = new_server(folder, [*offices, *MATCHED])
    files = encoded_shares(folder, ROUND, offices, n_records)
    matched = encoded_shares(folder, BUSY, MATCHED, n_records // 4)
    processes = Processes(directory)
    processes.start("server")
    try:
        open_round(processes, BUSY, MATCHED, n_records)
        open_round(processes, ROUND, offices, n_records)
        for office, path in matched.items():
            processes.client(office).put_file(f"/v1/rounds/{BUSY}/uploads/{office}", path)
        chen = processes.client("chen", "operator")
        for action in ("freeze", "run"):
            chen.post_json(f"/v1/rounds/{BUSY}/transitions", {"action": action})
        processes.start("worker")
        watch = _Watch(processes)
        before = processes.rss_bytes("server")
        watch.start()
        began = time.perf_counter()
        with ThreadPoolExecutor(n_offices) as pool:
            answers = list(pool.map(lambda o: _upload(processes, o, files[o]), offices))
        seconds = time.perf_counter() - began
        watch.stop()
        for office, answer in zip(offices, answers, strict=True):
            expected = hashlib.sha256(files[office].read_bytes()).hexdigest()
            if answer["sha256"] != expected:
                raise AssertionError(f"{office}: the stored file is another")
        state = chen.get_json(f"/v1/rounds/{BUSY}")["state"]
    finally:
        processes.stop()
    n_bytes = sum(path.stat().st_size for path in files.values())
    return {
        "n_offices": n_offices,
        "n_records_each": n_records,
        "n_bytes": n_bytes,
        "seconds": round(seconds, 2),
        "megabytes_per_s": round(n_bytes / seconds / 1e6, 1),
        "status_requests": len(watch.times_ms),
        "status_p50_ms": round(statistics.median(watch.times_ms), 1),
        "status_p99_ms": round(statistics.quantiles(watch.times_ms, n=100)[98], 1),
        "rss_before_mb": before // 2**20,
        "rss_peak_mb": watch.peak_bytes // 2**20,
        "matched_round": state,
        "log_entries_verified": verify_log(directory),
    }


class _Watch:
    """Asks for a round's status again and again, and looks at the server's memory."""

    def __init__(self, processes: Processes) -> None:
        self.times_ms: list[float] = []
        self.peak_bytes = 0
        self._processes = processes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        chen = self._processes.client("chen", "operator")
        while not self._done.is_set():
            began = time.perf_counter()
            chen.get_json(f"/v1/rounds/{ROUND}")
            self.times_ms.append(1000 * (time.perf_counter() - began))
            self.peak_bytes = max(self.peak_bytes, self._processes.rss_bytes("server"))
            time.sleep(0.02)


def _upload(processes: Processes, office: str, path: Path) -> dict[str, Any]:
    return dict(processes.client(office).put_file(f"/v1/rounds/{ROUND}/uploads/{office}", path))


def measure_kills(folder: Path, n_kills: int, per_round: int) -> dict[str, Any]:
    """Rounds in which server or worker is killed at random moments; each ends with equal links."""
    source = random.Random(2026)  # noqa: S311 - moments, not secrets
    offices = list(MATCHED)
    settings = {"lease_s": 1.0, "poll_s": 0.1, "progress_s": 0.1, "max_attempts": 100}
    links: set[str] = set()
    killed: Counter[str] = Counter()
    began = time.perf_counter()
    n_rounds = 0
    files = encoded_shares(folder, ROUND, offices, 600)
    while sum(killed.values()) < n_kills or not n_rounds:
        place = folder / f"round-{n_rounds}"
        directory = new_server(place, offices, **settings)
        processes = Processes(directory)
        processes.start("server")
        processes.start("worker")
        killer = _Killer(processes, source, 0 if n_rounds == 0 else per_round)
        killer.start()
        try:
            acknowledged = _play(processes, offices, files)
        finally:
            killer.stop()
            processes.stop()
        killed += killer.killed
        links.add(_links_hash(directory, acknowledged))
        verify_log(directory)
        n_rounds += 1
    if len(links) != 1:
        raise AssertionError(f"{len(links)} different results of the same round")
    return {
        "kills": dict(killed),
        "n_kills": sum(killed.values()),
        "n_rounds": n_rounds,
        "different_results": len(links),
        "seconds": round(time.perf_counter() - began, 1),
    }


class _Killer:
    """Kills server or worker at random moments and starts it again."""

    def __init__(self, processes: Processes, source: random.Random, n_kills: int) -> None:
        self.killed: Counter[str] = Counter()
        self._processes = processes
        self._plan = [
            (source.uniform(0.05, 1.5), source.choice(("server", "worker"))) for _ in range(n_kills)
        ]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        for delay, name in self._plan:
            if self._done.wait(delay):
                return
            self._processes.kill(name)
            self.killed[name] += 1
            self._processes.start(name)


def _play(processes: Processes, offices: list[str], files: Any) -> dict[str, str]:
    """The whole round, each step repeated until it is acknowledged."""
    _until_done(lambda: open_round(processes, ROUND, offices, 10_000))
    acknowledged = {}
    for office in offices:
        path = f"/v1/rounds/{ROUND}/uploads/{office}"
        answer = _until_done(lambda p=path, o=office: processes.client(o).put_file(p, files[o]))
        acknowledged[office] = str(answer["sha256"])
    for action, state in (("freeze", "frozen"), ("run", "matching")):
        _until_done(lambda a=action, s=state: _step(processes, "chen", a, s))
    _until_done(lambda: _expect(processes, "review"))
    _until_done(lambda: _step(processes, "luo", "release", "released"))
    return acknowledged


def _step(processes: Processes, person: str, action: str, state: str) -> None:
    """Take a step; one that was done before its answer got lost is not done twice."""
    speaking = processes.client(person, "operator")
    order = ["open", "frozen", "matching", "review", "released"]
    now = speaking.get_json(f"/v1/rounds/{ROUND}")["state"]
    if order.index(now) < order.index(state):
        speaking.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": action})


def _expect(processes: Processes, state: str) -> None:
    now = processes.client("chen", "operator").get_json(f"/v1/rounds/{ROUND}")["state"]
    if now != state:
        raise ConnectionError(now)


def _until_done(act: Any) -> Any:
    deadline = time.monotonic() + 120
    while True:
        try:
            return act()
        except (ApiError, OSError) as error:
            if time.monotonic() > deadline:
                raise
            if isinstance(error, ApiError) and error.slug == "conflict":
                raise
            time.sleep(0.1)


def _links_hash(directory: Path, acknowledged: dict[str, str]) -> str:
    with sqlite3.connect(f"file:{directory / 'tongqiao.db'}?mode=ro", uri=True) as database:
        stored = dict(database.execute("SELECT office_id, sha256 FROM uploads").fetchall())
        if stored != acknowledged:
            raise AssertionError("an upload that was acknowledged is lost")
        ((state, links),) = database.execute("SELECT state, links_sha256 FROM rounds").fetchall()
        rows = database.execute(
            "SELECT office_a, record_a, office_b, record_b, round(score, 6) FROM links"
        ).fetchall()
    if state != "released" or not rows:
        raise AssertionError(f"the round ended as {state} with {len(rows)} links")
    digest = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()
    return f"{links} {digest}"


def main() -> None:
    """Run the parts that are asked for and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=("load", "kills", "fuzz"), action="append")
    parser.add_argument("--offices", type=int)
    parser.add_argument("--records", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--requests", type=int)
    given = parser.parse_args()
    quick = given.quick
    parts = {
        "load": lambda folder: (
            measure_load(folder, given.offices or (5 if quick else 20), given.records or 100_000)
            if not quick or given.records
            else measure_load(folder, given.offices or 5, 10_000)
        ),
        "kills": lambda folder: measure_kills(folder, given.kills or (6 if quick else 50), 5),
        "fuzz": lambda folder: fuzz(folder, given.requests or (600 if quick else 10_000)),
    }
    found = {}
    for name in given.part or parts:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = parts[name](Path(folder))
        print(name, json.dumps(found[name], indent=1), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
