"""Exports of the access log: the entries that fit, and a manifest that the log's key signs."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.audit.append import log_size, read_entries
from api.audit.checkpoint import make_checkpoint
from api.audit.entry_filter import EntryFilter
from api.audit.events import Action, Entry, parse_entry
from api.audit.export import write_export
from api.audit.export_manifest import make_manifest, sha256_of
from api.audit.folder_export import Chosen
from api.audit.note import parse_checkpoint, parse_note
from api.audit.stored_search import index_range
from api.audit.stored_tiles import StoredTiles
from api.audit.tiles import TileTree
from api.server.models import LOG_TABLES
from api.server.refusals import RefusalError
from api.server.services.installation import Installation
from api.server.services.log_search import filter_details, matching
from api.server.services.work import Caller

MAX_EXPORT_ENTRIES: Final = 100_000
"""So many entries in one export at most; a fetched folder exports any number."""


@dataclass(frozen=True, slots=True)
class LogExport:
    """An export as it is handed out.

    Attributes:
        name: of the file.
        data: the file.
        manifest: what goes beside it, under the same name and ``.manifest``.
    """

    name: str
    data: bytes
    manifest: bytes

    def to_zip(self) -> bytes:
        """Both files in one."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(self.name, self.data)
            archive.writestr(f"{self.name}.manifest", self.manifest)
        return buffer.getvalue()


def export_entries(
    installation: Installation,
    caller: Caller,
    wanted: EntryFilter,
    form: str,
    last: int | None = None,
) -> LogExport:
    """Export the entries that fit, as the log is now; the export itself is an entry.

    Args:
        form: ``csv``, ``jsonl`` or ``xlsx``.
        last: only the last so many.

    Raises:
        RefusalError: ``too-large``: more than :data:`MAX_EXPORT_ENTRIES` fit.
    """
    with installation.database.reading() as session:
        _check_number(session, wanted, last)
    with installation.work(caller) as work:
        project, round_id, details = filter_details(wanted)
        work.record(
            Action.LOG_EXPORT,
            project=project,
            round_id=round_id,
            details={"form": form, "n_last": last, **details},
        )
        work.append_recorded()
        note = make_checkpoint(work.session, LOG_TABLES, installation.log_key, work.now)
    size = parse_checkpoint(parse_note(note.encode()).text).size
    with installation.database.reading() as session, installation.workspace.folder() as folder:
        chosen = begin_choice(session, wanted, size)
        path = folder / f"log.{form}"
        fitting = _fitting(session, wanted, chosen.start, chosen.stop, last)
        write_export(chosen.noting(fitting), path, form)
        manifest = sign_manifest(installation, session, chosen, note, path, form, wanted, last)
        return LogExport(path.name, path.read_bytes(), manifest)


def begin_choice(session: Session, wanted: EntryFilter, size: int) -> Chosen:
    """What a manifest says of the times wanted, in a log of this size."""
    sealed_size = session.scalar(select(LOG_TABLES.head.c.sealed_size)) or 0
    start, stop = index_range(session, LOG_TABLES, wanted.since, wanted.until, sealed_size, size)
    return Chosen(start, stop, *_beside(session, start, stop, sealed_size, size))


def sign_manifest(
    installation: Installation,
    session: Session,
    chosen: Chosen,
    note: str,
    path: Path,
    form: str,
    wanted: EntryFilter,
    last: int | None = None,
) -> bytes:
    """The manifest of an export that was written, signed by the log's key.

    Args:
        chosen: what was written.
        note: the checkpoint that the log had when it was chosen.
        path: the exported file.
    """
    size = parse_checkpoint(parse_note(note.encode()).text).size
    manifest = make_manifest(
        TileTree(StoredTiles(session, LOG_TABLES), size),
        form=form,
        file_sha256=sha256_of(path),
        wanted=wanted,
        last=last,
        checkpoint=note.encode(),
        **chosen.claims(),
    )
    signature = installation.log_key.sign_export(manifest.signed_bytes())
    return replace(manifest, signature=signature).to_bytes()


def _check_number(session: Session, wanted: EntryFilter, last: int | None) -> None:
    if last is not None and last <= MAX_EXPORT_ENTRIES:
        return
    sealed_size = session.scalar(select(LOG_TABLES.head.c.sealed_size)) or 0
    start, stop = index_range(
        session,
        LOG_TABLES,
        *(wanted.since, wanted.until, sealed_size, log_size(session, LOG_TABLES)),
    )
    place = LOG_TABLES.entries.c.entry_index
    some = matching(wanted).where(place >= start, place < stop).limit(MAX_EXPORT_ENTRIES + 1)
    n_found = session.scalar(select(func.count()).select_from(some.subquery()))
    # One less, for the entry of the export itself may fit as well.
    if n_found is None or n_found >= MAX_EXPORT_ENTRIES:
        raise _too_many()


def _too_many() -> RefusalError:
    return RefusalError(
        "too-large",
        f"More than {MAX_EXPORT_ENTRIES - 1} entries fit. Choose a shorter period; or fetch the "
        "log (`tongqiao audit fetch`) and export from the folder.",
    )


def _beside(
    session: Session, start: int, stop: int, sealed_size: int, size: int
) -> tuple[str | None, str | None]:
    """The entries just before and after; sealed ones are not here."""
    before = read_entries(session, LOG_TABLES, start - 1, 1) if start > sealed_size else []
    after = read_entries(session, LOG_TABLES, stop, 1) if stop < size else []
    return next(iter(before), None), next(iter(after), None)


def _fitting(
    session: Session, wanted: EntryFilter, start: int, stop: int, last: int | None
) -> Iterator[tuple[Entry, str]]:
    place = LOG_TABLES.entries.c.entry_index
    query = matching(wanted).where(place >= start, place < stop).limit(MAX_EXPORT_ENTRIES + 1)
    if last is None:
        rows = list(session.execute(query.order_by(place)))
    else:
        rows = list(session.execute(query.order_by(place.desc()).limit(last)))[::-1]
    if len(rows) > MAX_EXPORT_ENTRIES:
        # They were fewer a moment ago; an export that lacks some must not be signed.
        raise _too_many()
    for row in rows:
        entry = parse_entry(row.body.encode())
        if wanted.accepts(entry):
            yield entry, row.body
