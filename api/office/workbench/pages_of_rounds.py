"""Pages of a round: its terms, signing, encoding and sending, the links, and who is late."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.client.errors import ApiError
from api.client.round_view import RoundView
from api.office.workbench.desk import Desk, desk
from api.office.workbench.error_words import Told, tell
from api.office.workbench.folder import read_json
from api.office.workbench.joined_rows import KINDS, Choice, joined_page
from api.office.workbench.round_work import RoundWork
from api.office.workbench.words import check_advice, check_name, list_word, state_name, to_do_name
from keys.errors import KeysError
from linkage.errors import LinkageError

round_pages = Blueprint("rounds", __name__, url_prefix="/rounds")

_ID = re.compile("[a-z0-9][a-z0-9-]{0,62}")
_SEND, _FETCH = "send", "fetch"
_MAX_REASON_CHARACTERS = 500

_Answer = TypeVar("_Answer")


@round_pages.get("/")
def list_rounds() -> ResponseReturnValue:
    """All rounds of the office."""
    bench = desk()
    if bench.rounds is None:
        return render_template("workbench/rounds.html", rounds=[], connected=False, trouble=None)
    rounds, trouble = _asking(bench.rounds.rounds)
    return render_template(
        "workbench/rounds.html",
        rounds=rounds or [],
        connected=True,
        trouble=trouble,
        state_name=state_name,
    )


@round_pages.get("/<round_id>")
def show_round(round_id: str) -> ResponseReturnValue:
    """One round: its terms, and what the office has to do."""
    bench, work = _connected(round_id)
    view, trouble = _asking(lambda: work.view(round_id))
    if view is None:
        return render_template("workbench/round_failed.html", round_id=round_id, trouble=trouble)
    terms, role = view.terms, view.terms.role_of(work.office)
    if view.state == "open" and role is not None:
        _, trouble = _asking(lambda: work.keep_terms(terms))
    return render_template(
        "workbench/round.html", terms=terms, role=role, trouble=trouble, **_round(bench, work, view)
    )


@round_pages.post("/<round_id>/signature")
def sign(round_id: str) -> ResponseReturnValue:
    """Sign the terms that the page showed."""
    _, work = _connected(round_id)
    if request.form.get("agreed") != "yes":
        flash(gettext("Tick that you have read the terms, then sign."), "warning")
        return redirect(url_for("rounds.show_round", round_id=round_id), 303)
    _, trouble = _asking(lambda: work.sign(round_id, request.form.get("terms_sha256", "")))
    if trouble:
        flash(str(trouble), "danger")
        return redirect(url_for("rounds.show_round", round_id=round_id), 303)
    flash(gettext("Signed."), "success")
    return redirect(url_for("rounds.show_send", round_id=round_id), 303)


@round_pages.get("/<round_id>/secret")
def show_secret(round_id: str) -> ResponseReturnValue:
    """How the sealed secret is opened."""
    return _secret_page(round_id, None)


@round_pages.post("/<round_id>/secret")
def open_secret(round_id: str) -> ResponseReturnValue:
    """Open the sealed secret with what the coordinating office read out."""
    _, work = _connected(round_id)
    _, trouble = _asking(lambda: work.open_secret(round_id, request.form.get("heard", "")))
    if trouble is not None:
        return _secret_page(round_id, trouble)
    flash(
        gettext("The secret is open. Compare its digits below by telephone once more."), "success"
    )
    return redirect(url_for("rounds.show_send", round_id=round_id), 303)


@round_pages.get("/<round_id>/send")
def show_send(round_id: str) -> ResponseReturnValue:
    """Encode and send: what will happen, how far it is, or what was sent."""
    bench, work = _connected(round_id)
    view, trouble = _asking(lambda: work.view(round_id))
    if view is None:
        return render_template("workbench/round_failed.html", round_id=round_id, trouble=trouble)
    files = work.files(round_id)
    return render_template(
        "workbench/send.html",
        terms=view.terms,
        about=bench.register.about,
        inspection=bench.register.inspection,
        confirmed=bench.register.columns_file.exists(),
        has_secret=work.has_secret(),
        encoded=files.prepared.encoded.exists(),
        receipt=read_json(files.receipt),
        preflight=read_json(files.prepared.preflight),
        check_name=check_name,
        check_advice=check_advice,
        job=bench.jobs.newest(_SEND, round_id),
        **_round(bench, work, view),
    )


@round_pages.post("/<round_id>/send")
def send(round_id: str) -> ResponseReturnValue:
    """Begin to encode and send, or go on with sending."""
    bench, work = _connected(round_id)
    goes_on = request.form.get("only") == "send"
    reason = " ".join(request.form.get("reason", "").split())[:_MAX_REASON_CHARACTERS]

    def run(job: Any) -> None:
        if not goes_on:
            work.encode(round_id, job, reason)
        work.send(round_id, job)

    _, trouble = _asking(lambda: bench.jobs.start(_SEND, round_id, run))
    if trouble:
        flash(str(trouble), "warning")
    return redirect(url_for("rounds.show_send", round_id=round_id), 303)


@round_pages.get("/<round_id>/links")
def show_links(round_id: str) -> ResponseReturnValue:
    """The office's own rows with their links."""
    bench, work = _connected(round_id)
    view, trouble = _asking(lambda: work.view(round_id))
    if view is None:
        return render_template("workbench/round_failed.html", round_id=round_id, trouble=trouble)
    choice = _choice()
    page = joined_page(work.files(round_id).rows, choice, request.args.get("page", 1, int))
    return render_template(
        "workbench/links.html",
        page=page,
        choice=choice,
        can_fetch=work.can_fetch(round_id),
        job=bench.jobs.newest(_FETCH, round_id),
        in_words=list_word,
        **_round(bench, work, view),
    )


