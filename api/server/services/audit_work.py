"""How a worker does what auditors asked for: verify the log, report on a period, export entries."""

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api.audit.append import read_head
from api.audit.entry_filter import EntryFilter
from api.audit.errors import LogStoreError
from api.audit.events import Entry, parse_entry
from api.audit.export import TooManyRowsError, write_export
from api.audit.export_manifest import manifest_path
from api.audit.findings import Finding, Kind
from api.audit.merkle import EMPTY_ROOT
from api.audit.note import parse_checkpoint, parse_note
from api.audit.report import Counts, render_report
from api.audit.stored_faults import StoredFault
from api.audit.stored_search import LogQuery, index_at, search_all
from api.audit.unusual import UnusualAccess, find_unusual
from api.audit.verify import Verification
from api.server.models import LOG_TABLES
from api.server.services.audit_tasks import (
    ClaimedTask,
    TaskKind,
    TaskLostError,
    claim_task,
    fail_task,
    file_of,
    finish_task,
    give_back,
    keep_task,
)
from api.server.services.database import is_busy
from api.server.services.installation import Installation
from api.server.services.log import read_checkpoint
from api.server.services.log_desk import marks_of
from api.server.services.log_export import begin_choice, sign_manifest
from api.server.services.log_keeping import check_stored
from api.server.services.work import Caller, own_caller

_LOG = logging.getLogger("tongqiao.worker")
_STEP: Final = 2048
_MAX_PEOPLE: Final = 500
_MAX_UNUSUAL: Final = 5000


class _StopRequestedError(Exception):
    """The worker was told to stop."""


