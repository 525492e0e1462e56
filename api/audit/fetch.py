"""Fetching the log into a folder: what is new, and only if it continues what was verified.

The last step of a fetch replaces ``verified.json``. A fetch that ends before that is undone by the
next one, so that an interruption cannot be taken for tampering.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from api.audit.cosignature import WitnessKey
from api.audit.directory import (
    CHECKPOINT,
    CHECKPOINTS,
    ENTRIES,
    FETCHING,
    KEY,
    LEAVES,
    PART,
    REFUSED,
    STATE,
    WITNESSES,
    VerifiedState,
    checkpoint_name,
    iterate_leaves,
    iterate_lines,
    note_digest,
    read_checkpoints,
    read_small_file,
)
from api.audit.errors import (
    DirectoryError,
    FetchError,
    NoteError,
    NoteKeyError,
    NoteSignatureError,
)
from api.audit.events import MAX_ENTRY_BYTES
from api.audit.evidence import parse_key_file
from api.audit.findings import compare_with_verified
from api.audit.merkle import HASH_BYTES, TILE_WIDTH, CompactRange, leaf_hash
from api.audit.note import (
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
)
from api.audit.scan import TracedTree
from api.audit.verify import Verification, verify_directory

PAGE_ENTRIES: Final = 1000

ProgressCallback = Callable[[int, int], None]
"""Called with entries done and entries in all."""


class LogSource(Protocol):
    """Where a log comes from: a server, or a stand-in for one."""

    def log_key(self) -> VerifierKey:
        """The key that it says its checkpoints are signed by."""

    def checkpoint(self) -> bytes:
        """Its present checkpoint, a signed note."""

    def entries(self, start: int, limit: int) -> list[str]:
        """Entries from ``start`` on, at most ``limit``."""

    def cosigned(self, after: int) -> list[bytes]:
        """Checkpoints over more than ``after`` entries that witnesses signed, in order."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """How a fetch ended.

    Attributes:
        verification: of the whole folder, after the fetch.
        n_new: entries that were not here before.
        pinned: whether the log's key was taken on trust now, for the first time.
    """

    verification: Verification
    n_new: int
    pinned: bool


def fetch_log(
    source: LogSource,
    directory: Path,
    on_progress: ProgressCallback | None = None,
    *,
    expected_key: VerifierKey | None = None,
    witnesses: Sequence[WitnessKey] = (),
) -> Fetched:
    """Bring a folder up to the log's present checkpoint; nothing unverified is added to it.

    Args:
        expected_key: the key that the log must have; ``None`` takes that of ``log.vkey``, or the
            server's in the first fetch.
        witnesses: keys of witnesses to know from now on, besides those that are known here.

    Raises:
        FetchError: what the server sends does not fit itself or what was verified before; if it
            bears a good signature, it is kept as evidence.
        DirectoryError: the folder does not verify as it is, or is another's.
        OSError: the folder cannot be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = _settle(directory)
    key, pinned = _choose_key(source, directory, expected_key)
    if state is not None:
        _verify_folder(directory)
    if witnesses:
        _know_witnesses(directory, witnesses)
    note = source.checkpoint()
    latest = _open_note(note, key)
    size = 0 if state is None else state.size
    if state is not None and latest.size <= size:
        _verify_no_older(directory, state, latest, note)
        if note_digest(note) in state.checkpoints:
            return Fetched(verify_directory(directory), 0, pinned)
    cosigned = _fetch_cosigned(source, directory, key, latest.size)
    tree = TracedTree({one.size for one, _ in cosigned})
    leaves = iterate_leaves(directory / LEAVES)
    while block := list(islice(leaves, TILE_WIDTH)):
        tree.extend(block)
    part = directory / PART
    try:
        with part.open("wb") as file:
            for line in _download(source, size, latest.size, on_progress):
                file.write(line + b"\n")
                tree.extend([leaf_hash(line)])
        if tree.root != latest.root:
            raise FetchError(_refuse(source, directory, key, latest, note))
        _verify_cosigned(directory, cosigned, tree)
        _commit(directory, key, state, latest, [data for _, data in cosigned] + [note])
    finally:
        part.unlink(missing_ok=True)
    return Fetched(verify_directory(directory), latest.size - size, pinned)


def _know_witnesses(directory: Path, witnesses: Sequence[WitnessKey]) -> None:
    known = read_small_file(directory / WITNESSES) or b""
    lines = dict.fromkeys([*known.decode(errors="replace").split("\n")[:-1]])
    lines |= dict.fromkeys(key.to_text() for key in witnesses)
    _replace(directory / WITNESSES, "".join(f"{line}\n" for line in lines).encode())


