"""Sex codes, identifiers of any kind, and plain text."""

import re

from linkage.records.cells import MISSING, Cell, Cleaned, cell_text, is_null_marker

# GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 not stated.
_MALE_WORDS = "男 男性 男孩 男童 男生 儿子 子 1 01 m male boy man"
_FEMALE_WORDS = "女 女性 女孩 女童 女生 女儿 2 02 f female girl woman"
_UNKNOWN_WORDS = "9 09 未知的性别 未说明的性别 未知性别 未说明 u unknown x"
_SEXES = dict.fromkeys(_MALE_WORDS.split(), "M") | dict.fromkeys(_FEMALE_WORDS.split(), "F")
_UNKNOWN_SEXES = frozenset(_UNKNOWN_WORDS.split())
_SEX_NOISE = re.compile(r"[\s\-_.:()\[\]、]+")
_CODED_SEX = re.compile(r"([12])(男性?|女性?)|(男性?|女性?)([12])")

_NOT_OF_AN_IDENTIFIER = re.compile(r"[\W_]+")
_BLANKS = re.compile(r"[\s_]+")
_SIGNS = re.compile(r"[^\w\s]+")


def clean_sex(cell: Cell) -> Cleaned:
    """``M`` or ``F``, from words, letters and the codes of GB/T 2261.1."""
    text = cell_text(cell)
    sex = _SEXES.get(text)
    if sex:
        return sex, ()
    if is_null_marker(text):
        return MISSING
    text = _SEX_NOISE.sub("", text).lower()
    sex = _SEXES.get(text)
    if sex:
        return sex, ()
    if text in _UNKNOWN_SEXES:
        return MISSING
    if text in ("0", "00"):
        return None, ("sex-zero",)
    match = _CODED_SEX.fullmatch(text)
    if match:
        by_code = _SEXES[match[1] or match[4]]
        if by_code == _SEXES[match[2] or match[3]]:
            return by_code, ()
    return None, ("sex-not-understood",)


def clean_identifier(cell: Cell) -> Cleaned:
    """Letters and digits of an identifier, upper case, without blanks and signs."""
    text = cell_text(cell)
    if is_null_marker(text):
        return MISSING
    if "*" in text:
        return None, ("masked-value",)
    value = _NOT_OF_AN_IDENTIFIER.sub("", text).upper()
    if not value:
        return MISSING
    if len(value) > 3 and value.strip("0") == "":
        return None, ("placeholder-identifier",)
    return value, ()


def clean_text(cell: Cell) -> Cleaned:
    """Plain text: lower case, no signs, single blanks."""
    text = cell_text(cell)
    if is_null_marker(text):
        return MISSING
    value = _BLANKS.sub(" ", _SIGNS.sub(" ", text.casefold())).strip()
    return (value, ()) if value else MISSING