class _Progress:
    """Writes how far a task is, and keeps its lease, now and then."""

    def __init__(
        self, installation: Installation, task: ClaimedTask, is_stopping: Callable[[], bool]
    ) -> None:
        self._installation, self._task, self._is_stopping = installation, task, is_stopping
        self._written = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Raises: TaskLostError, or that the worker has to stop."""
        if self._is_stopping():
            raise _StopRequestedError
        config = self._installation.config
        if time.monotonic() - self._written < min(config.progress_s, config.lease_s / 4):
            return
        keep_task(self._installation, self._task, done, total)
        self._written = time.monotonic()


def work_on_task(
    installation: Installation, caller: Caller, is_stopping: Callable[[], bool]
) -> bool:
    """Do what an auditor asked for, if anything waits; whether there was something."""
    task = claim_task(installation, caller)
    if task is None:
        return False
    _LOG.info("an auditor's task starts", extra={"kind": str(task.kind)})
    try:
        result, details = _RUNNERS[task.kind](
            installation, task, _Progress(installation, task, is_stopping)
        )
        finish_task(installation, caller, task, result, details)
    except TaskLostError:
        _LOG.warning("an auditor's task was taken over")
    except _StopRequestedError:
        give_back(installation, caller, task)
    except Exception as error:
        _fail(installation, caller, task, error)
    return True


def _fail(installation: Installation, caller: Caller, task: ClaimedTask, error: Exception) -> None:
    if isinstance(error, OperationalError) and is_busy(error):
        # Its lease ends, and a worker takes it up again.
        raise error
    # Frames only: the text of an error that nobody expected may hold anything.
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    _LOG.error("an auditor's task failed", extra={"error": type(error).__name__, "frames": frames})
    slug = "internal"
    if isinstance(error, TooManyRowsError):
        slug = "too-many-rows"
    elif isinstance(error, OSError):
        slug = "write-error"
    fail_task(installation, caller, task, slug)


_Result = tuple[Mapping[str, Any], Mapping[str, str | int | None]]
_OnProgress = Callable[[int, int], None]


def _check(installation: Installation, _task: ClaimedTask, progress: _OnProgress) -> _Result:
    with installation.database.reading() as session:
        faults, found = _verified(installation, session, progress)
    return found, {"n_faults": len(faults), "n_entries": int(found["n_entries"])}


def _verified(
    installation: Installation, session: Session, progress: _OnProgress
) -> tuple[list[StoredFault], dict[str, Any]]:
    faults = check_stored(installation, session, progress)
    try:
        head = read_head(session, LOG_TABLES)
        size, root = head.size, head.root
    except LogStoreError:
        size, root = 0, EMPTY_ROOT
    cosignatures = LOG_TABLES.cosignatures
    newest = (
        select(
            cosignatures.c.witness,
            func.max(cosignatures.c.size).label("size"),
            func.max(cosignatures.c.signed_at).label("signed_at"),
        )
        .group_by(cosignatures.c.witness)
        .order_by(cosignatures.c.witness)
    )
    return faults, {
        "faults": [
            {"kind": str(one.kind), "place": one.place, "cause": one.cause} for one in faults
        ],
        "n_entries": size,
        "root": root.hex(),
        "n_checkpoints": session.scalar(select(func.count()).select_from(LOG_TABLES.checkpoints)),
        "witnesses": [
            {"witness": row.witness, "size": row.size, "at": row.signed_at}
            for row in session.execute(newest)
        ],
    }


def _report(installation: Installation, task: ClaimedTask, progress: _OnProgress) -> _Result:
    since, until = str(task.parameters["since"]), str(task.parameters["until"])
    counts = Counts()
    with installation.database.reading() as session:
        size = read_head(session, LOG_TABLES).size
        stop = index_at(session, LOG_TABLES, until, size)
        total = size + stop
        faults, checked = _verified(
            installation, session, lambda done, _all: progress(min(done, size), total)
        )

        def entries() -> Iterator[Entry]:
            for number, (index, body) in enumerate(
                search_all(session, LOG_TABLES, LogQuery(), stop)
            ):
                if number % _STEP == 0:
                    progress(size + index, total)
                entry = parse_entry(body.encode())
                if since <= entry.time < until:
                    counts.add(entry)
                yield entry

        unusual = find_unusual(entries(), since, until)
        marks = marks_of(session, [one.id for one in unusual])
    page = render_report(
        counts,
        unusual,
        marks,
        _verification(installation, faults, checked),
        since=since,
        until=until,
        made_at=f"{installation.clock():%Y-%m-%d %H:%M} UTC, 由服务器自行制作 by the server itself",
    )
    path = file_of(installation, task.kind, task.id, "html")
    _draft(path).write_text(page, encoding="utf-8")
    _draft(path).replace(path)
    n_unusual = len(unusual)
    details = {"n_faults": len(faults), "n_entries": counts.n_entries, "n_findings": n_unusual}
    return _summary(counts, unusual) | {"check": checked}, details


def _summary(counts: Counts, unusual: list[UnusualAccess]) -> dict[str, Any]:
    by_person = sorted(counts.by_person.items(), key=lambda item: (-item[1].total(), item[0]))
    return {
        "n_entries": counts.n_entries,
        "by_outcome": dict(counts.by_outcome),
        "by_day": [(day.isoformat(), dict(found)) for day, found in sorted(counts.by_day.items())],
        "by_hour": [(hour, dict(found)) for hour, found in sorted(counts.by_hour.items())],
        "reasons": [(*key, n) for key, n in counts.reasons.most_common(_MAX_PEOPLE)],
        "by_person": [(*key, dict(found)) for key, found in by_person[:_MAX_PEOPLE]],
        "n_unusual": len(unusual),
        "unusual": [
            {
                "id": one.id, "kind": one.kind, "who": one.who, "entry": one.entry,
                "time": one.time, "n_entries": one.n_entries, "detail": one.detail,
            }
            for one in unusual[:_MAX_UNUSUAL]
        ],
    }  # fmt: skip


def _verification(
    installation: Installation, faults: list[StoredFault], checked: Mapping[str, Any]
) -> Verification:
    return Verification(
        findings=tuple(Finding(Kind.ENTRY_CHANGED, str(one), one.place) for one in faults),
        size=checked["n_entries"],
        root=bytes.fromhex(checked["root"]),
        n_checkpoints=checked["n_checkpoints"],
        first_time=None,
        last_time=None,
        log_key=installation.log_key.verifier_key,
        witnessed=tuple((one["witness"], one["size"], one["at"]) for one in checked["witnesses"]),
    )


def _export(installation: Installation, task: ClaimedTask, progress: _OnProgress) -> _Result:
    asked, form = task.parameters["query"], str(task.parameters["form"])
    wanted, query = EntryFilter(**asked), LogQuery(**asked)
    path = file_of(installation, task.kind, task.id, form)
    _draft(path).unlink(missing_ok=True)
    note = read_checkpoint(installation, own_caller("worker"))
    size = parse_checkpoint(parse_note(note.encode()).text).size
    with installation.database.reading() as session:
        chosen = begin_choice(session, wanted, size)

        def pairs() -> Iterator[tuple[Entry, str]]:
            for number, (index, body) in enumerate(search_all(session, LOG_TABLES, query, size)):
                if number % _STEP == 0:
                    progress(index, size)
                yield parse_entry(body.encode()), body

        n_entries = write_export(chosen.noting(pairs()), _draft(path), form)
        manifest = sign_manifest(installation, session, chosen, note, _draft(path), form, wanted)
    _draft(path).chmod(0o600)
    manifest_path(path).write_bytes(manifest)
    _draft(path).replace(path)
    return {"n_entries": n_entries}, {"n_entries": n_entries}


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


_RUNNERS: Final[Mapping[TaskKind, Callable[[Installation, ClaimedTask, _OnProgress], _Result]]] = {
    TaskKind.CHECK: _check,
    TaskKind.REPORT: _report,
    TaskKind.EXPORT: _export,
}
