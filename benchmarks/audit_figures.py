"""How fast the access log is: appending, verifying, proving, and what it adds to a request."""

import contextlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.audit.append import append_entries
from api.audit.events import Action
from api.audit.merkle import verify_consistency, verify_inclusion
from api.audit.stored_tiles import StoredTiles
from api.audit.tiles import TileTree, prove_consistency, prove_inclusion
from api.server.app import make_app
from api.server.models import LOG_TABLES
from api.server.services.installation import Installation
from api.server.services.members import add_member
from api.server.services.work import own_caller
from benchmarks.audit_logs import example_event, fill_database, new_server, write_folder
from keys.identity import PrivateIdentity, new_identity
from keys.request_signing import content_digest, sign_request

_BATCH: Final = 100
_THREADS: Final = 32
_BASE_URL: Final = "https://linkage.example"


def measure_appends(kind: str, seconds: float) -> dict[str, Any]:
    """Entries a second, durable, through the server's own transactions.

    ``batched``: a hundred entries a transaction. ``one_by_one``: one writer, one entry a
    transaction. ``requests_at_once``: so many threads, one entry each, which share commits.
    """
    with new_server(kind) as installation:
        events = [example_event(number) for number in range(20_000)]

        def append_batch(number: int) -> int:
            start = number * _BATCH % len(events)
            with installation.database.writing() as session:
                append_entries(session, LOG_TABLES, events[start : start + _BATCH])
            return _BATCH

        def record_one(_number: int) -> int:
            with installation.work(own_caller("server")) as work:
                work.record(Action.ROUND_READ, details={"office": "jinjiang-civil"})
            return 1

        return {
            "batched_per_s": _rate(append_batch, seconds),
            "batch_entries": _BATCH,
            "one_by_one_per_s": _rate(record_one, seconds),
            "requests_at_once_per_s": _rate_of_threads(record_one, seconds, _THREADS),
            "threads": _THREADS,
        }


def _rate(do: Callable[[int], int], seconds: float) -> float:
    do(0)
    done, number, start = 0, 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        number += 1
        done += do(number)
    return round(done / (time.perf_counter() - start), 1)


def _rate_of_threads(do: Callable[[int], int], seconds: float, n_threads: int) -> float:
    counts = [0] * n_threads
    stop = time.perf_counter() + seconds

    def run(place: int) -> None:
        while time.perf_counter() < stop:
            counts[place] += do(0)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(n_threads)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(counts) / (time.perf_counter() - start), 1)