@round_pages.post("/<round_id>/links")
def fetch(round_id: str) -> ResponseReturnValue:
    """Fetch the links and join them to the office's own rows."""
    bench, work = _connected(round_id)
    _, trouble = _asking(
        lambda: bench.jobs.start(_FETCH, round_id, lambda job: work.fetch(round_id, job))
    )
    if trouble:
        flash(str(trouble), "warning")
    return redirect(url_for("rounds.show_links", round_id=round_id), 303)


@round_pages.get("/<round_id>/links.xlsx")
def download_list(round_id: str) -> ResponseReturnValue:
    """The whole list for Excel."""
    _, work = _connected(round_id)
    path = work.files(round_id).list
    if not path.exists():
        abort(404)
    return send_file(path, as_attachment=True, download_name=f"{round_id}.xlsx")


def _connected(round_id: str) -> tuple[Desk, RoundWork]:
    bench = desk()
    if bench.rounds is None or not _ID.fullmatch(round_id):
        abort(404)
    return bench, bench.rounds


def _asking(ask: Callable[[], _Answer]) -> tuple[_Answer | None, Told | None]:
    """What a question gave, or why it gave nothing."""
    try:
        return ask(), None
    except (ApiError, LinkageError, KeysError, OSError) as error:
        return None, tell(error)


def _secret_page(round_id: str, trouble: Told | None) -> ResponseReturnValue:
    bench, work = _connected(round_id)
    view, failure = _asking(lambda: work.view(round_id))
    if view is None:
        return render_template("workbench/round_failed.html", round_id=round_id, trouble=failure)
    page = render_template(
        "workbench/secret.html",
        terms=view.terms,
        has_secret=work.has_secret(),
        trouble=trouble,
        **_round(bench, work, view),
    )
    return page, 200 if trouble is None else 422


def _round(bench: Desk, work: RoundWork, view: RoundView) -> dict[str, Any]:
    names = _asking(work.names)[0] or {}
    return {
        "office_name": lambda office: names.get(office, office),
        "view": view,
        "round_id": view.id,
        "to_do": view.next_step,
        "late": [m for m in view.members if view.next_step(m.office) in ("sign", "send")],
        "state_name": state_name,
        "to_do_name": to_do_name,
        "secret_fingerprint": _asking(lambda: work.secret().fingerprint)[0],
        "busy": bench.jobs.running(_SEND, _FETCH),
    }


def _choice() -> Choice:
    kind = request.args.get("kind", "linked")
    return Choice(
        kind=kind if kind in KINDS else "linked",
        counterpart=request.args.get("counterpart", ""),
        change=request.args.get("change", ""),
        band=request.args.get("band", ""),
        text=request.args.get("text", "").strip(),
    )
