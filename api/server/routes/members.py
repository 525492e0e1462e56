"""Members: enrolment, approval, revocation."""

from typing import Any

from api.audit.events import Action
from api.server.auth import caller, enrolling_identity, installation, may_call, may_enrol
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.answers import (
    MemberDetailSchema,
    MemberKeysSchema,
    MemberListSchema,
    MemberSchema,
)
from api.server.schemas.bodies import ApprovalSchema, RevocationSchema, RotationSchema
from api.server.services import member_keys, members
from keys.epochs import parse_rotation
from keys.errors import KeyFileError

blueprint = StrictBlueprint(
    "members", __name__, url_prefix="/v1/members", description="Offices, operators, auditors"
)

_IDENTITY_BODY = {
    "requestBody": {
        "required": True,
        "description": "The public identity that `tongqiao keys new` writes.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@blueprint.route("", methods=["POST"])
@may_enrol(Action.MEMBER_ENROL)
@blueprint.doc(**_IDENTITY_BODY)
@blueprint.response(201, MemberSchema)
@blueprint.alt_response(200, schema=MemberSchema, description="Enrolled before")
def enrol() -> tuple[dict[str, Any], int]:
    """Enrol an office; signed by the key in the body."""
    member, is_new = members.enrol(installation(), caller(), enrolling_identity())
    return member, 201 if is_new else 200


@blueprint.route("", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.MEMBER_LIST)
@blueprint.response(200, MemberListSchema)
def list_members() -> dict[str, Any]:
    """Members; an office sees approved ones."""
    return {"members": members.list_members(installation(), caller())}


@blueprint.route("/<id:member_id>", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.MEMBER_READ)
@blueprint.response(200, MemberDetailSchema)
def read_member(member_id: str) -> dict[str, Any]:
    """One member with its public identity."""
    return members.read_member(installation(), caller(), member_id)


@blueprint.route("/<id:member_id>/approval", methods=["POST"])
@may_call(Actor.OPERATOR, action=Action.MEMBER_APPROVE)
@blueprint.arguments(ApprovalSchema)
@blueprint.response(200, MemberSchema)
def approve(body: dict[str, Any], member_id: str) -> dict[str, Any]:
    """Approve an office whose fingerprint was compared by voice."""
    return members.approve(installation(), caller(), member_id, body["fingerprint"])


@blueprint.route("/<id:member_id>/revocation", methods=["POST"])
@may_call(Actor.OPERATOR, action=Action.MEMBER_REVOKE)
@blueprint.arguments(RevocationSchema)
@blueprint.response(200, MemberSchema)
def revoke(body: dict[str, Any], member_id: str) -> dict[str, Any]:
    """Refuse all further requests of an office."""
    return members.revoke(
        installation(), caller(), member_id, body["reason"], body["compromised_since"]
    )


@blueprint.route("/<id:member_id>/key", methods=["PUT"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.MEMBER_ROTATE)
@blueprint.arguments(RotationSchema)
@blueprint.response(200, MemberKeysSchema)
def rotate_key(body: dict[str, Any], member_id: str) -> dict[str, Any]:
    """Let a new key take the place of the calling member's present one."""
    try:
        rotation = parse_rotation(body)
    except KeyFileError as error:
        raise RefusalError("invalid", str(error)) from error
    return member_keys.rotate_key(installation(), caller(), member_id, rotation)
