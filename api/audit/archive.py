"""Archives of sealed entries: one file for a run of old entries, which verifies by itself.

An archive holds the tree as it was before its first entry, the entries, and a checkpoint over all
up to its last: whoever has the log's key recomputes the checkpoint's root from the file alone.
Archives of one log follow each other without a gap. ``AUDIT_LOG.md`` has the form, byte for byte.

Only the standard library and ``keys.signing``.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from api.audit.errors import ArchiveError, EntryError, NoteError, ProofError
from api.audit.events import MAX_ENTRY_BYTES, parse_entry
from api.audit.merkle import TILE_WIDTH, CompactRange, leaf_hash
from api.audit.note import (
    MAX_NOTE_BYTES,
    Checkpoint,
    VerifierKey,
    decode_base64,
    encode_base64,
    open_checkpoint,
)
from api.audit.quick_form import QuickForm

FORMAT: Final = "tongqiao-log-archive-v1"
SUFFIX: Final = ".tqlog.gz"
_SPAN = re.compile(r"entries (0|[1-9][0-9]{0,15}) ([1-9][0-9]{0,15})")
_MAX_HASHES: Final = 64
_MAX_HEAD_LINE: Final = 256
_MAX_NOTE_LINES: Final = 80
_BLOCK_ENTRIES: Final = 16 * TILE_WIDTH


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """What stands before the entries.

    Attributes:
        start: index of the first entry.
        stop: index after the last one; what the checkpoint is over.
        before: the tree over the entries before ``start``.
        note: the signed checkpoint, as bytes.
    """

    start: int
    stop: int
    before: CompactRange
    note: bytes

    def to_bytes(self) -> bytes:
        """The head as it stands in the file, before compression."""
        lines = [FORMAT, f"entries {self.start} {self.stop}"]
        hashes = self.before.to_bytes()
        lines += [encode_base64(hashes[at : at + 32]) for at in range(0, len(hashes), 32)]
        return "\n".join([*lines, "", ""]).encode() + self.note + b"\n"


@dataclass(frozen=True, slots=True)
class VerifiedArchive:
    """What an archive was found to hold.

    Attributes:
        root_before: root over the entries before its first, 32 bytes.
        checkpoint: over everything up to its last entry.
    """

    start: int
    stop: int
    root_before: bytes
    checkpoint: Checkpoint
    first_time: str
    last_time: str


def archive_name(start: int, stop: int) -> str:
    """Name of an archive's file."""
    return f"log-{start:012d}-{stop:012d}{SUFFIX}"


