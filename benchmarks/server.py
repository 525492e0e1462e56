"""What a server takes: load, kill -9 at random moments, bad input, a database that goes away.

``python -m benchmarks.server --quick --json FILE``; one part with ``--part load`` (or ``kills``,
``fuzz``, ``outage``), on PostgreSQL with ``--database postgresql``.
Every part ends with checks that fail the run: hashes equal, links equal, the log verifies, no 5xx.
"""

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api.client.errors import ApiError
from api.server.config import load_config
from api.server.models import Link, Round, Upload
from api.server.services.installation import open_installation
from benchmarks.server_fuzz import fuzz
from benchmarks.server_load import Size, measure_load
from benchmarks.server_outage import measure_outage
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
MATCHED = ("office-a", "office-b", "office-c")


def measure_kills(
    folder: Path, n_kills: int, per_round: int, database: Callable[[], str]
) -> dict[str, Any]:
    """Rounds in which server or worker is killed at random moments; each ends with equal links."""
    source = random.Random(2026)  # noqa: S311 - moments, not secrets
    offices = list(MATCHED)
    settings = {"lease_s": 1.0, "poll_s": 0.1, "progress_s": 0.1, "max_attempts": 100}
    links: set[str] = set()
    killed: Counter[str] = Counter()
    states: Counter[str] = Counter()
    began = time.perf_counter()
    n_rounds = 0
    files = encoded_shares(folder, ROUND, offices, 600)
    while sum(killed.values()) < n_kills or not n_rounds:
        place = folder / f"round-{n_rounds}"
        directory = new_server(place, offices, database=database(), **settings)
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
        states += killer.states
        links.add(_links_hash(directory, acknowledged))
        verify_log(directory)
        n_rounds += 1
    if len(links) != 1:
        raise AssertionError(f"{len(links)} different results of the same round")
    return {
        "kills": dict(killed),
        "kills_by_state_of_the_round": dict(states),
        "n_kills": sum(killed.values()),
        "n_rounds": n_rounds,
        "different_results": len(links),
        "seconds": round(time.perf_counter() - began, 1),
    }


class _Killer(Beside):
    """Kills server or worker at random moments and starts it again.

    Attributes:
        killed: how often which.
        states: in which state the round was then, with the number of files that had arrived.
    """

    def __init__(self, processes: Processes, source: random.Random, n_kills: int) -> None:
        self.killed: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self._processes = processes
        self._plan = [
            (source.uniform(0.05, 1.5), source.choice(("server", "worker"))) for _ in range(n_kills)
        ]
        super().__init__(self._run)

    def _run(self) -> None:
        for delay, name in self._plan:
            if self.is_over.wait(delay):
                return
            self.states[self._state()] += 1
            self._processes.kill(name)
            self.killed[name] += 1
            self._processes.start(name)

    def _state(self) -> str:
        installation = open_installation(load_config(self._processes.directory))
        try:
            with installation.database.reading() as session:
                state = session.scalar(select(Round.state)) or "none yet"
                n_uploads = len(session.scalars(select(Upload.office_id)).all())
        finally:
            installation.close()
        return f"{state}, {n_uploads} files" if state == "open" else state


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
        if action == "release":
            speaking.get_json(f"/v1/rounds/{ROUND}/review")
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
    installation = open_installation(load_config(directory))
    with installation.database.reading() as session:
        uploads = session.scalars(select(Upload))
        if {upload.office_id: upload.sha256 for upload in uploads} != acknowledged:
            raise AssertionError("an upload that was acknowledged is lost")
        state, links = session.execute(select(Round.state, Round.links_sha256)).one()
        found = session.execute(
            select(Link.office_a, Link.record_a, Link.office_b, Link.record_b, Link.score)
        )
        rows = [(*row[:4], round(row[4], 6)) for row in found]
    installation.close()
    if state != "released" or not rows:
        raise AssertionError(f"the round ended as {state} with {len(rows)} links")
    digest = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()
    return f"{links} {digest}"


def main() -> None:
    """Run the parts that are asked for and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every part much smaller")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=("load", "kills", "fuzz", "outage"), action="append")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--offices", type=int, help="offices that upload (load)")
    parser.add_argument("--records", type=int, help="records of each office (load)")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--away-s", type=float, help="how long the database is away (outage)")
    given = parser.parse_args()
    quick, database = given.quick, _sqlite
    if given.database == "postgresql":
        postgresql.prepare_folder(durable=True)
        database = _postgresql
    n_records = given.records or (10_000 if quick else 100_000)
    size = Size(given.offices or (5 if quick else 20), n_records, n_records)
    parts = {
        "load": lambda folder: measure_load(folder, size, database()),
        "kills": lambda folder: measure_kills(
            folder, given.kills or (6 if quick else 50), 5, database
        ),
        "fuzz": lambda folder: fuzz(folder, given.requests or (600 if quick else 10_000)),
        "outage": lambda folder: measure_outage(
            folder, given.away_s or (3.0 if quick else 30.0), database()
        ),
    }
    found = {}
    try:
        for name in given.part or parts:
            with tempfile.TemporaryDirectory() as folder:
                found[name] = parts[name](Path(folder))
            print(name, json.dumps(found[name], indent=1), flush=True)
    finally:
        if given.database == "postgresql":
            postgresql.remove_folder()
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _sqlite() -> str:
    return "sqlite"


def _postgresql() -> str:
    return postgresql.url_of(postgresql.new_database())


if __name__ == "__main__":
    main()
