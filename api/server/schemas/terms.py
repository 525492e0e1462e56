"""A round's terms: what every office signs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.server.schemas.fields import StrictSchema, count_field, hex_field, id_field, text_field
from keys.cipher_suites import CIPHER_SUITE_NAMES, CipherSuiteName
from linkage.types import SolveMode

TERMS_FORMAT = "tongqiao-terms-v1"
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


class VisibilityField(fields.Field[str | list[list[str]]]):
    """``"all"``, or pairs of roles that see links with each other."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> str | list[list[str]]:
        if value == "all" and isinstance(value, str):
            return "all"
        if isinstance(value, list) and value and all(_is_pair(pair) for pair in value):
            return value
        raise ValidationError('must be "all" or a list of pairs of roles')


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(role, str) for role in value)
    )


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

    format = fields.String(required=True, validate=validate.Equal(TERMS_FORMAT))
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
    cipher_suite = fields.String(required=False, validate=validate.OneOf(list(CIPHER_SUITE_NAMES)))
    """Left out in terms from before there was a choice: ``default``."""

    @validates_schema
    def check_members(self, data: Mapping[str, Any], **_options: Any) -> None:
        """Each office once; visibility names roles that are there."""
        offices = [member["office"] for member in data["members"]]
        if len(set(offices)) != len(offices):
            raise ValidationError("names an office twice", "members")
        roles = {member["role"] for member in data["members"]}
        if data["visibility"] != "all":
            unknown = {role for pair in data["visibility"] for role in pair} - roles
            if unknown:
                raise ValidationError("names a role that no member has", "visibility")


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
    def cipher_suite(self) -> CipherSuiteName:
        """What keys are derived by and stored encodings encrypted with."""
        name: CipherSuiteName = self.document.get("cipher_suite", "default")
        return name

    def may_see_each_other(self, office: str, other: str) -> bool:
        """Whether links between these two offices are delivered, to both of them."""
        visibility = self.document["visibility"]
        if visibility == "all":
            return True
        pair = {self.roles[office], self.roles[other]}
        return any(set(roles) == pair for roles in visibility)


def parse_terms(value: Any) -> Terms:
    """Check terms; nothing is added, changed or left out.

    Raises:
        ValidationError: with the fields that are wrong.
    """
    TermsSchema().load(value)
    return Terms(value)
