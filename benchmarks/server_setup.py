"""A real server and worker as processes, offices with files, and rounds, for the benchmarks."""

import base64
import hashlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from api.client.http import ServerClient
from api.server.config import load_config
from api.server.services.backup import verify_stored_log
from api.server.services.installation import create_installation, open_installation
from api.server.services.members import add_member
from api.server.services.work import own_caller
from keys import labels
from keys.canonical import canonical_json
from keys.signing import sign_document
from linkage.profile import Profile
from linkage.tqe import write_tqe
from linkage.types import EncodedDataset, EncodedView
from tests import factories
from tests.factories import COORDINATOR, PROJECT, SECRET

OPERATORS = ("chen", "luo")
ROLES = ("residence-civil-affairs", "origin-civil-affairs", "education")
_STATUS = re.compile(r"^(RssAnon|RssFile|RssShmem):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of processes, MiB.

    Attributes:
        serving: what the largest long-lived process holds by itself (anonymous memory).
        apart: what processes hold together that were started to read one upload each.
        mapped: pages of files that are mapped, which the system takes back when it needs them.
    """

    serving: float = 0.0
    apart: float = 0.0
    mapped: float = 0.0

    def peak(self, other: "Memory") -> "Memory":
        """The larger of each."""
        return Memory(
            max(self.serving, other.serving),
            max(self.apart, other.apart),
            max(self.mapped, other.mapped),
        )


def memory_of(pid: int) -> Memory:
    """Memory of a process and of everything below it."""
    serving = apart = mapped = 0.0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            waiting += _children(one)
            kib = dict(_STATUS.findall(Path(f"/proc/{one}/status").read_text(encoding="ascii")))
            is_apart = b"inspection" in Path(f"/proc/{one}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        private = int(kib.get("RssAnon", 0)) / 1024
        mapped += (int(kib.get("RssFile", 0)) + int(kib.get("RssShmem", 0))) / 1024
        if is_apart:
            apart += private
        else:
            serving = max(serving, private)
    return Memory(serving, apart, mapped)


def _children(pid: int) -> list[int]:
    """Processes that any thread of a process started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found


def new_server(folder: Path, offices: Sequence[str], **settings: Any) -> Path:
    """A server's folder with approved members."""
    installation = create_installation(folder / "server", "Benchmark", settings)
    administrator = own_caller("administrator")
    for person in OPERATORS:
        add_member(installation, administrator, factories.identity(person, "operator").public)
    for office in (COORDINATOR, *offices):
        add_member(installation, administrator, factories.identity(office).public)
    installation.close()
    return folder / "server"


@dataclass
class Processes:
    """Server and worker of one folder, to be killed and started again."""

    directory: Path
    port: int = 0
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start ``server`` or ``worker``; the server keeps its port."""
        port_file = self.directory.parent / "port"
        options = ["worker", "run", str(self.directory)]
        if name == "server":
            port_file.unlink(missing_ok=True)
            options = ["server", "run", str(self.directory), "--port", str(self.port)]
            options += ["--port-file", str(port_file)]
        with (self.directory.parent / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "api", *options], stderr=log, start_new_session=True
            )
        while name == "server" and not port_file.exists():
            if self.running[name].poll() is not None:
                raise RuntimeError((self.directory.parent / "server.log").read_text()[-2000:])
            time.sleep(0.02)
        if name == "server":
            self.port = int(port_file.read_text())

    def kill(self, name: str) -> None:
        """Kill -9, with everything that the process started."""
        import os

        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Tell both to stop, and wait."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(60)
        self.running.clear()

    def memory(self, name: str) -> "Memory":
        """Memory of a process and of those that it started."""
        return memory_of(self.running[name].pid)

    def client(self, holder: str, kind: Any = "office") -> ServerClient:
        """A client that signs as this member."""
        return ServerClient(f"http://127.0.0.1:{self.port}", factories.identity(holder, kind))


class Beside:
    """Something that goes on in threads beside the measurement until it is stopped.

    Attributes:
        is_over: set when it is to stop; who waits for the next turn waits for this.
    """

    def __init__(self, *runs: Callable[[], None]) -> None:
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=run) for run in runs]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Say that it is over, and wait for the turns that are under way."""
        self.is_over.set()
        for thread in self._threads:
            thread.join()


def open_round(
    processes: Processes,
    round_id: str,
    offices: Sequence[str],
    max_records: int,
    profile_text: str = factories.PROFILE_TEXT,
    *,
    project: Sequence[str] = (),
) -> None:
    """A round that every office has signed; the project is made by the first.

    Args:
        project: offices of the project, where it has more than the round.
    """
    chen = processes.client("chen", "operator")
    everybody = [
        {"office": office, "role": ROLES[number % 3]}
        for number, office in enumerate(project or offices)
    ]
    members = [member for member in everybody if member["office"] in offices]
    if not chen.get_json("/v1/projects")["projects"]:
        chen.post_json(
            "/v1/projects",
            {
                "id": PROJECT,
                "name": "Benchmark",
                "purpose": "Benchmark",
                "coordinating_office": COORDINATOR,
                "members": everybody,
            },
        )
    profile = factories.profile(profile_text)
    terms = factories.terms(
        round=round_id,
        members=members,
        max_records=max_records,
        profile={"name": profile.name, "sha256": profile.sha256},
        cleaning=profile.cleaning,
    )
    chen.post_json("/v1/rounds", {"terms": terms, "profile": profile_text})
    # Whoever repeats this, because an answer got lost, may find it done.
    if chen.get_json(f"/v1/rounds/{round_id}")["state"] == "draft":
        chen.post_json(f"/v1/rounds/{round_id}/transitions", {"action": "open"})
    document = canonical_json(terms)
    for office in (COORDINATOR, *offices):
        signature = sign_document(
            factories.identity(office).signing_private, labels.TERMS, document
        )
        body = {
            "terms_sha256": hashlib.sha256(document).hexdigest(),
            "signature": base64.b64encode(signature).decode(),
        }
        if office == COORDINATOR:
            body["key_confirmation"] = SECRET.key_confirmation(f"{PROJECT}/{round_id}")
        processes.client(office).put_json(f"/v1/rounds/{round_id}/signatures/{office}", body)


def encoded_shares(
    folder: Path, round_id: str, offices: Sequence[str], n_records: int
) -> Mapping[str, Path]:
    """An encoded file of each office; neighbours know half of each other's children."""
    known = factories.children(n_records * (len(offices) + 1) // 2 + n_records)
    files = {}
    for number, office in enumerate(offices):
        start = number * n_records // 2
        path = folder / f"{office}-{round_id}.tqe"
        factories.encoded_file(
            path, known[start : start + n_records], context=f"{PROJECT}/{round_id}"
        )
        files[office] = path
    return files


def random_file(
    path: Path, n_records: int, profile: Profile, context: str, *, seed: int = 1
) -> None:
    """Write a valid encoded file of random filters, so that a server checks all of it."""
    source = np.random.default_rng(seed)
    pseudonyms = np.zeros((n_records, 16), dtype=np.uint8)
    pseudonyms[:, :8] = np.arange(n_records, dtype=">u8")[:, None].view(np.uint8)
    pseudonyms[:, 8:] = source.integers(0, 256, (n_records, 8), dtype=np.uint8)
    present = np.ones(n_records, dtype=np.bool_)
    views = []
    for layout in profile.layout():
        filters = {
            group.name: source.integers(
                0, 2**63, (n_records, group.filter_bits // 64), dtype=np.uint64
            )
            for group in layout.groups
        }
        tags = source.integers(1, 2**63, n_records, dtype=np.uint64) if layout.tagged else None
        views.append(EncodedView(layout, tags, present, filters, dict.fromkeys(filters, present)))
    manifest = replace(
        factories.encode(factories.children(2), "small")[0].manifest,
        n_records=n_records,
        profile_name=profile.name,
        profile_sha256=profile.sha256,
        cleaning_version=profile.cleaning,
        context=context,
        key_confirmation=SECRET.key_confirmation(context),
        diffusion=profile.diffusion,
        evidence=profile.evidence,
        views=profile.layout(),
        statistics={
            "fill": {f"{v.name}/{g.name}": 0.5 for v in profile.layout() for g in v.groups},
            "missing": {view.name: 0 for view in profile.layout()},
            "problems": {},
        },
    )
    write_tqe(path, EncodedDataset(path.stem, pseudonyms, manifest, tuple(views)))


def verify_log(directory: Path) -> int:
    """Hash the whole log anew; returns its size."""
    installation = open_installation(load_config(directory))
    try:
        return verify_stored_log(installation).size
    finally:
        installation.close()
