"""What auditors ask the worker for: verifying the log, reports with anomalies, exports."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext

from api.audit.events import Action
from api.audit.export import FORMATS
from api.audit.export_manifest import manifest_path
from api.console.asking import trying
from api.console.log_query import day_begins, parse_place, parse_query
from api.server.auth import caller, installation, may_use
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.schemas.log import VERDICTS
from api.server.services import audit_tasks as service
from api.server.services import log, log_desk
from api.server.services.audit_tasks import Task, TaskKind

task_pages = Blueprint("tasks_console", __name__, url_prefix="/console/log")

_PAGE_FINDINGS: Final = 100
_CHUNK_BYTES: Final = 256 * 1024
_OWN_EVERY_MS: Final = 2000
_OTHERS_EVERY_MS: Final = 30_000
"""Each look at what somebody else asked for is an entry of the log."""


@task_pages.get("/verification")
@may_use(Actor.AUDITOR, action=Action.LOG_TASK, page=True)
def show_checks() -> ResponseReturnValue:
    """Verify the log in one press, and what earlier verifications found."""
    return _checks("")


@task_pages.post("/verification")
@may_use(Actor.AUDITOR, action=Action.LOG_CHECK, page=True)
def begin_check() -> ResponseReturnValue:
    """Ask for a verification of the whole log."""
    task_id, trouble = trying(
        lambda: service.ask_for(installation(), caller(), TaskKind.CHECK, {}, {})
    )
    return _checks(trouble) if task_id is None else _to(task_id)


@task_pages.get("/reports")
@may_use(Actor.AUDITOR, action=Action.LOG_TASK, page=True)
def show_reports() -> ResponseReturnValue:
    """Reports on periods, with what is unusual in them."""
    return _reports("")


@task_pages.post("/reports")
@may_use(Actor.AUDITOR, action=Action.LOG_REPORT, page=True)
def begin_report() -> ResponseReturnValue:
    """Ask for a report on a period."""
    first, last = (request.form.get(name, "").strip() for name in ("first", "last"))
    try:
        since, until = day_begins(first), day_begins(last, after_days=1)
    except (ValueError, OverflowError):
        return _reports(gettext("A day is written like 2026-09-01."))
    if until <= since:
        return _reports(gettext("The last day is before the first."))
    parameters = {"since": since, "until": until, "first": first, "last": last}
    details = {"since": since, "until": until}
    task_id, trouble = trying(
        lambda: service.ask_for(installation(), caller(), TaskKind.REPORT, parameters, details)
    )
    return _reports(trouble) if task_id is None else _to(task_id)


@task_pages.get("/exports")
@may_use(Actor.AUDITOR, action=Action.LOG_TASK, page=True)
def show_exports() -> ResponseReturnValue:
    """Exports of entries for other programs; the filter comes from the log's page."""
    return _exports("")


@task_pages.post("/exports")
@may_use(Actor.AUDITOR, action=Action.LOG_EXPORT, page=True)
def begin_export() -> ResponseReturnValue:
    """Ask for entries as a file."""
    form, asked = request.form.get("form", ""), parse_query(request.form)
    if asked.trouble or form not in FORMATS:
        return _exports(asked.trouble or gettext("Choose a form of file."))
    parameters = {"form": form, "query": asdict(asked.query), "given": dict(asked.given)}
    details = {"form": form, **log_desk.search_details(asked.query)}
    task_id, trouble = trying(
        lambda: service.ask_for(installation(), caller(), TaskKind.EXPORT, parameters, details)
    )
    return _exports(trouble) if task_id is None else _to(task_id)


@task_pages.get("/tasks/<id:task_id>")
@may_use(Actor.AUDITOR, action=Action.LOG_TASK, page=True)
def show_task(task_id: str) -> ResponseReturnValue:
    """How far something is, or what came of it."""
    task = service.read_task(installation(), caller(), task_id)
    return _task_page(task, "")


@task_pages.get("/tasks/<id:task_id>/progress")
@may_use(Actor.AUDITOR, action=Action.LOG_TASK, page=True, by_itself=True)
def show_progress(task_id: str) -> ResponseReturnValue:
    """How far it is, for the page's script."""
    task = service.watch_task(installation(), caller(), task_id)
    return jsonify(_job(task))


