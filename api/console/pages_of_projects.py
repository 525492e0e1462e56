"""Projects: what they are for, and who takes part in which role."""

import re

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from marshmallow import ValidationError

from api.audit.events import Action
from api.console.asking import trying
from api.server.auth import caller, installation, login, may_use
from api.server.places import Place, Side
from api.server.round_states import Actor
from api.server.schemas.bodies import PlacesSchema
from api.server.schemas.fields import ID_PATTERN
from api.server.services import members
from api.server.services import projects as service

projects = Blueprint("projects_console", __name__, url_prefix="/console/projects")

_READERS = (Actor.OPERATOR, Actor.AUDITOR)
_MAX_TEXT_CHARACTERS = 2000


@projects.get("/")
@may_use(*_READERS, action=Action.PROJECT_LIST, page=True)
def list_projects() -> ResponseReturnValue:
    """All projects."""
    found = service.list_projects(installation(), caller())
    return render_template("console/projects.html", projects=found)


@projects.get("/new")
@may_use(Actor.OPERATOR, action=Action.MEMBER_LIST, page=True)
def show_new() -> ResponseReturnValue:
    """The form for a project."""
    return _form("")


@projects.post("/new")
@may_use(Actor.OPERATOR, action=Action.PROJECT_CREATE, page=True)
def create() -> ResponseReturnValue:
    """Create a project of approved offices."""
    form = request.form
    roles = [
        (name.removeprefix("role-"), value.strip())
        for name, value in form.items()
        if name.startswith("role-") and value.strip()
    ]
    texts = {name: form.get(name, "").strip() for name in ("id", "name", "purpose", "coordinator")}
    ids = [texts["id"], texts["coordinator"], *(word for pair in roles for word in pair)]
    if not all(re.fullmatch(ID_PATTERN, word) for word in ids):
        return _form(gettext("Ids and roles have small letters, digits and hyphens only."))
    if not (texts["name"] and texts["purpose"]) or len(roles) < 2:
        return _form(gettext("A project needs a name, a purpose, and at least two offices."))
    if max(map(len, texts.values())) > _MAX_TEXT_CHARACTERS:
        return _form(gettext("A text may have 2,000 characters at most."))
    wanted = service.NewProject(
        id=texts["id"],
        name=texts["name"],
        purpose=texts["purpose"],
        coordinating_office=texts["coordinator"],
        members=roles,
    )
    _, trouble = trying(lambda: service.create_project(installation(), caller(), wanted))
    if trouble:
        return _form(trouble)
    return redirect(url_for(".show", project_id=texts["id"]), 303)


@projects.get("/<id:project_id>")
@may_use(*_READERS, action=Action.PROJECT_READ, page=True)
def show(project_id: str) -> ResponseReturnValue:
    """One project."""
    return project_page(project_id, "", "")


@projects.post("/<id:project_id>/places")
@may_use(Actor.OPERATOR, action=Action.PROJECT_PLACE, page=True)
def place(project_id: str) -> ResponseReturnValue:
    """Say where the offices stand."""
    entries = []
    for name in request.form:
        office = name.removeprefix("division-")
        division = request.form[name].strip()
        side = request.form.get(f"side-{office}", "")
        if name.startswith("division-") and (division or side):
            entries.append({"office": office, "division": division, "side": side})
    try:
        places = PlacesSchema().load({"places": entries})["places"]
    except ValidationError:
        return project_page(
            project_id,
            gettext(
                "Write for each office the six-digit code of a county or district of today and "
                "its side, or neither."
            ),
            "places",
        )
    wanted = {each["office"]: Place(each["division"], Side(each["side"])) for each in places}
    _, trouble = trying(lambda: service.put_places(installation(), caller(), project_id, wanted))
    if trouble:
        return project_page(project_id, trouble, "places")
    return redirect(url_for(".show", project_id=project_id), 303)


@projects.post("/<id:project_id>/witnesses")
@may_use(Actor.OPERATOR, action=Action.PROJECT_WITNESS, page=True)
def ask_for_witnesses(project_id: str) -> ResponseReturnValue:
    """Say how many members must have witnessed the log before a release."""
    wanted = request.form.get("min_witnesses", "")
    if not re.fullmatch("[0-9]{1,4}", wanted) or request.form.get("sure") != "yes":
        return project_page(
            project_id, gettext("Write a whole number, and tick that you are sure."), "witnesses"
        )
    _, trouble = trying(
        lambda: service.set_witnesses(installation(), caller(), project_id, int(wanted))
    )
    if trouble:
        return project_page(project_id, trouble, part="witnesses")
    return redirect(url_for(".show", project_id=project_id), 303)


def project_page(project_id: str, trouble: str, part: str) -> ResponseReturnValue:
    """The page of a project, with what went wrong in a part of it; empty if nothing did.

    Args:
        part: ``places``, ``witnesses`` or ``exclude``; where the trouble is shown.
    """
    found = service.read_project(installation(), caller(), project_id)
    page = render_template(
        "console/project.html",
        project=found,
        may_place=login().role == Actor.OPERATOR,
        given=request.form,
        trouble=trouble,
        part=part,
    )
    return page, 422 if trouble else 200


def _form(trouble: str) -> ResponseReturnValue:
    found = members.list_members(installation(), caller())
    offices = [m for m in found if m["kind"] == "office" and m["state"] == "approved"]
    page = render_template(
        "console/new_project.html", offices=offices, given=request.form, trouble=trouble
    )
    return page, 422 if trouble else 200
