"""Bodies, queries and answers of the access log's addresses."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate

from api.audit.entry_filter import EntryFilter, Page
from api.audit.events import ROLES, Outcome, is_time
from api.audit.export_manifest import FORMS
from api.server.schemas.fields import StrictSchema, count_field, hex_field, id_field

VERDICTS: Final = ("explained", "followed-up", "reported")
"""What can come of looking at a finding; the log holds no free text."""

MAX_LOG_INDEX: Final = 10**10 - 1


class EntriesPageSchema(StrictSchema):
    """Which page of the log."""

    start = fields.Integer(load_default=0, validate=validate.Range(0, MAX_LOG_INDEX))
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 10_000))


def _check_time(text: str) -> None:
    if not is_time(text):
        raise ValidationError("must be a time in UTC like 2026-09-01T08:00:00.000Z")


class EntryFilterSchema(StrictSchema):
    """Which entries are wanted; what is left out does not matter."""

    since = fields.String(validate=_check_time)
    until = fields.String(validate=_check_time)
    actor = id_field(required=False)
    office = id_field(required=False)
    role = fields.String(validate=validate.OneOf(sorted(ROLES)))
    action = fields.String(
        validate=validate.Regexp(
            r"[a-z][a-z-]{0,30}(?::[a-z][a-z-]{0,30})?\Z",
            error="must be an action like upload:put, or upload for all with uploads",
        )
    )
    outcome = fields.String(validate=validate.OneOf([str(outcome) for outcome in Outcome]))
    project = id_field(required=False)
    round = id_field(required=False)


class LogSearchSchema(EntryFilterSchema):
    """Which entries are wanted, and which page of them."""

    start = count_field(0, MAX_LOG_INDEX, required=False)
    stop = count_field(0, MAX_LOG_INDEX, required=False)
    limit = count_field(1, 10_000, required=False, load_default=1000)
    order = fields.String(load_default="oldest", validate=validate.OneOf(["oldest", "newest"]))

    @post_load
    def read(self, data: Mapping[str, Any], **_options: Any) -> dict[str, Any]:
        """The filter and the page, typed."""
        rest = dict(data)
        page = Page(
            limit=rest.pop("limit"),
            start=rest.pop("start", None),
            stop=rest.pop("stop", None),
            newest_first=rest.pop("order") == "newest",
        )
        return {"wanted": EntryFilter(**rest), "page": page}


class LogExportSchema(EntryFilterSchema):
    """Which entries are to be exported, and how."""

    form = fields.String(required=True, validate=validate.OneOf(FORMS))
    last = count_field(1, MAX_LOG_INDEX, required=False)

    @post_load
    def read(self, data: Mapping[str, Any], **_options: Any) -> dict[str, Any]:
        """The filter typed, and the rest."""
        rest = dict(data)
        form, last = rest.pop("form"), rest.pop("last", None)
        return {"wanted": EntryFilter(**rest), "form": form, "last": last}


class FoundEntriesSchema(Schema):
    """Entries that fit, and where to go on."""

    entries = fields.List(fields.String(), required=True)
    next = fields.Integer(required=True, allow_none=True)
    size = fields.Integer(required=True)
    sealed_size = fields.Integer(required=True)


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
