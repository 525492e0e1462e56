"""What goes when a round is cancelled, lapses or expires: nothing may outlive its terms.

Rows go in the transaction that decides it, with an entry for each hash; files go right after it.
A file that a crash left behind is swept, since no row refers to it any more.
"""

import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Link, PendingRequest, RetractedLink, Round, Upload, UploadPart
from api.server.refusals import RefusalError
from api.server.round_states import STEPS, Step
from api.server.services.data_keys import destroy_data_key
from api.server.services.encodings import StorageAwayError, StoredFile
from api.server.services.installation import Installation
from api.server.services.steps import take_step
from api.server.services.traces import delete_rows, leave_traces, scrub_traces
from api.server.services.work import Caller, Work

_LOG = logging.getLogger("tongqiao.server")


@dataclass(slots=True)
class Leftovers:
    """Files to delete once the transaction that forgot them is committed.

    Attributes:
        incoming: names of files that were still arriving.
        has_traces: whether deleted rows are to be scrubbed from the database at once.
    """

    files: list[StoredFile] = field(default_factory=list)
    incoming: list[str] = field(default_factory=list)
    has_traces: bool = False


def forget_data(work: Work, entry: Round) -> Leftovers:
    """Delete a round's uploads, links, review and data key, with an entry for each hash."""
    leftovers = forget_parts(work, entry)
    for upload in list(entry.uploads):
        leftovers.files.append((entry.id, upload.sha256))
        work.record(
            Action.DATA_DELETE,
            project=entry.project_id,
            round_id=entry.id,
            details={
                "office": upload.office_id,
                "sha256": upload.sha256,
                "n_records": upload.n_records,
                "n_bytes": upload.n_bytes,
            },
        )
        work.session.delete(upload)
        leave_traces(work, Upload)
    forget_result(work, entry)
    forget_requests(work, entry)
    destroy_data_key(work, entry)
    leftovers.has_traces = True
    return leftovers


def forget_result(work: Work, entry: Round) -> None:
    """Delete what a matching found, with an entry for the hash of the links."""
    if entry.links_sha256 is not None:
        work.record(
            Action.DATA_DELETE,
            project=entry.project_id,
            round_id=entry.id,
            # Their number is not for every office of the round, which all read this entry.
            details={"links": entry.links_sha256},
        )
    delete_rows(work, Link, Link.round_id == entry.id)
    delete_rows(work, RetractedLink, RetractedLink.round_id == entry.id)
    if entry.review is not None:
        leave_traces(work, Round)
    entry.review = entry.links_sha256 = None
    entry.enter_stage(None)


def forget_requests(work: Work, entry: Round, office: str | None = None) -> None:
    """Delete what waits for a second operator: all of a round, or what is about one office."""
    query = delete(PendingRequest).where(PendingRequest.round_id == entry.id)
    if office is not None:
        query = query.where(PendingRequest.office_id == office)
    work.session.execute(query)
    work.session.expire(entry, ["requests"])


def forget_parts(work: Work, entry: Round, office: str | None = None) -> Leftovers:
    """Delete uploads of a round, or of one of its offices, that are not complete."""
    leftovers = Leftovers()
    query = select(UploadPart).where(UploadPart.round_id == entry.id)
    if office is not None:
        query = query.where(UploadPart.office_id == office)
    for part in work.session.scalars(query).all():
        _forget_part(work, entry.project_id, part)
        leftovers.incoming.append(part.file)
    return leftovers


def delete_leftovers(installation: Installation, leftovers: Leftovers) -> None:
    """Delete files that no row refers to (any more), and traces of deleted rows.

    Where the storage is away, they are litter, which is swept when it is back.
    """
    for name in leftovers.incoming:
        installation.incoming.path(name).unlink(missing_ok=True)
    if leftovers.files:
        _delete_files(installation, leftovers.files)
    if leftovers.has_traces:
        scrub_traces(installation)


def _delete_files(installation: Installation, files: list[StoredFile]) -> None:
    with installation.database.writing() as session:
        # Under the write lock: the same file may have been uploaded again meanwhile.
        for round_id, sha256 in files:
            kept = select(Upload.sha256).where(Upload.round_id == round_id, Upload.sha256 == sha256)
            if session.scalar(kept) is not None:
                continue
            try:
                installation.encodings.delete(round_id, sha256)
            except StorageAwayError:
                _LOG.warning("a file could not be deleted yet", extra={"round": round_id})
                break


