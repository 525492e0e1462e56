"""Where encodings lie in the clear: only while somebody works on them, gone right after.

The matcher maps plaintext into memory, so it must be in a file for that time.  Each user has a
folder of its own, locked as long as its process lives; whoever starts next deletes the folders of
processes that died.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MODE: Final = 0o700
_LOCK: Final = ".lock"
_DRAFT: Final = "."


class Workspace:
    """The private working folder of one server.

    Args:
        directory: for the server's account only; made when first needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A new empty folder, deleted at the end whatever happens."""
        self._directory.mkdir(mode=_MODE, parents=True, exist_ok=True)
        folder = self._directory / secrets.token_hex(16)
        # Made and locked under another name: a sweep must never find it without its lock.
        draft = self._directory / f"{_DRAFT}{folder.name}"
        draft.mkdir(mode=_MODE)
        lock = os.open(draft / _LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            draft.rename(folder)
            try:
                yield folder
            finally:
                shutil.rmtree(folder)
        finally:
            os.close(lock)

    def n_abandoned(self) -> int:
        """Number of folders that processes left that died."""
        return len(self._abandoned())

    def sweep(self) -> int:
        """Delete what processes that died left in the clear; returns the number of folders."""
        abandoned = self._abandoned()
        for folder in abandoned:
            shutil.rmtree(folder, ignore_errors=True)
        return len(abandoned)

    def _abandoned(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        # Nothing is in the clear in a draft yet; a moment later it has its name.
        return [
            folder
            for folder in sorted(self._directory.iterdir())
            if not folder.name.startswith(_DRAFT) and not _is_in_use(folder)
        ]


def _is_in_use(folder: Path) -> bool:
    """Whether the process that made a folder is still alive: the system drops a dead one's lock."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
