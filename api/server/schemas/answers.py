"""Answers of the server, and the form of its problems."""

from marshmallow import Schema, fields, validate


class ProblemSchema(Schema):
    """RFC 9457 problem details."""

    type = fields.String(required=True, metadata={"example": "urn:tongqiao:problem:forbidden"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "What happened, what to do."})
    instance = fields.String(required=True, metadata={"description": "Names the request."})
    errors = fields.Dict(metadata={"description": "For `invalid`: field to messages."})


class HealthSchema(Schema):
    """Whether the server works."""

    status = fields.String(required=True)


class ServerSchema(Schema):
    """What anyone may know of the server."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    log_origin = fields.String(required=True)
    log_key = fields.String(required=True)


class MemberSchema(Schema):
    """A member."""

    id = fields.String(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True)
    fingerprint = fields.String(required=True)


class MemberKeySchema(Schema):
    """One of a member's keys, and when it counted."""

    epoch = fields.Integer(required=True)
    key_id = fields.String(required=True)
    valid_from = fields.String(required=True)
    valid_until = fields.String(required=True, allow_none=True)
    ended = fields.String(required=True, allow_none=True)
    rotation = fields.Dict(required=True, allow_none=True)


class MemberKeysSchema(Schema):
    """All keys of a member, the oldest first."""

    id = fields.String(required=True)
    keys = fields.List(fields.Nested(MemberKeySchema), required=True)


class MemberDetailSchema(MemberSchema):
    """A member with its public identity."""

    identity = fields.Dict(required=True)
    keys = fields.List(fields.Nested(MemberKeySchema), required=True)


class MemberListSchema(Schema):
    """Members."""

    members = fields.List(fields.Nested(MemberSchema), required=True)


class PlacedOfficeSchema(Schema):
    """An office of a project, its role, and its place in flows between counties."""

    office = fields.String(required=True)
    role = fields.String(required=True)
    division = fields.String(required=True, allow_none=True)
    side = fields.String(required=True, allow_none=True)
    excluded_at = fields.String(
        required=True, allow_none=True, metadata={"description": "When operators took it out."}
    )


class ProjectSchema(Schema):
    """A project."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    purpose = fields.String(required=True)
    coordinating_office = fields.String(required=True)
    members = fields.List(fields.Nested(PlacedOfficeSchema), required=True)
    min_witnesses = fields.Integer(required=True)
    created_at = fields.String(required=True)


class ProjectListSchema(Schema):
    """Projects."""

    projects = fields.List(fields.Nested(ProjectSchema), required=True)


class SecretReceiptSchema(Schema):
    """A sealed secret that was stored."""

    office = fields.String(required=True)
    epoch = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    stored_at = fields.String(required=True)


class OwnPartSchema(Schema):
    """How far the asking office is in a round."""

    signed = fields.Boolean(required=True)
    uploaded = fields.Boolean(required=True)
    withdrawn = fields.Boolean(required=True)


class RoundOutlineSchema(Schema):
    """A round in a list."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    state = fields.String(required=True)
    created_at = fields.String(required=True)
    coordinating_office = fields.String(required=True)
    key_confirmed = fields.Boolean(required=True)
    own = fields.Nested(
        OwnPartSchema,
        required=True,
        allow_none=True,
        metadata={"description": "`null` for who brings no records to the round"},
    )


class RoundListSchema(Schema):
    """Rounds."""

    rounds = fields.List(fields.Nested(RoundOutlineSchema), required=True)


class RoundMemberSchema(Schema):
    """How far an office is in a round."""

    office = fields.String(required=True)
    role = fields.String(required=True)
    signed = fields.Boolean(required=True)
    uploaded = fields.Boolean(required=True)
    n_records = fields.Integer(required=True, allow_none=True)
    withdrawn = fields.Boolean(
        required=True, metadata={"description": "Out of the round, by its own will or not."}
    )
    excluded = fields.Boolean(required=True, metadata={"description": "Operators took it out."})
    fetched = fields.Boolean(required=True)


class ProgressSchema(Schema):
    """How far the matching is."""

    stage = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "queued, starting, reading, candidates, compare, score, solve, writing, "
            "done; null before the matching."
        },
    )
    done = fields.Integer(required=True, metadata={"description": "In the stage's own unit."})
    total = fields.Integer(required=True, metadata={"description": "0 while it is not known."})
    n_pairs = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Pairs compared so far; null for offices."},
    )
    n_candidates = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Pairs kept so far; null for offices, and where under 5."},
    )
    pairs_per_s = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Pairs compared a second of late; null where none are compared."},
    )
    seconds_left = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Of this stage, if it goes on as of late; null if unknown."},
    )


