"""Where complete encoded files lie, encrypted: in files or in object storage; and what arrives.

A file arrives in :class:`IncomingFolder`, always on this machine.  When it is whole and was checked
it goes to an :class:`EncodingStorage` in two steps: :meth:`~EncodingStorage.bring`, which may take
long and holds up nobody, and :meth:`~EncodingStorage.place`, which is quick, under the write lock
of the database, right before the row is committed.  So what has its name is always complete, and a
row never points to nothing.  What no row refers to is litter of an interrupted request and is
swept; what a row refers to is never touched.
"""

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from keys.at_rest import ByteStream

StoredFile: TypeAlias = tuple[str, str]
"""Round and SHA-256 of an encoded file."""

_DIRECTORY_MODE = 0o700
_ROUND: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_INCOMING: Final = re.compile(r"[0-9a-f]{32}\.part")


class StorageAwayError(OSError):
    """The storage does not answer, or refuses this server; the same may work later."""


class EncodingStorage(Protocol):
    """Complete encoded files of one server, named by round and hash.

    Every method raises StorageAwayError where the storage does not answer, and ValueError for what
    is no round and no hash.
    """

    def create(self) -> None:
        """Make what has to be there first; asks no other machine."""

    def verify_reachable(self) -> None:
        """Whether the storage answers this server; quick."""

    def check(self) -> None:
        """Whether the storage takes, gives and deletes what this server wants."""

    def bring(self, file: Path, round_id: str, sha256: str) -> None:
        """Bring a complete file so near that :meth:`place` is quick; durable from here on.

        Until then nobody relies on it, and it may be deleted as litter.
        """

    def place(self, file: Path, round_id: str, sha256: str) -> None:
        """Have the file that was brought in its place; ``file`` may be gone afterwards."""

    def open(self, round_id: str, sha256: str) -> AbstractContextManager[ByteStream]:
        """A stored file as a stream, in constant memory.  Raises: FileNotFoundError."""

    def is_stored(self, round_id: str, sha256: str) -> bool:
        """Whether the file is in its place."""

    def delete(self, round_id: str, sha256: str) -> None:
        """Delete a file; nothing happens if it is gone.  Not while it may be placed."""

    def stored(self) -> Iterator[StoredFile]:
        """Every file in its place."""

    def hold(self, files: Iterable[StoredFile], folder: Path) -> "EncodingStorage":
        """Where these files can be read until the new ``folder`` is deleted.

        Files are kept from being deleted meanwhile.  Objects are not: who reads them then must
        take FileNotFoundError for an answer.
        """


class FileStorage:
    """Files below one folder: ``ROUND/SHA256``, for the server's account only.

    Args:
        directory: the folder; on the same file system as what is arriving.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self) -> None:
        """Make the folder."""
        self._directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def verify_reachable(self) -> None:
        """Nothing: readiness looks at the disk anyway."""

    def check(self) -> None:
        """Whether a file can be written there, by a file that goes again."""
        with tempfile.TemporaryFile(dir=self._directory) as file:
            file.write(b"x")

    def path(self, round_id: str, sha256: str) -> Path:
        """Where the file with this hash lies, whether it is there or not."""
        verify_name(round_id, sha256)
        return self._directory / round_id / sha256

    def bring(self, file: Path, round_id: str, sha256: str) -> None:
        """Wait until the file is on the disk."""
        verify_name(round_id, sha256)
        _sync(file)

    def place(self, file: Path, round_id: str, sha256: str) -> None:
        """Move the file into its place, durably."""
        target = self.path(round_id, sha256)
        target.parent.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        file.replace(target)
        _sync(target.parent)
        _sync(self._directory)

    @contextlib.contextmanager
    def open(self, round_id: str, sha256: str) -> Iterator[ByteStream]:
        """The file."""
        with self.path(round_id, sha256).open("rb") as file:
            yield file

    def is_stored(self, round_id: str, sha256: str) -> bool:
        """Whether the file is there."""
        return self.path(round_id, sha256).is_file()

    def delete(self, round_id: str, sha256: str) -> None:
        """Delete the file, and its round's folder if that is empty then."""
        path = self.path(round_id, sha256)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def stored(self) -> Iterator[StoredFile]:
        """Every file in its place."""
        for folder in sorted(self._directory.iterdir()):
            for file in sorted(folder.iterdir()):
                if is_name(folder.name, file.name):
                    yield folder.name, file.name

    def hold(self, files: Iterable[StoredFile], folder: Path) -> "FileStorage":
        """Link the files into the folder: no copy, and they stay when they are deleted here."""
        held = FileStorage(folder)
        held.create()
        for round_id, sha256 in files:
            target = held.path(round_id, sha256)
            target.parent.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            os.link(self.path(round_id, sha256), target)
        return held


class IncomingFolder:
    """Where files are while they arrive.

    Args:
        directory: for the server's account only.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self) -> None:
        """Make the folder."""
        self._directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def new_path(self) -> Path:
        """A name for a new file to receive into; the caller makes it, and deletes it."""
        return self._directory / f"{secrets.token_hex(16)}.part"

    def path(self, name: str) -> Path:
        """Where a file that is arriving lies, by the name that :meth:`new_path` gave it."""
        if not _INCOMING.fullmatch(name):
            raise ValueError("not the name of an incoming file")
        return self._directory / name

    def abandoned(self, older_than: float) -> Iterator[str]:
        """Names of files not touched since this time (seconds since 1970)."""
        for path in sorted(self._directory.glob("*.part")):
            try:
                if path.stat().st_mtime < older_than and _INCOMING.fullmatch(path.name):
                    yield path.name
            except FileNotFoundError:
                continue


def is_name(round_id: str, sha256: str) -> bool:
    """Whether this is a round's id and a hash, and so the name of a stored file."""
    return bool(_ROUND.fullmatch(round_id) and _SHA256.fullmatch(sha256))


def verify_name(round_id: str, sha256: str) -> None:
    """Whether a stored file may be called that.  Raises: ValueError."""
    if not is_name(round_id, sha256):
        raise ValueError("not a round and a hash")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
