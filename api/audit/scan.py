"""One pass over a file of entries: hashes, form, numbers and times, in constant memory.

Only the standard library.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import Final, Self

from api.audit.directory import iterate_leaves, iterate_lines
from api.audit.errors import EntryError
from api.audit.events import parse_entry
from api.audit.findings import Finding, Kind
from api.audit.merkle import HASH_BYTES, TILE_WIDTH, CompactRange, leaf_hash
from api.audit.quick_form import QuickForm

MAX_OF_A_KIND: Final = 20
"""More findings of one kind than this are not listed one by one."""


_BLOCK_ENTRIES: Final = 16 * TILE_WIDTH
"""So many entries are hashed together."""


class TracedTree:
    """A tree that grows, and remembers its root at the sizes asked for."""

    def __init__(self, sizes: Collection[int]) -> None:
        self._tree = CompactRange()
        self._sizes = sorted(sizes)
        self._next = 0
        self.roots: dict[int, bytes] = {}
        self.extend(())

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """Root, 32 bytes."""
        return self._tree.root()

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes (32 bytes)."""
        at, stop = 0, self._tree.size + len(leaves)
        while self._next < len(self._sizes) and (wanted := self._sizes[self._next]) <= stop:
            n_more = wanted - self._tree.size
            self._tree.extend(leaves[at : at + n_more])
            at += n_more
            self.roots[wanted] = self._tree.root()
            self._next += 1
        self._tree.extend(leaves[at:])

    def copy(self) -> Self:
        """The same tree, to be gone on with apart."""
        other = type(self)(())
        other._tree, other._sizes, other._next = self._tree.copy(), self._sizes, self._next
        other.roots = dict(self.roots)
        return other


@dataclass(slots=True)
class Scan:
    """What one pass showed.

    Attributes:
        tree: over the entries.
        kept_tree: over the leaf hashes that the last verification kept; the same object as
            ``tree`` as long as they are the same hashes.
        kept_is_whole: whether those are 32 bytes each.
        first_difference: place of the first leaf hash that is not the same in both.
        misnumbered: places of entries that bear another number; a few at most.
        findings: malformed entries and times that run backwards; a few at most.
    """

    tree: TracedTree
    kept_tree: TracedTree
    kept_is_whole: bool = True
    first_difference: int | None = None
    misnumbered: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    first_time: str | None = None
    last_time: str | None = None

    @property
    def differs(self) -> bool:
        """Whether entries and kept leaf hashes are not the same."""
        return self.first_difference is not None


def scan_entries(entries: Path, leaves: Path | None, sizes: Collection[int]) -> Scan:
    """Read the entries beside the leaf hashes kept of them.

    Args:
        entries: one entry a line.
        leaves: ``verified.leaves``, or ``None`` to compare with nothing.
        sizes: sizes of the log whose roots are wanted.

    Raises:
        OSError: a file cannot be read; a missing one counts as empty.
    """
    tree = TracedTree(sizes)
    scan = Scan(tree, tree)
    form = QuickForm()
    lines = iterate_lines(entries)
    kept = iter(()) if leaves is None else iterate_leaves(leaves)
    while block := list(islice(lines, _BLOCK_ENTRIES)):
        place = scan.tree.size
        for number, line in enumerate(block, place):
            _read_line(scan, form, line, number)
        hashes = [leaf_hash(line.removesuffix(b"\n")) for line in block]
        _add(scan, hashes, list(islice(kept, len(block))))
    while rest := list(islice(kept, _BLOCK_ENTRIES)):
        _add(scan, [], rest)
    return scan


def _add(scan: Scan, hashes: list[bytes], kept: list[bytes]) -> None:
    if scan.first_difference is None and hashes != kept:
        same = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(hashes, kept, strict=False))
        )
        scan.first_difference = scan.tree.size + same
        scan.kept_tree = scan.tree.copy()
    if scan.kept_tree is not scan.tree:
        whole = [leaf for leaf in kept if len(leaf) == HASH_BYTES]
        scan.kept_is_whole &= len(whole) == len(kept)
        scan.kept_tree.extend(whole)
    scan.tree.extend(hashes)


def _read_line(scan: Scan, form: QuickForm, line: bytes, place: int) -> None:
    quick = form.look(line[:-1]) if line.endswith(b"\n") else None
    if quick is not None:
        index, time = quick
    else:
        try:
            if not line.endswith(b"\n"):
                raise EntryError("it has no end, or is far too long")
            entry = parse_entry(line[:-1])
        except EntryError as error:
            _note(scan, Kind.ENTRY_MALFORMED, f"Line {place + 1} is no entry: {error}.", place)
            return
        index, time = entry.index, entry.time
    if index != place and len(scan.misnumbered) <= MAX_OF_A_KIND:
        scan.misnumbered.append(place)
    last = scan.last_time
    if last is None:
        scan.first_time = scan.last_time = time
    elif time >= last:
        scan.last_time = time
    else:
        message = f"The time of entry {place} is before that of an entry before it."
        _note(scan, Kind.TIME_BACKWARDS, message, place)


def _note(scan: Scan, kind: Kind, message: str, place: int) -> None:
    # One more than is listed, to show that there are more.
    if sum(found.kind is kind for found in scan.findings) <= MAX_OF_A_KIND:
        scan.findings.append(Finding(kind, message, place))
