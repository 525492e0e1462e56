"""Characters and readings that very many names hold, and that therefore say less.

Published figures, the same at every office:

- surnames of more than 1 % of the Han population each, 55.6 % together (Du Ruofu and Yuan Yida,
  Institute of Genetics, 1987; from the census of 1982);
- characters named as the most used by newborn children (yearly name reports of the Ministry of
  Public Security, 2018 to 2021), and in the given names of everybody (report of 2019).

The surnames of the synthetic registers are drawn by another table; the leading characters of their
children are after the same reports.
"""

import functools

from linkage.encoding.pinyin import fold_syllable, unit_reading

_SURNAMES = "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马"
_OF_NEWBORN = "梓宇子涵泽雨佳浩欣轩辰一沐"
_OF_EVERYBODY = "英华文玉秀明丽兰红金"

FREQUENT_CHARACTERS = frozenset(_SURNAMES + _OF_NEWBORN + _OF_EVERYBODY)


def is_frequent(kind: str, text: str) -> bool:
    """Whether a token is a frequent character, or the reading of one."""
    return text in _frequent_of_kind(kind)


@functools.cache
def _frequent_of_kind(kind: str) -> frozenset[str]:
    if kind in ("character", "character-position"):
        return FREQUENT_CHARACTERS
    readings = (unit_reading(character, is_surname=False) for character in FREQUENT_CHARACTERS)
    if kind == "pinyin-position":
        return frozenset(readings)
    return frozenset(map(fold_syllable, readings)) if kind == "pinyin-folded" else frozenset()
