"""Verifying an exported file by its manifest: every row stands in the log, and none is missing.

Offline: it takes the log's key, and where a filter left entries out either the log's own signature
on the manifest, or a fetched folder to filter again.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.audit.directory import KEY, LEAVES, iterate_leaves
from api.audit.errors import DirectoryError, ExportError, NoteError, NoteKeyError, ProofError
from api.audit.evidence import parse_key_file
from api.audit.export_manifest import MAX_MANIFEST_BYTES, ExportManifest, sha256_of
from api.audit.export_rows import read_rows
from api.audit.listing import directory_entries
from api.audit.merkle import CompactRange, leaf_hash
from api.audit.note import Checkpoint, VerifierKey, open_checkpoint
from api.audit.subset_proof import subset_root
from api.audit.verify import verify_directory
from keys import labels
from keys.errors import SignatureError
from keys.signing import verify_document

_MAX_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class ExportCheck:
    """What verifying an export showed.

    Attributes:
        faults: what is wrong, in plain words; empty if nothing is.
        n_rows: rows that stand in the log.
        checkpoint: of the log that they stand in.
        completeness: how it is known that no row is missing: ``times`` (the entries follow each
            other), ``log`` (the fetched log was filtered again), ``signature`` (the log's key says
            so), or ``None``: not known.
        is_same_file: whether the file is byte for byte what was exported.
    """

    faults: tuple[str, ...]
    n_rows: int
    checkpoint: Checkpoint
    completeness: str | None
    is_same_file: bool


@dataclass(slots=True)
class _Faults:
    found: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        if len(self.found) == _MAX_NAMED:
            self.found.append("There is more; not all is listed.")
        elif len(self.found) < _MAX_NAMED:
            self.found.append(fault)


def verify_export(
    export: Path, manifest: Path, key: VerifierKey, log: Path | None = None
) -> ExportCheck:
    """Verify an exported file with the log's key.

    Args:
        log: a fetched folder, in which the filter is applied again.

    Raises:
        ExportError: the manifest is damaged, or its own proof or signature does not fit.
        NoteKeyError: its checkpoint is signed by another key, or is of another log.
        NoteSignatureError: its checkpoint's signature does not fit.
        DirectoryError: the fetched log does not verify, or is another one.
        OSError: a file cannot be read.
    """
    with manifest.open("rb") as file:
        claimed = ExportManifest.parse(file.read(MAX_MANIFEST_BYTES))
    checkpoint = _verify_claims(claimed, key)
    faults = _Faults()
    n_rows = _compare_rows(export, claimed, faults)
    completeness = None if claimed.signature is None else "signature"
    if _is_complete_by_times(claimed, checkpoint):
        completeness = "times"
    if log is not None:
        _compare_with_log(claimed, checkpoint, key, log, faults)
        completeness = "log"
    return ExportCheck(
        tuple(faults.found),
        n_rows,
        checkpoint,
        completeness,
        sha256_of(export) == claimed.file_sha256,
    )


def load_log_key(log: Path) -> VerifierKey:
    """The key of a fetched folder.  Raises: DirectoryError: there is none."""
    try:
        return parse_key_file((log / KEY).read_bytes())
    except (FileNotFoundError, NoteError) as error:
        raise DirectoryError("This folder holds no fetched log: its log.vkey is gone.") from error


def _verify_claims(claimed: ExportManifest, key: VerifierKey) -> Checkpoint:
    """Verify what the manifest says of itself, without the exported file."""
    if claimed.signature is not None:
        try:
            verify_document(
                key.public_key, labels.LOG_EXPORT, claimed.signed_bytes(), claimed.signature
            )
        except SignatureError as error:
            raise ExportError(
                "The manifest was changed: the log's signature does not fit it."
            ) from error
    try:
        checkpoint = open_checkpoint(claimed.checkpoint, key)
    except NoteKeyError as error:
        raise ExportError("The manifest is of another log, or signed by another key.") from error
    proved = claimed.proved()
    try:
        root = subset_root(
            checkpoint.size,
            [index for index, _ in proved],
            [leaf for _, leaf in proved],
            claimed.proof,
        )
    except ProofError as error:
        raise ExportError(f"The manifest was changed: {error}.") from error
    if root != checkpoint.root or not claimed.stop <= checkpoint.size:
        raise ExportError("The manifest was changed: its entries do not stand in the log so.")
    return checkpoint


def _compare_rows(export: Path, claimed: ExportManifest, faults: _Faults) -> int:
    """Compare the file's rows with what the manifest lists; returns how many are as listed."""
    places = {index: place for place, index in enumerate(claimed.indexes)}
    seen: set[int] = set()
    n_rows, highest = 0, -1
    try:
        for number, row in enumerate(read_rows(export, claimed.form), start=1):
            if row is None:
                faults.add(f"Row {number} was changed: it is no entry of a log.")
                continue
            entry, line = row
            place = places.get(entry.index)
            if place is None:
                faults.add(f"Row {number} was put in: entry {entry.index} was not exported.")
            elif entry.index in seen:
                faults.add(f"Row {number} was put in: entry {entry.index} is there twice.")
            elif leaf_hash(line) != claimed.leaves[place]:
                faults.add(f"Row {number} was changed: entry {entry.index} reads otherwise.")
            elif not claimed.wanted.accepts(entry):
                faults.add(f"Row {number} does not fit the filter that the manifest names.")
            elif place < highest:
                faults.add(f"Row {number} was moved: entry {entry.index} is out of order.")
            else:
                n_rows += 1
            if place is not None:
                seen.add(entry.index)
                highest = max(highest, place)
    except ExportError as error:
        faults.add(str(error))
    missing = [index for index in claimed.indexes if index not in seen]
    for index in missing[:_MAX_NAMED]:
        faults.add(f"Entry {index} is missing: its row was removed or cannot be read.")
    if len(missing) > _MAX_NAMED:
        faults.add(f"{len(missing)} rows are missing.")
    return n_rows


