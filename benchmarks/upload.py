"""Does the server's memory stay flat under a large upload, and does a broken one go on?

Starts `tongqiao server run`, uploads a small and a large encoded file through a network that cuts
connections, and prints the server's memory for both: what counts is their ratio.  Files are valid
`.tqe` files of random filters, so that the server's checks run over all of them.

    python benchmarks/upload.py --quick
    python benchmarks/upload.py --json upload.json
    python benchmarks/upload.py --s3 --mib 512        # encodings in an S3 process (moto)
"""

import argparse
import base64
import contextlib
import hashlib
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from api.client.http import ServerClient
from api.client.upload import upload_file
from api.server.config import load_config
from api.server.services.data_keys import data_key_of, encoding_context
from api.server.services.installation import create_installation, open_installation
from api.server.services.members import add_member
from api.server.services.work import own_caller
from benchmarks.server_setup import Memory, memory_of, random_file
from keys import labels
from keys.at_rest import decrypt_stream
from keys.canonical import canonical_json
from keys.signing import sign_document
from tests import factories
from tests.api.server.cutting_proxy import cutting_proxy
from tests.api.server.running_server import RunningServer, server_process
from tests.factories import COORDINATOR, PROJECT, ROLES, ROUND, SECRET
from tests.s3_server import running_s3

_MIB = 1024 * 1024
_OFFICE = next(iter(ROLES))


def write_file(path: Path, n_bytes: int) -> int:
    """Write a valid encoded file of about so many bytes; returns its exact size."""
    random_file(path, n_bytes // 140, factories.profile(), f"{PROJECT}/{ROUND}")
    return path.stat().st_size


def open_round(server: RunningServer) -> None:
    """Everybody enrols and signs; nothing is uploaded yet."""
    installation = open_installation(load_config(server.directory))
    chen = factories.identity("chen", "operator")
    people = [chen, *(factories.identity(name) for name in (COORDINATOR, *ROLES))]
    for person in people:
        add_member(installation, own_caller("administrator"), person.public)
    installation.close()
    terms = factories.terms(max_records=100_000_000)
    operator = ServerClient(server.url, chen)
    members = [{"office": office, "role": role} for office, role in ROLES.items()]
    operator.post_json(
        "/v1/projects",
        {"id": PROJECT, "name": "Benchmark", "purpose": "Benchmark",
         "coordinating_office": COORDINATOR, "members": members},
    )  # fmt: skip
    operator.post_json("/v1/rounds", {"terms": terms, "profile": factories.PROFILE_TEXT})
    operator.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": "open"})
    document = canonical_json(terms)
    for office in (COORDINATOR, _OFFICE):
        identity = factories.identity(office)
        signature = sign_document(identity.signing_private, labels.TERMS, document)
        body = {
            "terms_sha256": hashlib.sha256(document).hexdigest(),
            "signature": base64.b64encode(signature).decode(),
        }
        if office == COORDINATOR:
            body["key_confirmation"] = SECRET.key_confirmation(f"{PROJECT}/{ROUND}")
        path = f"/v1/rounds/{ROUND}/signatures/{office}"
        ServerClient(server.url, identity).put_json(path, body)


def measure(server: RunningServer, file: Path, n_breaks: int) -> dict[str, Any]:
    """Upload a file through a network that breaks, watching the server's memory."""
    n_bytes = file.stat().st_size
    source = random.Random(1)  # noqa: S311 - where to cut, no secret
    budgets = [source.randrange(n_bytes // (2 * n_breaks)) for _ in range(n_breaks)]
    peak = Memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = peak.peak(memory_of(server.process.pid))

    watcher = threading.Thread(target=watch)
    with cutting_proxy(server.port, budgets) as proxy:
        client = ServerClient(proxy.url, factories.identity(_OFFICE), timeout_s=120)
        sent = {"last": 0, "again": 0}

        def on_progress(offset: int, _total: int) -> None:
            sent["again"] += offset < sent["last"]
            sent["last"] = offset

        watcher.start()
        began = time.perf_counter()
        try:
            receipt = upload_file(
                client, f"/v1/rounds/{ROUND}/uploads/{_OFFICE}", file, on_progress=on_progress
            )
            seconds = time.perf_counter() - began
        finally:
            done.set()
            watcher.join()
    with file.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    if receipt["sha256"] != sha256:
        raise SystemExit("the server stored another file than was sent")
    return {
        "mib": n_bytes / _MIB,
        "seconds": seconds,
        "mib_per_s": n_bytes / _MIB / seconds,
        "n_breaks": proxy.n_cut,
        "n_went_back": sent["again"],
        "serving_mib": peak.serving,
        "apart_mib": peak.apart,
        "mapped_mib": peak.mapped,
    }


def verify_stored(directory: Path, file: Path) -> None:
    """Whether what is stored decrypts to the file that was sent last.  Raises: SystemExit."""
    installation = open_installation(load_config(directory))
    try:
        with file.open("rb") as sent:
            sha256 = hashlib.file_digest(sent, "sha256").hexdigest()
        found = hashlib.sha256()
        with installation.encodings.open(ROUND, sha256) as stored:
            for chunk in decrypt_stream(
                stored,
                data_key=data_key_of(installation, ROUND),
                context=encoding_context(ROUND, sha256),
            ):
                found.update(chunk)
    finally:
        installation.close()
    if found.hexdigest() != sha256:
        raise SystemExit("what is stored is not what was sent")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 MiB instead of 2 GiB")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--mib", type=int, default=2048, help="size of the large file")
    parser.add_argument("--s3", action="store_true", help="encodings in object storage")
    arguments = parser.parse_args()
    sizes = (8 * _MIB, 64 * _MIB) if arguments.quick else (64 * _MIB, arguments.mib * _MIB)
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        directory = Path(folder) / "server"
        create_installation(directory, "Benchmark", {"max_records": 100_000_000}).close()
        if arguments.s3:
            storage = stack.enter_context(running_s3(Path(folder)))
            with (directory / "server.toml").open("a", encoding="utf-8") as settings:
                settings.write(storage.settings(Path(folder)))
        with server_process(directory) as server:
            open_round(server)
            idle = memory_of(server.process.pid)
            for size in sizes:
                file = Path(folder) / "x.tqe"
                write_file(file, size)
                rows.append(measure(server, file, n_breaks=5))
        verify_stored(directory, file)
    print(f"server before any upload: {idle.serving:.0f} MiB of its own")
    for row in rows:
        print(
            f"{row['mib']:6.0f} MiB  {row['seconds']:6.1f} s  {row['mib_per_s']:5.0f} MiB/s  "
            f"{row['n_breaks']} breaks  {row['n_went_back']} times back  "
            f"server {row['serving_mib']:4.0f} MiB  reading it apart {row['apart_mib']:4.0f} MiB  "
            f"mapped {row['mapped_mib']:4.0f} MiB"
        )
    small, large = rows
    ratio = large["serving_mib"] / small["serving_mib"]
    apart = large["apart_mib"] / small["apart_mib"]
    print(
        f"{large['mib'] / small['mib']:.0f} times the file: {ratio:.2f} times the server's memory, "
        f"{apart:.2f} times that of the process that reads it"
    )
    if arguments.json is not None:
        found = {
            "idle_mib": idle.serving, "uploads": rows, "memory_ratio": ratio, "apart_ratio": apart
        }  # fmt: skip
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
