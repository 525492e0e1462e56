"""Bodies of requests, and parameters of their queries."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.server.places import Side
from api.server.round_states import OPERATOR_STEPS
from api.server.schemas.fields import (
    StrictSchema,
    count_field,
    hex_field,
    id_field,
    text_field,
)
from api.server.schemas.terms import OfficeRoleSchema, TermsSchema
from linkage.division_table import is_current

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


def _division_field(**options: Any) -> fields.String:
    def check(value: str) -> None:
        if not (re.fullmatch("[0-9]{6}", value) and is_current(value)):
            raise ValidationError("must be the six-digit code of a county or district of today")

    return fields.String(validate=check, **options)


def _side_field(**options: Any) -> fields.String:
    return fields.String(validate=validate.OneOf([str(side) for side in Side]), **options)


class ProjectMemberSchema(OfficeRoleSchema):
    """An office of a project, with its place if it has one."""

    division = _division_field(required=False)
    side = _side_field(required=False)

    @validates_schema
    def check_place(self, data: Mapping[str, Any], **_options: Any) -> None:
        """A place is whole, or there is none."""
        if ("division" in data) != ("side" in data):
            raise ValidationError("give both division and side, or neither", "division")


class PlaceSchema(StrictSchema):
    """Where an office stands in flows between counties."""

    office = id_field()
    division = _division_field(required=True)
    side = _side_field(required=True)


class PlacesSchema(StrictSchema):
    """All places of a project's offices; an office that is not named has none."""

    places = fields.List(
        fields.Nested(PlaceSchema), required=True, validate=validate.Length(0, _MAX_OFFICES)
    )

    @validates_schema
    def check_places(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Each office once."""
        offices = [place["office"] for place in data["places"]]
        if len(set(offices)) != len(offices):
            raise ValidationError("names an office twice", "places")


class NewProjectSchema(StrictSchema):
    """A project to be created."""

    id = id_field()
    name = text_field(200)
    purpose = text_field(2000, multiline=True)
    coordinating_office = id_field()
    members = fields.List(
        fields.Nested(ProjectMemberSchema), required=True, validate=validate.Length(1, _MAX_OFFICES)
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
