"""Codes of administrative divisions (GB/T 2260) cleaned to the six digits of the place today."""

import re

from linkage.division_table import (
    code_of_name,
    current_code,
    is_current,
    is_suspicious,
)
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
    """The six-digit code that the place has on the date of the table.

    Twelve-digit and nine-digit statistical codes keep their first six digits. Withdrawn codes give
    their successor's, if there is one only; codes that are in no table stay as they are. Names
    (成都市武侯区) give the code if only one place has them. A city stays, filled up with zeros; a
    province alone says too little and gives ``None``.
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
        else:
            named = code_of_name(text)
            if named is None:
                return None, ("division-not-understood",)
            text = named
    return _judge(text)


def _judge(code: str) -> Cleaned:
    if code[:2] not in PROVINCES:
        return None, ("division-unknown",)
    if is_current(code):
        return code, ()
    if code.endswith("0000"):
        return None, ("division-not-a-county",)
    if code.endswith("00"):
        return code, ("division-not-a-county",)
    if is_suspicious(code):
        return code, ("division-not-in-table",)
    current = current_code(code)
    return current, (("division-withdrawn",) if current != code else ())
