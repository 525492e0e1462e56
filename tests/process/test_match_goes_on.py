"""A match killed at any point goes on from its finished chunks and makes the same links."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import children, encoded_file

pytestmark = [pytest.mark.process]

# The command itself, in a process that kills itself (SIGKILL: nothing is caught or tidied) when it
# has stored so many chunks, or half way through storing the next; or that keeps all chunks.
_KILLED = """
import os, signal, sys
from linkage.matching import tagged_join
from linkage.matching.chunk_store import ChunkStore

when, at = sys.argv[1], int(sys.argv[2])
stored = 0
put, replace = ChunkStore.put, ChunkStore._replace

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counting_put(self, name, rows, figures):
    global stored
    kept = put(self, name, rows, figures)
    stored += 1
    if when == "after" and stored == at:
        die()
    return kept

def dying_replace(self, file_name, data):
    if when == "between" and stored == at:
        die()
    replace(self, file_name, data)

ChunkStore.put, ChunkStore._replace = counting_put, dying_replace
if when == "keeping":
    ChunkStore.remove = lambda self: None
from api.cli import main
sys.argv = ["tongqiao", *sys.argv[3:]]
main()
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("encoded")
    known = children(300)
    parts = {"civil": known[:220], "police": known[120:], "school": known[60:260]}
    return [encoded_file(folder / f"{name}.tqe", part).path for name, part in parts.items()]


def match(
    files: list[Path], out: Path, *options: str | Path, killed: tuple[str, int] | None = None
) -> int:
    arguments = ["match", *map(str, files), "--out", str(out), *map(str, options)]
    if killed is None:
        command = [sys.executable, "-m", "api", *arguments]
    else:
        command = [sys.executable, "-c", _KILLED, killed[0], str(killed[1]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode


def chunks_in(work_dir: Path) -> dict[str, tuple[int, int]]:
    """Finished chunks; inode and time tell whether one was written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in work_dir.glob("*/*.json")
    }


@pytest.fixture(scope="module")
def undisturbed(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("links") / "links.csv"
    assert match(files, out) == 0
    return out.read_bytes()


@pytest.mark.parametrize("killed", [("after", 1), ("between", 2)])
def test_killed_and_started_again(
    files: list[Path], undisturbed: bytes, tmp_path: Path, killed: tuple[str, int]
) -> None:
    out, work_dir = tmp_path / "links.csv", tmp_path / "work"
    assert match(files, out, "--work-dir", work_dir, killed=killed) == -signal.SIGKILL
    assert not out.exists()
    finished = chunks_in(work_dir)
    assert len(finished) == killed[1]
    assert match(files, out, "--work-dir", work_dir, killed=("keeping", 0)) == 0
    assert out.read_bytes() == undisturbed
    assert finished.items() <= chunks_in(work_dir).items()