def _is_complete_by_times(claimed: ExportManifest, checkpoint: Checkpoint) -> bool:
    """Whether entries that follow each other, and those beside them, show that none is missing.

    Times never run backwards in a log, so the neighbours bound all others.
    """
    wanted = dict(claimed.wanted.conditions())
    if not wanted.keys() <= {"since", "until"}:
        return False
    beside = {index: entry for index, entry, _ in claimed.neighbours()}
    before, after = beside.get(claimed.start - 1), beside.get(claimed.stop)
    n_listed = len(claimed.indexes)
    if claimed.indexes != tuple(range(claimed.stop - n_listed, claimed.stop)):
        return False
    since, until = wanted.get("since"), wanted.get("until")
    is_end = claimed.stop == checkpoint.size or (
        after is not None and until is not None and after.time >= until
    )
    if claimed.last is not None and n_listed == claimed.last:
        return is_end
    is_start = claimed.start == 0 or (
        before is not None and since is not None and before.time < since
    )
    return is_start and is_end and n_listed == claimed.stop - claimed.start


def _compare_with_log(
    claimed: ExportManifest, checkpoint: Checkpoint, key: VerifierKey, log: Path, faults: _Faults
) -> None:
    if load_log_key(log) != key:
        raise DirectoryError("The fetched log is another one than the export is of.")
    verification = verify_directory(log)
    if not verification.is_intact or verification.size < checkpoint.size:
        raise DirectoryError(
            "The fetched log does not verify, or is older than the export. Run 'tongqiao audit "
            "fetch', then 'tongqiao audit verify'."
        )
    tree = CompactRange()
    for number, leaf in enumerate(iterate_leaves(log / LEAVES)):
        if number == checkpoint.size:
            break
        tree.append(leaf)
    if tree.root() != checkpoint.root:
        raise DirectoryError("The fetched log and the export are of two histories. Keep both.")
    fitting = (
        entry.index
        for entry, _ in directory_entries(log)
        if entry.index < checkpoint.size and claimed.wanted.accepts(entry)
    )
    expected: Iterable[int] = fitting if claimed.last is None else deque(fitting, claimed.last)
    listed = set(claimed.indexes)
    for index in expected:
        if index not in listed:
            faults.add(f"Entry {index} fits the filter and is missing from the export.")
