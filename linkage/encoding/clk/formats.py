"""A value is checked against its format, and brought into the form that is compared.

A reason says what was expected, never what was there.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime

from linkage.encoding.clk.schema import (
    DateFormat,
    EnumFormat,
    Feature,
    IntegerFormat,
    NumericComparison,
    TextFormat,
    ValueFormat,
)
from linkage.encoding.clk.tokens import NotANumberError, compared_number

Reader = Callable[[str], str]
ColumnReader = Callable[[Sequence[str]], Sequence[str]]

_HASHED_DATE = "%Y%m%d"
_DEFAULT_ENCODING = "utf-8"
_DATE_PARTS = {"%Y": "[1-9][0-9]{3}", "%m": "[0-9]{2}", "%d": "[0-9]{2}"}
_DATE_WIDTHS = {"%Y": 4, "%m": 2, "%d": 2}


class UnfitValueError(Exception):
    """A value does not fit its format; the message is the reason, without the value."""


def value_reader(feature: Feature, *, check: bool) -> Reader:
    """A function from a value, as it stands in the file, to the text that is compared.

    Args:
        feature: whose format, missing value and comparison apply.
        check: whether what can be compared must also fit the format.

    The function raises :class:`UnfitValueError` for a value that does not fit.  Whether a text can
    be encoded is left to :func:`verify_encodable`, which does many at once.
    """
    read = _format_reader(feature.format, check)
    if feature.missing is not None:
        read = _replacing(read, feature.missing.sentinel, feature.missing.replacement)
    if isinstance(feature.comparison, NumericComparison):
        return _numeric(read, feature.comparison)
    return read


def column_reader(feature: Feature, *, check: bool) -> ColumnReader:
    """The same for many values, in one look where their texts are compared as they are."""
    read = value_reader(feature, check=check)
    all_fit = _fitting_unchanged(feature, check)
    missing = feature.missing

    def read_all(values: Sequence[str]) -> Sequence[str]:
        known = values
        if missing is not None and missing.sentinel in values:
            known = [value for value in values if value != missing.sentinel]
        if all_fit is None or not all_fit(known):
            return list(map(read, values))
        if missing is None or known is values:
            return values
        replacement = missing.replacement
        return [replacement if value == missing.sentinel else value for value in values]

    return read_all


def _fitting_unchanged(feature: Feature, check: bool) -> Callable[[Sequence[str]], bool] | None:
    """Whether values fit and are compared as they are; ``None`` where each must be looked at."""
    form = feature.format
    if isinstance(feature.comparison, NumericComparison) or isinstance(
        form, DateFormat | IntegerFormat
    ):
        return None
    if not check:
        return lambda _values: True
    if isinstance(form, EnumFormat):
        return form.values.issuperset
    if form.pattern is not None:
        fits = form.pattern.fullmatch
        return lambda values: all(map(fits, values))
    least, most = form.min_length or 0, form.max_length
    if form.case in ("upper", "lower"):
        return None
    return lambda values: all(
        least <= length and (most is None or length <= most) for length in set(map(len, values))
    )


def _replacing(read: Reader, sentinel: str, replacement: str) -> Reader:
    return lambda value: replacement if value == sentinel else read(value)


def _numeric(read: Reader, comparison: NumericComparison) -> Reader:
    def numeric(value: str) -> str:
        try:
            return compared_number(comparison, read(value))
        except NotANumberError:
            raise UnfitValueError("it is not a number") from None

    return numeric


def text_encoding(value_format: ValueFormat) -> str:
    """How tokens of the format become bytes."""
    return value_format.encoding if isinstance(value_format, TextFormat) else _DEFAULT_ENCODING


def verify_encodable(text: str, encoding: str) -> None:
    """Check that an encoding has all characters of a text.

    Raises:
        UnfitValueError: it lacks some.
    """
    if not text.isascii():
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            raise UnfitValueError(f"it has characters that {encoding} does not have") from None


def _format_reader(value_format: ValueFormat, check: bool) -> Reader:
    if isinstance(value_format, DateFormat):
        return _date_reader(value_format.directives)
    if isinstance(value_format, IntegerFormat):
        return _integer_reader(value_format if check else IntegerFormat())
    if not check:
        return str
    if isinstance(value_format, EnumFormat):
        return _enum_reader(value_format.values)
    if value_format.pattern is not None:
        return _pattern_reader(value_format.pattern)
    return _text_reader(value_format)


def _enum_reader(values: frozenset[str]) -> Reader:
    def read(value: str) -> str:
        if value not in values:
            raise UnfitValueError("it is none of the values that the schema lists")
        return value

    return read


def _pattern_reader(pattern: re.Pattern[str]) -> Reader:
    def read(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise UnfitValueError("it does not match the schema's pattern")
        return value

    return read


def _text_reader(value_format: TextFormat) -> Reader:
    least, most = value_format.min_length, value_format.max_length
    case = value_format.case

    def read(value: str) -> str:
        if least is not None and len(value) < least:
            raise UnfitValueError(f"it is shorter than {least} characters")
        if most is not None and len(value) > most:
            raise UnfitValueError(f"it is longer than {most} characters")
        if case == "upper" and value.upper() != value:
            raise UnfitValueError("it is not in upper case")
        if case == "lower" and value.lower() != value:
            raise UnfitValueError("it is not in lower case")
        return value

    return read


def _integer_reader(value_format: IntegerFormat) -> Reader:
    least, most = value_format.minimum, value_format.maximum

    def read(value: str) -> str:
        try:
            number = int(value, 10)
        except ValueError:
            raise UnfitValueError("it is not a whole number") from None
        if least is not None and number < least:
            raise UnfitValueError(f"it is less than {least}")
        if most is not None and number > most:
            raise UnfitValueError(f"it is more than {most}")
        return str(number)

    return read


def _date_reader(directives: str) -> Reader:
    plain, places = _plain_dates(directives)

    def read(value: str) -> str:
        try:
            if plain is None or plain.fullmatch(value) is None:
                parsed = datetime.strptime(value, directives)  # noqa: DTZ007 - dates have no zone
                return parsed.strftime(_HASHED_DATE)
            year, month, day = value[places[0]], value[places[1]], value[places[2]]
            date.fromisoformat(f"{year}-{month}-{day}")
        except ValueError:
            raise UnfitValueError(f"it is not a date of the form {directives}") from None
        return year + month + day

    return read


def _plain_dates(directives: str) -> tuple[re.Pattern[str] | None, list[slice]]:
    """Dates with all digits that need no ``strptime``, which takes ten times as long.

    Returns:
        What they look like, and where year, month and day stand in them.
    """
    parts = re.split("(%.)", directives)
    literals, codes = parts[0::2], parts[1::2]
    if sorted(codes) != sorted(_DATE_PARTS) or any(re.search(r"[%\s]", part) for part in literals):
        return None, []
    place, places = 0, {}
    for part in parts:
        width = _DATE_WIDTHS.get(part, len(part))
        places[part] = slice(place, place + width)
        place += width
    pattern = "".join(_DATE_PARTS.get(part, re.escape(part)) for part in parts)
    return re.compile(pattern), [places[code] for code in _DATE_PARTS]
