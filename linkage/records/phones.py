"""Phone numbers of China as digits: mobiles of eleven, land lines with their area code."""

import re

from linkage.records.cells import MISSING, Cell, Cleaned, cell_text, is_null_marker

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_PLAIN_MOBILE = re.compile(r"1[3-9][0-9]{2}(?!([0-9])\1{6})[0-9]{7}")
# Beijing, the cities of ten-digit plans, and all others: 010, 02x, 03xx-09xx; numbers have 7 or 8.
_LAND_LINE = re.compile(r"(?:010|02[0-9])[0-9]{8}|0[3-9][0-9]{2}[0-9]{7,8}")
_LOCAL = re.compile(r"[2-9][0-9]{6,7}")
_SEPARATOR = re.compile(r"[、,;/\\|或和\n\r\t]+")
_EXTENSION = re.compile(r"(?:转|分机|ext\.?|x|#).*$", re.I)
_NOISE = re.compile(r"[\s\-‐‑–—_.()\[\]+·'*]+")
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]{1,2}", re.I)
_LETTERS = re.compile(r"^[^\W\d]+[::]?|[(\[]?[^\W\d]+[)\]]?$")
_SAME_DIGITS = re.compile(r"([0-9])\1{6,}$")
PLACEHOLDERS = frozenset(
    {
        "13800138000",  # the operator's own test number, entered everywhere
        "13800000000",
        "12345678901",
        "12345678910",
        "13812345678",
        "13912345678",
        "13123456789",
        "1234567890",
        "123456789",
        "12345678",
        "1234567",
        "87654321",
    }
)


def clean_phone(cell: Cell) -> Cleaned:
    """A phone number as digits.

    The country code 86 goes, as do blanks, hyphens, extensions and a zero before a mobile. Of
    several numbers the first good one counts, a mobile before a land line. A local number without
    its area code gives ``None``: the same digits belong to other people elsewhere.
    """
    if isinstance(cell, str) and _PLAIN_MOBILE.fullmatch(cell) and cell not in PLACEHOLDERS:
        return cell, ()
    text = cell_text(cell)
    if _MOBILE.fullmatch(text):
        return (None, ("placeholder-phone",)) if _is_placeholder(text) else (text, ())
    if is_null_marker(text):
        return MISSING
    if _SCIENTIFIC.fullmatch(text):
        return None, ("phone-lost-by-spreadsheet",)
    if "*" in text:
        return None, ("masked-value",)
    parts = [part for part in _SEPARATOR.split(text) if part.strip()]
    if len(parts) == 1 and len(re.findall(r"[0-9]{7,}", parts[0])) > 1:
        parts = parts[0].split()
    judged = [_judge(_digits(part)) for part in parts]
    good = sorted((value for value, _ in judged if value), key=lambda value: value[0] == "0")
    if good:
        return good[0], (("several-phones",) if len(judged) > 1 else ())
    return (None, judged[0][1]) if judged else (None, ("phone-not-understood",))


def _digits(text: str) -> str:
    text = _EXTENSION.sub("", text)
    text = _NOISE.sub("", _LETTERS.sub("", text.strip()))
    if text.startswith("00"):
        text = text[2:] if text.startswith("0086") else text
    if text.startswith("86") and len(text) > 11:
        text = text[2:]
    if text.startswith("0") and _MOBILE.fullmatch(text[1:]):
        text = text[1:]
    elif _LAND_LINE.fullmatch("0" + text) and not _MOBILE.fullmatch(text) and len(text) > 9:
        text = "0" + text  # a spreadsheet took the zero of the area code
    return text


def _judge(digits: str) -> Cleaned:
    if not digits.isdecimal():
        return None, ("phone-not-understood",)
    if _is_placeholder(digits):
        return None, ("placeholder-phone",)
    if _MOBILE.fullmatch(digits) or _LAND_LINE.fullmatch(digits):
        return digits, ()
    if _LOCAL.fullmatch(digits):
        return None, ("phone-without-area-code",)
    return None, ("phone-wrong-length",)


def _is_placeholder(digits: str) -> bool:
    return digits in PLACEHOLDERS or _SAME_DIGITS.search(digits) is not None
