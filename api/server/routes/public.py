"""What answers without a signature."""

from typing import Any

from api.server.auth import installation
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.answers import HealthSchema, ServerSchema
from api.server.services.log import check_health
from api.server.services.log import describe_server as describe

blueprint = StrictBlueprint("server", __name__, description="The server itself")


@blueprint.route("/health", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.response(200, HealthSchema)
def read_health() -> dict[str, str]:
    """Whether the server and its database work."""
    check_health(installation())
    return {"status": "ok"}


@blueprint.route("/v1/server", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.response(200, ServerSchema)
def describe_server() -> dict[str, Any]:
    """Name and version of the server, and the key that signs checkpoints of its log."""
    return describe(installation())
