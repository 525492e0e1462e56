"""Rounds: their terms, who has to do what, their steps, and the review before the release."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_percent, gettext
from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from api.audit.events import Action
from api.console.asking import trying
from api.console.log_query import parse_place
from api.console.visibility import form_as_sent
from api.console.words import (
    county_name,
    failure_words,
    figures_of,
    stage_name,
    time_left,
    to_do_of_member,
)
from api.pages.flow_chart import Flow
from api.pages.languages import current_language
from api.server.auth import caller, installation, login, may_use
from api.server.round_states import DEEDS, OPERATOR_STEPS, STEPS, Actor, Deed, State, Step
from api.server.schemas.terms import TERMS_FORMAT, Terms, TermsSchema
from api.server.services import matching_watch, results
from api.server.services import projects as project_service
from api.server.services import rounds as service
from linkage.profile import builtin_profile_names, load_profile

rounds = Blueprint("rounds_console", __name__, url_prefix="/console/rounds")

_READERS = (Actor.OPERATOR, Actor.AUDITOR)
_PAGE_PAIRS = 100
_OWN_EVERY_MS = 2000
_OTHERS_EVERY_MS = 30_000
"""Each look at a matching that somebody else started is an entry of the log."""


@rounds.get("/")
@may_use(*_READERS, action=Action.ROUND_LIST, page=True)
def list_rounds() -> ResponseReturnValue:
    """All rounds, newest first."""
    found = service.list_rounds(installation(), caller())
    return render_template("console/rounds.html", rounds=found)


@rounds.get("/new")
@may_use(Actor.OPERATOR, action=Action.PROJECT_LIST, page=True)
def show_new() -> ResponseReturnValue:
    """The form for the terms of a round; first the project, whose roles it is about."""
    return _form({"project": request.args.get("project", "")}, "")


@rounds.post("/new")
@may_use(Actor.OPERATOR, action=Action.ROUND_CREATE, page=True)
def create() -> ResponseReturnValue:
    """Create a round from the form."""
    given = {name: value.strip() for name, value in request.form.items()}

    def make() -> tuple[dict[str, Any], bool]:
        terms, profile = _terms(given)
        return service.create_round(installation(), caller(), terms, profile)

    try:
        created, trouble = trying(make)
    except (ValidationError, ValueError) as error:
        return _form(given, explained(error))
    if created is None:
        return _form(given, trouble)
    return redirect(url_for(".show", round_id=created[0]["id"]), 303)


@rounds.get("/<id:round_id>")
@may_use(*_READERS, action=Action.ROUND_READ, page=True)
def show(round_id: str) -> ResponseReturnValue:
    """One round."""
    return round_page(round_id, "")


@rounds.get("/<id:round_id>/progress")
@may_use(*_READERS, action=Action.ROUND_READ, page=True, by_itself=True)
def show_progress(round_id: str) -> ResponseReturnValue:
    """How far the matching is, for the page's script."""
    return jsonify(_job(matching_watch.watch_matching(installation(), caller(), round_id)))


@rounds.post("/<id:round_id>/steps")
@may_use(Actor.OPERATOR, action=Action.REQUEST_REFUSED, page=True)
def step(round_id: str) -> ResponseReturnValue:
    """Take a step."""
    wanted = OPERATOR_STEPS.get(request.form.get("step", ""))
    if wanted is None or request.form.get("sure") != "yes":
        return round_page(round_id, gettext("Tick that you are sure, then press the button."))
    _, trouble = trying(lambda: service.change_state(installation(), caller(), round_id, wanted))
    if trouble:
        return round_page(round_id, trouble)
    return redirect(url_for(".show", round_id=round_id), 303)


@rounds.get("/<id:round_id>/review")
@may_use(Actor.OPERATOR, action=Action.REVIEW_READ, page=True)
def review(round_id: str) -> ResponseReturnValue:
    """Aggregates of the matching, to decide whether to release."""
    found = results.read_review(installation(), caller(), round_id)
    round_ = service.read_round(installation(), caller(), round_id)
    flows = [
        Flow(county_name(flow["origin"]), county_name(flow["residence"]), flow["n_children"])
        for flow in found["flows"]
    ]
    pairs, office = _pairs_of(found, request.args.get("office", ""))
    start = parse_place(request.args.get("start", "")) or 0
    return render_template(
        "console/review.html",
        review=found,
        pairs=pairs[start : start + _PAGE_PAIRS],
        n_pairs=len(pairs),
        start=start,
        page_pairs=_PAGE_PAIRS,
        office=office,
        round=round_,
        steps=_steps(round_),
        trouble="",
        flows=flows,
        flow_rows=flows,
        placed=bool(flows) or _is_placed(round_["project"]),
    )


def _is_placed(project_id: str) -> bool:
    """Whether any office of a project has a county."""
    project = project_service.read_project(installation(), caller(), project_id)
    return any(member["division"] for member in project["members"])


