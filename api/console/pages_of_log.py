"""The auditor's desk: entries of the log and their proofs, checkpoints, and comparing them.

Auditors alone come here; every page that they open is an entry of the log itself.
"""

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.audit.errors import AuditError
from api.audit.events import Action
from api.audit.note import MAX_NOTE_BYTES
from api.audit.proof import SUFFIX
from api.console.log_query import parse_place, parse_query
from api.server.auth import caller, installation, may_use
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.services import log_desk as service

log_pages = Blueprint("log_console", __name__, url_prefix="/console/log")


@log_pages.get("/")
@may_use(Actor.AUDITOR, action=Action.LOG_READ, page=True)
def show_log() -> ResponseReturnValue:
    """Entries that fit a filter, newest first."""
    asked = parse_query(request.args)
    try:
        found = service.search_log(
            installation(),
            caller(),
            asked.query,
            below=parse_place(request.args.get("below", "")),
            above=parse_place(request.args.get("above", "")),
        )
    except AuditError as error:
        raise RefusalError(
            "unavailable", "What stands as an entry here is none: verify the log."
        ) from error
    page = render_template("console/log.html", asked=asked, found=found)
    return page, 422 if asked.trouble else 200


@log_pages.get("/entries/<count:index>")
@may_use(Actor.AUDITOR, action=Action.LOG_PROVE, page=True)
def show_entry(index: int) -> ResponseReturnValue:
    """One entry in plain words, with its proof."""
    try:
        found = service.read_proof(installation(), caller(), index)
    except AuditError as error:
        raise RefusalError(
            "unavailable", "The log does not prove this entry: verify the log."
        ) from error
    return render_template("console/entry.html", found=found, entry=found.proven.entry)


@log_pages.get("/entries/<count:index>/proof")
@may_use(Actor.AUDITOR, action=Action.LOG_PROVE, page=True)
def fetch_proof(index: int) -> ResponseReturnValue:
    """The proof as a file that verifies offline."""
    found = service.read_proof(installation(), caller(), index)
    return _file(found.file, f"entry-{index}{SUFFIX}")


@log_pages.get("/checkpoints")
@may_use(Actor.AUDITOR, action=Action.CHECKPOINT_READ, page=True)
def list_checkpoints() -> ResponseReturnValue:
    """Checkpoints that were signed, and who witnessed each."""
    only_witnessed = request.args.get("witnessed") == "yes"
    found = service.list_checkpoints(
        installation(),
        caller(),
        below=parse_place(request.args.get("below", "")),
        only_witnessed=only_witnessed,
    )
    return render_template(
        "console/checkpoints.html", found=found, only_witnessed=only_witnessed, compared=None
    )


@log_pages.get("/checkpoints/<count:size>")
@may_use(Actor.AUDITOR, action=Action.CHECKPOINT_READ, page=True)
def fetch_checkpoint(size: int) -> ResponseReturnValue:
    """A checkpoint as a file, to keep away from the server."""
    note = service.read_signed(installation(), caller(), size)
    return _file(note.encode(), f"checkpoint-{size}.txt")


@log_pages.post("/checkpoints")
@may_use(Actor.AUDITOR, action=Action.LOG_PROVE, page=True)
def compare() -> ResponseReturnValue:
    """Hold the log against a checkpoint that was kept from earlier."""
    note, trouble = _given_note(), ""
    compared = None
    if note:
        compared = service.compare_with_kept(installation(), caller(), note)
    else:
        trouble = gettext("Paste a checkpoint, or choose its file.")
    found = service.list_checkpoints(installation(), caller(), below=None, only_witnessed=False)
    page = render_template(
        "console/checkpoints.html",
        found=found,
        only_witnessed=False,
        compared=compared,
        trouble=trouble,
    )
    return page, 422 if trouble else 200


def _given_note() -> bytes:
    file = request.files.get("file")
    if file is not None and file.filename:
        return file.stream.read(MAX_NOTE_BYTES + 1)
    text = request.form.get("note", "").replace("\r\n", "\n").strip("\n \t")
    return f"{text}\n".encode() if text else b""


def _file(data: bytes, name: str) -> Response:
    answer: Response = make_response(data)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