@task_pages.get("/tasks/<id:task_id>/file")
@may_use(Actor.AUDITOR, action=Action.LOG_TASK, page=True)
def fetch_file(task_id: str) -> ResponseReturnValue:
    """The file of a report or an export, or the manifest of an export (``?part=manifest``)."""
    task = service.read_task(installation(), caller(), task_id)
    if task.file is None:
        raise RefusalError("not-found", "The file is not there any more. Ask for it again.")
    file = task.file
    if request.args.get("part") == "manifest":
        file = manifest_path(file)
        if not file.is_file():
            raise RefusalError("not-found", "There is no manifest of this file. Export again.")
    answer = Response(_chunks(file), content_type="application/octet-stream")
    answer.headers["Content-Length"] = str(file.stat().st_size)
    answer.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return answer


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


@task_pages.post("/tasks/<id:task_id>/marks")
@may_use(Actor.AUDITOR, action=Action.FINDING_MARK, page=True)
def mark(task_id: str) -> ResponseReturnValue:
    """Note that a finding of a report was looked at."""
    task = service.read_task(installation(), caller(), task_id)
    finding = _finding(task, request.form.get("finding", ""))
    verdict = request.form.get("verdict", "")
    if finding is None or verdict not in VERDICTS:
        return _task_page(task, gettext("Choose what came of looking at it."))
    log.mark_finding(
        installation(),
        caller(),
        finding=finding["id"],
        kind=finding["kind"],
        verdict=verdict,
        entry=finding["entry"],
    )
    back = url_for(".show_task", task_id=task_id, start=request.form.get("start") or None)
    return redirect(back + f"#finding-{finding['id']}", 303)


def _finding(task: Task, finding_id: str) -> Mapping[str, Any] | None:
    found = (task.result or {}).get("unusual", ())
    return next((one for one in found if one["id"] == finding_id), None)


def _task_page(task: Task, trouble: str) -> ResponseReturnValue:
    unusual = (task.result or {}).get("unusual", [])
    start = parse_place(request.args.get("start", "")) or 0
    shown = unusual[start : start + _PAGE_FINDINGS]
    with installation().database.reading() as session:
        marks = log_desk.marks_of(session, [one["id"] for one in unusual]) if unusual else {}
    page = render_template(
        f"console/task_{task.kind}.html",
        task=task,
        job=_job(task),
        every_ms=_OWN_EVERY_MS if task.asked_by == caller().member else _OTHERS_EVERY_MS,
        trouble=trouble,
        result=task.result or {},
        shown=shown,
        start=start,
        page_findings=_PAGE_FINDINGS,
        marks=marks,
        n_open=sum(one["id"] not in marks for one in unusual),
    )
    return page, 422 if trouble else 200


def _job(task: Task) -> dict[str, Any]:
    stage = gettext("Waiting for the worker: a round that is being matched comes first.")
    figures = ""
    if task.state == service.TaskState.RUNNING:
        stage = gettext("The worker is reading the log.")
        figures = f"{format_decimal(task.done)} / {format_decimal(task.total)}"
    return {
        "state": "running" if task.is_unfinished else "done",
        "stage": stage,
        "share": task.share,
        "figures": figures if task.total else "",
    }


def _to(task_id: str) -> ResponseReturnValue:
    return redirect(url_for(".show_task", task_id=task_id), 303)


def _checks(trouble: str) -> ResponseReturnValue:
    tasks = service.list_tasks(installation(), caller(), TaskKind.CHECK)
    page = render_template("console/checks.html", tasks=tasks, trouble=trouble)
    return page, 422 if trouble else 200


def _reports(trouble: str) -> ResponseReturnValue:
    tasks = service.list_tasks(installation(), caller(), TaskKind.REPORT)
    page = render_template("console/reports.html", tasks=tasks, trouble=trouble, given=request.form)
    return page, 422 if trouble else 200


def _exports(trouble: str) -> ResponseReturnValue:
    tasks = service.list_tasks(installation(), caller(), TaskKind.EXPORT)
    asked = parse_query(request.form or request.args)
    page = render_template(
        "console/exports.html", tasks=tasks, trouble=trouble or asked.trouble, asked=asked
    )
    return page, 422 if trouble or asked.trouble else 200
