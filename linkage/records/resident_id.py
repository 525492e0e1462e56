"""Resident ID numbers (GB 11643-1999): their form, check character, birth date and sex.

Seventeen digits (six of the division where the person was first registered, eight of the birth
date, three of the order of birth, odd for a male) and a check character by ISO 7064 MOD 11-2. The
form before 1999 had fifteen: two digits for the year, and no check character. The division is
never judged: withdrawn codes are as valid as today's.
"""

import re
from datetime import date
from operator import mul

from linkage.records.cells import MISSING, Cell, Cleaned, cell_text, is_null_marker

CHECK_CHARACTERS = "10X98765432"
"""Check character for the weighted sum modulo 11."""

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""2 ** (17 - i) modulo 11 for each digit."""

_ZERO_SUM = sum(WEIGHTS) * ord("0") % 11
_NUMBER = re.compile(r"[0-9]{17}[0-9X]")
_OLD_NUMBER = re.compile(r"[0-9]{15}")
# Disability certificates: the ID number, a digit for the category (1-7), one for the grade (1-4),
# and B with a digit where it was issued again.
_DISABILITY_CARD = re.compile(r"([0-9]{17}[0-9X])[1-7][1-4](?:B[0-9])?")
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?1[0-9]", re.I)
_NOISE = re.compile(r"[\s\-‐‑–—_.,'·]+")
# Cyrillic and Greek look-alikes, the multiplication sign and the asterisk of old systems.
_LIKE_X = str.maketrans("ХΧ×✕✖", "XXXXX")
_SPREADSHEET_DIGITS = 15
ROUNDED = "000"
"""How the eighteen digits of a number end of which a spreadsheet kept fifteen."""


def check_character(digits: str) -> str:
    """The check character for the first seventeen digits (ISO 7064 MOD 11-2).

    Raises:
        ValueError: there are fewer than seventeen.
    """
    if len(digits) < len(WEIGHTS):
        raise ValueError("seventeen digits are needed")
    total = sum(map(mul, WEIGHTS, digits.encode("ascii")))
    return CHECK_CHARACTERS[(total - _ZERO_SUM) % 11]


def birth_date_of(number: str) -> str:
    """The birth date in an 18-character number, ``YYYY-MM-DD``, not judged."""
    return f"{number[6:10]}-{number[10:12]}-{number[12:14]}"


def sex_of(number: str) -> str:
    """The sex in an 18-character number, ``M`` or ``F``."""
    return "M" if number[16] in "13579" else "F"


def clean_resident_id(cell: Cell, today: date) -> Cleaned:
    """A valid resident ID number of 18 characters, or ``None`` and what is wrong with it.

    The old form is converted. A number that a spreadsheet rounded (it keeps 15 digits) is lost and
    never guessed; so is every one that ends in 000, even if its check character fits. One number in
    a thousand does by right, but one in eleven of those that were rounded fits too, and would be
    held against the child's true number at another office. School numbers (G, J or L and digits)
    are no resident ID numbers.
    """
    if isinstance(cell, str) and _NUMBER.fullmatch(cell):
        is_usual = not cell.endswith(ROUNDED)
        if is_usual and cell[17] == check_character(cell) and _is_day(int(cell[6:14]), today):
            return cell, ()
        text = cell
    else:
        if isinstance(cell, float) and not abs(cell) < 1e18:
            return None, ("id-lost-by-spreadsheet",)
        text = cell_text(cell)
        if is_null_marker(text):
            return MISSING
        if isinstance(cell, int | float) and len(text) > _SPREADSHEET_DIGITS:
            return None, ("id-lost-by-spreadsheet",)
        if _SCIENTIFIC.fullmatch(text):
            return None, ("id-lost-by-spreadsheet",)
        text = _NOISE.sub("", text).upper().translate(_LIKE_X)
    if len(text) == 18 and text.endswith(ROUNDED) and text.isdecimal() and text.strip("0"):
        return None, ("id-lost-by-spreadsheet",)
    codes: tuple[str, ...] = ()
    if len(text) > 18:
        match = _DISABILITY_CARD.fullmatch(text)
        if match:
            text, codes = match[1], ("id-from-disability-card",)
    if len(text) == 15 and text.strip("0") and _OLD_NUMBER.fullmatch(text):
        text = text[:6] + "19" + text[6:]
        text += check_character(text)
    return _judge(text, codes, today)


def _judge(text: str, codes: tuple[str, ...], today: date) -> Cleaned:
    if not text.strip("0"):
        return MISSING
    if len(text) == 18 and text.endswith("*"):
        text = text[:17] + "X"
    if not _NUMBER.fullmatch(text):
        return None, (_wrong_form(text),)
    if text[17] != check_character(text):
        return None, ("id-check-character",)
    if not _is_day(int(text[6:14]), today):
        return None, ("id-birth-date-impossible",)
    return text, codes


def _wrong_form(text: str) -> str:
    if "*" in text:
        return "masked-value"
    if text.removesuffix("X").isdecimal():
        return "id-wrong-length"
    return "not-a-resident-id"


_DAYS: dict[int, bool] = {}


def _is_day(number: int, today: date) -> bool:
    """Whether ``yyyymmdd`` is a day from 1900 to ``today``."""
    is_day = _DAYS.get(number)
    if is_day is None:
        try:
            is_day = date(number // 10000, number // 100 % 100, number % 100).year >= 1900
        except ValueError:
            is_day = False
        if len(_DAYS) < 1 << 17:
            _DAYS[number] = is_day
    return is_day and number <= today.year * 10000 + today.month * 100 + today.day