def write_archive(path: Path, head: ArchiveHead, lines: Iterable[bytes]) -> None:
    """Write a new archive.

    Raises:
        FileExistsError: the file exists.
        OSError: it cannot be written.
    """
    with path.open("xb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        file.write(head.to_bytes())
        for line in lines:
            file.write(line + b"\n")


def read_archive_entries(path: Path) -> Iterator[bytes]:
    """The entries of an archive, without newlines; not verified.

    Raises:
        ArchiveError: it is no archive.
        OSError: it cannot be read.
    """
    with gzip.open(path, "rb") as opened:
        file = cast(BinaryIO, opened)
        try:
            head = _read_head(file)
            for _ in range(head.start, head.stop):
                yield _read_line(file, MAX_ENTRY_BYTES)
        except (EOFError, gzip.BadGzipFile) as error:
            raise ArchiveError(_DAMAGED) from error


def verify_archive(path: Path, key: VerifierKey) -> VerifiedArchive:
    """Verify an archive by itself with the log's key, in constant memory.

    Raises:
        ArchiveError: an entry was changed, removed, inserted or moved, or the file is damaged.
        NoteKeyError: its checkpoint is signed by another key, or is of another log.
        NoteSignatureError: its checkpoint's signature does not fit.
        OSError: it cannot be read.
    """
    try:
        with gzip.open(path, "rb") as opened:
            return _verify(cast(BinaryIO, opened), key)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ArchiveError(_DAMAGED) from error
    except OSError as error:
        if error.errno is None:
            raise ArchiveError(_DAMAGED) from error
        raise
    except Exception as error:
        # zlib's own error has no public base of its own.
        if type(error).__module__ == "zlib":
            raise ArchiveError(_DAMAGED) from error
        raise


def verify_sequence(archives: Sequence[VerifiedArchive]) -> None:
    """Verify that archives follow each other from the log's first entry on.

    Args:
        archives: in order of their entries.

    Raises:
        ArchiveError: one is missing, there twice, or of another history.
    """
    stop, root = 0, CompactRange().root()
    for one in archives:
        if one.start != stop:
            raise ArchiveError(
                f"The archive that begins with entry {stop} is missing: the next one here begins "
                f"with entry {one.start}."
            )
        if one.root_before != root:
            raise ArchiveError(
                f"The archive that begins with entry {one.start} is of another history than the "
                "one before it."
            )
        stop, root = one.stop, one.checkpoint.root


def _verify(file: BinaryIO, key: VerifierKey) -> VerifiedArchive:
    head = _read_head(file)
    checkpoint = open_checkpoint(head.note, key)
    if checkpoint.size != head.stop:
        raise ArchiveError("The archive's checkpoint is not over its last entry.")
    tree, form = head.before.copy(), QuickForm()
    first_time, last_time, leaves = "", "", []
    for index in range(head.start, head.stop):
        line = _read_line(file, MAX_ENTRY_BYTES)
        time = _time_of(form, line, index)
        if time < last_time:
            raise ArchiveError(f"The time of entry {index} is before that of the one before it.")
        first_time, last_time = first_time or time, time
        leaves.append(leaf_hash(line))
        if len(leaves) == _BLOCK_ENTRIES:
            tree.extend(leaves)
            leaves.clear()
    tree.extend(leaves)
    if file.read(1):
        raise ArchiveError("There is more in the archive than its entries.")
    if tree.root() != checkpoint.root:
        raise ArchiveError(
            "The archive's entries do not lead to the root that the log signed: at least one was "
            "changed, removed, put in or moved."
        )
    return VerifiedArchive(
        head.start, head.stop, head.before.root(), checkpoint, first_time, last_time
    )


def _time_of(form: QuickForm, line: bytes, index: int) -> str:
    quick = form.look(line)
    if quick is None:
        try:
            entry = parse_entry(line)
        except EntryError as error:
            raise ArchiveError(f"What should be entry {index} is none: {error}.") from error
        quick = entry.index, entry.time
    if quick[0] != index:
        raise ArchiveError(f"What should be entry {index} bears another number.")
    return quick[1]


def _read_head(file: BinaryIO) -> ArchiveHead:
    if _read_line(file, _MAX_HEAD_LINE) != FORMAT.encode():
        raise ArchiveError(f"The file is no archive of a log ({FORMAT}).")
    try:
        match = _SPAN.fullmatch(_read_line(file, _MAX_HEAD_LINE).decode("ascii"))
        hashes = []
        while line := _read_line(file, _MAX_HEAD_LINE):
            hashes.append(decode_base64(line.decode("ascii")))
            if len(hashes) > _MAX_HASHES:
                raise ArchiveError(_DAMAGED)
        if match is None or int(match[1]) >= int(match[2]):
            raise ArchiveError(_DAMAGED)
        start, stop = int(match[1]), int(match[2])
        return ArchiveHead(start, stop, CompactRange(start, hashes), _read_note(file))
    except (UnicodeDecodeError, NoteError, ProofError) as error:
        raise ArchiveError(_DAMAGED) from error


def _read_note(file: BinaryIO) -> bytes:
    """The checkpoint: text, an empty line, signatures, an empty line."""
    lines, n_empty = [], 0
    while n_empty < 2:
        line = _read_line(file, MAX_NOTE_BYTES)
        n_empty += not line
        lines.append(line)
        if len(lines) > _MAX_NOTE_LINES:
            raise ArchiveError(_DAMAGED)
    return b"\n".join(lines)


def _read_line(file: BinaryIO, most: int) -> bytes:
    line = file.readline(most + 1)
    if not line.endswith(b"\n"):
        raise ArchiveError(_DAMAGED)
    return line[:-1]


_DAMAGED: Final = "The archive is damaged or cut off. Take another copy of it."
