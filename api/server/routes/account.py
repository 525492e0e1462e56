"""Logging in and out, enrolment, and what people change of their own account."""

from typing import Any

from flask import Response, after_this_request

from api.audit.events import Action
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
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.people import (
    DoneSchema,
    EnrolmentSchema,
    EnrolmentStartSchema,
    InvitationSchema,
    LoginSchema,
    NewPasswordSchema,
    ProofSchema,
    RecoveryCodesSchema,
    SessionSchema,
)
from api.server.services import people, sessions

PEOPLE = (Actor.OPERATOR, Actor.AUDITOR, Actor.ADMINISTRATOR)
SESSION_ONLY: list[dict[str, list[str]]] = [{"session": []}]

blueprint = StrictBlueprint(
    "account", __name__, url_prefix="/v1", description="People who log in, for themselves"
)


@blueprint.route("/session", methods=["POST"])
@anyone_may(Action.SESSION_BEGIN)
@blueprint.doc(security=[])
@blueprint.arguments(LoginSchema)
@blueprint.response(201, SessionSchema)
def log_in(body: dict[str, Any]) -> dict[str, Any]:
    """Log in; the session comes as a cookie."""
    token, found = sessions.log_in(
        installation(), caller(), body["person"], body["password"], body["code"]
    )

    def keep(answer: Response) -> Response:
        keep_session(answer, token)
        return answer

    after_this_request(keep)
    return found.outline()


@blueprint.route("/session", methods=["GET"])
@may_use(*PEOPLE, action=Action.SESSION_READ)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.response(200, SessionSchema)
def read_session() -> dict[str, Any]:
    """Who is logged in, until when, and the token that changes need."""
    sessions.read_session(installation(), caller())
    return login().outline()


@blueprint.route("/session", methods=["DELETE"])
@may_use(*PEOPLE, action=Action.SESSION_END)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.response(200, DoneSchema)
def log_out() -> dict[str, Any]:
    """Log out."""
    sessions.log_out(installation(), caller(), session_token() or "")

    def forget(answer: Response) -> Response:
        forget_session(answer)
        return answer

    after_this_request(forget)
    return {"done": True}


@blueprint.route("/enrolments", methods=["POST"])
@anyone_may(Action.PERSON_ENROL)
@blueprint.doc(security=[])
@blueprint.arguments(InvitationSchema)
@blueprint.response(200, EnrolmentStartSchema)
def begin_enrolment(body: dict[str, Any]) -> dict[str, Any]:
    """Begin an enrolment: a secret for the app that shows one-time codes."""
    return people.begin_enrolment(installation(), caller(), body["person"], body["invitation"])


@blueprint.route("/enrolments/completion", methods=["POST"])
@anyone_may(Action.PERSON_ENROL)
@blueprint.doc(security=[])
@blueprint.arguments(EnrolmentSchema)
@blueprint.response(201, RecoveryCodesSchema)
def complete_enrolment(body: dict[str, Any]) -> dict[str, Any]:
    """Complete an enrolment with a password and a code of the app."""
    codes = people.complete_enrolment(
        installation(),
        caller(),
        body["person"],
        body["invitation"],
        password=body["password"],
        code=body["code"],
    )
    return {"recovery_codes": codes}


@blueprint.route("/account/password", methods=["POST"])
@may_use(*PEOPLE, action=Action.PERSON_PASSWORD)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.arguments(NewPasswordSchema)
@blueprint.response(200, DoneSchema)
def change_password(body: dict[str, Any]) -> dict[str, Any]:
    """Change one's own password; all of one's sessions end."""
    people.change_password(
        installation(),
        caller(),
        password=body["password"],
        code=body["code"],
        new_password=body["new_password"],
    )
    return {"done": True}


@blueprint.route("/account/recovery-codes", methods=["POST"])
@may_use(*PEOPLE, action=Action.PERSON_RECOVERY)
@blueprint.doc(security=SESSION_ONLY)
@blueprint.arguments(ProofSchema)
@blueprint.response(201, RecoveryCodesSchema)
def renew_recovery_codes(body: dict[str, Any]) -> dict[str, Any]:
    """New recovery codes; those before are void."""
    codes = people.renew_recovery_codes(
        installation(), caller(), password=body["password"], code=body["code"]
    )
    return {"recovery_codes": codes}
