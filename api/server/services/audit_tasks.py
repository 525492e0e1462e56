"""What auditors ask for that takes long: asked for on a page, done by a worker, read on a page.

A task belongs to the worker that holds its lease, as a round does; when that worker dies, another
begins it again.  What it leaves is a small result, and for some a file, which goes after a week.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from api.audit.events import Action, Outcome
from api.server.models import AuditTask
from api.server.refusals import RefusalError
from api.server.services.installation import Installation
from api.server.services.work import Caller, Details, Work

FOLDER: Final = "audit-files"
FILE_DAYS: Final = 7
"""So long the file of a report or an export can be fetched."""

_MAX_UNFINISHED: Final = 10
_MAX_LISTED: Final = 30


class TaskKind(StrEnum):
    """What can be asked for."""

    CHECK = "check"
    REPORT = "report"
    EXPORT = "export"


class TaskState(StrEnum):
    """How far it is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


_ACTIONS: Final = {
    TaskKind.CHECK: Action.LOG_CHECK,
    TaskKind.REPORT: Action.LOG_REPORT,
    TaskKind.EXPORT: Action.LOG_EXPORT,
}
_UNFINISHED: Final = (TaskState.WAITING, TaskState.RUNNING)


class TaskLostError(Exception):
    """The task is another worker's now."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as pages show it.

    Attributes:
        parameters: what exactly was asked for.
        result: what came of it; ``None`` until it is done.
        failure: why there is no result, as a slug.
        file: where its file is, if it has one that is still there.
    """

    id: str
    kind: TaskKind
    parameters: Mapping[str, Any]
    asked_by: str
    asked_at: datetime
    state: TaskState
    done: int
    total: int
    ended_at: datetime | None
    result: Mapping[str, Any] | None
    failure: str | None
    file: Path | None

    @property
    def is_unfinished(self) -> bool:
        """Whether a worker has still to do with it."""
        return self.state in _UNFINISHED

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; ``None`` where nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task that this worker holds.

    Attributes:
        owner: name of the lease.
    """

    id: str
    kind: TaskKind
    parameters: Mapping[str, Any]
    owner: str


def ask_for(
    installation: Installation,
    caller: Caller,
    kind: TaskKind,
    parameters: Mapping[str, Any],
    details: Details,
) -> str:
    """Ask for something; what is asked for already, and not done, is not asked for twice.

    Args:
        details: what the log says of the parameters.

    Returns:
        The task's id.

    Raises:
        RefusalError: ``too-many``.
    """
    text = json.dumps(parameters, sort_keys=True)
    with installation.work(caller) as work:
        unfinished = work.session.scalars(
            select(AuditTask).where(AuditTask.state.in_(_UNFINISHED))
        ).all()
        known = next((t for t in unfinished if (t.kind, t.parameters) == (kind, text)), None)
        if known is None and len(unfinished) >= _MAX_UNFINISHED:
            raise RefusalError(
                "too-many",
                f"{len(unfinished)} reports, exports and verifications wait already. Ask again "
                "when they are done.",
            )
        task_id = known.id if known is not None else secrets.token_hex(16)
        if known is None:
            work.session.add(
                AuditTask(
                    id=task_id, kind=kind, parameters=text, asked_by=caller.person,
                    asked_at=work.now, state=TaskState.WAITING, done=0, total=0, attempts=0,
                )
            )  # fmt: skip
        work.record(_ACTIONS[kind], details={"task": task_id, **details})
    return task_id


def list_tasks(installation: Installation, caller: Caller, *kinds: TaskKind) -> list[Task]:
    """The latest tasks of these kinds, newest first."""
    query = (
        select(AuditTask)
        .where(AuditTask.kind.in_(kinds))
        .order_by(AuditTask.asked_at.desc(), AuditTask.id)
        .limit(_MAX_LISTED)
    )
    with installation.work(caller) as work:
        found = work.session.scalars(query).all()
        work.record(Action.LOG_TASK, details={"n_tasks": len(found)})
        return [_task(installation, entry) for entry in found]


def read_task(installation: Installation, caller: Caller, task_id: str) -> Task:
    """One task.  Raises: RefusalError: ``not-found``."""
    with installation.work(caller) as work:
        entry = work.session.get(AuditTask, task_id)
        if entry is None:
            raise RefusalError("not-found", "There is no such verification, report or export.")
        work.record(Action.LOG_TASK, details={"task": task_id})
        return _task(installation, entry)


def watch_task(installation: Installation, caller: Caller, task_id: str) -> Task:
    """One task, for who waits for it: without an entry while it is unfinished and the caller's own.

    Asking for it left one, and reading what came of it leaves one; a page that asks every few
    seconds would bury them.

    Raises:
        RefusalError: ``not-found``.
    """
    with installation.database.reading() as session:
        entry = session.get(AuditTask, task_id)
        found = None if entry is None else _task(installation, entry)
    if found is None or not found.is_unfinished or found.asked_by != caller.member:
        return read_task(installation, caller, task_id)
    caller.trace.is_own_progress = True
    return found


def claim_task(installation: Installation, caller: Caller) -> ClaimedTask | None:
    """Take the lease of a task that waits, or whose worker has died; ``None`` if there is none.

    One whose workers keep dying fails instead.
    """
    # Asked without the write lock: an idle worker must not hold up the server every second.
    with installation.database.reading() as session:
        if session.scalar(_claimable(installation)) is None:
            return None
    with installation.work(caller) as work:
        task_id = work.session.scalar(_claimable(installation))
        entry = None if task_id is None else work.session.get_one(AuditTask, task_id)
        if entry is None:
            work.record(Action.LOG_TASK, details={"n_tasks": 0})
            return None
        if entry.attempts >= installation.config.max_attempts:
            _end(work, entry, TaskState.FAILED, failure="worker-died")
            return None
        entry.attempts += 1
        entry.state, entry.done, entry.total = TaskState.RUNNING, 0, 0
        entry.lease_owner = secrets.token_hex(16)
        entry.lease_expires_at = _lease_end(installation)
        work.record(Action.LOG_TASK, details={"task": entry.id, "attempt": entry.attempts})
        return ClaimedTask(
            entry.id, TaskKind(entry.kind), json.loads(entry.parameters), entry.lease_owner
        )


def keep_task(installation: Installation, task: ClaimedTask, done: int, total: int) -> None:
    """Keep the lease, and write how far it is.  Raises: TaskLostError."""
    with installation.database.writing(durable=False) as session:
        kept = session.execute(
            update(AuditTask)
            .where(_is_held(task))
            .values(lease_expires_at=_lease_end(installation), done=done, total=total)
            .returning(AuditTask.id)
        ).first()
    if kept is None:
        raise TaskLostError


def give_back(installation: Installation, caller: Caller, task: ClaimedTask) -> None:
    """Give an unfinished task back, as a worker that is told to stop does."""
    with installation.work(caller) as work:
        entry = work.session.scalar(select(AuditTask).where(_is_held(task)))
        if entry is not None:
            entry.state, entry.lease_owner, entry.lease_expires_at = TaskState.WAITING, None, None
            entry.attempts -= 1
        work.record(Action.LOG_TASK, details={"task": task.id, "held": int(entry is not None)})


def finish_task(
    installation: Installation,
    caller: Caller,
    task: ClaimedTask,
    result: Mapping[str, Any],
    details: Details,
) -> None:
    """Keep what came of a task.  Raises: TaskLostError."""
    with installation.work(caller) as work:
        entry = _held(work.session, task)
        entry.result = json.dumps(result)
        _end(work, entry, TaskState.DONE, details=details)


def fail_task(installation: Installation, caller: Caller, task: ClaimedTask, slug: str) -> None:
    """Note why there is no result.  Raises: TaskLostError."""
    with installation.work(caller) as work:
        _end(work, _held(work.session, task), TaskState.FAILED, failure=slug)


def file_of(installation: Installation, kind: TaskKind, task_id: str, form: str) -> Path:
    """Where the file of a task belongs; its folder is made.

    Args:
        form: ``html``, ``csv``, ``jsonl`` or ``xlsx``.
    """
    folder = installation.config.directory / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{kind}-{task_id}.{form}"


def sweep_files(installation: Installation, caller: Caller) -> int:
    """Delete files of a week ago, and drafts that a crash left, with an entry; returns how many."""
    folder = installation.config.directory / FOLDER
    before = installation.clock() - timedelta(days=FILE_DAYS)
    old = [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.stat().st_mtime < before.timestamp()
    ]
    if not old:
        return 0
    with installation.work(caller) as work:
        work.record(Action.DATA_SWEEP, details={"n_files": len(old)})
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _task(installation: Installation, entry: AuditTask) -> Task:
    parameters = json.loads(entry.parameters)
    path = file_of(
        installation, TaskKind(entry.kind), entry.id, str(parameters.get("form", "html"))
    )
    return Task(
        id=entry.id,
        kind=TaskKind(entry.kind),
        parameters=parameters,
        asked_by=entry.asked_by,
        asked_at=entry.asked_at,
        state=TaskState(entry.state),
        done=entry.done,
        total=entry.total,
        ended_at=entry.ended_at,
        result=None if entry.result is None else json.loads(entry.result),
        failure=entry.failure,
        file=path if path.is_file() else None,
    )


def _end(
    work: Work,
    entry: AuditTask,
    state: TaskState,
    *,
    failure: str | None = None,
    details: Details | None = None,
) -> None:
    entry.state, entry.failure, entry.ended_at = state, failure, work.now
    entry.lease_owner = entry.lease_expires_at = None
    work.record(
        _ACTIONS[TaskKind(entry.kind)],
        outcome=Outcome.GRANTED if failure is None else Outcome.FAILED,
        reason=failure,
        details={"task": entry.id, **(details or {})},
    )


def _claimable(installation: Installation) -> Any:
    has_no_worker = and_(
        AuditTask.state == TaskState.RUNNING, AuditTask.lease_expires_at <= installation.clock()
    )
    return (
        select(AuditTask.id)
        .where(or_(AuditTask.state == TaskState.WAITING, has_no_worker))
        .order_by(AuditTask.asked_at, AuditTask.id)
        .limit(1)
    )


def _is_held(task: ClaimedTask) -> Any:
    return and_(AuditTask.id == task.id, AuditTask.lease_owner == task.owner)


def _held(session: Session, task: ClaimedTask) -> AuditTask:
    entry = session.scalar(select(AuditTask).where(_is_held(task)))
    if entry is None:
        raise TaskLostError
    return entry


def _lease_end(installation: Installation) -> datetime:
    return installation.clock() + timedelta(seconds=installation.config.lease_s)
