"""Matching jobs: a round in state ``matching`` belongs to the worker that holds its lease.

A worker extends its lease as long as it lives.  When it dies, the lease ends and another worker
takes the round up.  Links are written some at a time, so that nobody waits for all of them, and by
the holder of the lease only; nobody can read them before one last transaction makes them the
round's result.  Who takes the round up deletes what was written before, so nothing is half done
and nothing is done twice.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from api.audit.events import Action, Outcome
from api.server.models import Link, Round
from api.server.priority import UrgentThreads
from api.server.round_states import State, Step
from api.server.schemas.terms import Terms
from api.server.services.installation import Installation
from api.server.services.projects import places_of
from api.server.services.reviews import build_review
from api.server.services.steps import take_step, terms_of
from api.server.services.traces import delete_rows
from api.server.services.work import Caller, Work
from linkage.types import EncodedDataset, LinkSet

LINK_BYTES = 16
_CHUNK_LINKS = 2000


class LeaseLostError(Exception):
    """The round is another worker's now, or was cancelled; what was computed is not wanted."""


@dataclass(frozen=True, slots=True)
class Job:
    """A round that this worker holds.

    Attributes:
        files: office -> hash of its encoded file.
        owner: name of the lease.
    """

    round_id: str
    project: str
    terms: Terms
    files: Mapping[str, str]
    owner: str


def claim_job(installation: Installation, caller: Caller) -> Job | None:
    """Take the lease of a round that waits, or whose worker has died; ``None`` if there is none.

    A round whose workers keep dying fails instead.
    """
    while _is_any_claimable(installation):
        try:
            with installation.work(caller) as work:
                entry = _next_round(installation, work.session)
                if entry.attempts < installation.config.max_attempts:
                    return _claim(installation, work, entry)
                _fail(
                    work,
                    entry,
                    f"The matching ended abruptly {entry.attempts} times, perhaps for want of "
                    "memory. Look into the worker's log, give the machine more memory, then run "
                    "the round again.",
                    "worker-died",
                )
        except _TakenError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, as the columns of :class:`~api.server.models.Round` have it."""

    stage: str
    done: int
    total: int
    n_pairs: int = 0
    n_candidates: int = 0
    pairs_per_s: float | None = None
    seconds_left: float | None = None


def extend_lease(installation: Installation, job: Job, progress: JobProgress | None) -> None:
    """Keep the round, and write how far it is.

    Raises:
        LeaseLostError: it is not this worker's any more.
    """
    values: dict[str, Any] = {
        "lease_expires_at": installation.clock() + timedelta(seconds=installation.config.lease_s)
    }
    if progress is not None:
        values |= asdict(progress)
    with installation.database.writing() as session:
        kept = session.execute(
            update(Round)
            .where(
                Round.id == job.round_id,
                Round.lease_owner == job.owner,
                Round.state == State.MATCHING,
            )
            .values(**values)
            .returning(Round.id)
        ).first()
    if kept is None:
        raise LeaseLostError("the round is not this worker's any more")


def release_lease(installation: Installation, caller: Caller, job: Job) -> None:
    """Give an unfinished round back at once, as a worker that is told to stop does."""
    with installation.work(caller) as work:
        kept = work.session.execute(
            update(Round)
            .where(Round.id == job.round_id, Round.lease_owner == job.owner)
            .values(lease_expires_at=work.now, attempts=Round.attempts - 1)
            .returning(Round.attempts)
        ).one_or_none()
        work.record(
            Action.JOB_RELEASE,
            project=job.project,
            round_id=job.round_id,
            details={"held": int(kept is not None)},
        )


def finish_job(
    installation: Installation,
    caller: Caller,
    job: Job,
    datasets: Sequence[EncodedDataset],
    link_set: LinkSet,
    *,
    n_pairs: int = 0,
    n_candidates: int = 0,
    urgent: UrgentThreads | None = None,
) -> int:
    """Write links, then the review; the round goes to ``review`` with the last transaction.

    Args:
        installation, caller, job: whose round it is.
        datasets, link_set: what was matched, and what came out.
        n_pairs, n_candidates: pairs compared and kept on the way.
        urgent: where transactions run; here if ``None``.

    Returns:
        Number of links stored.  Links that the terms show to nobody are not stored.

    Raises:
        LeaseLostError: the round is not this worker's any more; nothing is written.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    n_records = {name: dataset.n_records for name, dataset in by_name.items()}
    with installation.database.reading() as session:
        places = places_of(session, job.project)
    review = json.dumps(build_review(link_set, n_records, places), sort_keys=True)
    digest, n_links = hashlib.sha256(), 0
    for rows in _link_rows(job, by_name, link_set):
        if urgent is None:
            _write_links(installation, job, rows)
        else:
            urgent.run(_write_links, installation, job, rows)
        n_links += len(rows)
        for row in rows:
            digest.update(_canonical_link(row))
    with installation.work(caller) as work:
        entry = _held(work.session, job)
        entry.review, entry.links_sha256 = review, digest.hexdigest()
        # The number of links is in the review, where small ones are left out.
        entry.stage, entry.done, entry.total = "done", 1, 1
        entry.n_pairs, entry.n_candidates = n_pairs, n_candidates
        entry.pairs_per_s = entry.seconds_left = None
        entry.lease_owner = entry.lease_expires_at = None
        work.record(
            Action.JOB_FINISH,
            project=job.project,
            round_id=job.round_id,
            # Without their number, as every office of the round reads this entry: one that is shown
            # no links, or few, would learn from it how much alike the others' registers are.
            details={"links": entry.links_sha256},
        )
        take_step(work, entry, Step.FINISH)
    return n_links


