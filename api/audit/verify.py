"""Verifying a fetched log offline: a folder in, findings out; writes nothing.

Needs the standard library and ``keys.signing`` alone, so that an auditor can run it on a machine
that knows neither the server nor the network. ``AUDIT_LOG.md`` says what is checked, and what
cannot be seen from a folder.
"""

from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

from api.audit.directory import (
    CHECKPOINT,
    ENTRIES,
    FETCHING,
    KEY,
    LEAVES,
    REFUSED,
    STATE,
    iterate_leaves,
    iterate_lines,
)
from api.audit.errors import DirectoryError, EntryError
from api.audit.events import parse_entry
from api.audit.evidence import Evidence, load_evidence
from api.audit.findings import (
    SERVERS_FAULTS,
    Finding,
    Kind,
    classify_by_index,
    compare_with_verified,
)
from api.audit.note import VerifierKey
from api.audit.scan import MAX_OF_A_KIND, Scan, scan_entries

_MAX_COMPARED: Final = 200_000
"""So many entries are compared one by one, from the first that differs on."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in a folder.

    Attributes:
        findings: empty if, and only if, everything fits.
        size: number of entries in the folder.
        root: of the tree over them, 32 bytes.
        n_checkpoints: how many different checkpoints bear a good signature.
        first_time: of the first entry, ``None`` if there is none.
        last_time: of the last entry.
        log_key: the pinned key, ``None`` if it is missing or damaged.
        witnessed: of each witness that is known here: its name, the largest size that it signed,
            and when (seconds since 1970).
    """

    findings: tuple[Finding, ...]
    size: int
    root: bytes
    n_checkpoints: int
    first_time: str | None
    last_time: str | None
    log_key: VerifierKey | None
    witnessed: tuple[tuple[str, int, int], ...] = ()

    @property
    def is_intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def is_as_fetched(self) -> bool:
        """Whether nothing was found but what the server itself signed so."""
        return all(finding.kind in SERVERS_FAULTS for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The same for other programs."""
        return {
            "intact": self.is_intact,
            "findings": [
                {"kind": str(found.kind), "message": found.message, "index": found.index}
                for found in self.findings
            ],
            "n_entries": self.size,
            "root": self.root.hex(),
            "n_checkpoints": self.n_checkpoints,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "log_key": None if self.log_key is None else self.log_key.to_text(),
            "witnessed": [
                {"witness": name, "n_entries": size, "time": time}
                for name, size, time in self.witnessed
            ],
        }


def verify_directory(directory: Path) -> Verification:
    """Verify everything in a folder that ``tongqiao audit fetch`` made.

    Raises:
        DirectoryError: it is no such folder.
        OSError: something in it cannot be read.
    """
    if not any((directory / name).exists() for name in (ENTRIES, CHECKPOINT, KEY, STATE)):
        raise DirectoryError(
            "This folder holds no fetched log. Name the folder that you gave to "
            "'tongqiao audit fetch'."
        )
    evidence = load_evidence(directory)
    scan = scan_entries(
        directory / ENTRIES,
        None if evidence.state is None else directory / LEAVES,
        {one.size for one in evidence.signed},
    )
    findings = list(evidence.findings)
    kept_is_good = _is_kept_good(scan, evidence, findings)
    findings += _find_forks(scan, evidence, kept_is_good=kept_is_good)
    findings += scan.findings
    findings += _find_tampering(directory, scan, evidence, kept_is_good=kept_is_good)
    latest = evidence.latest
    if all(found.kind in SERVERS_FAULTS for found in findings) and (
        latest is None or (latest.size, latest.root) != (scan.tree.size, scan.tree.root)
    ):
        message = "The entries do not lead to the root that the latest checkpoint signed."
        findings.append(Finding(Kind.ENTRY_CHANGED, message))
    findings += _find_leftovers(directory)
    return Verification(
        findings=tuple(_limited(findings)),
        size=scan.tree.size,
        root=scan.tree.root,
        n_checkpoints=len(set(evidence.signed)),
        first_time=scan.first_time,
        last_time=scan.last_time,
        log_key=evidence.key,
        witnessed=tuple((name, *seen) for name, seen in sorted(evidence.witnessed.items())),
    )


def _is_kept_good(scan: Scan, evidence: Evidence, findings: list[Finding]) -> bool:
    """Whether the leaf hashes that the last verification kept can be relied on."""
    state = evidence.state
    if state is None:
        return False
    if not scan.kept_is_whole or (scan.kept_tree.size, scan.kept_tree.root) != (
        state.size,
        state.root,
    ):
        message = (
            "verified.json and verified.leaves, what the last fetch noted, do not fit each other: "
            "one of them was changed."
        )
        findings.append(Finding(Kind.STATE_CHANGED, message))
        return False
    signed_roots = {one.root for one in evidence.signed if one.size == state.size}
    if signed_roots and state.root not in signed_roots:
        message = "verified.json and verified.leaves are not what was signed: both were changed."
        findings.append(Finding(Kind.STATE_CHANGED, message))
        return False
    return True


def _find_forks(scan: Scan, evidence: Evidence, *, kept_is_good: bool) -> list[Finding]:
    """Good signatures over two histories of which neither begins with the other."""
    signed = sorted(set(evidence.signed), key=lambda one: (one.size, one.root))
    pairs = [(one.size, other.size) for one, other in pairwise(signed) if one.size == other.size]
    histories = [scan.tree.roots]
    if kept_is_good and scan.differs:
        histories.append(scan.kept_tree.roots)
    for history in histories:
        # A signed root commits to all that led to it, so also to each root on the way.
        fitting = max((one.size for one in signed if history.get(one.size) == one.root), default=0)
        pairs += [
            (one.size, fitting)
            for one in signed
            if one.size <= fitting and history[one.size] != one.root
        ]
    return [_fork(size, other) for size, other in dict.fromkeys(pairs)]


def _fork(size: int, other: int) -> Finding:
    if size == other:
        message = f"The server signed two different histories of {size} entries."
    else:
        message = (
            f"The server signed two histories: what its checkpoint over {other} entries signed "
            f"does not begin with what its checkpoint over {size} entries signed."
        )
    return Finding(Kind.HISTORY_FORKED, message, size)


def _find_tampering(
    directory: Path, scan: Scan, evidence: Evidence, *, kept_is_good: bool
) -> list[Finding]:
    """What was done to the entries, as exactly as what is known allows."""
    if kept_is_good and not scan.differs:
        # The server signed these numbers: nobody moved anything here.
        return [
            Finding(Kind.ENTRY_MALFORMED, f"Entry {place} bears another number.", place)
            for place in scan.misnumbered
        ] + _find_cut(scan.tree.size, evidence)
    if kept_is_good:
        findings = _compare(directory, scan)
        return findings + _find_cut(max(scan.tree.size, scan.kept_tree.size), evidence)
    indexes: list[int | None] = []
    if scan.misnumbered:
        lines = iterate_lines(directory / ENTRIES)
        indexes = [_index_in(line.removesuffix(b"\n")) for line in lines]
    findings = classify_by_index(indexes)
    # What the numbers show explains why the roots differ; else say at least where.
    findings = findings or _find_changed_range(scan, evidence)
    stop = max((index for index in indexes if index is not None), default=-1) + 1
    findings += _find_cut(max(stop, scan.tree.size), evidence)
    n_unsigned = scan.tree.size - evidence.newest_size
    if evidence.signed and not findings and n_unsigned > 0:
        message = f"{n_unsigned} entries at the end are under no signed checkpoint."
        findings = [Finding(Kind.ENTRY_INSERTED, message, evidence.newest_size)]
    return findings


def _compare(directory: Path, scan: Scan) -> list[Finding]:
    """Compare entries with the leaf hashes kept of them, from where they first differ.

    Of a long log a part is compared, so that memory stays bounded: enough to say what was done
    first.
    """
    first = scan.first_difference or 0
    stop = first + _MAX_COMPARED
    lines = [
        line.removesuffix(b"\n") for line in islice(iterate_lines(directory / ENTRIES), first, stop)
    ]
    kept = list(islice(iterate_leaves(directory / LEAVES), first, stop))
    is_part = stop < max(scan.tree.size, scan.kept_tree.size)
    findings = compare_with_verified(lines, kept, first=first, older_follow=is_part)
    if is_part and scan.tree.size < scan.kept_tree.size and not findings:
        message = f"The log ends at {scan.tree.size} entries; {scan.kept_tree.size} were verified."
        findings = [Finding(Kind.TAIL_CUT, message, scan.tree.size)]
    return findings or [
        Finding(Kind.ENTRY_CHANGED, f"Entries from {first} on are not those verified.", first)
    ]


def _find_cut(size: int, evidence: Evidence) -> list[Finding]:
    if evidence.newest_size <= size:
        return []
    message = (
        f"The end of the log is cut off: a signed checkpoint is over {evidence.newest_size} "
        f"entries, and {size} are here."
    )
    return [Finding(Kind.TAIL_CUT, message, size)]


def _find_changed_range(scan: Scan, evidence: Evidence) -> list[Finding]:
    """Between which checkpoints the entries first differ from what was signed."""
    good = 0
    for one in sorted(evidence.signed, key=lambda one: one.size):
        root = scan.tree.roots.get(one.size)
        if root == one.root:
            good = one.size
        elif root is not None and one.size > good:
            message = (
                f"Entries from {good} on, up to {one.size - 1}, are not as they were signed: at "
                "least one was changed, or some were put in or taken out and the rest numbered "
                "anew."
            )
            return [Finding(Kind.ENTRY_CHANGED, message, good)]
    return []


def _index_in(line: bytes) -> int | None:
    try:
        return parse_entry(line).index
    except EntryError:
        return None


def _find_leftovers(directory: Path) -> list[Finding]:
    findings = []
    if (directory / FETCHING).exists():
        message = (
            "A fetch was interrupted. Run 'tongqiao audit fetch' again: it goes back to what was "
            "verified before."
        )
        findings.append(Finding(Kind.FETCH_INTERRUPTED, message))
    refused = directory / REFUSED
    if refused.is_dir() and any(refused.iterdir()):
        message = (
            "The server once sent a signed checkpoint that does not fit the log. It is kept in "
            "refused/ as evidence."
        )
        findings.append(Finding(Kind.FETCH_REFUSED, message))
    return findings


def _limited(findings: list[Finding]) -> list[Finding]:
    kept: list[Finding] = []
    counts: dict[Kind, int] = {}
    for finding in dict.fromkeys(findings):
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
        if counts[finding.kind] <= MAX_OF_A_KIND:
            kept.append(finding)
    kept += [
        Finding(kind, "There is more of this kind.")
        for kind, n in counts.items()
        if n > MAX_OF_A_KIND
    ]
    return kept
