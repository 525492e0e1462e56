"""Names of persons, in Han and in Latin letters, each to one spelling."""

import re
import unicodedata

from linkage.records.cells import MISSING, Cell, Cleaned, cell_text, is_null_marker
from linkage.records.han import UNKNOWN_CHARACTER, fold_han, is_han

MIDDLE_DOT = "·"
"""U+00B7, the only spelling of the dot between the parts of Tibetan, Yi, Uyghur names."""

MAX_NAME_CHARACTERS = 40

# All that is found where a middle dot belongs, after NFKC.
_DOT = re.compile(r"\s*[·•‧∙⋅●⸱ꞏㆍ\u119eᐧ᛫・.。˙﹒⦁\-‐‑–—]+\s*")
_NOTE = re.compile(r"[(（\[【<{〔《][^)）\]】>}〕》]*[)）\]】>}〕》]?")
_BLANKS = re.compile(r"\s+")
_SEPARATOR = re.compile(r"[、,，;；/|&+]+")
_NOT_OF_A_NAME = re.compile(rf"[^\w{MIDDLE_DOT}{UNKNOWN_CHARACTER} '\-]|[\d_]")
_LOST = re.compile(r"[?？□■◇�]")
_MASK = re.compile(r"[*×]|(?<=[\u3400-\u9fff])x+$")
_GARBLED = re.compile("锟斤拷|烫烫|屯屯|锘|[\u00c0-\u00ff]{3,}")

# Most names are this and nothing that the longer way would change or refuse.
_PLAIN = re.compile(r"(?!.*[某之婴儿无未不待测宝毛男女孩童子佚暂空姓锟烫屯锘])[\u4e00-\u9fff]{2,4}")

_PLACEHOLDER_WORDS = """
无名 无名氏 无姓名 无名字 佚名 未知 不详 不祥 不明 未取名 未起名 未命名 未定名 未定 待定 待取名 待补
暂无 暂无名 无 空 某某 某 婴儿 新生儿 弃婴 弃儿 女婴 男婴 男孩 女孩 男童 女童 幼儿 孩子 小孩 儿童
宝宝 毛毛 测试 test 姓名 unknown none null na anonymous noname baby babyboy babygirl
"""
_PLACEHOLDERS = frozenset(_PLACEHOLDER_WORDS.split())
# 王某之女, 王某某, 李芳之长女, 李芳小女, 王婴儿, 王BB: a parent's name and a relation.
_PLACEHOLDER = re.compile(
    r"某|^..+[大小长次二三][子女]$|之(?:[长次二三四五大小幺独双]?[子女儿婴孩娃]|男婴|女婴|婴儿|双胞胎)[大小甲乙一二12ab]?$"
    r"|(?:婴儿|女婴|男婴|新生儿|弃婴)[大小甲乙一二12ab]?$|(?<=[\u3400-\u9fff])(?:bb|baby)$"
)


def clean_chinese_name(cell: Cell) -> Cleaned:
    """A name in Han characters (or in others, for who has no Han name) in one spelling.

    NFKC, simplified standard characters (:func:`linkage.records.han.fold_han`), no notes, digits
    or signs, every middle dot as U+00B7 and only between two parts, no blanks beside Han
    characters, Latin letters in lower case. A placeholder such as 王某之女 or 无名氏 gives
    ``None``: it is no name that another register would hold.
    """
    if isinstance(cell, str) and _PLAIN.fullmatch(cell):
        text = fold_han(cell)
        if text is cell or _PLAIN.fullmatch(text):
            return text, ()
    raw = cell_text(cell)
    if is_null_marker(raw) and raw not in _PLACEHOLDERS:
        return MISSING
    codes: list[str] = []
    text = fold_han(_LOST.sub("\ufffd", raw)).lower()
    if _PLAIN.fullmatch(text):
        return text, ()
    if _GARBLED.search(text):
        return None, ("garbled-name",)
    if _MASK.search(text):
        return None, ("masked-value",)
    without = _NOTE.sub("", text)
    if without != text:
        codes.append("name-with-note")
        text = without
    parts = [part for part in _SEPARATOR.split(text) if part.strip()]
    if len(parts) > 1:
        codes.append("several-names")
    text = _spell(parts[0]) if parts else ""
    kept = _NOT_OF_A_NAME.sub("", text)
    if _is_placeholder(text, kept):
        return None, ("placeholder-name",)
    if kept != text and "name-with-note" not in codes:
        codes.append("name-with-note")
    return _judge(_spell(kept), codes)


def is_plain_name(name: str) -> bool:
    """Whether cleaning leaves a name of two to four Han characters as it is.

    It depends on each character by itself.
    """
    return _PLAIN.fullmatch(name) is not None and fold_han(name) == name


def _spell(text: str) -> str:
    """One middle dot, no blanks beside Han characters, single blanks elsewhere."""
    if any(map(is_han, text)):
        return _BLANKS.sub("", _DOT.sub(MIDDLE_DOT, text)).strip(MIDDLE_DOT + "'")
    return _BLANKS.sub(" ", text).strip(" -'.")


def _is_placeholder(text: str, kept: str) -> bool:
    return (
        kept.replace(" ", "") in _PLACEHOLDERS
        or _PLACEHOLDER.search(text) is not None
        or _PLACEHOLDER.search(kept) is not None
    )


def _judge(name: str, codes: list[str]) -> Cleaned:
    if _GARBLED.search(name):
        return None, (*codes, "garbled-name")
    known = sum(character.isalpha() for character in name)
    if not known:
        return None, (*codes, "not-a-name")
    if len(name) > MAX_NAME_CHARACTERS:
        return None, (*codes, "name-too-long")
    if UNKNOWN_CHARACTER in name:
        codes.append("name-with-unknown-character")
        if known < 2:
            return None, tuple(codes)
    elif known == 1:
        codes.append("name-of-one-character")
    return name, tuple(codes)


_APOSTROPHE = re.compile(r"['’‘`´ʼ]")
_NOT_A_LETTER = re.compile(r"[\W\d_]+")


def clean_latin_name(cell: Cell) -> Cleaned:
    """A name in Latin letters: lower case, letters only, single blanks.

    Accents and apostrophes go (O'Brien -> obrien, José -> jose); hyphens and all other signs become
    one blank, because registers write them either way.
    """
    raw = cell_text(cell)
    if is_null_marker(raw):
        return MISSING
    text = raw.lower()
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in decomposed if not unicodedata.combining(c))
    if _MASK.search(raw) and "*" in raw:
        return None, ("masked-value",)
    name = text if text.isalpha() else _NOT_A_LETTER.sub(" ", _APOSTROPHE.sub("", text)).strip()
    if not name:
        return None, ("not-a-name",)
    if name.replace(" ", "") in _PLACEHOLDERS:
        return None, ("placeholder-name",)
    if len(name) > MAX_NAME_CHARACTERS * 2:
        return None, ("name-too-long",)
    return name, ()
