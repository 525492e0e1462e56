"""Where encoded files lie, encrypted: ``encodings/ROUND/SHA256``, named by what they hold.

A file is written elsewhere first and moved into place whole, so a file with its right name is
always complete.  What no row of the database refers to is litter of an interrupted request and is
swept; what a row refers to is never touched.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

_DIRECTORY_MODE = 0o700
_ROUND = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INCOMING = re.compile(r"[0-9a-f]{32}\.part")


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
        """A name for a new file to receive into; the caller makes it, and deletes or puts it."""
        return self._incoming / f"{secrets.token_hex(16)}.part"

    def incoming_path(self, name: str) -> Path:
        """Where a file that is arriving lies, by the name that :meth:`new_incoming` gave it."""
        if not _INCOMING.fullmatch(name):
            raise ValueError("not the name of an incoming file")
        return self._incoming / name

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

    def stored(self) -> Iterator[tuple[str, str]]:
        """Round and hash of every file in place."""
        for folder in sorted(self._directory.iterdir()):
            for file in sorted(folder.iterdir()):
                if _ROUND.fullmatch(folder.name) and _SHA256.fullmatch(file.name):
                    yield folder.name, file.name

    def abandoned(self, older_than: float) -> Iterator[str]:
        """Names of incoming files not touched since this time (seconds since 1970)."""
        for path in sorted(self._incoming.glob("*.part")):
            try:
                if path.stat().st_mtime < older_than and _INCOMING.fullmatch(path.name):
                    yield path.name
            except FileNotFoundError:
                continue


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