def _write_links(installation: Installation, job: Job, rows: list[dict[str, Any]]) -> None:
    with installation.database.writing(durable=False) as session:
        _held(session, job)
        session.execute(insert(Link), rows)


def fail_job(installation: Installation, caller: Caller, job: Job, message: str, slug: str) -> None:
    """Note why the matching failed; the round goes back to ``frozen`` and can be run again.

    Args:
        message: for the operators; safe to show.
        slug: for the log.

    Raises:
        LeaseLostError: the round is not this worker's any more.
    """
    with installation.work(caller) as work:
        _fail(work, _held(work.session, job), message, slug)


def _fail(work: Work, entry: Round, message: str, slug: str) -> None:
    entry.failure = message
    entry.lease_owner = entry.lease_expires_at = None
    entry.enter_stage(None)
    _delete_unfinished(work, entry)
    take_step(work, entry, Step.FAIL)
    work.record(
        Action.JOB_FAIL,
        project=entry.project_id,
        round_id=entry.id,
        outcome=Outcome.FAILED,
        reason=slug,
        details={"attempt": entry.attempts},
    )


def _delete_unfinished(work: Work, entry: Round) -> None:
    """Delete links that a worker wrote before it died or gave up: they are nobody's result."""
    delete_rows(work, Link, Link.round_id == entry.id)


def _claim(installation: Installation, work: Work, entry: Round) -> Job:
    resumed = entry.lease_owner is not None
    entry.attempts += 1
    entry.lease_owner = secrets.token_hex(16)
    entry.lease_expires_at = work.now + timedelta(seconds=installation.config.lease_s)
    entry.enter_stage("starting")
    _delete_unfinished(work, entry)
    work.record(
        Action.JOB_RESUME if resumed else Action.JOB_START,
        project=entry.project_id,
        round_id=entry.id,
        details={"attempt": entry.attempts, "n_uploads": len(entry.uploads)},
    )
    return Job(
        round_id=entry.id,
        project=entry.project_id,
        terms=terms_of(entry),
        files={upload.office_id: upload.sha256 for upload in entry.uploads},
        owner=entry.lease_owner,
    )


class _TakenError(Exception):
    """Another worker was quicker."""


def _is_any_claimable(installation: Installation) -> bool:
    # Asked without the write lock: an idle worker must not hold up the server every second.
    with installation.database.reading() as session:
        return session.scalar(_claimable(installation).limit(1)) is not None


def _claimable(installation: Installation) -> Any:
    return (
        select(Round.id)
        .where(
            Round.state == State.MATCHING,
            or_(Round.lease_owner.is_(None), Round.lease_expires_at <= installation.clock()),
        )
        .order_by(Round.created_at, Round.id)
    )


def _next_round(installation: Installation, session: Session) -> Round:
    round_id = session.scalar(_claimable(installation).limit(1))
    if round_id is None:
        raise _TakenError
    return session.get_one(Round, round_id)


def _held(session: Session, job: Job) -> Round:
    entry = session.get_one(Round, job.round_id)
    if entry.lease_owner != job.owner or entry.state != State.MATCHING:
        raise LeaseLostError("the round is not this worker's any more")
    return entry


def _link_rows(
    job: Job, datasets: Mapping[str, EncodedDataset], link_set: LinkSet
) -> Iterator[list[dict[str, Any]]]:
    """Rows of links that the terms show to one side at least, in the order of the link set."""
    names = link_set.dataset_names
    sees = np.array([[job.terms.sees(a, b) for b in names] for a in names], dtype=bool)
    shown = sees | sees.T
    kept = np.flatnonzero(shown[link_set.dataset_a, link_set.dataset_b])
    for start in range(0, len(kept), _CHUNK_LINKS):
        chunk = kept[start : start + _CHUNK_LINKS]
        random = secrets.token_bytes(2 * LINK_BYTES * len(chunk)).hex()
        width = 2 * LINK_BYTES
        rows = []
        for number, index in enumerate(chunk.tolist()):
            office_a, office_b = (
                names[int(link_set.dataset_a[index])],
                names[int(link_set.dataset_b[index])],
            )
            at = 2 * width * number
            rows.append(
                {
                    "round_id": job.round_id,
                    "office_a": office_a,
                    "record_a": datasets[office_a].pseudonym(int(link_set.row_a[index])),
                    "link_a": random[at : at + width],
                    "office_b": office_b,
                    "record_b": datasets[office_b].pseudonym(int(link_set.row_b[index])),
                    "link_b": random[at + width : at + 2 * width],
                    "score": float(link_set.score[index]),
                    "group_no": int(link_set.group[index]),
                }
            )
        yield rows


def _canonical_link(row: Mapping[str, Any]) -> bytes:
    """A link without its random ids: equal for equal links, however often they are computed."""
    return (
        f"{row['office_a']},{row['record_a']},{row['office_b']},{row['record_b']},"
        f"{row['score']:.6f}\n"
    ).encode()
