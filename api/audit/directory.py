"""The folder that ``tongqiao audit fetch`` keeps, as ``AUDIT_LOG.md`` describes it.

Only the standard library: ``verify.py`` reads it offline.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from api.audit.errors import DirectoryError
from api.audit.events import MAX_ENTRY_BYTES
from api.audit.merkle import HASH_BYTES

ENTRIES: Final = "entries.jsonl"
CHECKPOINT: Final = "checkpoint"
CHECKPOINTS: Final = "checkpoints"
KEY: Final = "log.vkey"
STATE: Final = "verified.json"
LEAVES: Final = "verified.leaves"
FETCHING: Final = "fetching"
PART: Final = "entries.part"
REFUSED: Final = "refused"
WITNESSES: Final = "witnesses"

STATE_FORMAT: Final = "tongqiao-audit-verified-v1"
MAX_SMALL_FILE_BYTES: Final = 64 * 1024 * 1024
_HEX_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class VerifiedState:
    """What the last fetch verified, written in its last step.

    Attributes:
        size: number of entries.
        root: of the tree over them, 32 bytes.
        log_key: the key that was pinned, as in ``log.vkey`` without the newline.
        checkpoints: SHA-256 of every checkpoint seen, hex, sorted.
    """

    size: int
    root: bytes
    log_key: str
    checkpoints: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The bytes of ``verified.json``."""
        value = {
            "checkpoints": list(self.checkpoints),
            "format": STATE_FORMAT,
            "log_key": self.log_key,
            "root": self.root.hex(),
            "size": self.size,
        }
        # Against accidents only: who changes the file with care can make this anew.
        value["sha256"] = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read ``verified.json``.

        Raises:
            DirectoryError: not byte for byte as :meth:`to_bytes` writes it.
        """
        message = "verified.json is damaged"
        try:
            value = json.loads(data)
            size, root, log_key = value["size"], value["root"], value["log_key"]
            checkpoints = tuple(value["checkpoints"])
            texts = [root, *checkpoints]
            if type(size) is not int or size < 0 or not isinstance(log_key, str):
                raise DirectoryError(message)
            if not all(isinstance(text, str) and _HEX_HASH.match(text) for text in texts):
                raise DirectoryError(message)
            if list(checkpoints) != sorted(set(checkpoints)):
                raise DirectoryError(message)
            state = cls(size, bytes.fromhex(root), log_key, checkpoints)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DirectoryError(message) from error
        if state.to_bytes() != data:
            raise DirectoryError(message)
        return state


def checkpoint_name(size: int, note: bytes) -> str:
    """Name of a checkpoint's file: its size, then the beginning of its SHA-256."""
    return f"{size:012d}-{note_digest(note)[:16]}"


def note_digest(note: bytes) -> str:
    """SHA-256 of a checkpoint's bytes, hex."""
    return hashlib.sha256(note).hexdigest()


def read_small_file(path: Path) -> bytes | None:
    """The file's content, ``None`` if there is none.

    Raises:
        DirectoryError: it is no regular file, or far too large.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SMALL_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except IsADirectoryError as error:
        raise DirectoryError(f"{path.name} is a folder") from error
    if len(data) > MAX_SMALL_FILE_BYTES:
        raise DirectoryError(f"{path.name} is far too large")
    return data


def read_checkpoints(directory: Path) -> list[tuple[str, bytes]]:
    """Name and bytes of every file in ``checkpoints/``, by name; those of a dot are drafts.

    Raises:
        DirectoryError: something in it is no regular file.
        OSError: it cannot be read.
    """
    folder = directory / CHECKPOINTS
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        data = None if path.name.startswith(".") else read_small_file(path)
        if data is not None:
            found.append((path.name, data))
    return found


def iterate_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of entries, each with its newline, in constant memory.

    A line that is longer than an entry can be, or the last one if cut, comes without newline; an
    over-long line comes in pieces. No file gives no lines.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from iter(lambda: file.readline(MAX_ENTRY_BYTES + 1), b"")


def iterate_leaves(path: Path) -> Iterator[bytes]:
    """The leaf hashes in ``verified.leaves``, 32 bytes each; the last may be shorter if cut."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while block := file.read(HASH_BYTES * 4096):
            for start in range(0, len(block), HASH_BYTES):
                yield block[start : start + HASH_BYTES]
