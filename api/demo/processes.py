"""Runs the public command line as separate processes, and keeps time and bytes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_COMMAND_TIMEOUT_S = 1800.0
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0


class DemoError(Exception):
    """A role's command failed; the message holds what the command said."""


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What one step of the round took.

    Attributes:
        name: as shown in the table.
        seconds: wall time of the step, roles side by side.
        n_bytes: size of the files that the step made, 0 where it makes none.
        n_commands: commands run.
    """

    name: str
    seconds: float
    n_bytes: int
    n_commands: int


@dataclass(slots=True)
class Stage:
    """Runs commands and long-lived processes below one folder.

    Attributes:
        root: the demo's folder; logs of long-lived processes go to ``root/logs``.
        steps: figures of the steps so far.
    """

    root: Path
    steps: list[StepFigures] = field(default_factory=list)
    _running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=list)

    def run(self, *arguments: str | Path) -> str:
        """Run one ``tongqiao`` command to its end and return what it wrote to stdout.

        Raises:
            DemoError: it failed or took too long.
        """
        try:
            done = subprocess.run(  # noqa: S603 - our own command, arguments as a list
                [*_tongqiao(), *map(str, arguments)],
                capture_output=True,
                text=True,
                encoding="utf-8",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                timeout=_COMMAND_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`tongqiao {arguments[0]}` took too long and was ended.") from error
        if done.returncode != 0:
            words = " ".join(str(a) for a in arguments[:2])
            raise DemoError(
                f"`tongqiao {words} ...` ended with exit code {done.returncode}:\n"
                f"{done.stderr.strip()}"
            )
        return done.stdout

    def step(
        self,
        name: str,
        calls: Iterable[Callable[[], object]],
        *,
        files: Iterable[Path] = (),
        n_commands: int | None = None,
    ) -> None:
        """Make the calls, as many at once as there are cores, and record time and bytes."""
        todo = list(calls)
        began = time.monotonic()
        with ThreadPoolExecutor(max_workers=max(os.cpu_count() or 1, 1)) as pool:
            for future in [pool.submit(call) for call in todo]:
                future.result()
        seconds = time.monotonic() - began
        n_bytes = sum(path.stat().st_size for path in files)
        self.steps.append(
            StepFigures(name, seconds, n_bytes, len(todo) if n_commands is None else n_commands)
        )

    def start(self, name: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start a long-lived ``tongqiao`` process; its output goes to a log file."""
        logs = self.root / "logs"
        logs.mkdir(exist_ok=True)
        log = (logs / f"{name}.log").open("wb")
        process = subprocess.Popen(  # noqa: S603 - our own command, arguments as a list
            [*_tongqiao(), *map(str, arguments)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        self._running.append((name, process, log))
        return process

    def wait_for_file(self, path: Path, process: subprocess.Popen[bytes], name: str) -> str:
        """Wait until a process has written a file, and return its text.

        Raises:
            DemoError: the process ended, or did not write it in time.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if path.exists() and (text := path.read_text(encoding="utf-8").strip()):
                return text
            if process.poll() is not None:
                raise DemoError(f"The {name} ended at once. See logs/{name}.log in the folder.")
            time.sleep(0.05)
        raise DemoError(f"The {name} did not start in time. See logs/{name}.log in the folder.")

    def stop_all(self) -> None:
        """End every long-lived process, the last started first, and wait for it."""
        for _, process, log in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=_STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            log.close()
        self._running.clear()


def _tongqiao() -> list[str]:
    return [sys.executable, "-m", "api"]


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONPATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.update({"PYTHONUTF8": "1", "NO_COLOR": "1", "COLUMNS": "100"})
    return environment