class StateChangeSchema(Schema):
    """One line of a round's history."""

    state = fields.String(required=True)
    at = fields.String(required=True)
    by = fields.String(required=True)


class PendingRequestSchema(Schema):
    """What one operator has asked for; it is done when another asks for the same."""

    what = fields.String(required=True, validate=validate.OneOf(["exclude", "expire"]))
    office = fields.String(
        required=True, allow_none=True, metadata={"description": "Who is to be taken out."}
    )
    by = fields.String(required=True)
    at = fields.String(required=True)
    until = fields.String(required=True)


class RoundSchema(Schema):
    """A round."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    state = fields.String(required=True)
    terms = fields.Raw(required=True, metadata={"description": "Exactly what offices sign."})
    terms_sha256 = fields.String(required=True)
    key_confirmed = fields.Boolean(required=True)
    members = fields.List(fields.Nested(RoundMemberSchema), required=True)
    progress = fields.Nested(ProgressSchema, required=True)
    history = fields.List(fields.Nested(StateChangeSchema), required=True)
    failure = fields.String(required=True, allow_none=True)
    requests = fields.List(fields.Nested(PendingRequestSchema), required=True)
    retained_until = fields.String(required=True, allow_none=True)


class SignatureReceiptSchema(Schema):
    """A signature that was stored."""

    office = fields.String(required=True)
    terms_sha256 = fields.String(required=True)
    signed_at = fields.String(required=True)


class UploadSchema(Schema):
    """An encoded file that was stored."""

    sha256 = fields.String(required=True)
    n_records = fields.Integer(required=True)
    n_bytes = fields.Integer(required=True)
    received_at = fields.String(required=True)


class PartSchema(Schema):
    """An upload that is under way."""

    sha256 = fields.String(required=True)
    n_bytes = fields.Integer(required=True)
    offset = fields.Integer(required=True, metadata={"description": "Bytes that are there."})
    started_at = fields.String(required=True)


class ReviewPairSchema(Schema):
    """Aggregates of two offices."""

    office_a = fields.String(required=True)
    office_b = fields.String(required=True)
    n_records_a = fields.Integer(required=True, allow_none=True)
    n_records_b = fields.Integer(required=True, allow_none=True)
    n_links = fields.Integer(required=True, allow_none=True)
    estimated_precision = fields.Float(required=True, allow_none=True)
    estimated_recall = fields.Float(required=True, allow_none=True)


class HistogramBinSchema(Schema):
    """A bin of the scores' histogram."""

    from_ = fields.Float(required=True, data_key="from", attribute="from")
    to = fields.Float(required=True)
    n = fields.Integer(required=True, allow_none=True)


class DuplicatesSchema(Schema):
    """Groups of records of one office that seem to be one child's."""

    office = fields.String(required=True)
    n_groups = fields.Integer(required=True, allow_none=True)


class FlowSchema(Schema):
    """Children that moved from one county to another, rounded down."""

    origin = fields.String(required=True, metadata={"description": "County code, GB/T 2260."})
    residence = fields.String(required=True, metadata={"description": "County code."})
    n_children = fields.Integer(required=True)


class ReviewSchema(Schema):
    """Aggregates of a round, small cells suppressed."""

    pairs = fields.List(fields.Nested(ReviewPairSchema), required=True)
    histogram = fields.List(fields.Nested(HistogramBinSchema), required=True)
    duplicates = fields.List(fields.Nested(DuplicatesSchema), required=True)
    threshold = fields.Float(required=True)
    flows = fields.List(fields.Nested(FlowSchema), required=True)


class LinkSchema(Schema):
    """An office's own side of a link."""

    link = fields.String(required=True)
    record = fields.String(required=True)
    counterpart = fields.String(required=True)
    score = fields.Float(required=True)
    band = fields.String(required=True)


class ResultsReceiptSchema(Schema):
    """An office's word that it has all of its links."""

    office = fields.String(required=True)
    links_sha256 = fields.String(required=True)
    n_links = fields.Integer(required=True)
    at = fields.String(required=True)


class WithdrawalSchema(Schema):
    """An office that left a released round."""

    office = fields.String(required=True)
    n_links = fields.Integer(required=True, metadata={"description": "Links taken back."})
    withdrawn_at = fields.String(required=True)


class LinkPageSchema(Schema):
    """A page of links."""

    links = fields.List(fields.Nested(LinkSchema), required=True)
    next = fields.String(required=True, allow_none=True)
