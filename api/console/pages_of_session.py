"""Logging in and out, and enrolling with an invitation."""

import re

import segno
from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from api.audit.events import Action
from api.console.asking import trying
from api.server.auth import (
    anyone_may,
    caller,
    forget_session,
    installation,
    keep_session,
    login,
    may_use,
    session_token,
)
from api.server.round_states import Actor
from api.server.services import people, sessions

session_pages = Blueprint(
    "session_console", __name__, url_prefix="/console", template_folder="templates"
)

_AFTER = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,3}")
_FIRST = {
    "administrator": "people_console.list_people",
    "auditor": "log_console.show_log",
    "operator": "rounds_console.list_rounds",
}
_EVERYBODY = (Actor.OPERATOR, Actor.AUDITOR, Actor.ADMINISTRATOR)


def after_login(path: str) -> str:
    """A page of this console as ``after`` names it: without its prefix, dots for slashes.

    Addresses of this server hold plain characters only; and so a link to log in leads nowhere else.
    """
    return path.removeprefix("/console/").strip("/").replace("/", ".")


def address_after(after: str) -> str:
    """The page that :func:`after_login` named; the first page for anything else."""
    if not _AFTER.fullmatch(after):
        return url_for("session_console.home")
    return "/console/" + after.replace(".", "/") + ("" if "." in after else "/")


@session_pages.get("/")
@may_use(*_EVERYBODY, action=Action.SESSION_READ, page=True)
def home() -> ResponseReturnValue:
    """To the first page of the reader's role."""
    sessions.read_session(installation(), caller())
    return redirect(url_for(_FIRST[login().role]), 303)


@session_pages.get("/login")
def show_login() -> ResponseReturnValue:
    """The form to log in."""
    return render_template("console/login.html", trouble="", after=request.args.get("after", ""))


@session_pages.post("/login")
@anyone_may(Action.SESSION_BEGIN, page=True)
def log_in() -> ResponseReturnValue:
    """Log in."""
    form = {name: request.form.get(name, "").strip() for name in ("person", "code", "after")}
    found, trouble = trying(
        lambda: sessions.log_in(
            installation(), caller(), form["person"], request.form.get("password", ""), form["code"]
        )
    )
    if found is None:
        page = render_template("console/login.html", trouble=trouble, after=form["after"])
        return make_response(page, 401)
    answer = make_response(redirect(address_after(form["after"]), 303))
    keep_session(answer, found[0])
    return answer


@session_pages.post("/logout")
@may_use(*_EVERYBODY, action=Action.SESSION_END, page=True)
def log_out() -> ResponseReturnValue:
    """Log out."""
    sessions.log_out(installation(), caller(), session_token() or "")
    answer = make_response(redirect(url_for(".show_login"), 303))
    forget_session(answer)
    return answer


@session_pages.get("/enrol")
def show_enrol() -> ResponseReturnValue:
    """The form for an invitation."""
    return render_template("console/enrol.html", step="invitation", trouble="", given={})


@session_pages.post("/enrol")
@anyone_may(Action.PERSON_ENROL, page=True)
def enrol() -> ResponseReturnValue:
    """With an invitation: first the secret for the app, then password and code."""
    given = {name: request.form.get(name, "").strip() for name in ("person", "invitation", "code")}
    password = request.form.get("password", "")
    if "password" not in request.form:
        started, trouble = trying(
            lambda: people.begin_enrolment(
                installation(), caller(), given["person"], given["invitation"]
            )
        )
        picture = None if started is None else segno.make(started["uri"]).svg_inline(scale=4)
        return render_template(
            "console/enrol.html",
            step="invitation" if started is None else "password",
            trouble=trouble,
            given=given,
            started=started,
            picture=Markup(picture or ""),  # noqa: S704 - drawn here, from what was made here
        )
    if password != request.form.get("again", ""):
        return render_template(
            "console/enrol.html",
            step="password",
            trouble=gettext("The two passwords differ. Type the same one twice."),
            given=given,
            started=None,
        )
    codes, trouble = trying(
        lambda: people.complete_enrolment(
            installation(),
            caller(),
            given["person"],
            given["invitation"],
            password=password,
            code=given["code"],
        )
    )
    step = "password" if codes is None else "done"
    return render_template(
        "console/enrol.html", step=step, trouble=trouble, given=given, codes=codes or []
    )
