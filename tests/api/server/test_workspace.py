"""Encodings in the clear: gone after use, gone after a crash, never taken from the living."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.server.services.workspace import Workspace
from tests.factories import ROUND, EncodedTestFile
from tests.simulator import OpenRound, SimulatedServer, granted


def test_is_gone_after_use_and_after_an_error(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work")
    with workspace.folder() as folder:
        (folder / "plain").write_bytes(b"filters")
        assert folder.stat().st_mode & 0o077 == 0
        assert (tmp_path / "work").stat().st_mode & 0o077 == 0

    def fails() -> None:
        with workspace.folder() as folder:
            (folder / "plain").write_bytes(b"filters")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fails()
    assert list((tmp_path / "work").iterdir()) == []


def test_a_sweep_leaves_folders_in_use_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work")
    assert workspace.sweep() == 0
    with workspace.folder() as folder:
        assert workspace.sweep() == 0
        assert folder.is_dir()


_HOLDER = """
import sys, time
from pathlib import Path
from api.server.services.workspace import Workspace
with Workspace(Path(sys.argv[1])).folder() as folder:
    (folder / "plain").write_bytes(b"filters")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.process
def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "work")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        workspace = Workspace(tmp_path / "work")
        assert workspace.sweep() == 0
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert (folder / "plain").read_bytes() == b"filters"
        until = time.monotonic() + 5
        while workspace.sweep() == 0 and time.monotonic() < until:
            time.sleep(0.05)
        assert not folder.exists()
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()


def test_matching_leaves_nothing_in_the_clear(server: SimulatedServer) -> None:
    party: OpenRound = server.open_round()
    plain = {sha: file.data for sha, file in _files(party).items()}
    party.is_matched()
    samples = [
        data[at : at + 32]
        for data in plain.values()
        for at in range(0, len(data) - 32, 499)
        if len(set(data[at : at + 32])) > 16
    ]
    on_disk = b"".join(p.read_bytes() for p in server.directory.rglob("*") if p.is_file())
    assert not any(sample in on_disk for sample in samples)
    # They were there, and whoever has the keys can read them until the round ends.
    for sha256, data in plain.items():
        assert server.plaintext(ROUND, sha256) == data
    granted(party.second.takes_step(ROUND, "release"))


def _files(party: OpenRound) -> dict[str, EncodedTestFile]:
    return {file.sha256: file for file in party.files.values()}
