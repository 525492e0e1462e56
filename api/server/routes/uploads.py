"""Uploads and results of offices."""

import contextlib
from collections.abc import Iterator
from typing import Any

from flask import request
from werkzeug.exceptions import ClientDisconnected

from api.audit.events import Action
from api.server.auth import caller, installation, may_call, signed_sha256
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.routes.blueprints import StrictBlueprint
from api.server.routes.projects import BYTES_BODY
from api.server.schemas.answers import (
    LinkPageSchema,
    PartSchema,
    ResultsReceiptSchema,
    UploadSchema,
    WithdrawalSchema,
)
from api.server.schemas.bodies import (
    CompletionSchema,
    LinksPageSchema,
    NewPartSchema,
    OffsetSchema,
    ReceiptSchema,
)
from api.server.services import deliveries, parts, results, uploads

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
    with _receiving():
        status, is_new = uploads.receive_upload(
            installation(),
            caller(),
            round_id,
            office,
            _Body(),
            _announced_bytes(),
            signed_sha256(),
        )
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


@blueprint.route("/<id:round_id>/uploads/<id:office>/part", methods=["POST"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_BEGIN)
@blueprint.arguments(NewPartSchema)
@blueprint.response(201, PartSchema)
@blueprint.alt_response(200, schema=PartSchema, description="Begun before, the same file")
def begin_part(body: dict[str, Any], round_id: str, office: str) -> tuple[dict[str, Any], int]:
    """Begin an upload that can go on after a break, or find one that was begun before."""
    status, is_new = parts.begin_part(
        installation(), caller(), round_id, office, sha256=body["sha256"], n_bytes=body["n_bytes"]
    )
    return status, 201 if is_new else 200


@blueprint.route("/<id:round_id>/uploads/<id:office>/part", methods=["GET"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_READ)
@blueprint.response(200, PartSchema)
def read_part(round_id: str, office: str) -> dict[str, Any]:
    """Where an upload that was begun stands."""
    return parts.read_part(installation(), caller(), round_id, office)


@blueprint.route("/<id:round_id>/uploads/<id:office>/part", methods=["PATCH"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_APPEND, body="streamed")
@blueprint.doc(**BYTES_BODY)
@blueprint.arguments(OffsetSchema, location="query")
@blueprint.response(200, PartSchema)
def append_part(query: dict[str, Any], round_id: str, office: str) -> dict[str, Any]:
    """Append the next bytes, at the offset where the upload stands."""
    with _receiving():
        return parts.append_part(
            installation(), caller(), round_id, office, query["offset"], _Body(), signed_sha256()
        )


@blueprint.route("/<id:round_id>/uploads/<id:office>/part", methods=["DELETE"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_DROP)
@blueprint.response(200, PartSchema)
def drop_part(round_id: str, office: str) -> dict[str, Any]:
    """Give up an upload that is not complete."""
    return parts.drop_part(installation(), caller(), round_id, office)


@blueprint.route("/<id:round_id>/uploads/<id:office>/part/completion", methods=["POST"])
@may_call(Actor.OFFICE, action=Action.UPLOAD_PUT)
@blueprint.arguments(CompletionSchema)
@blueprint.response(201, UploadSchema)
@blueprint.alt_response(200, schema=UploadSchema, description="Replaced, or completed before")
def complete_part(body: dict[str, Any], round_id: str, office: str) -> tuple[dict[str, Any], int]:
    """Have an upload checked and stored of which everything has arrived."""
    with installation().transfers.taking_place():
        status, is_new = parts.complete_part(
            installation(), caller(), round_id, office, body["sha256"]
        )
    return status, 201 if is_new else 200


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


@blueprint.route("/<id:round_id>/results/<id:office>/receipt", methods=["PUT"])
@may_call(Actor.OFFICE, action=Action.RESULTS_ACKNOWLEDGE)
@blueprint.arguments(ReceiptSchema)
@blueprint.response(201, ResultsReceiptSchema)
@blueprint.alt_response(200, schema=ResultsReceiptSchema, description="Acknowledged before")
def acknowledge(body: dict[str, Any], round_id: str, office: str) -> tuple[dict[str, Any], int]:
    """Say that all links of the calling office have arrived; refused if they have not."""
    receipt, is_new = deliveries.acknowledge(
        installation(),
        caller(),
        round_id,
        office,
        links_sha256=body["links_sha256"],
        n_links=body["n_links"],
    )
    return receipt, 201 if is_new else 200


@blueprint.route("/<id:round_id>/withdrawals/<id:office>", methods=["PUT"])
@may_call(Actor.OFFICE, action=Action.ROUND_WITHDRAW)
@blueprint.response(200, WithdrawalSchema)
def withdraw_office(round_id: str, office: str) -> dict[str, Any]:
    """Leave a released round: the office's file goes, and its links are taken back."""
    return deliveries.withdraw_office(installation(), caller(), round_id, office)


def _announced_bytes() -> int | None:
    """Size of the body as its sender announced it; ``None`` where it comes in chunks."""
    return None if request.headers.get("Transfer-Encoding") else request.content_length or 0


class _Body:
    """The body of this request, whose end before its time is told from its end."""

    def __init__(self) -> None:
        self._left = _announced_bytes()

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end.  Raises: BodyBrokenError."""
        try:
            data = request.stream.read(size)
        except (ClientDisconnected, OSError) as error:
            raise uploads.BodyBrokenError from error
        if self._left is not None:
            self._left -= len(data)
            # Gunicorn ends a body in silence when its sender is gone.
            if not data and self._left > 0:
                raise uploads.BodyBrokenError
        return data


@contextlib.contextmanager
def _receiving() -> Iterator[None]:
    """Keep one of the places for uploads while a body is received."""
    # Who finds none is answered at once: reading the rest would take the thread all the same.
    with installation().transfers.taking_place():
        try:
            yield
        except RefusalError:
            _read_rest()
            raise


def _read_rest() -> None:
    """Read what the sender still sends: most read the answer only when they have sent all."""
    body, left = _Body(), installation().config.max_upload_bytes
    with contextlib.suppress(uploads.BodyBrokenError):
        while left > 0 and (chunk := body.read(_CHUNK_BYTES)):
            left -= len(chunk)