def measure_verifying(n_entries: int) -> dict[str, Any]:
    """Verify a fetched folder in a process of its own; processor time and largest memory.

    A second, ten times shorter log shows whether memory grows with the log.
    """
    found = {}
    for name, size in (("tenth", n_entries // 10), ("whole", n_entries)):
        with tempfile.TemporaryDirectory(prefix="tongqiao-audit-") as folder:
            directory = Path(folder) / "log"
            write_folder(directory, size)
            found[name] = _verify_in_process(directory)
    whole, tenth = found["whole"], found["tenth"]
    return {
        "n_entries": n_entries,
        "intact": whole["intact"] and tenth["intact"],
        "seconds": whole["seconds"],
        "microseconds_per_entry": round(1e6 * whole["seconds"] / n_entries, 2),
        "seconds_for_10_million": round(1e7 * whole["seconds"] / n_entries, 1),
        "max_memory_mib": whole["max_memory_mib"],
        "max_memory_mib_at_a_tenth": tenth["max_memory_mib"],
    }


def _verify_in_process(directory: Path) -> dict[str, Any]:
    program = "from benchmarks.audit_figures import verify_alone; verify_alone()"
    answer = subprocess.run(
        [sys.executable, "-c", program, str(directory)], check=True, capture_output=True, text=True
    )
    intact, seconds, memory = answer.stdout.split()
    return {
        "intact": intact == "True",
        "seconds": float(seconds),
        "max_memory_mib": float(memory),
    }


def verify_alone() -> None:
    """Verify the folder that the command line names, and print what it took."""
    from api.audit.verify import verify_directory

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    verification = verify_directory(Path(sys.argv[1]))
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(verification.is_intact, round(seconds, 3), round(memory / 1024, 1))


def measure_proofs(kind: str, n_entries: int, n_proofs: int = 1000) -> dict[str, Any]:
    """Inclusion and consistency proofs out of the server's database, each verified."""
    with new_server(kind) as installation:
        empty_log(installation)
        head = fill_database(installation.database, n_entries)
        inclusion, consistency = [], []
        with installation.database.reading() as session:
            prove_inclusion(TileTree(StoredTiles(session, LOG_TABLES), n_entries), 0)
            for number in range(n_proofs):
                index = (number * 7_919_993 + 5) % n_entries
                start = time.perf_counter()
                tree = TileTree(StoredTiles(session, LOG_TABLES), n_entries)
                proof = prove_inclusion(tree, index)
                inclusion.append(time.perf_counter() - start)
                leaf = StoredTiles(session, LOG_TABLES).read_hashes(
                    0, index // 256, 1 + index % 256
                )
                verify_inclusion(leaf[-1], index, n_entries, proof, head.root)
                start = time.perf_counter()
                tree = TileTree(StoredTiles(session, LOG_TABLES), n_entries)
                proof = prove_consistency(tree, index + 1)
                consistency.append(time.perf_counter() - start)
                old_root = TileTree(StoredTiles(session, LOG_TABLES), index + 1).root()
                verify_consistency(index + 1, n_entries, proof, old_root, head.root)
    return {
        "n_entries": n_entries,
        "n_proofs": n_proofs,
        "inclusion_ms": _milliseconds(inclusion),
        "consistency_ms": _milliseconds(consistency),
    }


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median": round(1000 * statistics.median(ordered), 2),
        "of_99_in_100": round(1000 * ordered[int(len(ordered) * 0.99)], 2),
        "most": round(1000 * ordered[-1], 2),
    }


def empty_log(installation: Installation) -> None:
    """Take the first entry out again, guards and all: the log is filled anew."""
    database = installation.database
    with database.migrating() as connection:
        if connection.dialect.name == "sqlite":
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'log_%'")
            ).scalars()
            for name in list(names):
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("log_entries", "log_head"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        connection.execute(LOG_TABLES.entries.delete())
        connection.execute(LOG_TABLES.head.delete())


def measure_overhead(kind: str, n_requests: int) -> dict[str, Any]:
    """What appending adds to a signed request that reads and to one that changes something.

    Each request is the real one, from its signature to its answer; beside it, in turns, the same
    on a server without a log: no entry is appended. A reading request then has nothing but its
    nonce to write, which otherwise goes to the disk together with the entry: there it is waited
    for by itself.
    """
    with new_server(kind) as installation:
        operator, office = new_identity("chen", "operator"), new_identity("jinjiang", "office")
        for identity in (operator, office):
            add_member(installation, own_caller("administrator"), identity.public)
        client = make_app(installation).test_client()
        asks: dict[str, Callable[[int], None]] = {
            "read": lambda _number: _ask(client, operator, "GET", "/v1/members/jinjiang"),
            "change": lambda number: _ask(
                client, operator, "POST", "/v1/projects", _project(number)
            ),
        }
        return {
            name: _compare(installation, ask, n_requests, reads=name == "read")
            for name, ask in asks.items()
        }


def _compare(
    installation: Installation, ask: Callable[[int], None], n_requests: int, *, reads: bool
) -> dict[str, float]:
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * n_requests + 20):
        is_logged = number % 2 == 0
        with contextlib.nullcontext() if is_logged else _without_log(installation, reads=reads):
            start = time.perf_counter()
            ask(number)
            seconds = time.perf_counter() - start
        if number >= 20:
            times[is_logged].append(seconds)
    with_log, without = (statistics.median(times[is_logged]) for is_logged in (True, False))
    return {
        "with_log_ms": round(1000 * with_log, 3),
        "without_ms": round(1000 * without, 3),
        "adds_percent": round(100 * (with_log / without - 1), 1),
    }


@contextlib.contextmanager
def _without_log(installation: Installation, *, reads: bool) -> Iterator[None]:
    database = installation.database
    writing = database.writing

    def waiting_for_the_nonce(*, durable: bool = True) -> AbstractContextManager[Session]:
        return writing(durable=durable or reads)

    with (
        mock.patch.object(database._group_commit, "_append"),
        mock.patch.object(database, "writing", waiting_for_the_nonce),
    ):
        yield


def _ask(
    client: FlaskClient, identity: PrivateIdentity, method: str, path: str, body: bytes = b""
) -> None:
    headers = sign_request(
        identity,
        method,
        _BASE_URL + path,
        content_digest(body),
        created=int(datetime.now(UTC).timestamp()),
    )
    if body:
        headers["Content-Type"] = "application/json"
    answer = client.open(path, method=method, base_url=_BASE_URL, data=body, headers=headers)
    if answer.status_code not in (200, 201):
        raise RuntimeError(answer.get_data(as_text=True))


def _project(number: int) -> bytes:
    return (
        f'{{"id": "project-{number}", "name": "Benchmark", "purpose": "Benchmark", '
        '"coordinating_office": "jinjiang", '
        '"members": [{"office": "jinjiang", "role": "residence-civil-affairs"}]}'
    ).encode()
