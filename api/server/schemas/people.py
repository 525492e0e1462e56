"""Bodies and answers about people who log in."""

from marshmallow import Schema, fields, validate

from api.server.schemas.fields import StrictSchema, id_field, text_field

PERSON_ROLES = ("operator", "auditor", "administrator")
"""Roles of people; offices sign their requests and do not log in."""


class LoginSchema(StrictSchema):
    """Who logs in."""

    person = fields.String(required=True, validate=validate.Length(1, 63))
    password = fields.String(required=True, validate=validate.Length(1, 1024))
    code = fields.String(required=True, validate=validate.Length(6, 40))


class InvitationSchema(StrictSchema):
    """An invitation to enrol."""

    person = fields.String(required=True, validate=validate.Length(1, 63))
    invitation = fields.String(required=True, validate=validate.Length(1, 64))


class EnrolmentSchema(InvitationSchema):
    """What completes an enrolment."""

    password = fields.String(required=True, validate=validate.Length(1, 1024))
    code = fields.String(required=True, validate=validate.Length(6, 40))


class ProofSchema(StrictSchema):
    """Password and code, once more, before something grave."""

    password = fields.String(required=True, validate=validate.Length(1, 1024))
    code = fields.String(required=True, validate=validate.Length(6, 40))


class NewPasswordSchema(ProofSchema):
    """A new password."""

    new_password = fields.String(required=True, validate=validate.Length(1, 1024))


class NewPersonSchema(StrictSchema):
    """A person to be invited."""

    id = id_field()
    name = text_field(200)
    role = fields.String(required=True, validate=validate.OneOf(PERSON_ROLES))
    subject = fields.String(
        load_default=None, allow_none=True, validate=validate.Regexp(r"[!-~]{1,255}\Z")
    )


class SessionSchema(Schema):
    """A person's login."""

    person = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    csrf_token = fields.String(required=True)
    idle_ends_at = fields.String(required=True)
    ends_at = fields.String(required=True)


class EnrolmentStartSchema(Schema):
    """What an app for one-time codes is given."""

    name = fields.String(required=True)
    role = fields.String(required=True)
    secret = fields.String(required=True, metadata={"description": "Base32, to type in."})
    uri = fields.String(required=True, metadata={"description": "`otpauth:`, as a QR code."})


class RecoveryCodesSchema(Schema):
    """Codes for who lost the device; shown once."""

    recovery_codes = fields.List(fields.String(), required=True)


class PersonSchema(Schema):
    """A person who may log in."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    state = fields.String(required=True)
    created_at = fields.String(required=True)
    invitation_ends_at = fields.String(required=True, allow_none=True)


class InvitedPersonSchema(PersonSchema):
    """A person, with the invitation; shown once."""

    invitation = fields.String(required=True)


class PersonListSchema(Schema):
    """People."""

    people = fields.List(fields.Nested(PersonSchema), required=True)


class DoneSchema(Schema):
    """It was done."""

    done = fields.Boolean(required=True)
