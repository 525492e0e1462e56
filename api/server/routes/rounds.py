"""Rounds: terms, signatures, steps, review."""

from typing import Any

from flask import Response

from api.audit.events import Action
from api.server.auth import caller, installation, may_call
from api.server.round_states import OPERATOR_STEPS, Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.answers import (
    ReviewSchema,
    RoundListSchema,
    RoundSchema,
    SignatureReceiptSchema,
)
from api.server.schemas.bodies import NewRoundSchema, TermsSignatureSchema, TransitionSchema
from api.server.schemas.terms import Terms
from api.server.services import exclusions, results, rounds

blueprint = StrictBlueprint("rounds", __name__, url_prefix="/v1/rounds", description="Rounds")

_WAITS = "Asked for; it is done when another operator asks for the same"


@blueprint.route("", methods=["POST"])
@may_call(Actor.OPERATOR, action=Action.ROUND_CREATE)
@blueprint.arguments(NewRoundSchema)
@blueprint.response(201, RoundSchema)
@blueprint.alt_response(200, schema=RoundSchema, description="Created before, the same")
def create_round(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Create a round from its terms and the profile that they bind."""
    created, is_new = rounds.create_round(
        installation(), caller(), Terms(body["terms"]), body["profile"]
    )
    return created, 201 if is_new else 200


@blueprint.route("", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.ROUND_LIST)
@blueprint.response(200, RoundListSchema)
def list_rounds() -> dict[str, Any]:
    """Rounds, newest first; an office sees its own."""
    return {"rounds": rounds.list_rounds(installation(), caller())}


@blueprint.route("/<id:round_id>", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.ROUND_READ)
@blueprint.response(200, RoundSchema)
def read_round(round_id: str) -> dict[str, Any]:
    """One round; an office sees its own, and the number of its own records only."""
    return rounds.read_round(installation(), caller(), round_id)


@blueprint.route("/<id:round_id>/terms", methods=["PUT"])
@may_call(Actor.OPERATOR, action=Action.ROUND_AMEND)
@blueprint.arguments(NewRoundSchema)
@blueprint.response(200, RoundSchema)
def amend_terms(body: dict[str, Any], round_id: str) -> dict[str, Any]:
    """Change the terms before the freeze; every office has to sign, and to upload, again."""
    return rounds.amend_terms(
        installation(), caller(), round_id, Terms(body["terms"]), body["profile"]
    )


@blueprint.route("/<id:round_id>/profile", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.PROFILE_READ)
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def read_profile(round_id: str) -> Response:
    """The encoding profile of a round, TOML."""
    text = rounds.read_profile(installation(), caller(), round_id)
    return Response(text, content_type="text/plain; charset=utf-8")


@blueprint.route("/<id:round_id>/signatures/<id:office>", methods=["PUT"])
@may_call(Actor.OFFICE, action=Action.TERMS_SIGN)
@blueprint.arguments(TermsSignatureSchema)
@blueprint.response(201, SignatureReceiptSchema)
@blueprint.alt_response(200, schema=SignatureReceiptSchema, description="Signed before")
def sign_terms(body: dict[str, Any], round_id: str, office: str) -> tuple[dict[str, Any], int]:
    """Sign the terms of an open round; the coordinating office confirms the key with it."""
    receipt, is_new = rounds.sign_terms(
        installation(),
        caller(),
        round_id,
        office,
        terms_sha256=body["terms_sha256"],
        signature=body["signature"],
        key_confirmation=body["key_confirmation"],
    )
    return receipt, 201 if is_new else 200


@blueprint.route("/<id:round_id>/transitions", methods=["POST"])
@may_call(Actor.OPERATOR, action=Action.REQUEST_REFUSED)
@blueprint.arguments(TransitionSchema)
@blueprint.response(200, RoundSchema)
def change_state(body: dict[str, Any], round_id: str) -> dict[str, Any]:
    """Open, freeze, run, release or cancel a round."""
    step = OPERATOR_STEPS[body["action"]]
    return rounds.change_state(installation(), caller(), round_id, step)


@blueprint.route("/<id:round_id>/exclusions/<id:office>", methods=["PUT"])
@may_call(Actor.OPERATOR, action=Action.ROUND_EXCLUDE)
@blueprint.response(200, RoundSchema)
@blueprint.alt_response(202, schema=RoundSchema, description=_WAITS)
def exclude_office(round_id: str, office: str) -> tuple[dict[str, Any], int]:
    """Take an office out of a round; after the release, two operators must ask for it."""
    status, is_done = exclusions.exclude_office(installation(), caller(), round_id, office)
    return status, 200 if is_done else 202


@blueprint.route("/<id:round_id>/exclusions/<id:office>", methods=["DELETE"])
@may_call(Actor.OPERATOR, action=Action.ROUND_RECALL)
@blueprint.response(200, RoundSchema)
def recall_exclusion(round_id: str, office: str) -> dict[str, Any]:
    """Take back what one operator has asked for, before another has."""
    return exclusions.recall_exclusion(installation(), caller(), round_id, office)


@blueprint.route("/<id:round_id>/expiry", methods=["PUT"])
@may_call(Actor.OPERATOR, action=Action.ROUND_EXPIRE)
@blueprint.response(200, RoundSchema)
@blueprint.alt_response(202, schema=RoundSchema, description=_WAITS)
def expire_early(round_id: str) -> tuple[dict[str, Any], int]:
    """End a released round before its time and delete its data; two operators must ask for it."""
    status, is_done = exclusions.expire_early(installation(), caller(), round_id)
    return status, 200 if is_done else 202


@blueprint.route("/<id:round_id>/expiry", methods=["DELETE"])
@may_call(Actor.OPERATOR, action=Action.ROUND_RECALL)
@blueprint.response(200, RoundSchema)
def recall_expiry(round_id: str) -> dict[str, Any]:
    """Take back what one operator has asked for, before another has."""
    return exclusions.recall_expiry(installation(), caller(), round_id)


@blueprint.route("/<id:round_id>/review", methods=["GET"])
@may_call(Actor.OPERATOR, action=Action.REVIEW_READ)
@blueprint.response(200, ReviewSchema)
def read_review(round_id: str) -> dict[str, Any]:
    """Aggregates of a matched round, cells under 5 suppressed."""
    return results.read_review(installation(), caller(), round_id)
