"""The access log."""

from typing import Any

from flask import Response

from api.audit.events import Action
from api.server.auth import caller, installation, may_call
from api.server.round_states import Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.answers import LogPageSchema
from api.server.schemas.bodies import EntriesPageSchema
from api.server.services import log

blueprint = StrictBlueprint("log", __name__, url_prefix="/v1/log", description="The access log")


@blueprint.route("/checkpoint", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.CHECKPOINT_READ)
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def read_checkpoint() -> Response:
    """A signed checkpoint of the log (C2SP tlog-checkpoint)."""
    note = log.read_checkpoint(installation(), caller())
    return Response(note, content_type="text/plain; charset=utf-8")


@blueprint.route("/entries", methods=["GET"])
@may_call(Actor.AUDITOR, action=Action.LOG_READ)
@blueprint.arguments(EntriesPageSchema, location="query")
@blueprint.response(200, LogPageSchema)
def read_entries(query: dict[str, Any]) -> dict[str, Any]:
    """Entries of the log, each as its canonical JSON text."""
    limit = min(query["limit"], installation().config.max_page_entries)
    return log.read_log(installation(), caller(), query["start"], limit)
