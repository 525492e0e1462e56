"""Many offices upload at the same time while rounds are matched: does anybody have to wait?

The offices are processes of their own and step back (nice), since in life they are other machines;
server, worker and the one that asks for the status are not touched.
"""

import contextlib
import hashlib
import multiprocessing
import os
import queue
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from api.client.errors import ApiError
from api.client.upload import upload_file
from benchmarks.server_setup import (
    Memory,
    Processes,
    new_server,
    open_round,
    random_file,
    verify_log,
)
from linkage.tqe import write_tqe
from tests import factories
from tests.factories import PROJECT, SECRET

ROUND = "2026-h2"
MATCHED = ("office-a", "office-b", "office-c")
_PROFILE_FILE = Path(__file__).parent.parent / "linkage" / "profiles" / "cn-child-v1.toml"
_CLIENT_NICE = 15
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Size:
    """How much is done at the same time.

    Attributes:
        n_records: of each office that uploads, by the profile that comes with the program.
        n_matched: records of each of the three offices whose rounds are matched meanwhile.
        n_busy_rounds: rounds that wait to be matched, so that the worker always has one.
    """

    n_offices: int = 20
    n_records: int = 100_000
    n_matched: int = 100_000
    n_busy_rounds: int = 4


def measure_load(folder: Path, size: Size, database: str = "sqlite") -> dict[str, Any]:
    """All offices upload at the same time while rounds are matched."""
    offices = [f"office-{number:02d}" for number in range(size.n_offices)]
    directory = new_server(folder, [*offices, *MATCHED], database=database)
    files = _files(folder, offices, size.n_records)
    processes = Processes(directory)
    processes.start("server")
    try:
        profile_text = _PROFILE_FILE.read_text(encoding="utf-8")
        everybody = [*MATCHED, *offices]
        open_round(processes, ROUND, offices, size.n_records, profile_text, project=everybody)
        busy = _queue_busy_rounds(folder, processes, size)
        chen = processes.client("chen", "operator")
        senders = Senders(processes, files)
        quiet = Watch(processes)
        quiet.watch(5.0)
        processes.start("worker")
        while chen.get_json(f"/v1/rounds/{busy[0]}")["progress"]["stage"] in ("queued", "starting"):
            time.sleep(0.1)
        watch = Watch(processes)
        with watch.watching():
            answers, seconds = senders.run()
        for office, answer in answers.items():
            if answer["sha256"] != hashlib.sha256(files[office].read_bytes()).hexdigest():
                raise AssertionError(f"{office}: the stored file is another")
        stored = chen.get_json(f"/v1/rounds/{ROUND}")["members"]
        if not all(member["n_records"] == size.n_records for member in stored):
            raise AssertionError("not every upload is there")
        states = [chen.get_json(f"/v1/rounds/{name}") for name in busy]
        was_matching = any(state["state"] == "matching" for state in states)
        # In the middle of a chunk, and with nothing left to show.
        processes.kill("worker")
    finally:
        processes.stop()
    n_bytes = sum(path.stat().st_size for path in files.values())
    return {
        "database": database.partition(":")[0],
        "n_offices": size.n_offices,
        "n_records_each": size.n_records,
        "n_bytes": n_bytes,
        "seconds": round(seconds, 1),
        "megabytes_per_s": round(n_bytes / seconds / 1e6, 1),
        "slowest_office_s": max(answer["seconds"] for answer in answers.values()),
        "quiet": quiet.figures(),
        "loaded": watch.figures(),
        "matching_until_the_end": was_matching,
        "busy_rounds_done": sum(state["state"] == "review" for state in states),
        "serving_mib_before": round(quiet.memory.serving),
        "serving_mib_peak": round(watch.memory.serving),
        "apart_mib_peak": round(watch.memory.apart),
        "log_entries_verified": verify_log(directory),
    }


def _files(folder: Path, offices: Sequence[str], n_records: int) -> Mapping[str, Path]:
    """Valid files of the program's own profile, filled at random: each office's is another."""
    profile = factories.profile(_PROFILE_FILE.read_text(encoding="utf-8"))
    files = {}
    for number, office in enumerate(offices):
        files[office] = folder / f"{office}.tqe"
        random_file(files[office], n_records, profile, f"{PROJECT}/{ROUND}", seed=number)
    return files


