"""Finished chunks on disk, so that a killed run goes on from where it was.

A chunk is two files: ``NAME.npy`` holds its rows, and ``NAME.json``, written last, says that it is
finished, with the rows' SHA-256 and the chunk's figures.  Both appear whole or not at all.  The
folder's name is a fingerprint of everything that the rows depend on (files, model, rules), so a run
on other files or by other rules never finds them.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]


class ChunkStore:
    """Chunks of one run.

    Args:
        folder: the run's own; made if it is not there, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, rows: Rows, figures: Mapping[str, int]) -> Rows:
        """Keep a finished chunk; its rows are returned memory-mapped."""
        sha256 = self._write(f"{name}.npy", rows)
        done = {"sha256": sha256, "figures": dict(figures)}
        self._replace(f"{name}.json", json.dumps(done, sort_keys=True).encode())
        return self._mapped(name)

    def get(self, name: str) -> tuple[Rows, dict[str, int]] | None:
        """A finished chunk, or ``None`` if it is not there, or not whole."""
        try:
            done = json.loads((self._folder / f"{name}.json").read_bytes())
            with (self._folder / f"{name}.npy").open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != done["sha256"]:
                    return None
            return self._mapped(name), {key: int(n) for key, n in done["figures"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            # Whatever is wrong with it, the chunk is computed again.
            return None

    def names(self) -> set[str]:
        """Names of the chunks that are said to be finished."""
        return {path.stem for path in self._folder.glob("*.json")}

    def remove(self) -> None:
        """Delete all chunks; rows still mapped stay readable until they are let go."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mapped(self, name: str) -> Rows:
        path = self._folder / f"{name}.npy"
        rows: Rows = (
            np.load(path, allow_pickle=False)[:0]
            if _is_empty(path)
            else np.load(path, mmap_mode="r", allow_pickle=False)
        )
        return rows

    def _write(self, file_name: str, rows: Rows) -> str:
        temporary = self._folder / f".{file_name}.{os.getpid()}.part"
        with temporary.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        with temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(self._folder / file_name)
        return sha256

    def _replace(self, file_name: str, data: bytes) -> None:
        temporary = self._folder / f".{file_name}.{os.getpid()}.part"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / file_name)


@contextmanager
def store_of_run(
    work_dir: Path | None, depends_on: Callable[[], Mapping[str, object]]
) -> Iterator[ChunkStore]:
    """Where a run's chunks are kept.

    Args:
        work_dir: holds a folder a run; ``None`` for a temporary folder.
        depends_on: gives everything that the chunks depend on, for the folder's name.
    """
    if work_dir is None:
        with tempfile.TemporaryDirectory(prefix="tongqiao-") as folder:
            yield ChunkStore(Path(folder))
        return
    yield ChunkStore(work_dir / fingerprint(depends_on()))


def _is_empty(path: Path) -> bool:
    """Whether a file of rows holds none, which cannot be mapped."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else (np.lib.format.read_array_header_2_0)
        )
        shape = read(file)[0]
    return shape[0] == 0


def fingerprint(parts: Mapping[str, object]) -> str:
    """A name for what chunks depend on: SHA-256 of its JSON, 32 hex characters."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
