"""People who may log in: invited, listed, disabled."""

from typing import Any

from api.audit.events import Action
from api.server.auth import caller, installation, may_use
from api.server.round_states import Actor
from api.server.routes.account import SESSION_ONLY
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.bodies import RevocationSchema
from api.server.schemas.people import (
    InvitedPersonSchema,
    NewPersonSchema,
    PersonListSchema,
    PersonSchema,
)
from api.server.services import people

blueprint = StrictBlueprint(
    "people", __name__, url_prefix="/v1/people", description="People who may log in"
)


@blueprint.route("", methods=["GET"])
@may_use(Actor.ADMINISTRATOR, Actor.AUDITOR, action=Action.PERSON_LIST)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.response(200, PersonListSchema)
def list_people() -> dict[str, Any]:
    """Everybody who may log in, or might once."""
    return {"people": people.list_people(installation(), caller())}


@blueprint.route("", methods=["POST"])
@may_use(Actor.ADMINISTRATOR, action=Action.PERSON_ADD)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.arguments(NewPersonSchema)
@blueprint.response(201, InvitedPersonSchema)
def add_person(body: dict[str, Any]) -> dict[str, Any]:
    """Invite a person; the invitation is shown once."""
    return people.add_person(
        installation(),
        caller(),
        body["id"],
        name=body["name"],
        role=body["role"],
        subject=body["subject"],
    )


@blueprint.route("/<id:person_id>/invitation", methods=["POST"])
@may_use(Actor.ADMINISTRATOR, action=Action.PERSON_INVITE)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.response(201, InvitedPersonSchema)
def invite_again(person_id: str) -> dict[str, Any]:
    """Void a person's password, device and sessions, and invite the person anew."""
    return people.invite_again(installation(), caller(), person_id)


@blueprint.route("/<id:person_id>/disablement", methods=["POST"])
@may_use(Actor.ADMINISTRATOR, action=Action.PERSON_DISABLE)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.arguments(RevocationSchema)
@blueprint.response(200, PersonSchema)
def disable(body: dict[str, Any], person_id: str) -> dict[str, Any]:
    """End all sessions of a person and refuse further logins."""
    return people.disable(installation(), caller(), person_id, body["reason"])
