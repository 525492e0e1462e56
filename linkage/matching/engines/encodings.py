"""Encoded files as another machine finds them: by the hash of their content."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkage.errors import MatchingError, TqeFormatError
from linkage.matching.numbering import NumberedRecords, number_through
from linkage.tqe import open_tqe
from linkage.types import EncodedDataset

FOLDERS_VARIABLE: Final = "TONGQIAO_ENCODINGS"
"""Environment variable of a worker: folders with encoded files, separated as in ``PATH``."""


@dataclass(frozen=True, slots=True)
class EncodedFileRef:
    """A file without its bytes.

    Attributes:
        name: of the dataset.
        content_sha256: what the file must hold, hex.
        path: where it is for the machine that asks.
    """

    name: str
    content_sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class RecordsByHash:
    """Records of all datasets, opened on whatever machine asks for them, once a process."""

    files: tuple[EncodedFileRef, ...]

    def __call__(self) -> NumberedRecords:
        """The records, numbered through; files stay mapped as long as the process lives.

        Raises:
            MatchingError: a file is not there, or holds something else.
        """
        with _LOCK:
            if _OPENED.get("files") != self.files:
                _OPENED.clear()
                _OPENED["records"] = number_through([_open(file) for file in self.files])
                _OPENED["files"] = self.files
            records = _OPENED["records"]
        if not isinstance(records, NumberedRecords):
            raise TypeError("not records")
        return records


# A worker has several threads, and opening reads every byte: one copy is enough.
_LOCK = threading.Lock()
_OPENED: dict[str, object] = {}


def _open(file: EncodedFileRef) -> EncodedDataset:
    for path in _places(file):
        try:
            dataset = open_tqe(path, name=file.name)
        except (OSError, TqeFormatError):
            continue
        if dataset.manifest.content_sha256 == file.content_sha256:
            return dataset
    raise MatchingError(
        f"A worker does not find the encodings of '{file.name}'. Let all machines see one folder, "
        f"or name the folders that a worker has in {FOLDERS_VARIABLE}."
    )


def _places(file: EncodedFileRef) -> Iterator[Path]:
    for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep):
        if folder:
            yield Path(folder) / f"{file.content_sha256}.tqe"
            yield from sorted(Path(folder).glob(f"*/{file.content_sha256}.tqe"))
    yield Path(file.path)