def _fetch_cosigned(
    source: LogSource, directory: Path, key: VerifierKey, size: int
) -> list[tuple[Checkpoint, bytes]]:
    """Cosigned checkpoints that are not here yet, up to a size."""
    newest = 0
    for _, data in read_checkpoints(directory):
        note = parse_note(data)
        if len(note.signatures) > 1:
            newest = max(newest, parse_checkpoint(note.text).size)
    kept = {note_digest(data) for _, data in read_checkpoints(directory)}
    # Again from the newest that is here: more witnesses may have signed it since.
    found = []
    for data in source.cosigned(max(0, newest - 1)):
        one = _open_note(data, key)
        if one.size <= size and note_digest(data) not in kept:
            found.append((one, data))
    return found


def _verify_cosigned(
    directory: Path, cosigned: Sequence[tuple[Checkpoint, bytes]], tree: TracedTree
) -> None:
    """Raises: FetchError: what witnesses signed is not how this history began."""
    for one, data in cosigned:
        if tree.roots.get(one.size) != one.root:
            folder = directory / REFUSED
            folder.mkdir(mode=0o700, exist_ok=True)
            _replace(folder / checkpoint_name(one.size, data), data)
            raise FetchError(
                f"The server has two histories: what its witnesses signed over {one.size} entries "
                "does not fit what it sends. It is kept in refused/ as evidence."
            )


def _settle(directory: Path) -> VerifiedState | None:
    """Undo a fetch that was interrupted, and say what was verified; ``None`` for a new folder."""
    data = read_small_file(directory / STATE)
    try:
        state = None if data is None else VerifiedState.parse(data)
    except DirectoryError as error:
        raise DirectoryError(
            "verified.json in the folder was changed. Choose a new folder, and keep this one as "
            "it is."
        ) from error
    if (directory / FETCHING).exists():
        _undo(directory, state)
    if state is None and any((directory / name).exists() for name in (ENTRIES, CHECKPOINT)):
        raise DirectoryError(
            "The folder holds a log, but verified.json is missing. Choose a new folder, and keep "
            "this one as it is."
        )
    return state


def _undo(directory: Path, state: VerifiedState | None) -> None:
    size = 0 if state is None else state.size
    _truncate(directory / ENTRIES, _length_bytes(directory / ENTRIES, size))
    _truncate(directory / LEAVES, size * HASH_BYTES)
    kept = frozenset(() if state is None else state.checkpoints)
    unfinished = (read_small_file(directory / FETCHING) or b"").split(b"\n")
    latest = None
    for name, data in read_checkpoints(directory):
        if note_digest(data) in kept:
            if parse_note(data).text.split("\n")[1:2] == [str(size)]:
                latest = data
        elif name.encode() in unfinished:
            (directory / CHECKPOINTS / name).unlink()
    if state is None:
        for name in (ENTRIES, LEAVES, CHECKPOINT):
            (directory / name).unlink(missing_ok=True)
    elif latest is not None:
        _replace(directory / CHECKPOINT, latest)
    (directory / FETCHING).unlink()


def _choose_key(
    source: LogSource, directory: Path, expected: VerifierKey | None
) -> tuple[VerifierKey, bool]:
    """The key to verify with, and whether it is taken on trust now, for the first time."""
    data = read_small_file(directory / KEY)
    served = source.log_key()
    if data is not None:
        try:
            kept = parse_key_file(data)
        except NoteError as error:
            raise DirectoryError(
                "log.vkey in the folder is damaged. Choose a new folder."
            ) from error
        if expected not in (None, kept):
            raise DirectoryError(
                "The key that you gave is not the one in log.vkey. Ask the operator by another "
                "way which one is right, or choose a new folder."
            )
        expected = kept
    if expected is None:
        return served, True
    if served != expected:
        raise FetchError(
            "The server names another key for its log than the one that it should have. Nothing "
            "was fetched. Ask the operator by another way whether and why the key was changed."
        )
    return expected, False


def _verify_folder(directory: Path) -> None:
    if not verify_directory(directory).is_as_fetched:
        raise DirectoryError(
            "The folder does not verify as it is, so nothing was added to it. See "
            "'tongqiao audit verify'; to go on, choose a new folder and keep this one."
        )


def _open_note(note: bytes, key: VerifierKey) -> Checkpoint:
    try:
        return open_checkpoint(note, key)
    except NoteSignatureError as error:
        problem = "has a signature that does not fit its text"
        raise FetchError(_unusable(problem)) from error
    except NoteKeyError as error:
        raise FetchError(_unusable("is not signed by the key of its log")) from error
    except NoteError as error:
        raise FetchError(_unusable("is malformed")) from error


def _unusable(problem: str) -> str:
    return (
        f"The server's checkpoint {problem}. Nothing was fetched. Check the address after "
        "--server, and tell the operator."
    )


