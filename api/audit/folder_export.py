"""Exports with manifests that prove them: of a fetched folder, and as a server makes them."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from api.audit.directory import CHECKPOINT, LEAVES, STATE, VerifiedState, read_small_file
from api.audit.entry_filter import EntryFilter
from api.audit.errors import DirectoryError, ExportError, ProofError
from api.audit.events import Entry
from api.audit.export import write_export
from api.audit.export_check import load_log_key, verify_export
from api.audit.export_manifest import ExportManifest, make_manifest, manifest_path, sha256_of
from api.audit.listing import directory_entries
from api.audit.merkle import leaf_hash
from api.audit.server_log import ServerLog
from api.audit.subset_proof import LeavesFile
from api.audit.tiles import TileTree


@dataclass(slots=True)
class Chosen:
    """Entries as they are exported, noted for the manifest.

    Attributes:
        start, stop: the entries of the times wanted.
        before, after: texts of the entries beside them.
    """

    start: int = 0
    stop: int = 0
    before: str | None = None
    after: str | None = None
    indexes: list[int] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)

    def noting(self, pairs: Iterable[tuple[Entry, str]]) -> Iterator[tuple[Entry, str]]:
        """The same entries, noted."""
        for entry, text in pairs:
            self.indexes.append(entry.index)
            self.leaves.append(leaf_hash(text.encode("ascii")))
            yield entry, text

    def claims(self) -> dict[str, object]:
        """What a manifest says of them."""
        return {
            "start": self.start,
            "stop": self.stop,
            "before": self.before,
            "after": self.after,
            "indexes": tuple(self.indexes),
            "leaves": tuple(self.leaves),
        }


def export_folder(
    directory: Path, wanted: EntryFilter, last: int | None, export: Path, form: str
) -> int:
    """Write entries of a fetched folder to a new file, and its manifest beside it.

    Returns:
        How many.

    Raises:
        DirectoryError: the folder holds no fetched log, or does not verify.
        TooManyRowsError: more than a sheet of Excel holds.
        OSError: a file exists, or cannot be read or written.
    """
    state, note = _verified(directory)
    chosen = Chosen(stop=state.size)
    manifest_file = manifest_path(export)
    if manifest_file.exists():
        raise FileExistsError(17, "File exists", str(manifest_file))
    pairs: Iterable[tuple[Entry, str]] = _choose(directory, wanted, chosen, state.size)
    if last is not None:
        pairs = deque(pairs, last)
    try:
        n_entries = write_export(chosen.noting(pairs), export, form)
        manifest = make_manifest(
            TileTree(LeavesFile(directory / LEAVES), state.size),
            form=form,
            file_sha256=sha256_of(export),
            wanted=wanted,
            last=last,
            checkpoint=note,
            **chosen.claims(),
        )
        _write(manifest_file, manifest)
        check = verify_export(export, manifest_file, load_log_key(directory))
        if check.faults or not check.is_same_file:
            raise DirectoryError(_NOT_INTACT)
    except BaseException as error:
        if not isinstance(error, FileExistsError):
            export.unlink(missing_ok=True)
            manifest_file.unlink(missing_ok=True)
        if isinstance(error, ProofError | ExportError):
            raise DirectoryError(_NOT_INTACT) from error
        raise
    return n_entries


def export_from_server(
    log: ServerLog, wanted: EntryFilter, last: int | None, export: Path, form: str
) -> int:
    """Have a server export entries; kept only if they verify.  Returns how many.

    Raises:
        ExportError: what the server sent does not verify.
        FetchError: it is no export.
        OSError: a file exists, or cannot be written.
    """
    key = log.log_key()
    data, manifest = log.export(wanted, last, form)
    manifest_file = manifest_path(export)
    with export.open("xb") as file:
        file.write(data)
    try:
        with manifest_file.open("xb") as file:
            file.write(manifest)
        check = verify_export(export, manifest_file, key)
        claimed = ExportManifest.parse(manifest)
        asked = claimed.wanted == wanted and claimed.last == last
        if check.faults or not check.is_same_file or not check.completeness or not asked:
            raise ExportError("What the server exported does not verify. Tell the auditors.")
    except BaseException as error:
        export.unlink()
        if not isinstance(error, FileExistsError):
            manifest_file.unlink(missing_ok=True)
        raise
    return check.n_rows


def _choose(
    directory: Path, wanted: EntryFilter, chosen: Chosen, size: int
) -> Iterator[tuple[Entry, str]]:
    for entry, text in directory_entries(directory):
        if entry.index >= size:
            return
        if wanted.since is not None and entry.time < wanted.since:
            chosen.before, chosen.start = text, entry.index + 1
        elif wanted.until is not None and entry.time >= wanted.until:
            chosen.after, chosen.stop = text, entry.index
            return
        elif wanted.accepts(entry):
            yield entry, text


def _verified(directory: Path) -> tuple[VerifiedState, bytes]:
    data, note = read_small_file(directory / STATE), read_small_file(directory / CHECKPOINT)
    if data is None or note is None:
        raise DirectoryError(
            "This folder holds no fetched log. Name the folder that you gave to "
            "'tongqiao audit fetch'."
        )
    return VerifiedState.parse(data), note


def _write(path: Path, manifest: ExportManifest) -> None:
    with path.open("xb") as file:
        file.write(manifest.to_bytes())


_NOT_INTACT = (
    "The fetched log does not verify, so nothing was exported. See 'tongqiao audit verify'."
)
