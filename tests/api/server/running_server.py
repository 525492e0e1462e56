"""A real server process, as `tongqiao server run` starts it."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


@dataclass
class RunningServer:
    """A process, its folder and its port."""

    process: subprocess.Popen[bytes]
    directory: Path
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> int:
        """Tell it to stop; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@contextlib.contextmanager
def server_process(directory: Path, *options: str) -> Iterator[RunningServer]:
    """Start a server over a folder that was set up; killed at the end if it still runs."""
    port_file, log = directory.parent / "port", directory.parent / "server.log"
    port_file.unlink(missing_ok=True)
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "api", "server", "run", str(directory),
                "--port", "0", "--port-file", str(port_file), *options,
            ],
            stderr=stderr,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not port_file.exists():
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield RunningServer(process, directory, int(port_file.read_text()), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
