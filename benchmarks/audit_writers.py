"""Two writers and kill -9 under load: no gap, nothing twice, no fork, nothing lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from api.audit.append import read_head
from api.audit.checkpoint import make_checkpoint
from api.audit.events import Action, parse_entry
from api.audit.merkle import CompactRange, leaf_hash
from api.server.config import load_config
from api.server.models import LOG_TABLES
from api.server.services.installation import Installation, open_installation
from api.server.services.work import own_caller
from benchmarks.audit_logs import new_server

_WRITERS: Final = 2
_THREADS: Final = 4
_START_TIMEOUT_S: Final = 60


def measure_writers(kind: str, seconds: float, seed: int = 6) -> dict[str, Any]:
    """Let writers append, kill and replace them at random, then look at what is there."""
    chance = random.Random(seed)  # noqa: S311
    with new_server(kind) as installation:
        directory = installation.config.directory
        n_kills = 0
        acknowledged: list[Path] = []
        writers = [_start(directory, acknowledged) for _ in range(_WRITERS)]
        stop = time.monotonic() + seconds
        try:
            while time.monotonic() < stop:
                place = chance.randrange(_WRITERS)
                _wait_for_work(acknowledged)
                time.sleep(chance.uniform(0.05, 0.8))
                writers[place].send_signal(signal.SIGKILL)
                writers[place].wait()
                n_kills += 1
                with installation.work(own_caller("server")) as work:
                    work.record(Action.CHECKPOINT_READ)
                    work.append_recorded()
                    make_checkpoint(work.session, LOG_TABLES, installation.log_key)
                writers[place] = _start(directory, acknowledged)
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
        return {"n_kills": n_kills, **_look(installation, acknowledged)}


def _wait_for_work(acknowledged: list[Path]) -> None:
    """Until the writers at work, which started last, have all been told of entries.

    Raises:
        RuntimeError: they do not begin.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not all(path.stat().st_size for path in acknowledged[-_WRITERS:]):
        if time.monotonic() > deadline:
            raise RuntimeError("the writers do not write")
        time.sleep(0.02)


def _start(directory: Path, acknowledged: list[Path]) -> subprocess.Popen[bytes]:
    path = directory.parent / f"acknowledged-{len(acknowledged)}"
    acknowledged.append(path)
    program = "from benchmarks.audit_writers import write_for_ever; write_for_ever()"
    with path.open("wb") as file:
        return subprocess.Popen([sys.executable, "-c", program, str(directory)], stdout=file)


def write_for_ever() -> None:
    """Append from several threads, and say of each entry when it is done; until killed."""
    import os
    import threading

    installation = open_installation(load_config(Path(sys.argv[1])))

    def run() -> None:
        while True:
            caller = own_caller("server")
            with installation.work(caller) as work:
                work.record(Action.ROUND_READ, details={"office": "jinjiang-civil"})
            os.write(1, f"{caller.request_id}\n".encode())

    threads = [threading.Thread(target=run) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _look(installation: Installation, acknowledged: list[Path]) -> dict[str, Any]:
    told = {
        line for path in acknowledged for line in path.read_text(encoding="ascii").split("\n")[:-1]
    }
    tree, requests, times = CompactRange(), set[str](), list[str]()
    n_gaps = 0
    roots: dict[int, bytes] = {}
    with installation.database.reading() as session:
        head = read_head(session, LOG_TABLES)
        entries = LOG_TABLES.entries
        for row in session.execute(select(entries).order_by(entries.c.entry_index)):
            entry = parse_entry(row.body.encode())
            n_gaps += entry.index != tree.size
            tree.append(leaf_hash(row.body.encode()))
            roots[tree.size] = tree.root()
            requests.add(str(entry.request_id))
            times.append(entry.time)
        checkpoints = session.execute(select(LOG_TABLES.checkpoints)).all()
    return {
        "n_entries": tree.size,
        "n_acknowledged": len(told),
        "n_acknowledged_lost": len(told - requests),
        "n_gaps": n_gaps,
        "n_twice": tree.size - len(requests),
        "times_run_backwards": times != sorted(times),
        "head_fits": (tree.size, tree.root()) == (head.size, head.root),
        "n_checkpoints": len(checkpoints),
        "n_forks": sum(roots.get(row.size) != row.root for row in checkpoints),
    }
