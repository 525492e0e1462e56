"""Fields that several bodies share, as strict as ``docs/http-api.md`` says."""

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

ID_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"


class StrictSchema(Schema):
    """A schema that refuses what it does not know (marshmallow's default, said aloud)."""

    class Meta:
        """Unknown fields are errors."""

        unknown = "raise"


def id_field(**options: Any) -> fields.String:
    """An id of a member, a project, a round or a role."""
    return fields.String(
        required=options.pop("required", True),
        validate=validate.Regexp(
            f"^{ID_PATTERN}\\Z",
            error="must be small letters, digits and hyphens, at most 63 characters",
        ),
        **options,
    )


def text_field(max_characters: int, *, multiline: bool = False, **options: Any) -> fields.String:
    """Text for people: printable, not empty, without spaces around it."""

    def check(value: str) -> None:
        lines = value.split("\n") if multiline else [value]
        if not all(line.isprintable() for line in lines):
            raise ValidationError("must not hold control characters")
        if not 1 <= len(value) <= max_characters or value != value.strip():
            raise ValidationError(
                f"must be 1 to {max_characters} characters, without spaces at its ends"
            )

    return fields.String(required=True, validate=check, **options)


def hex_field(n_characters: int, **options: Any) -> fields.String:
    """Lower-case hex of a fixed length."""
    return fields.String(
        required=options.pop("required", True),
        validate=validate.Regexp(
            re.compile(rf"^[0-9a-f]{{{n_characters}}}\Z"),
            error=f"must be {n_characters} characters of 0-9 and a-f",
        ),
        **options,
    )


def count_field(low: int, high: int, **options: Any) -> fields.Integer:
    """A whole number; no text, no fraction, no truth value."""
    return _StrictInteger(
        required=options.pop("required", True),
        strict=True,
        validate=validate.Range(low, high),
        **options,
    )


class _StrictInteger(fields.Integer):
    """An integer in JSON, where ``"5"``, ``5.0`` and ``true`` are none."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)
