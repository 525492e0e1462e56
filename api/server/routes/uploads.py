"""Uploads and results of offices."""

from typing import Any

from flask import request

from api.audit.events import Action
from api.server.auth import caller, installation, may_call, signed_sha256
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.routes.projects import BYTES_BODY
from api.server.schemas.answers import LinkPageSchema, UploadSchema
from api.server.schemas.bodies import LinksPageSchema
from api.server.services import results, uploads

blueprint = StrictBlueprint(
    "uploads", __name__, url_prefix="/v1/rounds", description="Encoded files in, links out"
)


_CHUNK_BYTES = 256 * 1024


@blueprint.route("/<id:round_id>/uploads/<id:office>", methods=["PUT"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_PUT, body="streamed")
@blueprint.doc(**BYTES_BODY)
@blueprint.response(201, UploadSchema)
@blueprint.alt_response(200, schema=UploadSchema, description="Replaced")
def put_upload(round_id: str, office: str) -> tuple[dict[str, Any], int]:
    """Upload an encoded file (`.tqe`) to an open round; replaces an earlier one."""
    try:
        status, is_new = uploads.receive_upload(
            installation(), caller(), round_id, office, request.stream, signed_sha256()
        )
    except RefusalError:
        _read_rest()
        raise
    return status, 201 if is_new else 200


@blueprint.route("/<id:round_id>/uploads/<id:office>", methods=["GET"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_READ)
@blueprint.response(200, UploadSchema)
def read_upload(round_id: str, office: str) -> dict[str, Any]:
    """What the calling office has uploaded."""
    return uploads.read_upload(installation(), caller(), round_id, office)


@blueprint.route("/<id:round_id>/uploads/<id:office>", methods=["DELETE"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_WITHDRAW)
@blueprint.response(200, UploadSchema)
def withdraw_upload(round_id: str, office: str) -> dict[str, Any]:
    """Delete what the calling office has uploaded, until the freeze."""
    return uploads.withdraw_upload(installation(), caller(), round_id, office)


@blueprint.route("/<id:round_id>/results/<id:office>", methods=["GET"])
@may_call(Actor.OFFICE, action=Action.RESULTS_READ)
@blueprint.arguments(LinksPageSchema, location="query")
@blueprint.response(200, LinkPageSchema)
def read_results(query: dict[str, Any], round_id: str, office: str) -> dict[str, Any]:
    """A page of the calling office's own links, in the order of their random ids."""
    limit = min(query["limit"], installation().config.max_page_links)
    return results.read_results(
        installation(), caller(), round_id, office, after=query["after"], limit=limit
    )


def _read_rest() -> None:
    """Read what the sender still sends: most read the answer only when they have sent all."""
    left = installation().config.max_upload_bytes
    while left > 0 and (chunk := request.stream.read(_CHUNK_BYTES)):
        left -= len(chunk)