def _queue_busy_rounds(folder: Path, processes: Processes, size: Size) -> list[str]:
    """Rounds of three offices that know half of each other's children, ready to be matched."""
    known = factories.children(2 * size.n_matched)
    step = size.n_matched // 2
    shares = [known[at : at + size.n_matched] for at in (0, step, 2 * step)]
    chen = processes.client("chen", "operator")
    names = [f"busy-{number}" for number in range(size.n_busy_rounds)]
    for name in names:
        open_round(processes, name, MATCHED, size.n_matched)
    for office, share in zip(MATCHED, shares, strict=True):
        dataset = factories.encode(share, office)[0]
        for name in names:
            # A server cannot tell under which key filters were made; so one encoding serves all.
            context = f"{PROJECT}/{name}"
            manifest = replace(
                dataset.manifest, context=context, key_confirmation=SECRET.key_confirmation(context)
            )
            path = folder / f"{office}-{name}.tqe"
            write_tqe(path, replace(dataset, manifest=manifest))
            processes.client(office).put_file(f"/v1/rounds/{name}/uploads/{office}", path)
    for name in names:
        for action in ("freeze", "run"):
            chen.post_json(f"/v1/rounds/{name}/transitions", {"action": action})
    return names


class Senders:
    """A process for each office, ready to send its file when told.

    Every second one sends it in one request, the others in pieces, as the office's command does.
    """

    def __init__(self, processes: Processes, files: Mapping[str, Path]) -> None:
        # Forked, so that all have the keys that were made for this run.
        context = multiprocessing.get_context("fork")
        self._go = context.Event()
        self._answers: Any = context.Queue()
        self._processes = [
            context.Process(
                target=_send, args=(processes, office, path, number % 2, self._go, self._answers)
            )
            for number, (office, path) in enumerate(files.items())
        ]
        for process in self._processes:
            process.start()

    def run(self) -> tuple[dict[str, dict[str, Any]], float]:
        """Let all of them send; returns their receipts and the seconds until the last had its."""
        began = time.perf_counter()
        self._go.set()
        answers: dict[str, dict[str, Any]] = {}
        while len(answers) < len(self._processes):
            try:
                office, answer = self._answers.get(timeout=5)
            except queue.Empty:
                if not any(process.is_alive() for process in self._processes):
                    raise AssertionError("an office's process died") from None
                continue
            if "error" in answer:
                raise AssertionError(f"{office}: {answer['error']}")
            answers[office] = answer
        seconds = time.perf_counter() - began
        for process in self._processes:
            process.join()
        return answers, seconds


def _send(
    processes: Processes, office: str, path: Path, in_pieces: int, go: Any, answers: Any
) -> None:
    os.nice(_CLIENT_NICE)
    client = processes.client(office)
    address = f"/v1/rounds/{ROUND}/uploads/{office}"
    go.wait()
    began = time.perf_counter()
    try:
        send = partial(upload_file, client) if in_pieces else client.put_file
        answer = send(address, path)
    except (ApiError, OSError) as error:
        answer = {"error": str(error)}
    answers.put((office, {**answer, "seconds": round(time.perf_counter() - began, 1)}))


class Watch:
    """Asks for a round's status again and again, and looks at the server's memory.

    Attributes:
        times_ms: of each request that was answered.
        memory: the most that was seen.
    """

    def __init__(self, processes: Processes) -> None:
        self.times_ms: list[float] = []
        self.memory = Memory()
        self._processes = processes
        self._done = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch in a thread until the block ends."""
        thread = threading.Thread(target=self.watch, args=(float("inf"),))
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def watch(self, seconds: float) -> None:
        """Watch for so long, or until the block ends."""
        chen = self._processes.client("chen", "operator")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._done.wait(_PAUSE_S):
            began = time.perf_counter()
            chen.get_json(f"/v1/rounds/{ROUND}")
            self.times_ms.append(1000 * (time.perf_counter() - began))
            self.memory = self.memory.peak(self._processes.memory("server"))

    def figures(self) -> dict[str, float]:
        """Number of requests, and how long they took, milliseconds."""
        steps = statistics.quantiles(self.times_ms, n=100)
        return {
            "n_requests": len(self.times_ms),
            "p50_ms": round(steps[49], 1),
            "p99_ms": round(steps[98], 1),
            "max_ms": round(max(self.times_ms), 1),
        }
