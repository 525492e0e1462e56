"""One pass over a file of entries: hashes, form, numbers and times, in constant memory.

Only the standard library.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.audit.directory import iterate_leaves, iterate_lines
from api.audit.errors import EntryError
from api.audit.events import parse_entry
from api.audit.findings import Finding, Kind
from api.audit.merkle import HASH_BYTES, CompactRange, leaf_hash

MAX_OF_A_KIND: Final = 20
"""More findings of one kind than this are not listed one by one."""


class TracedTree:
    """A tree that grows, and remembers its root at the sizes asked for."""

    def __init__(self, sizes: Collection[int]) -> None:
        self._tree = CompactRange()
        self._sizes = frozenset(sizes)
        self.roots: dict[int, bytes] = {}
        self._note()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """Root, 32 bytes."""
        return self._tree.root()

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash (32 bytes)."""
        self._tree.append(leaf)
        self._note()

    def _note(self) -> None:
        if self._tree.size in self._sizes:
            self.roots[self._tree.size] = self._tree.root()


@dataclass(slots=True)
class Scan:
    """What one pass showed.

    Attributes:
        tree: over the entries.
        kept_tree: over the leaf hashes that the last verification kept.
        kept_is_whole: whether those are 32 bytes each.
        differs: whether the two are not the same hashes.
        misnumbered: places of entries that bear another number; a few at most.
        findings: malformed entries and times that run backwards; a few at most.
    """

    tree: TracedTree
    kept_tree: TracedTree
    kept_is_whole: bool = True
    differs: bool = False
    misnumbered: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    first_time: str | None = None
    last_time: str | None = None


def scan_entries(entries: Path, leaves: Path | None, sizes: Collection[int]) -> Scan:
    """Read the entries beside the leaf hashes kept of them.

    Args:
        entries: one entry a line.
        leaves: ``verified.leaves``, or ``None`` to compare with nothing.
        sizes: sizes of the log whose roots are wanted.

    Raises:
        OSError: a file cannot be read; a missing one counts as empty.
    """
    scan = Scan(TracedTree(sizes), TracedTree(sizes))
    kept: Iterable[bytes] = () if leaves is None else iterate_leaves(leaves)
    remaining = iter(kept)
    for line in iterate_lines(entries):
        leaf = leaf_hash(line.removesuffix(b"\n"))
        _read_line(scan, line, scan.tree.size)
        scan.tree.append(leaf)
        expected = next(remaining, None)
        scan.differs |= leaf != expected
        if expected is not None:
            _keep(scan, expected)
    for expected in remaining:
        scan.differs = True
        _keep(scan, expected)
    return scan


def _keep(scan: Scan, leaf: bytes) -> None:
    if len(leaf) == HASH_BYTES:
        scan.kept_tree.append(leaf)
    else:
        scan.kept_is_whole = False


def _read_line(scan: Scan, line: bytes, place: int) -> None:
    try:
        if not line.endswith(b"\n"):
            raise EntryError("it has no end, or is far too long")
        entry = parse_entry(line[:-1])
    except EntryError as error:
        _note(scan, Kind.ENTRY_MALFORMED, f"Line {place + 1} is no entry: {error}.", place)
        return
    if entry.index != place and len(scan.misnumbered) <= MAX_OF_A_KIND:
        scan.misnumbered.append(place)
    if scan.last_time is not None and entry.time < scan.last_time:
        message = f"The time of entry {place} is before that of an entry before it."
        _note(scan, Kind.TIME_BACKWARDS, message, place)
    scan.first_time = scan.first_time or entry.time
    scan.last_time = max(scan.last_time or "", entry.time)


def _note(scan: Scan, kind: Kind, message: str, place: int) -> None:
    # One more than is listed, to show that there are more.
    if sum(found.kind is kind for found in scan.findings) <= MAX_OF_A_KIND:
        scan.findings.append(Finding(kind, message, place))
