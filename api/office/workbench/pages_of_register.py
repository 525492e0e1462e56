"""Pages of the office's own list: drop it, map its columns, see its problems, check it."""

from pathlib import Path

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.client.errors import ApiError
from api.office.workbench.desk import Desk, desk
from api.office.workbench.error_words import tell
from api.office.workbench.jobs import Job
from api.office.workbench.words import advice_for, field_name
from linkage.errors import LinkageError
from linkage.records.mapping import RECORD_ID

register_pages = Blueprint("register", __name__, url_prefix="/list")

_INSPECT = "inspect"


@register_pages.get("/")
def show() -> ResponseReturnValue:
    """Drop a file, or see what is known of the one that was dropped."""
    bench = desk()
    if bench.register.about is not None and bench.register.inspection is None:
        return _while_reading(bench) or _read(bench)
    return render_template("workbench/list.html", **_common(bench))


@register_pages.post("/")
def receive() -> ResponseReturnValue:
    """Take a file in."""
    bench = desk()
    file = request.files.get("file")
    if file is None or not file.filename:
        flash(gettext("Choose a file first."), "warning")
        return redirect(url_for("register.show"), 303)
    try:
        file.stream.flush()
        received = bench.folder.root / ".received"
        file.stream.seek(0)
        _keep(file.stream.name, received)
        bench.register.take_in(received, Path(file.filename).name)
    except LinkageError as error:
        flash(str(tell(error)), "danger")
        return redirect(url_for("register.show"), 303)
    finally:
        (bench.folder.root / ".received").unlink(missing_ok=True)
    return _read(bench, then="register.columns")


@register_pages.post("/remove")
def remove() -> ResponseReturnValue:
    """Delete the copy of the file and all that was made from it."""
    bench = desk()
    if bench.jobs.running(_INSPECT, "encode") is None:
        bench.register.clear()
        bench.jobs.forget(_INSPECT, "")
        flash(gettext("The copy of the list was deleted. Your own file is untouched."), "success")
    return redirect(url_for("register.show"), 303)


@register_pages.get("/columns")
def columns() -> ResponseReturnValue:
    """Which column is which, with masked samples."""
    bench = desk()
    waiting = _needs_inspection(bench)
    if waiting is not None:
        return waiting
    preview = bench.register.preview()
    return render_template(
        "workbench/columns.html", preview=preview, fields=_fields(bench), **_common(bench)
    )


@register_pages.post("/columns")
def choose_columns() -> ResponseReturnValue:
    """Keep the mapping and read the file by it."""
    bench = desk()
    waiting = _needs_inspection(bench)
    if waiting is not None:
        return waiting
    try:
        bench.register.choose_columns({name: request.form.get(name, "") for name in _fields(bench)})
    except LinkageError as error:
        flash(str(tell(error)), "danger")
        return redirect(url_for("register.columns"), 303)
    return _read(bench, then="register.problems")


@register_pages.post("/sheet")
def choose_sheet() -> ResponseReturnValue:
    """Take another sheet of the workbook, and propose its columns."""
    bench = desk()
    try:
        bench.register.choose_sheet(request.form.get("sheet", 0, int))
    except LinkageError as error:
        flash(str(tell(error)), "danger")
        return redirect(url_for("register.columns"), 303)
    return _read(bench, then="register.columns")


@register_pages.get("/problems")
def problems() -> ResponseReturnValue:
    """What is wrong, row by row."""
    bench = desk()
    waiting = _needs_inspection(bench)
    if waiting is not None:
        return waiting
    code, field = request.args.get("code", ""), request.args.get("field", "")
    page = bench.register.problems(code=code, field=field, page=request.args.get("page", 1, int))
    return render_template(
        "workbench/problems.html",
        page=page,
        code=code,
        field=field,
        round_to_do=_round_to_do(bench),
        **_common(bench),
    )


@register_pages.get("/problems.xlsx")
def problem_report() -> ResponseReturnValue:
    """All problems as a workbook."""
    bench = desk()
    waiting = _needs_inspection(bench)
    if waiting is not None:
        return waiting
    return send_file(
        bench.register.problem_report(), as_attachment=True, download_name="problems.xlsx"
    )


def _round_to_do(bench: Desk) -> tuple[str, str] | None:
    """The round that waits for this list, where there is exactly one: what to do, and its id."""
    if bench.rounds is None:
        return None
    try:
        rounds = bench.rounds.rounds()
    except ApiError:
        return None
    steps = [(round_.next_step(bench.rounds.office), round_.id) for round_ in rounds]
    waiting = [(str(step), round_id) for step, round_id in steps if step in ("sign", "send")]
    return waiting[0] if len(waiting) == 1 else None


def _read(bench: Desk, then: str = "register.show") -> ResponseReturnValue:
    if bench.jobs.running() is None:
        try:
            bench.jobs.start(_INSPECT, "", bench.register.inspect)
        except LinkageError as error:
            flash(str(tell(error)), "warning")
    return redirect(url_for(then), 303)


def _needs_inspection(bench: Desk) -> ResponseReturnValue | None:
    """What to answer while the file is not there, being read, or cannot be read."""
    if bench.register.inspection is not None:
        return None
    if bench.register.about is None:
        flash(gettext("Choose your list first."), "info")
        return redirect(url_for("register.show"), 303)
    return _while_reading(bench) or _read(bench, then=str(request.endpoint))


def _while_reading(bench: Desk) -> ResponseReturnValue | None:
    job: Job | None = bench.jobs.newest(_INSPECT, "")
    if job is None or job.state == "done":
        return None
    return render_template("workbench/reading.html", job=job, about=bench.register.about)


def _common(bench: Desk) -> dict[str, object]:
    inspection = bench.register.inspection
    return {
        "about": bench.register.about,
        "inspection": inspection,
        "confirmed": bench.register.columns_file.exists(),
        "field_name": field_name,
        "advice_for": advice_for,
    }


def _fields(bench: Desk) -> list[str]:
    return [RECORD_ID, *(spec.name for spec in bench.register.profile.fields)]


def _keep(stream_name: str, received: Path) -> None:
    """Give what was received a second name, so that it outlives the request."""
    import os
    import shutil

    received.unlink(missing_ok=True)
    try:
        os.link(stream_name, received)
    except OSError:
        shutil.copyfile(stream_name, received)
        received.chmod(0o600)