def _pairs_of(review: Mapping[str, Any], office: str) -> tuple[list[Mapping[str, Any]], str]:
    """Pairs with an office, or all; a hundred offices make five thousand."""
    pairs = list(review["pairs"])
    chosen = [pair for pair in pairs if office in (pair["office_a"], pair["office_b"])]
    return (chosen, office) if chosen else (pairs, "")


def round_page(round_id: str, trouble: str) -> ResponseReturnValue:
    """The page of a round, with what went wrong; empty if nothing did."""
    round_ = service.read_round(installation(), caller(), round_id)
    is_own = matching_watch.is_own_matching(installation(), caller(), round_id)
    page = render_template(
        "console/round.html",
        round=round_,
        terms=Terms(round_["terms"]),
        members=[
            {**member, "to_do": to_do_of_member(round_, member)} for member in round_["members"]
        ],
        steps=_steps(round_),
        trouble=trouble,
        failure_reason=service.failure_reason(installation(), round_id),
        failure_words=failure_words,
        may_exclude=_may(Deed.EXCLUDE, round_),
        may_expire=login().role == Actor.OPERATOR
        and round_["state"] in STEPS[Step.EXPIRE_EARLY].sources,
        may_amend=_may(Deed.AMEND, round_),
        job=_job(round_) if round_["state"] == State.MATCHING else None,
        every_ms=_OWN_EVERY_MS if is_own else _OTHERS_EVERY_MS,
    )
    return page, 409 if trouble else 200


def _job(round_: Mapping[str, Any]) -> dict[str, Any]:
    now = round_["progress"]
    # A total of 1 counts nothing: how far such a stage is, nobody knows.
    share = now["done"] / now["total"] if now["total"] > 1 else None
    between = "" if current_language() == "zh" else " "
    known = [format_percent(share) if share is not None else "", time_left(now["seconds_left"])]
    return {
        "state": "running" if round_["state"] == State.MATCHING else "done",
        "stage": between.join((gettext("The server is matching."), stage_name(now["stage"]))),
        "share": share,
        "figures": " · ".join(filter(None, [*known, *(figures_of(now) if now["n_pairs"] else ())])),
    }


def _may(deed: Deed, round_: Mapping[str, Any]) -> bool:
    """Whether the reader may do this now; the server checks it again."""
    by, states = DEEDS[deed]
    return login().role == by and round_["state"] in states


def _steps(round_: Mapping[str, Any]) -> list[str]:
    """Steps that an operator may take now; the server checks them again."""
    if login().role != Actor.OPERATOR:
        return []
    return [name for name, step in OPERATOR_STEPS.items() if round_["state"] in STEPS[step].sources]


def _form(given: Mapping[str, str], trouble: str) -> ResponseReturnValue:
    found = project_service.list_projects(installation(), caller())
    wanted = given.get("project") or (found[0]["id"] if len(found) == 1 else "")
    project = next((each for each in found if each["id"] == wanted), None)
    sent = request.form if request.method == "POST" else MultiDict[str, str]()
    page = render_template(
        "console/new_round.html",
        projects=found,
        project=project,
        visibility=None if project is None else form_as_sent(_members(project), sent),
        profiles=builtin_profile_names(),
        given=given,
        trouble=trouble,
    )
    return page, 422 if trouble else 200


def _terms(given: Mapping[str, str]) -> tuple[Terms, str]:
    project = project_service.read_project(installation(), caller(), given.get("project", ""))
    name = given.get("profile", "")
    if name not in builtin_profile_names():
        raise ValueError(gettext("Choose an encoding profile."))
    profile = load_profile(name)
    threshold = given.get("threshold", "")
    document = {
        "format": TERMS_FORMAT,
        "project": project["id"],
        "round": given.get("round", ""),
        "purpose": given.get("purpose") or project["purpose"],
        "coordinating_office": project["coordinating_office"],
        "secret_epoch": _whole(given, "secret_epoch"),
        "members": [
            {"office": member["office"], "role": member["role"]} for member in _members(project)
        ],
        "profile": {"name": profile.name, "sha256": profile.sha256},
        "cleaning": profile.cleaning,
        "visibility": form_as_sent(_members(project), request.form).value(),
        "solve": given.get("solve", "groups"),
        "threshold": float(threshold) if threshold else "auto",
        "retention_days": _whole(given, "retention_days"),
        "max_records": _whole(given, "max_records"),
        "min_witnesses": project["min_witnesses"],
    }
    return Terms(TermsSchema().load(document)), profile.source


def _members(project: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Offices that a new round has: those that were not taken out."""
    return [member for member in project["members"] if member["excluded_at"] is None]


def _whole(given: Mapping[str, str], name: str) -> int:
    try:
        return int(given.get(name, ""))
    except ValueError as error:
        raise ValueError(gettext("Write a whole number where a number is asked for.")) from error


def explained(error: Exception) -> str:
    """What is wrong with the fields of a form."""
    if isinstance(error, ValidationError):
        fields = ", ".join(sorted(map(str, error.messages_dict)))
        return str(gettext("Correct these fields: %(fields)s.", fields=fields))
    return str(error)
