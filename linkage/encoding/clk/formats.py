"""A value is checked against its format, and brought into the form that is hashed.

A reason says what was expected, never what was there.
"""

from datetime import datetime

from linkage.encoding.clk.schema import (
    DateFormat,
    EnumFormat,
    Feature,
    IntegerFormat,
    TextFormat,
    ValueFormat,
)

_HASHED_DATE = "%Y%m%d"
_DEFAULT_ENCODING = "utf-8"


class UnfitValueError(Exception):
    """A value does not fit its format; the message is the reason, without the value."""


def hashed_text(feature: Feature, value: str, *, check: bool) -> str:
    """The text whose tokens are hashed for a value of a feature.

    Args:
        feature: whose format and missing value apply.
        value: as it stands in the file.
        check: whether what can be hashed must also fit the format.

    Raises:
        UnfitValueError: the value does not fit.
    """
    if feature.missing is not None and value == feature.missing.sentinel:
        text = feature.missing.replacement
    else:
        if check:
            _verify_fit(feature.format, value)
        text = _canonical(feature.format, value)
    encoding = text_encoding(feature.format)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        raise UnfitValueError(f"it has characters that {encoding} does not have") from None
    return text


def text_encoding(value_format: ValueFormat) -> str:
    """How tokens of the format become bytes."""
    return value_format.encoding if isinstance(value_format, TextFormat) else _DEFAULT_ENCODING


def _verify_fit(value_format: ValueFormat, value: str) -> None:
    if isinstance(value_format, TextFormat):
        _verify_text(value_format, value)
    elif isinstance(value_format, EnumFormat):
        if value not in value_format.values:
            raise UnfitValueError("it is none of the values that the schema lists")
    elif isinstance(value_format, IntegerFormat):
        _verify_range(value_format, _integer(value))


def _verify_text(value_format: TextFormat, value: str) -> None:
    if value_format.pattern is not None:
        if value_format.pattern.fullmatch(value) is None:
            raise UnfitValueError("it does not match the schema's pattern")
        return
    if value_format.min_length is not None and len(value) < value_format.min_length:
        raise UnfitValueError(f"it is shorter than {value_format.min_length} characters")
    if value_format.max_length is not None and len(value) > value_format.max_length:
        raise UnfitValueError(f"it is longer than {value_format.max_length} characters")
    if value_format.case == "upper" and value.upper() != value:
        raise UnfitValueError("it is not in upper case")
    if value_format.case == "lower" and value.lower() != value:
        raise UnfitValueError("it is not in lower case")


def _verify_range(value_format: IntegerFormat, number: int) -> None:
    if value_format.minimum is not None and number < value_format.minimum:
        raise UnfitValueError(f"it is less than {value_format.minimum}")
    if value_format.maximum is not None and number > value_format.maximum:
        raise UnfitValueError(f"it is more than {value_format.maximum}")


def _canonical(value_format: ValueFormat, value: str) -> str:
    if isinstance(value_format, IntegerFormat):
        return str(_integer(value))
    if isinstance(value_format, DateFormat):
        try:
            return datetime.strptime(value, value_format.directives).strftime(_HASHED_DATE)
        except ValueError:
            raise UnfitValueError(
                f"it is not a date of the form {value_format.directives}"
            ) from None
    return value


def _integer(value: str) -> int:
    try:
        return int(value, 10)
    except ValueError:
        raise UnfitValueError("it is not a whole number") from None
