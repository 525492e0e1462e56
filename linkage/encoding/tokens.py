"""Tokens: what of a value goes into a filter; and the one string of it that can salt a view."""

import re
from collections import Counter
from collections.abc import Callable, Mapping

from linkage.encoding.pinyin import (
    UNKNOWN_UNIT,
    fold_syllable,
    given_syllables,
    name_syllables,
    name_units,
)
from linkage.encoding.shapes import SIDES, unit_side
from linkage.encoding.subkeys import frame
from linkage.errors import EncodingError
from linkage.types import FieldKind

CANONICAL: Mapping[FieldKind, re.Pattern[str]] = {
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "division": re.compile(r"[0-9]{6}"),
    "phone": re.compile(r"[0-9]+"),
    "resident-id": re.compile(r"[0-9]{17}[0-9X]"),
    "sex": re.compile(r"[MF]"),
}
"""Form of the values of fields that have one; those of other kinds are any text."""

Part = tuple[str, str]
"""Position as decimal digits (empty for none) and value of a token."""

_PAD = " "


def token_parts(kind: str, value: str) -> list[Part]:
    """Distinct tokens of one kind from one value, in order of first appearance.

    Raises:
        EncodingError: the kind is unknown.
    """
    maker = _MAKERS.get(kind)
    if maker is None:
        raise EncodingError(f"The encoder does not know the token kind '{kind}'.")
    return list(dict.fromkeys(maker(value)))


def framed_token(kind: str, hashed_as: str, part: Part) -> bytes:
    """The bytes of a token that are hashed: kind, name, position, value, each framed.

    Args:
        hashed_as: the name, see :class:`linkage.profile.TokenSpec`.
    """
    position, text = part
    name = hashed_as.encode("ascii")
    return frame((kind.encode("ascii"), name, position.encode(), text.encode()))


def salt_text(kind: str, value: str) -> str:
    """The one string that a salt takes from a value; empty where it has none.

    Raises:
        EncodingError: the kind gives more than one string.
    """
    if kind not in SALT_KINDS:
        raise EncodingError(
            f"A salt cannot be made of '{kind}'. Kinds that can: {', '.join(sorted(SALT_KINDS))}."
        )
    parts = _MAKERS[kind](value)
    return parts[0][1] if parts else ""


def verify_salt_kind(view: str, kind: str) -> None:
    """Check that a view's salt can be made of a kind.

    Raises:
        EncodingError: the kind gives more than one string.
    """
    if kind not in SALT_KINDS:
        raise EncodingError(
            f"View '{view}': a salt cannot be made of '{kind}'. "
            f"Kinds that can: {', '.join(sorted(SALT_KINDS))}."
        )


def unit_part(kind: str, position: int, unit: str, reading: str) -> Part | None:
    """The token of a kind in :data:`UNIT_KINDS` that one unit of a name gives, if it gives one."""
    part = _OF_UNIT[kind](position, unit, reading)
    return None if UNKNOWN_UNIT in part[1] else part


def sign_part(position: int, signs: str) -> Part:
    """The token of a kind in :data:`SIGN_KINDS` that neighbouring signs of a value give."""
    return (str(position), signs)


def _known(parts: list[Part]) -> list[Part]:
    return [part for part in parts if UNKNOWN_UNIT not in part[1]]


def _whole(value: str) -> list[Part]:
    return _known([("", value)])


def _whole_reading(value: str) -> list[Part]:
    return _known([("", " ".join(map(fold_syllable, name_syllables(value))))])


def _given_reading(value: str) -> list[Part]:
    return _known([("", " ".join(map(fold_syllable, given_syllables(value))))])


def _bigrams(value: str) -> list[Part]:
    padded = f"{_PAD}{value}{_PAD}"
    return _known([("", padded[i : i + 2]) for i in range(len(padded) - 1)])


def _signs(value: str) -> list[Part]:
    """Each sign with how often it came before: common tokens count the signs in common."""
    seen: Counter[str] = Counter()
    parts = []
    for sign in _unhyphenated(value):
        parts.append((str(seen[sign]), sign))
        seen[sign] += 1
    return _known(parts)


def _signs_by_place(value: str) -> list[Part]:
    """Each sign with half its index, so that half of all exchanges of neighbours change nothing."""
    return _known([(str(i // 2), sign) for i, sign in enumerate(_unhyphenated(value))])


def _bigrams_by_position(value: str) -> list[Part]:
    return _known([sign_part(i, value[i : i + 2]) for i in range(len(value) - 1)])


def _digits_by_position(value: str) -> list[Part]:
    return _known([sign_part(i, digit) for i, digit in enumerate(_unhyphenated(value))])


def _unhyphenated(value: str) -> str:
    return value.replace("-", "")


def _slice(start: int, stop: int) -> Callable[[str], list[Part]]:
    return lambda value: [("", value[start:stop])]


def _of_units(kind: str) -> Callable[[str], list[Part]]:
    def make(value: str) -> list[Part]:
        units = enumerate(zip(name_units(value), name_syllables(value), strict=True))
        parts = [unit_part(kind, position, unit, reading) for position, (unit, reading) in units]
        return [part for part in parts if part is not None]

    return make


def _of_side(side: str) -> Callable[[int, str, str], Part]:
    return lambda position, unit, _reading: (str(position), unit_side(unit, side))


_OF_UNIT: Mapping[str, Callable[[int, str, str], Part]] = {
    "character": lambda _position, unit, _reading: ("", unit),
    "character-position": lambda position, unit, _reading: (str(position), unit),
    "pinyin-position": lambda position, _unit, reading: (str(position), reading),
    "pinyin-folded": lambda _position, _unit, reading: ("", fold_syllable(reading)),
    **{f"shape-{side}": _of_side(side) for side in SIDES},
}
UNIT_KINDS = frozenset(_OF_UNIT)
"""Kinds of which each unit of a name gives one token, from itself, its reading and position."""

SIGN_KINDS: Mapping[str, int] = {"bigram-position": 2, "digit-position": 1}
"""Kinds whose tokens are that many neighbouring signs of a value (hyphens apart), at a position."""

_MAKERS: Mapping[str, Callable[[str], list[Part]]] = {
    **{kind: _of_units(kind) for kind in _OF_UNIT},
    "whole": _whole,
    "pinyin": _whole_reading,
    "given-pinyin": _given_reading,
    "bigram": _bigrams,
    "sign": _signs,
    "sign-place": _signs_by_place,
    "bigram-position": _bigrams_by_position,
    "digit-position": _digits_by_position,
    "year": _slice(0, 4),
    "month": _slice(5, 7),
    "day": _slice(8, 10),
    "prefix-2": _slice(0, 2),
    "prefix-4": _slice(0, 4),
    "prefix-6": _slice(0, 6),
}

SALT_KINDS = frozenset(
    {"whole", "pinyin", "given-pinyin", "year", "month", "day", "prefix-2", "prefix-4", "prefix-6"}
)
"""Kinds that give one string, or none."""
