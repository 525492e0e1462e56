"""An S3 server in a process of its own: moto's, over real HTTP."""

import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
import requests
from obstore.store import S3Store

BUCKET = "encodings"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIATONGQIAOTEST", "between us and the storage"
START_TIMEOUT_S = 120.0

_SERVER = """
import sys
from pathlib import Path
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

storage, away = DomainDispatcherApplication(create_backend_app), []

def application(environ, start):
    if environ["PATH_INFO"].startswith("/-/"):
        away[:] = [True] * (environ["PATH_INFO"] == "/-/away")
        start("200 OK", [])
        return [b""]
    if away:
        start("503 Slow Down", [])
        return [b""]
    return storage(environ, start)

server = make_server("127.0.0.1", 0, application, threaded=True)
draft = Path(sys.argv[1] + ".draft")
draft.write_text(str(server.port))
draft.rename(sys.argv[1])
server.serve_forever()
"""


@dataclass
class RunningS3:
    """The process, and its one bucket."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, folder: Path, prefix: str = "") -> str:
        """Lines for ``server.toml`` of a server that uses it."""
        credentials = folder / "s3.toml"
        credentials.write_text(
            f'access_key_id = "{ACCESS_KEY_ID}"\nsecret_access_key = "{SECRET_ACCESS_KEY}"\n'
        )
        credentials.chmod(0o600)
        return (
            f'encodings = "s3://{BUCKET}/{prefix or secrets.token_hex(8)}"\n'
            f's3_endpoint = "{self.url}"\ns3_credentials_path = "{credentials}"\n'
        )

    def store(self, prefix: str) -> S3Store:
        """What somebody else sees who may read the bucket."""
        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            client_options={"allow_http": True},
        )

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix."""
        store = self.store(prefix)
        return {
            str(entry["path"]): bytes(obstore.get(store, entry["path"]).bytes())
            for batch in obstore.list(store)
            for entry in batch
        }

    def refuse(self) -> None:
        """It answers 503 to everything."""
        requests.put(f"{self.url}/-/away", timeout=START_TIMEOUT_S).raise_for_status()

    def serve(self) -> None:
        """It does what it is asked again."""
        requests.put(f"{self.url}/-/back", timeout=START_TIMEOUT_S).raise_for_status()

    def pause(self) -> None:
        """It listens and does not answer any more."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again."""
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running_s3(folder: Path) -> Iterator[RunningS3]:
    """Start it, with an empty bucket."""
    port_file = folder / f"s3-{secrets.token_hex(4)}"
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", _SERVER, str(port_file)], stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not port_file.exists():
            assert process.poll() is None, (folder / "s3.log").read_text()
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.02)
        running = RunningS3(process, int(port_file.read_text()))
        requests.put(f"{running.url}/{BUCKET}", timeout=START_TIMEOUT_S).raise_for_status()
        yield running
    finally:
        process.kill()
        process.wait()
