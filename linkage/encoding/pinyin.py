"""Readings of Chinese names: toneless pinyin of single characters, surnames, folding.

A reading depends on one character only (and on whether it is the surname), never on its
neighbours: what is typed wrong in one place must not change the reading of another.
"""

import functools
import hashlib
import re
import unicodedata

from linkage.encoding import labels
from linkage.encoding.subkeys import frame
from linkage.errors import EncodingError

READINGS_SHA256 = "3b1629bb0bf8a7f08417fdc0d24e0a9a0e81c9e86880867eba447774f746c4b0"
"""Hash of the reading of every character that has one; see ENCODING.md."""

NAME_DOT = "\N{MIDDLE DOT}"
UNKNOWN_UNIT = "\N{GETA MARK}"
"""What cleaning puts for a character that was lost; it equals nothing, itself included."""

_SEPARATORS = frozenset({NAME_DOT, " "})
_UNIT = re.compile("[A-Za-z]+|[^A-Za-z]")
_LATIN = re.compile("[A-Za-z]")

SURNAME_READINGS = {
    "万俟": "mo qi",
    "乐": "yue",
    "乜": "nie",
    "仇": "qiu",
    "佴": "nai",
    "单": "shan",
    "单于": "chan yu",
    "卜": "bu",
    "句": "gou",
    "召": "shao",
    "员": "yun",
    "尉迟": "yu chi",
    "折": "she",
    "曾": "zeng",
    "朴": "piao",
    "查": "zha",
    "洗": "xian",
    "澹台": "tan tai",
    "盖": "ge",
    "祭": "zhai",
    "种": "chong",
    "秘": "bi",
    "繁": "po",
    "缪": "miao",
    "翟": "zhai",
    "能": "nai",
    "薄": "bo",
    "覃": "qin",
    "解": "xie",
    "都": "du",
    "阚": "kan",
    "隗": "wei",
    "黑": "he",
    "区": "ou",
}
"""Surnames that are read otherwise than their characters alone."""

_COMPOUND = (
    "万俟上官东方东郭公冶公孙公羊仲孙令狐单于南宫司徒司空司马呼延夏侯太叔"
    "夹谷宇文宗政完颜尉迟慕容拓跋欧阳百里皇甫端木第五纳兰申屠独孤澹台濮阳"
    "淳于西门诸葛赫连轩辕钟离长孙闻人闾丘鲜于"
)
COMPOUND_SURNAMES = frozenset(_COMPOUND[i : i + 2] for i in range(0, len(_COMPOUND), 2))
"""Surnames of two characters."""


def name_units(name: str) -> tuple[str, ...]:
    """The units of a name: each run of Latin letters, and each other character, in order.

    Middle dots and blanks only separate.  A name that was entered in pinyin has its syllables as
    units, if blanks stand between them, and so meets the readings of the name in characters.
    """
    found = _UNIT.findall(name) if _LATIN.search(name) else name
    return tuple(unit for unit in found if unit not in _SEPARATORS)


def surname_length(name: str) -> int:
    """Units that the surname takes: 2, 1, or 0 where no surname can be told from the name.

    Names with a middle dot or a blank, of one unit, or of four and more without a compound
    surname are taken whole: most of them are Tibetan, Yi or Uyghur names.
    """
    if not _SEPARATORS.isdisjoint(name):
        return 0
    units = name_units(name)
    if len(units) in (3, 4) and "".join(units[:2]) in COMPOUND_SURNAMES:
        return 2
    return 1 if len(units) in (2, 3) else 0


@functools.lru_cache(maxsize=65_536)
def name_syllables(name: str) -> tuple[str, ...]:
    """Toneless reading of each unit of a name: ``v`` for ü; a unit without one is its own."""
    readings = _readings()
    units = name_units(name)
    length = surname_length(name)
    fixed = SURNAME_READINGS.get("".join(units[:length])) if length else None
    syllables = tuple(readings.get(unit, unit) for unit in units)
    return (*fixed.split(" "), *syllables[length:]) if fixed else syllables


def unit_reading(unit: str, *, is_surname: bool) -> str:
    """Toneless reading of one unit, which is a whole surname or no part of one that has a list."""
    fixed = SURNAME_READINGS.get(unit) if is_surname else None
    return fixed or _readings().get(unit, unit)


def given_syllables(name: str) -> tuple[str, ...]:
    """Readings of the units after the surname; of all where no surname can be told."""
    return name_syllables(name)[surname_length(name) :]


def fold_syllable(reading: str) -> str:
    """Merge the sounds that speakers in Sichuan merge: n/l, f/h, zh/z, ch/c, sh/s, -ng/-n.

    ``hui`` and ``hun`` are ``hu`` + ``ei``, ``hu`` + ``en`` in full, and so meet ``fei``, ``fen``.
    ``ong`` has no counterpart and stays.
    """
    if reading[:2] in ("zh", "ch", "sh"):
        reading = reading[0] + reading[2:]
    elif reading[:1] == "n" and len(reading) > 1:
        reading = "l" + reading[1:]
    elif reading[:1] == "f":
        reading = "h" + reading[1:]
    elif reading in ("hui", "hun"):
        reading = {"hui": "hei", "hun": "hen"}[reading]
    elif reading[:2] == "hu" and len(reading) > 2:
        reading = "h" + reading[2:]
    if reading.endswith("ng") and not reading.endswith("ong"):
        reading = reading[:-1]
    return reading


def verify_readings() -> None:
    """Check that this machine reads names exactly as every other office does.

    Raises:
        EncodingError: the installed pinyin table is another one.
    """
    if _readings_sha256() != READINGS_SHA256:
        raise EncodingError(
            "The installed pinyin table (pypinyin) is not the one that this version encodes with, "
            "so names would not match those of other offices. Install the versions that "
            "requirements/runtime.txt pins."
        )


@functools.cache
def _readings_sha256() -> str:
    digest = hashlib.sha256(labels.READINGS)
    for character, reading in sorted(_readings().items()):
        digest.update(frame((character.encode(), reading.encode())))
    return digest.hexdigest()


@functools.cache
def _readings() -> dict[str, str]:
    """First reading of every character in pypinyin's table, without its tone."""
    from pypinyin.pinyin_dict import pinyin_dict

    return {
        chr(code_point): _without_tone(readings.partition(",")[0])
        for code_point, readings in pinyin_dict.items()
    }


def _without_tone(reading: str) -> str:
    decomposed = unicodedata.normalize("NFD", reading).replace("u\u0308", "v")
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
