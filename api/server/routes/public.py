"""What answers without a signature."""

from typing import Any

from api.server.auth import installation
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.answers import HealthSchema, ServerSchema
from api.server.services.log import describe_server as describe
from api.server.services.readiness import check_ready

blueprint = StrictBlueprint("server", __name__, description="The server itself")


@blueprint.route("/health", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.response(200, HealthSchema)
def read_health() -> dict[str, str]:
    """Whether the process answers: if not, restart it."""
    return {"status": "ok"}


@blueprint.route("/ready", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.response(200, HealthSchema)
def read_readiness() -> dict[str, str]:
    """Whether database and disk are there too: if not, send requests elsewhere, and look."""
    check_ready(installation())
    return {"status": "ok"}


@blueprint.route("/v1/server", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.response(200, ServerSchema)
def describe_server() -> dict[str, Any]:
    """Name and version of the server, and the key that signs checkpoints of its log."""
    return describe(installation())
