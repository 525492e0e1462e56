"""Codes of administrative divisions (GB/T 2260) as six digits."""

import re

from linkage.records.cells import MISSING, Cell, Cleaned, cell_text, is_null_marker

_PROVINCES = """
11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81
82
"""
PROVINCES = frozenset(_PROVINCES.split())
"""First two digits of every code of GB/T 2260."""

_CODE = re.compile(r"[0-9]{6}")
# Statistical codes: village (12), township (9); six digits are the county in each.
_LONG_CODE = re.compile(r"([0-9]{6})(?:[0-9]{3}|[0-9]{6})")
_SHORT_CODE = re.compile(r"[0-9]{2}(?:[0-9]{2})?")
_CODE_AND_NAME = re.compile(r"([0-9]{6})(?:[0-9]{3}|[0-9]{6})?[\s\-_:|(]*[^\W\d]+\)?")


def clean_division(cell: Cell) -> Cleaned:
    """A six-digit code.

    Twelve-digit and nine-digit statistical codes keep their first six digits; codes of a province
    or city are filled up with zeros and reported, since a county is meant.
    """
    text = cell_text(cell)
    if not _CODE.fullmatch(text):
        if is_null_marker(text):
            return MISSING
        text = "".join(text.split())
        match = _LONG_CODE.fullmatch(text) or _CODE_AND_NAME.fullmatch(text)
        if match:
            text = match[1]
        elif _SHORT_CODE.fullmatch(text):
            text = text.ljust(6, "0")
        elif not _CODE.fullmatch(text):
            return None, ("division-not-understood",)
    if text[:2] not in PROVINCES:
        return None, ("division-unknown",)
    return text, (("division-not-a-county",) if text.endswith("00") else ())
