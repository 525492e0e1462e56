"""Bodies of requests, and parameters of their queries."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.server.round_states import OPERATOR_STEPS
from api.server.schemas.fields import (
    StrictSchema,
    count_field,
    hex_field,
    id_field,
    text_field,
)
from api.server.schemas.terms import OfficeRoleSchema, TermsSchema

_MAX_OFFICES = 500
_MAX_PROFILE_CHARACTERS = 100_000
_MAX_BYTES = 2**53 - 1


class ApprovalSchema(StrictSchema):
    """The fingerprint that an operator compared with an office by voice."""

    fingerprint = text_field(100)


class RevocationSchema(StrictSchema):
    """Why a member is revoked."""

    reason = text_field(500)
    compromised_since = fields.AwareDateTime(
        format="iso", required=False, load_default=None, allow_none=True
    )


class RotationSchema(StrictSchema):
    """A new key, named by the present one (``keys/SEALING.md``)."""

    format = fields.String(required=True)
    old_key = hex_field(32)
    new = fields.Dict(required=True)
    signature = fields.String(required=True)


class NewProjectSchema(StrictSchema):
    """A project to be created."""

    id = id_field()
    name = text_field(200)
    purpose = text_field(2000, multiline=True)
    coordinating_office = id_field()
    members = fields.List(
        fields.Nested(OfficeRoleSchema), required=True, validate=validate.Length(1, _MAX_OFFICES)
    )
    min_witnesses = count_field(0, _MAX_OFFICES, required=False, load_default=0)

    @validates_schema
    def check_members(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Each office once."""
        offices = [member["office"] for member in data["members"]]
        if len(set(offices)) != len(offices):
            raise ValidationError("names an office twice", "members")


class NewRoundSchema(StrictSchema):
    """A round to be created: its terms, and the profile that they bind."""

    terms = fields.Nested(TermsSchema, required=True)
    profile = fields.String(required=True, validate=validate.Length(1, _MAX_PROFILE_CHARACTERS))


class TermsSignatureSchema(StrictSchema):
    """An office's signature of the terms."""

    terms_sha256 = hex_field(64)
    signature = fields.String(required=True, validate=validate.Length(88, 88))
    key_confirmation = hex_field(32, required=False, load_default=None, allow_none=True)


class TransitionSchema(StrictSchema):
    """A step that an operator takes."""

    action = fields.String(required=True, validate=validate.OneOf(list(OPERATOR_STEPS)))


class NewPartSchema(StrictSchema):
    """A file that is about to be uploaded in pieces."""

    sha256 = hex_field(64)
    n_bytes = count_field(1, _MAX_BYTES)


class OffsetSchema(StrictSchema):
    """Where a piece of an upload belongs."""

    offset = fields.Integer(required=True, validate=validate.Range(0, _MAX_BYTES))


class CompletionSchema(StrictSchema):
    """The file that has been uploaded in pieces."""

    sha256 = hex_field(64)


class ReceiptSchema(StrictSchema):
    """What an office has got of its links."""

    links_sha256 = hex_field(64)
    n_links = count_field(0, 2**31 - 1)


class LinksPageSchema(StrictSchema):
    """Which page of results."""

    after = hex_field(32, required=False, load_default=None)
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 100_000))
