"""Files of CLKs as another machine finds them: by the hash of their bytes."""

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linkage.clk_files import open_clks
from linkage.errors import ClkFileError, MatchingError
from linkage.matching.engines.encodings import FOLDERS_VARIABLE
from linkage.types import U64


@dataclass(frozen=True, slots=True)
class ClkFileRef:
    """A file without its bytes.

    Attributes:
        name: of the dataset.
        sha256: of the file's bytes, hex.
        path: where it is for the machine that asks.
        clk_bytes: length of each CLK.
    """

    name: str
    sha256: str
    path: str
    clk_bytes: int


@dataclass(frozen=True, slots=True)
class ClksByHash:
    """Filters of all datasets, read on whatever machine asks for them, once a process."""

    files: tuple[ClkFileRef, ...]

    def __call__(self) -> tuple[U64, ...]:
        """The filters; they stay in memory as long as the process lives.

        Raises:
            MatchingError: a file is not there, or holds something else.
        """
        with _LOCK:
            if self.files not in _OPENED:
                _OPENED.clear()
                _OPENED[self.files] = tuple(_open(file) for file in self.files)
            return _OPENED[self.files]


# A worker has several threads: one copy is enough.
_LOCK = threading.Lock()
_OPENED: dict[tuple[ClkFileRef, ...], tuple[U64, ...]] = {}


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(file: ClkFileRef) -> U64:
    for path in _places(file):
        try:
            if sha256_of_file(path) == file.sha256:
                return open_clks(path, name=file.name, clk_bytes=file.clk_bytes).filters
        except (OSError, ClkFileError):
            continue
    raise MatchingError(
        f"A worker does not find the CLKs of '{file.name}'. Let all machines see one folder, or "
        f"name the folders that a worker has in {FOLDERS_VARIABLE}."
    )


def _places(file: ClkFileRef) -> Iterator[Path]:
    ending = Path(file.path).suffix
    for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep):
        if folder:
            yield Path(folder) / f"{file.sha256}{ending}"
    yield Path(file.path)
