"""The access log: entries, tiles, proofs, checkpoints and their witnesses."""

from dataclasses import replace
from typing import Any

from flask import Response

from api.audit.events import Action
from api.server.auth import caller, installation, may_call
from api.server.round_states import Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.schemas.log import (
    ConsistencySchema,
    CosignatureReceiptSchema,
    CosignatureSchema,
    CosignedAfterSchema,
    CosignedSchema,
    EntriesPageSchema,
    FindingMarkSchema,
    FindingReceiptSchema,
    FoundEntriesSchema,
    LogExportSchema,
    LogPageSchema,
    LogSearchSchema,
    OwnEntriesSchema,
)
from api.server.services import log, log_export, log_search, witnessing

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
    return log.read_log(installation(), caller(), query["start"], _page(query))


@blueprint.route("/search", methods=["POST"])
@may_call(Actor.AUDITOR, action=Action.LOG_READ)
@blueprint.arguments(LogSearchSchema)
@blueprint.response(200, FoundEntriesSchema)
def search_entries(body: dict[str, Any]) -> dict[str, Any]:
    """Entries that fit conditions, each as its canonical JSON text, page by page."""
    most = installation().config.max_page_entries
    page = replace(body["page"], limit=min(body["page"].limit, most))
    return log_search.search_log(installation(), caller(), body["wanted"], page)


@blueprint.route("/exports", methods=["POST"])
@may_call(Actor.AUDITOR, action=Action.LOG_EXPORT)
@blueprint.arguments(LogExportSchema)
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/zip")
def export_entries(body: dict[str, Any]) -> Response:
    """Entries that fit as a file for other programs, and the manifest that proves them."""
    made = log_export.export_entries(
        installation(), caller(), body["wanted"], body["form"], body["last"]
    )
    return Response(made.to_zip(), content_type="application/zip")


@blueprint.route("/own-entries", methods=["GET"])
@may_call(Actor.OFFICE, action=Action.LOG_READ)
@blueprint.arguments(EntriesPageSchema, location="query")
@blueprint.response(200, OwnEntriesSchema)
def read_own_entries(query: dict[str, Any]) -> dict[str, Any]:
    """Entries about the calling office's data."""
    return log.read_own_entries(installation(), caller(), query["start"], _page(query))


@blueprint.route("/entries/<count:index>/proof", methods=["GET"])
@may_call(Actor.OFFICE, Actor.AUDITOR, action=Action.LOG_PROVE)
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def prove_entry(index: int) -> Response:
    """A proof that an entry is in the log (C2SP tlog-proof); offices: about their own data."""
    proof = log.prove_entry(installation(), caller(), index)
    return Response(proof, content_type="text/plain; charset=utf-8")


@blueprint.route("/consistency/<count:old_size>/<count:new_size>", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.LOG_PROVE)
@blueprint.response(200, ConsistencySchema)
def compare_sizes(old_size: int, new_size: int) -> dict[str, Any]:
    """A proof that the longer log begins with the shorter one (RFC 9162)."""
    return log.compare_sizes(installation(), caller(), old_size, new_size)


@blueprint.route("/tile/<path:tile>", methods=["GET"])
@may_call(Actor.AUDITOR, action=Action.TILE_READ)
@blueprint.response(200, {"type": "string"}, content_type="application/octet-stream")
def read_tile(tile: str) -> Response:
    """A tile of hashes or a bundle of entries (C2SP tlog-tiles)."""
    data = log.read_tile(installation(), caller(), tile)
    return Response(data, content_type="application/octet-stream")


@blueprint.route("/findings", methods=["POST"])
@may_call(Actor.AUDITOR, action=Action.FINDING_MARK)
@blueprint.arguments(FindingMarkSchema)
@blueprint.response(201, FindingReceiptSchema)
def mark_finding(body: dict[str, Any]) -> dict[str, Any]:
    """Note that a finding of a report was looked at; the note is an entry of the log."""
    return log.mark_finding(installation(), caller(), **body)


@blueprint.route("/cosignatures", methods=["POST"])
@may_call(Actor.OFFICE, Actor.AUDITOR, action=Action.CHECKPOINT_COSIGN, people=False)
@blueprint.arguments(CosignatureSchema)
@blueprint.response(201, CosignatureReceiptSchema)
@blueprint.alt_response(200, schema=CosignatureReceiptSchema, description="Cosigned before")
def cosign(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Witness a checkpoint of the log (C2SP tlog-cosignature)."""
    receipt, is_new = witnessing.cosign(installation(), caller(), body["size"], body["line"])
    return receipt, 201 if is_new else 200


@blueprint.route("/cosignatures", methods=["GET"])
@may_call(Actor.OFFICE, Actor.OPERATOR, Actor.AUDITOR, action=Action.CHECKPOINT_READ)
@blueprint.arguments(CosignedAfterSchema, location="query")
@blueprint.response(200, CosignedSchema)
def read_cosigned(query: dict[str, Any]) -> dict[str, Any]:
    """Checkpoints that witnesses signed, with their signatures."""
    return witnessing.read_cosigned(installation(), caller(), query["after"])


def _page(query: dict[str, Any]) -> int:
    wanted: int = query["limit"]
    return min(wanted, installation().config.max_page_entries)
