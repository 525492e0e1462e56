"""What goes when a round is cancelled, lapses or expires: nothing may outlive its terms.

Rows go in the transaction that decides it, with an entry for each hash; files go right after it.
A file that a crash left behind is swept, since no row refers to it any more.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Link, Round, Upload
from api.server.refusals import RefusalError
from api.server.round_states import STEPS, Step
from api.server.services.installation import Installation
from api.server.services.steps import take_step
from api.server.services.work import Caller, Work, own_caller

StoredFile = tuple[str, str]
"""Round and SHA-256 of an encoded file."""


def forget_data(work: Work, entry: Round) -> list[StoredFile]:
    """Delete a round's uploads, links and review from the database, with an entry for each hash.

    Returns:
        The files to delete once the transaction is committed.
    """
    files = []
    for upload in list(entry.uploads):
        files.append((entry.id, upload.sha256))
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
    n_links = work.session.scalar(
        select(func.count()).select_from(Link).where(Link.round_id == entry.id)
    )
    if entry.links_sha256 is not None:
        work.record(
            Action.DATA_DELETE,
            project=entry.project_id,
            round_id=entry.id,
            details={"links": entry.links_sha256, "n_links": n_links},
        )
    work.session.execute(delete(Link).where(Link.round_id == entry.id))
    entry.review = entry.links_sha256 = None
    entry.stage, entry.done, entry.total = None, 0, 0
    return files


def delete_files(installation: Installation, files: Sequence[StoredFile]) -> None:
    """Delete encoded files that no row refers to (any more), and their traces in the database."""
    if not files:
        return
    with installation.database.writing() as session:
        # Under the write lock: the same file may have been uploaded again meanwhile.
        for round_id, sha256 in files:
            kept = select(Upload.sha256).where(Upload.round_id == round_id, Upload.sha256 == sha256)
            if session.scalar(kept) is None:
                installation.encodings.delete(round_id, sha256)
                installation.encodings.delete_folder(round_id)
    installation.database.scrub()


def sweep(installation: Installation, *, incoming_older_than_s: float) -> int:
    """Delete what interrupted requests left on the disk, with an entry if there was anything.

    Returns:
        Number of files deleted.
    """
    swept = installation.encodings.sweep_incoming(
        installation.clock().timestamp() - incoming_older_than_s
    )
    with installation.database.reading() as session:
        is_any = bool(_litter(installation, session))
    if not swept and not is_any:
        return 0
    with installation.work(own_caller("worker")) as work:
        for stored in _litter(installation, work.session):
            installation.encodings.delete(*stored)
            swept += 1
        work.record(Action.DATA_SWEEP, details={"n_files": swept})
    return swept


def _litter(installation: Installation, session: Session) -> list[StoredFile]:
    """Files in their place that no row refers to."""
    known = {(r, s) for r, s in session.execute(select(Upload.round_id, Upload.sha256))}
    return [stored for stored in installation.encodings.stored() if stored not in known]


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
                files = forget_data(work, entry)
        except RefusalError:
            # An operator was quicker: the round is in another state now.
            continue
        delete_files(installation, files)
        ended += 1
    return ended
