"""A round's terms: what every office signs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.server.schemas.fields import StrictSchema, count_field, hex_field, id_field, text_field
from keys.cipher_suites import CIPHER_SUITE_NAMES, CipherSuiteName
from linkage.types import SolveMode

TERMS_FORMAT = "tongqiao-terms-v2"
FIRST_FORMAT = "tongqiao-terms-v1"
"""Terms of older rounds, which say nothing of witnesses: they stay as they were signed."""

_MAX_MEMBERS = 500
_MAX_COUNT = 2**31 - 1


class ThresholdField(fields.Field[float | str]):
    """``"auto"``, or a probability between 0 and 1, both excluded."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float | str:
        if value == "auto" and isinstance(value, str):
            return "auto"
        if isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < 1:
            return value
        raise ValidationError('must be "auto" or a number between 0 and 1')


class VisibilityField(fields.Field[Any]):
    """Who sees links with whom: ``"all"``, or a matrix of roles.

    A matrix is an object: role -> roles whose links with it an office of that role is given. A
    role that has no row sees nothing. Pairs of roles that see links with each other, in a list,
    are the form of older terms, which stay as they were signed.
    """

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "all" and isinstance(value, str):
            return "all"
        if isinstance(value, list) and value and all(_is_pair(pair) for pair in value):
            return value
        if isinstance(value, dict) and value and all(map(_is_row, value.values())):
            return value
        raise ValidationError('must be "all" or a matrix: role -> roles whose links it sees')


def _is_pair(value: Any) -> bool:
    return _is_row(value) and len(value) == 2


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(role, str) for role in value)


def visibility_matrix(document: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    """Role -> roles whose links with it an office of that role is given, for every role."""
    roles = {member["role"] for member in document["members"]}
    visibility = document["visibility"]
    if visibility == "all":
        return {role: frozenset(roles) for role in roles}
    if isinstance(visibility, list):
        both = {(a, b) for a, b in visibility} | {(b, a) for a, b in visibility}
        return {role: frozenset(b for a, b in both if a == role) for role in roles}
    return {role: frozenset(visibility.get(role, ())) for role in roles}


class OfficeRoleSchema(StrictSchema):
    """An office and the role that it plays."""

    office = id_field()
    role = id_field()


class TermsProfileSchema(StrictSchema):
    """The encoding profile, bound by its hash."""

    name = fields.String(required=True, validate=validate.Length(1, 32))
    sha256 = hex_field(64)


class TermsSchema(StrictSchema):
    """Everything that an office agrees to by its signature."""

    format = fields.String(required=True, validate=validate.OneOf([TERMS_FORMAT, FIRST_FORMAT]))
    project = id_field()
    round = id_field()
    purpose = text_field(2000, multiline=True)
    coordinating_office = id_field()
    secret_epoch = count_field(1, _MAX_COUNT)
    members = fields.List(
        fields.Nested(OfficeRoleSchema), required=True, validate=validate.Length(2, _MAX_MEMBERS)
    )
    profile = fields.Nested(TermsProfileSchema, required=True)
    cleaning = fields.String(required=True, validate=validate.Length(1, 32))
    visibility = VisibilityField(required=True)
    solve = fields.String(required=True, validate=validate.OneOf(["groups", "one-to-one", "pairs"]))
    threshold = ThresholdField(required=True)
    retention_days = count_field(1, _MAX_COUNT)
    max_records = count_field(1, _MAX_COUNT)
    min_witnesses = count_field(0, _MAX_MEMBERS, required=False)
    """How many members must have witnessed the access log before a release; from v2 on."""
    cipher_suite = fields.String(required=False, validate=validate.OneOf(list(CIPHER_SUITE_NAMES)))
    """Left out in terms from before there was a choice: ``default``."""

    @validates_schema
    def check_members(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Each office once; visibility names roles that are there."""
        if ("min_witnesses" in data) is (data["format"] == FIRST_FORMAT):
            raise ValidationError(f"goes with {TERMS_FORMAT}, and must be there", "min_witnesses")
        offices = [member["office"] for member in data["members"]]
        if len(set(offices)) != len(offices):
            raise ValidationError("names an office twice", "members")
        roles = {member["role"] for member in data["members"]}
        visibility = data["visibility"]
        if visibility == "all":
            return
        is_matrix = isinstance(visibility, dict)
        rows = list(visibility.values()) if is_matrix else visibility
        if (
            not {role for row in rows for role in row} | set(visibility if is_matrix else ())
            <= roles
        ):
            raise ValidationError("names a role that no member has", "visibility")
        if is_matrix and any(len(set(row)) != len(row) for row in rows):
            raise ValidationError("names a role twice in a row", "visibility")
        if not any(rows):
            raise ValidationError("shows links to nobody", "visibility")


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms that the schema has accepted, typed; ``document`` is what is signed."""

    document: Mapping[str, Any]

    @property
    def project(self) -> str:
        """The project."""
        return str(self.document["project"])

    @property
    def round(self) -> str:
        """The round."""
        return str(self.document["round"])

    @property
    def coordinating_office(self) -> str:
        """Who made the secret, and confirms its key."""
        return str(self.document["coordinating_office"])

    @property
    def roles(self) -> Mapping[str, str]:
        """Office -> role."""
        return {entry["office"]: entry["role"] for entry in self.document["members"]}

    @property
    def profile_sha256(self) -> str:
        """Hash of the encoding profile."""
        return str(self.document["profile"]["sha256"])

    @property
    def cleaning(self) -> str:
        """Version of the cleaning rules."""
        return str(self.document["cleaning"])

    @property
    def context(self) -> str:
        """What the round's keys are derived for."""
        return f"{self.project}/{self.round}"

    @property
    def solve(self) -> SolveMode:
        """How links are chosen."""
        mode: SolveMode = self.document["solve"]
        return mode

    @property
    def threshold(self) -> float | None:
        """Least probability of a link; ``None`` to choose it without truth."""
        value = self.document["threshold"]
        return None if value == "auto" else float(value)

    @property
    def retention_days(self) -> int:
        """How long encodings and links may be kept."""
        return int(self.document["retention_days"])

    @property
    def max_records(self) -> int:
        """Most records an office may upload."""
        return int(self.document["max_records"])

    @property
    def min_witnesses(self) -> int | None:
        """Members who must have witnessed the log before a release; ``None``: terms of v1."""
        value: int | None = self.document.get("min_witnesses")
        return value

    @property
    def cipher_suite(self) -> CipherSuiteName:
        """What keys are derived by and stored encodings encrypted with."""
        name: CipherSuiteName = self.document.get("cipher_suite", "default")
        return name

    @property
    def visibility(self) -> Mapping[str, frozenset[str]]:
        """Role -> roles whose links with it an office of that role is given."""
        return visibility_matrix(self.document)

    def seen_by(self, office: str) -> frozenset[str]:
        """Offices whose links with this one are delivered to it; its own is not among them."""
        roles = self.roles
        seen = self.visibility[roles[office]]
        return frozenset(o for o, role in roles.items() if role in seen and o != office)

    def sees(self, office: str, other: str) -> bool:
        """Whether an office is given its links with another; the other may not be given them."""
        return other in self.seen_by(office)


def parse_terms(value: Any) -> Terms:
    """Check terms; nothing is added, changed or left out.

    Raises:
        ValidationError: with the fields that are wrong.
    """
    TermsSchema().load(value)
    return Terms(value)
