"""A real server and worker as processes, offices with files, and rounds, for the benchmarks."""

import base64
import hashlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.client.http import ServerClient
from api.server.config import load_config
from api.server.services.backup import verify_stored_log
from api.server.services.installation import create_installation, open_installation
from api.server.services.members import add_member
from api.server.services.work import own_caller
from keys import labels
from keys.canonical import canonical_json
from keys.signing import sign_document
from tests import factories
from tests.factories import COORDINATOR, PROJECT, SECRET

OPERATORS = ("chen", "luo")
ROLES = ("residence-civil-affairs", "origin-civil-affairs", "education")
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


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

    def rss_bytes(self, name: str) -> int:
        """Memory of the process and of what it started."""
        found = 0
        process_id = self.running[name].pid
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        for one in (str(process_id), *children):
            status = Path(f"/proc/{one}/status").read_text()
            match = _RSS.search(status)
            found = max(found, 0 if match is None else 1024 * int(match[1]))
        return found

    def client(self, holder: str, kind: Any = "office") -> ServerClient:
        """A client that signs as this member."""
        return ServerClient(f"http://127.0.0.1:{self.port}", factories.identity(holder, kind))


def open_round(
    processes: Processes, round_id: str, offices: Sequence[str], max_records: int
) -> None:
    """A round that every office has signed; the project is made by the first."""
    chen = processes.client("chen", "operator")
    members = [
        {"office": office, "role": ROLES[number % 3]} for number, office in enumerate(offices)
    ]
    if not chen.get_json("/v1/projects")["projects"]:
        chen.post_json(
            "/v1/projects",
            {
                "id": PROJECT,
                "name": "Benchmark",
                "purpose": "Benchmark",
                "coordinating_office": COORDINATOR,
                "members": members,
            },
        )
    terms = factories.terms(round=round_id, members=members, max_records=max_records)
    chen.post_json("/v1/rounds", {"terms": terms, "profile": factories.PROFILE_TEXT})
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


def verify_log(directory: Path) -> int:
    """Hash the whole log anew; returns its size."""
    installation = open_installation(load_config(directory))
    try:
        return verify_stored_log(installation).size
    finally:
        installation.close()
