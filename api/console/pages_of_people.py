"""People who may log in: invited and disabled by administrators, seen by auditors."""

import re

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.audit.events import Action
from api.console.asking import trying
from api.server.auth import caller, installation, may_use
from api.server.round_states import Actor
from api.server.schemas.fields import ID_PATTERN
from api.server.services import people as service

people_pages = Blueprint("people_console", __name__, url_prefix="/console/people")

_MAX_CHARACTERS = 200


@people_pages.get("/")
@may_use(Actor.ADMINISTRATOR, Actor.AUDITOR, action=Action.PERSON_LIST, page=True)
def list_people() -> ResponseReturnValue:
    """Everybody who may log in."""
    return _page()


@people_pages.post("/")
@may_use(Actor.ADMINISTRATOR, action=Action.PERSON_ADD, page=True)
def invite() -> ResponseReturnValue:
    """Invite a person; the invitation is shown once."""
    given = {name: " ".join(request.form.get(name, "").split()) for name in ("id", "name", "role")}
    if not re.fullmatch(ID_PATTERN, given["id"]):
        return _page(gettext("An id has small letters, digits and hyphens only."))
    if not 0 < len(given["name"]) <= _MAX_CHARACTERS:
        return _page(gettext("Write the person's name."))
    invited, trouble = trying(
        lambda: service.add_person(
            installation(), caller(), given["id"], name=given["name"], role=given["role"]
        )
    )
    return _page(trouble, invited)


@people_pages.post("/<id:person_id>/invitation")
@may_use(Actor.ADMINISTRATOR, action=Action.PERSON_INVITE, page=True)
def invite_again(person_id: str) -> ResponseReturnValue:
    """Void password, device and sessions, and invite anew."""
    invited, trouble = trying(lambda: service.invite_again(installation(), caller(), person_id))
    return _page(trouble, invited)


@people_pages.post("/<id:person_id>/disablement")
@may_use(Actor.ADMINISTRATOR, action=Action.PERSON_DISABLE, page=True)
def disable(person_id: str) -> ResponseReturnValue:
    """End all sessions of a person and refuse further logins."""
    reason = " ".join(request.form.get("reason", "").split())
    if not 0 < len(reason) <= _MAX_CHARACTERS:
        return _page(gettext("Say in a few words why; it goes into the access log."))
    _, trouble = trying(lambda: service.disable(installation(), caller(), person_id, reason))
    return _page(trouble)


def _page(trouble: str = "", invited: dict[str, object] | None = None) -> ResponseReturnValue:
    page = render_template(
        "console/people.html",
        people=service.list_people(installation(), caller()),
        invited=invited,
        trouble=trouble,
    )
    return page, 422 if trouble else 200
