"""Projects and sealed secrets."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response

from api.audit.events import Action
from api.server.auth import caller, installation, may_call, verified_body
from api.server.places import Place, Side
from api.server.round_states import Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.answers import ProjectListSchema, ProjectSchema, SecretReceiptSchema
from api.server.schemas.bodies import NewProjectSchema, PlacesSchema
from api.server.services import projects

blueprint = StrictBlueprint(
    "projects", __name__, url_prefix="/v1/projects", description="Projects and sealed secrets"
)

BYTES_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
    }
}


@blueprint.route("", methods=["POST"])
@may_call(Actor.OPERATOR, action=Action.PROJECT_CREATE)
@blueprint.arguments(NewProjectSchema)
@blueprint.response(201, ProjectSchema)
@blueprint.alt_response(200, schema=ProjectSchema, description="Created before, the same")
def create_project(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Create a project of approved offices."""
    wanted = projects.NewProject(
        id=body["id"],
        name=body["name"],
        purpose=body["purpose"],
        coordinating_office=body["coordinating_office"],
        members=[(member["office"], member["role"]) for member in body["members"]],
        min_witnesses=body["min_witnesses"],
        places=_places(body["members"]),
    )
    project, is_new = projects.create_project(installation(), caller(), wanted)
    return project, 201 if is_new else 200


@blueprint.route("", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.PROJECT_LIST)
@blueprint.response(200, ProjectListSchema)
def list_projects() -> dict[str, Any]:
    """Projects; an office sees its own."""
    return {"projects": projects.list_projects(installation(), caller())}


@blueprint.route("/<id:project_id>", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.PROJECT_READ)
@blueprint.response(200, ProjectSchema)
def read_project(project_id: str) -> dict[str, Any]:
    """One project; an office sees its own."""
    return projects.read_project(installation(), caller(), project_id)


@blueprint.route("/<id:project_id>/places", methods=["PUT"])
@may_call(Actor.OPERATOR, action=Action.PROJECT_PLACE)
@blueprint.arguments(PlacesSchema)
@blueprint.response(200, ProjectSchema)
def put_places(body: dict[str, Any], project_id: str) -> dict[str, Any]:
    """Say in which county each office stands, for flows from origin to residence."""
    return projects.put_places(installation(), caller(), project_id, _places(body["places"]))


@blueprint.route("/<id:project_id>/exclusions/<id:office>", methods=["PUT"])
@may_call(Actor.OPERATOR, action=Action.PROJECT_EXCLUDE)
@blueprint.response(200, ProjectSchema)
def exclude_office(project_id: str, office: str) -> dict[str, Any]:
    """Take an office out of a project, once it is out of all rounds that hold data."""
    return projects.exclude_office(installation(), caller(), project_id, office)


@blueprint.route("/<id:project_id>/secrets/<epoch:epoch>/<id:office>", methods=["PUT"])
@may_call(Actor.OFFICE, action=Action.SECRET_PUT, body="sealed-secret")
@blueprint.doc(**BYTES_BODY)
@blueprint.response(201, SecretReceiptSchema)
@blueprint.alt_response(200, schema=SecretReceiptSchema, description="Replaced")
def send_secret(project_id: str, epoch: int, office: str) -> tuple[dict[str, Any], int]:
    """Send a secret sealed to an office; the coordinating office only."""
    receipt, is_new = projects.send_secret(
        installation(), caller(), project_id, epoch, office, verified_body()
    )
    return receipt, 201 if is_new else 200


@blueprint.route("/<id:project_id>/secrets/<epoch:epoch>/<id:office>", methods=["GET"])
@may_call(Actor.OFFICE, action=Action.SECRET_GET)
@blueprint.response(200, {"type": "string"}, content_type="application/octet-stream")
def fetch_secret(project_id: str, epoch: int, office: str) -> Response:
    """Fetch the secret that was sealed to the calling office."""
    blob = projects.fetch_secret(installation(), caller(), project_id, epoch, office)
    return Response(blob, content_type="application/octet-stream")


def _places(entries: Iterable[Mapping[str, Any]]) -> dict[str, Place]:
    return {
        entry["office"]: Place(entry["division"], Side(entry["side"]))
        for entry in entries
        if "division" in entry
    }
