"""Puts the console's pages into the server's application."""

from flask import Flask, Response, g, render_template, request, url_for
from flask_babel import lazy_gettext as _l

from api.console import log_words
from api.console.pages_of_exclusions import exclusion_pages
from api.console.pages_of_log import log_pages
from api.console.pages_of_offices import offices
from api.console.pages_of_people import people_pages
from api.console.pages_of_projects import projects
from api.console.pages_of_provider import provider_pages
from api.console.pages_of_session import after_login, session_pages
from api.console.pages_of_tasks import task_pages
from api.console.pages_of_terms import terms_pages
from api.console.words import (
    county_name,
    refusal_advice,
    side_name,
    solve_choices,
    solve_name,
    state_name,
)
from api.pages.headers import add_headers
from api.pages.site import Place, add_layout
from api.server.auth import installation
from api.server.problems import PAGE_OF_REFUSAL
from api.server.refusals import RefusalError
from api.server.services.members import office_names
from api.server.services.sessions import Authenticated

PREFIX = "/console"

_LOG = Place(
    "log_console.show_log", _l("Access log"), "journal-check", ("log_console", "tasks_console")
)
_ROUNDS = Place("rounds_console.list_rounds", _l("Rounds"), "arrow-repeat", "rounds_console")
_PROJECTS = Place("projects_console.list_projects", _l("Projects"), "folder", "projects_console")
_OFFICES = Place("offices_console.list_offices", _l("Offices"), "building", "offices_console")
_PEOPLE = Place("people_console.list_people", _l("People"), "people", "people_console")
_WORDS = (
    "action_choices", "action_words", "compared_words", "details_in_words", "fault_words",
    "mark_choices", "mark_words", "outcome_words", "reason_words", "role_words", "unusual_words",
    "who",
)  # fmt: skip
_PLACES = {
    "operator": (_ROUNDS, _PROJECTS, _OFFICES),
    "auditor": (_LOG, _ROUNDS, _PROJECTS, _OFFICES, _PEOPLE),
    "administrator": (_PEOPLE,),
}


def add_console(app: Flask) -> None:
    """Register the pages, their layout, headers and errors."""
    add_layout(app, title=_l("Linkage console"), places=_places, prefix=PREFIX)
    app.jinja_env.globals["csrf_token"] = _csrf_token
    app.jinja_env.globals["office_name"] = _office_name
    app.jinja_env.globals.update(
        county_name=county_name,
        side_name=side_name,
        solve_name=solve_name,
        solve_choices=solve_choices,
    )
    app.context_processor(
        lambda: {"reader": _reader(), "state_name": state_name, "provider": _provider_name()}
    )
    app.jinja_env.globals.update({name: getattr(log_words, name) for name in _WORDS})
    app.after_request(_add_headers)
    app.extensions[PAGE_OF_REFUSAL] = _page_of_refusal
    # Several modules add to the pages of rounds, which are registered once.
    blueprints = dict.fromkeys(
        (
            session_pages, provider_pages, log_pages, task_pages, terms_pages, exclusion_pages,
            projects, offices, people_pages,
        )
    )  # fmt: skip
    for blueprint in blueprints:
        app.register_blueprint(blueprint)


def _reader() -> Authenticated | None:
    found: Authenticated | None = g.get("login")
    return found


def _provider_name() -> str:
    """What the OpenID provider is called where people may log in; empty without one."""
    config = installation().config
    return config.oidc_name if config.oidc_issuer else ""


def _places() -> tuple[Place, ...]:
    reader = _reader()
    return () if reader is None else _PLACES[reader.role]


def _csrf_token() -> str:
    reader = _reader()
    return "" if reader is None else reader.csrf_token


def _office_name(office: str) -> str:
    """What an office calls itself; asked once for a page."""
    if "office_names" not in g:
        g.office_names = office_names(installation())
    return str(g.office_names.get(office, office))


def _is_page() -> bool:
    return request.path == PREFIX or request.path.startswith((PREFIX + "/", "/pages/"))


def _add_headers(answer: Response) -> Response:
    return add_headers(answer) if _is_page() else answer


def _page_of_refusal(refusal: RefusalError, status: int) -> Response | None:
    if not _is_page():
        return None
    if refusal.slug == "no-session":
        after = after_login(request.path) if request.method == "GET" else None
        away = url_for("session_console.show_login", after=after or None)
        return Response(status=303, headers={"Location": away})
    page = render_template(
        "console/refused.html", status=status, advice=refusal_advice(refusal), number=g.request_id
    )
    return Response(page, status=status, content_type="text/html; charset=utf-8")
