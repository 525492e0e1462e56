"""Tokens: what of a field's value goes into a filter; and the one string that salts a view."""

import re
from collections.abc import Callable, Mapping

from linkage.encoding.pinyin import fold_syllable, given_units, name_syllables, name_units
from linkage.encoding.subkeys import frame
from linkage.errors import EncodingError

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIVISION = re.compile(r"[0-9]{6}")

Part = tuple[str, str]
"""Position as decimal digits (empty for none) and value of a token."""

_PAD = " "


def token_parts(kind: str, field: str, value: str) -> list[Part]:
    """Distinct tokens of one kind from one value, in order of first appearance.

    Raises:
        EncodingError: the kind is unknown, or the value is not in its field's canonical form.
    """
    return list(dict.fromkeys(_maker(kind, field)(value)))


def framed_token(kind: str, field: str, part: Part) -> bytes:
    """The bytes of a token that are hashed: kind, field, position, value, each framed."""
    position, text = part
    return frame((kind.encode("ascii"), field.encode("ascii"), position.encode(), text.encode()))


def salt_text(kind: str, field: str, value: str) -> str:
    """The one string that a salt part takes from a value.

    Raises:
        EncodingError: the kind gives more than one string, or the value is not canonical.
    """
    if kind not in SALT_KINDS:
        raise EncodingError(
            f"A salt cannot be made of '{kind}'. Kinds that can: {', '.join(sorted(SALT_KINDS))}."
        )
    return _maker(kind, field)(value)[0][1]


def _maker(kind: str, field: str) -> Callable[[str], list[Part]]:
    maker = _MAKERS.get(kind)
    if maker is None:
        raise EncodingError(f"The encoder does not know the token kind '{kind}'.")

    def checked(value: str) -> list[Part]:
        try:
            return maker(value)
        except ValueError as error:
            raise EncodingError(
                f"A value of field '{field}' is not in canonical form: expected {error}."
            ) from None

    return checked


def _whole(value: str) -> list[Part]:
    return [("", value)]


def _characters(value: str) -> list[Part]:
    return [("", unit) for unit in name_units(value)]


def _characters_by_position(value: str) -> list[Part]:
    return [(str(i), unit) for i, unit in enumerate(name_units(value))]


def _syllables_by_position(value: str) -> list[Part]:
    return [(str(i), syllable) for i, syllable in enumerate(name_syllables(value))]


def _folded_syllables(value: str) -> list[Part]:
    return [("", fold_syllable(syllable)) for syllable in name_syllables(value)]


def _whole_reading(value: str) -> list[Part]:
    return [("", " ".join(map(fold_syllable, name_syllables(value))))]


def _given_reading(value: str) -> list[Part]:
    syllables = name_syllables(value)
    given = syllables[len(syllables) - len(given_units(value)) :]
    return [("", " ".join(map(fold_syllable, given)))]


def _bigrams(value: str) -> list[Part]:
    padded = f"{_PAD}{value}{_PAD}"
    return [("", padded[i : i + 2]) for i in range(len(padded) - 1)]


def _bigrams_by_position(value: str) -> list[Part]:
    return [(str(i), value[i : i + 2]) for i in range(len(value) - 1)]


def _digits_by_position(value: str) -> list[Part]:
    digits = value.replace("-", "") if _DATE.fullmatch(value) else value
    return [(str(i), digit) for i, digit in enumerate(digits)]


def _date_part(start: int, stop: int) -> Callable[[str], list[Part]]:
    def part(value: str) -> list[Part]:
        if not _DATE.fullmatch(value):
            raise ValueError("YYYY-MM-DD")
        return [("", value[start:stop])]

    return part


def _division_prefix(length: int) -> Callable[[str], list[Part]]:
    def prefix(value: str) -> list[Part]:
        if not _DIVISION.fullmatch(value):
            raise ValueError("six digits")
        return [("", value[:length])]

    return prefix


_MAKERS: Mapping[str, Callable[[str], list[Part]]] = {
    "whole": _whole,
    "character": _characters,
    "character-position": _characters_by_position,
    "pinyin": _whole_reading,
    "given-pinyin": _given_reading,
    "pinyin-position": _syllables_by_position,
    "pinyin-folded": _folded_syllables,
    "bigram": _bigrams,
    "bigram-position": _bigrams_by_position,
    "digit-position": _digits_by_position,
    "year": _date_part(0, 4),
    "month": _date_part(5, 7),
    "day": _date_part(8, 10),
    "prefix-2": _division_prefix(2),
    "prefix-4": _division_prefix(4),
    "prefix-6": _division_prefix(6),
}

SALT_KINDS = frozenset(
    {"whole", "pinyin", "given-pinyin", "year", "month", "day", "prefix-2", "prefix-4", "prefix-6"}
)
"""Kinds that give exactly one string."""
