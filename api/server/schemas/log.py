"""Bodies, queries and answers of the access log's addresses."""

from typing import Final

from marshmallow import Schema, fields, validate

from api.server.schemas.fields import StrictSchema, count_field, hex_field, id_field

VERDICTS: Final = ("explained", "followed-up", "reported")
"""What can come of looking at a finding; the log holds no free text."""

MAX_LOG_INDEX: Final = 10**10 - 1


class EntriesPageSchema(StrictSchema):
    """Which page of the log."""

    start = fields.Integer(load_default=0, validate=validate.Range(0, MAX_LOG_INDEX))
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 10_000))


class CosignedAfterSchema(StrictSchema):
    """Which cosigned checkpoints."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, MAX_LOG_INDEX))


class CosignatureSchema(StrictSchema):
    """A witness's signature line under a checkpoint (C2SP tlog-cosignature)."""

    size = count_field(0, MAX_LOG_INDEX)
    line = fields.String(required=True, validate=validate.Length(1, 500))


class FindingMarkSchema(StrictSchema):
    """That a finding of a report was looked at, and what came of it."""

    finding = hex_field(32)
    kind = id_field()
    verdict = fields.String(required=True, validate=validate.OneOf(VERDICTS))
    entry = count_field(0, MAX_LOG_INDEX)


class FindingReceiptSchema(Schema):
    """What was logged."""

    finding = fields.String(required=True)
    verdict = fields.String(required=True)


class CosignatureReceiptSchema(Schema):
    """What was kept."""

    size = fields.Integer(required=True)
    witness = fields.String(required=True)


class CosignedSchema(Schema):
    """Checkpoints that witnesses signed, each a signed note."""

    checkpoints = fields.List(fields.String(), required=True)


class LogPageSchema(Schema):
    """A page of the access log."""

    entries = fields.List(fields.String(), required=True)
    size = fields.Integer(required=True)


class OwnEntriesSchema(Schema):
    """Entries about the calling office's data, and where to go on."""

    entries = fields.List(fields.String(), required=True)
    next = fields.Integer(required=True, allow_none=True)


class ConsistencySchema(Schema):
    """A consistency proof (RFC 9162, section 2.1.4): hashes in base64."""

    proof = fields.List(fields.String(), required=True)