def sweep(installation: Installation, caller: Caller) -> int:
    """Delete what interrupted requests left, encrypted or in the clear, with an entry if any.

    The entry is committed before anything goes: what a full disk keeps from being logged stays.

    Returns:
        Number of files and folders deleted.
    """
    n_dropped = 0
    older_than = installation.clock().timestamp() - installation.config.abandoned_after_s
    for name in installation.incoming.abandoned(older_than):
        if _forget_abandoned(installation, caller, name, older_than):
            _delete_with_entry(installation, caller, installation.incoming.path(name))
            n_dropped += 1
    n_clear = installation.workspace.n_abandoned()
    # Asked before the write lock is held: a list of many objects takes its time.
    stored = list(installation.encodings.stored())
    with installation.database.reading() as session:
        litter = _litter(stored, session)
    if not n_clear and not litter:
        return n_dropped
    with installation.work(caller) as work:
        work.record(Action.DATA_SWEEP, details={"n_files": len(litter) + n_clear})
    installation.workspace.sweep()
    with installation.database.writing() as session:
        # Asked again: nobody can upload now, so that what is litter stays so.
        for round_id, sha256 in _litter(litter, session):
            installation.encodings.delete(round_id, sha256)
    return n_dropped + len(litter) + n_clear


def _delete_with_entry(installation: Installation, caller: Caller, path: Path) -> None:
    with installation.work(caller) as work:
        work.record(Action.DATA_SWEEP, details={"n_files": 1})
    path.unlink(missing_ok=True)


def _litter(stored: list[StoredFile], session: Session) -> list[StoredFile]:
    """Files in their place that no row refers to, and that no upload is about to have there."""
    known = {(r, s) for r, s in session.execute(select(Upload.round_id, Upload.sha256))}
    known |= {(r, s) for r, s in session.execute(select(UploadPart.round_id, UploadPart.sha256))}
    return [entry for entry in stored if entry not in known]


class _GoesOnError(Exception):
    """An upload that had stopped goes on, or is gone: there is nothing to sweep."""


def _forget_abandoned(
    installation: Installation, caller: Caller, name: str, older_than: float
) -> bool:
    """Forget an upload that has stopped; whether its file is to be deleted then."""
    query = select(UploadPart).where(UploadPart.file == name)
    with installation.database.reading() as session:
        if session.scalar(query) is None:
            # A request in one piece that was cut off has no row, and needs no entry.
            return True
    with contextlib.suppress(_GoesOnError), installation.work(caller) as work:
        part = work.session.scalars(query).one_or_none()
        # Asked again under the write lock, without which nobody goes on with it.
        if part is None or name not in installation.incoming.abandoned(older_than):
            raise _GoesOnError
        entry = work.session.get_one(Round, part.round_id)
        _forget_part(work, entry.project_id, part)
        return True
    return False


def _forget_part(work: Work, project: str, part: UploadPart) -> None:
    work.record(
        Action.UPLOAD_DROP,
        project=project,
        round_id=part.round_id,
        details={"office": part.office_id, "sha256": part.sha256, "n_bytes": part.n_bytes},
    )
    delete_rows(work, UploadPart, UploadPart.file == part.file)


def expire_rounds(installation: Installation, caller: Caller) -> int:
    """End every round whose retention is over, and delete its data.

    A released round expires; one that was never released lapses, which cancels it.

    Returns:
        Number of rounds.
    """
    due: list[tuple[str, Step]] = []
    with installation.database.reading() as session:
        for step in (Step.EXPIRE, Step.LAPSE):
            rounds = session.scalars(
                select(Round.id).where(
                    Round.state.in_(STEPS[step].sources),
                    Round.retained_until <= installation.clock(),
                )
            )
            due += [(round_id, step) for round_id in rounds]
    ended = 0
    for round_id, step in due:
        try:
            with installation.work(caller) as work:
                entry = work.session.get_one(Round, round_id)
                take_step(work, entry, step)
                leftovers = forget_data(work, entry)
        except RefusalError:
            # An operator was quicker: the round is in another state now.
            continue
        delete_leftovers(installation, leftovers)
        ended += 1
    return ended