def _verify_no_older(
    directory: Path, state: VerifiedState, latest: Checkpoint, note: bytes
) -> None:
    """A checkpoint that is not beyond what is here must be the same, not an older one or another.

    Raises:
        FetchError: the log was cut, or has another history.
    """
    tree = CompactRange()
    for _, leaf in zip(range(latest.size), iterate_leaves(directory / LEAVES), strict=False):
        tree.append(leaf)
    if tree.root() != latest.root:
        folder = directory / CHECKPOINTS
        _replace(folder / checkpoint_name(latest.size, note), note)
        raise FetchError(
            f"The server has two histories: its checkpoint over {latest.size} entries does not "
            "fit what was verified before. It is kept in checkpoints/ as evidence."
        )
    if latest.size < state.size:
        raise FetchError(
            f"The server's log ends at entry {latest.size - 1}, but {state.size} entries were "
            "verified before: its end was cut off, or it was set back to an older state. Nothing "
            "was fetched; the folder holds the missing entries."
        )


def _download(
    source: LogSource, start: int, stop: int, on_progress: ProgressCallback | None
) -> Iterator[bytes]:
    """The entries from ``start`` up to ``stop``, without newlines.

    Raises:
        FetchError: entries are left out, or cannot be entries.
    """
    at = start
    while at < stop:
        page = source.entries(at, min(PAGE_ENTRIES, stop - at))
        if not page or len(page) > stop - at:
            raise FetchError(
                f"The server signed {stop} entries, but does not send those from entry {at} on. "
                "Nothing was fetched. Try again, then tell the operator."
            )
        for text in page:
            line = text.encode(errors="replace")
            if b"\n" in line or len(line) > MAX_ENTRY_BYTES:
                raise FetchError(
                    f"What the server sends as entry {at} cannot be one. Nothing was fetched. "
                    "Tell the operator."
                )
            yield line
            at += 1
        if on_progress is not None:
            on_progress(at - start, stop - start)


def _refuse(
    source: LogSource, directory: Path, key: VerifierKey, latest: Checkpoint, note: bytes
) -> str:
    """Keep what does not fit as evidence, find out what it is, and say so."""
    folder = directory / REFUSED / checkpoint_name(latest.size, note)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(folder / KEY, _key_file(key))
    _replace(folder / CHECKPOINT, note)
    lines: list[bytes] = []
    tree = CompactRange()
    with (folder / ENTRIES).open("wb") as file:
        for line in _download(source, 0, latest.size, None):
            file.write(line + b"\n")
            lines.append(line)
            tree.append(leaf_hash(line))
    kept = "It is kept in refused/ as evidence; nothing else was changed."
    findings = compare_with_verified(
        lines, list(iterate_leaves(directory / LEAVES)), newer_follow=True
    )
    told = " ".join(finding.message for finding in findings[:5])
    if tree.root() == latest.root:
        return (
            "The server has changed its history, and signed the new one. Compared with what was "
            f"verified here before: {told} {kept}"
        )
    if findings:
        return (
            "The server sends other entries than those it signed. Compared with what was verified "
            f"here before: {told} {kept}"
        )
    return (
        "The server's entries do not lead to the root that it signed: at least one of those that "
        f"are new here was changed, removed or put in. {kept}"
    )


def _commit(
    directory: Path,
    key: VerifierKey,
    state: VerifiedState | None,
    latest: Checkpoint,
    notes: Sequence[bytes],
) -> None:
    """Add what is new; ``notes`` are checkpoints to keep, the latest last."""
    names = [checkpoint_name(_size_of(data), data) for data in notes]
    _replace(directory / FETCHING, "\n".join(names).encode())
    _append(directory / LEAVES, (leaf_hash(line[:-1]) for line in iterate_lines(directory / PART)))
    _append(directory / ENTRIES, iterate_lines(directory / PART))
    for name, data in zip(names, notes, strict=True):
        _replace(directory / CHECKPOINTS / name, data)
    _replace(directory / CHECKPOINT, notes[-1])
    if state is None:
        _replace(directory / KEY, _key_file(key))
    seen = {*map(note_digest, notes), *(() if state is None else state.checkpoints)}
    new_state = VerifiedState(latest.size, latest.root, key.to_text(), tuple(sorted(seen)))
    _replace(directory / STATE, new_state.to_bytes())
    (directory / FETCHING).unlink()


def _size_of(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size


def _key_file(key: VerifierKey) -> bytes:
    return key.to_text().encode() + b"\n"


def _append(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("ab") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _length_bytes(path: Path, n_lines: int) -> int:
    """Bytes of the first lines of a file."""
    return sum(len(line) for _, line in zip(range(n_lines), iterate_lines(path), strict=False))


def _truncate(path: Path, length_bytes: int) -> None:
    if path.exists() and path.stat().st_size > length_bytes:
        os.truncate(path, length_bytes)
