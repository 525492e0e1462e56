"""Where encoded files lie: ``encodings/ROUND/SHA256``, named by what they hold.

A file is written elsewhere first and moved into place whole, so a file with its right name is
always complete.  What no row of the database refers to is litter of an interrupted request and is
swept; what a row refers to is never touched.
"""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_CHUNK_BYTES = 1024 * 1024
_ROUND = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class EncodingStore:
    """The encoded files of one server.

    Args:
        directory: where files in place lie, a folder for each round.
        incoming: where files are while they arrive; on the same file system.
    """

    def __init__(self, directory: Path, incoming: Path) -> None:
        self._directory = directory
        self._incoming = incoming

    def create(self) -> None:
        """Make the folders, for the server's account only."""
        for folder in (self._directory, self._incoming):
            folder.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def new_incoming(self) -> Path:
        """An empty new file to receive into; the caller deletes it or puts it into place."""
        path = self._incoming / f"{secrets.token_hex(16)}.part"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))
        return path

    def path(self, round_id: str, sha256: str) -> Path:
        """Where the file with this hash lies, whether it is there or not."""
        if not _ROUND.fullmatch(round_id) or not _SHA256.fullmatch(sha256):
            raise ValueError("not a round and a hash")
        return self._directory / round_id / sha256

    def put(self, incoming: Path, round_id: str, sha256: str) -> None:
        """Move a complete file into its place, durably."""
        target = self.path(round_id, sha256)
        target.parent.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        _sync(incoming)
        incoming.replace(target)
        _sync(target.parent)
        _sync(self._directory)

    def delete(self, round_id: str, sha256: str) -> None:
        """Delete a file; nothing happens if it is gone."""
        self.path(round_id, sha256).unlink(missing_ok=True)

    def delete_folder(self, round_id: str) -> None:
        """Delete the folder of a round if it is empty.  Not while a file may be put there."""
        with contextlib.suppress(OSError):
            (self._directory / round_id).rmdir()

    def is_intact(self, round_id: str, sha256: str) -> bool:
        """Whether the file is there and still holds what its name says."""
        digest = hashlib.sha256()
        try:
            with self.path(round_id, sha256).open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except FileNotFoundError:
            return False
        return digest.hexdigest() == sha256

    def stored(self) -> Iterator[tuple[str, str]]:
        """Round and hash of every file in place."""
        for folder in sorted(self._directory.iterdir()):
            for file in sorted(folder.iterdir()):
                if _ROUND.fullmatch(folder.name) and _SHA256.fullmatch(file.name):
                    yield folder.name, file.name

    def sweep_incoming(self, older_than: float) -> int:
        """Delete what an interrupted request left before this time (seconds since 1970)."""
        swept = 0
        for path in self._incoming.glob("*.part"):
            try:
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    swept += 1
            except FileNotFoundError:
                continue
        return swept


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
