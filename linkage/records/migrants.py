"""The province's rule for migrant children.

A child counts as migrant when under 16, away from the place of household registration (hukou) with
a parent or guardian for six months or more, across county lines; a move between the districts of
one city centre does not count.
"""

import calendar
from datetime import date

from linkage.division_table import crosses_county_line

MIGRANT_AGE_YEARS = 16
MIGRANT_MONTHS = 6


def is_under_16(birth_date: date, today: date) -> bool:
    """Whether the sixteenth birthday is still to come."""
    had_birthday = (today.month, today.day) >= (birth_date.month, birth_date.day)
    return today.year - birth_date.year - (not had_birthday) < MIGRANT_AGE_YEARS


def is_migrant(
    birth_date: date,
    hukou_division: str,
    residence_division: str,
    *,
    away_since: date | None,
    with_guardian: bool | None,
    today: date,
) -> bool | None:
    """Whether a child counts as migrant on ``today``; ``None`` if what is missing decides it."""
    crosses = crosses_county_line(hukou_division, residence_division)
    long_enough = None if away_since is None else _months_later(away_since) <= today
    conditions = (is_under_16(birth_date, today), crosses, long_enough, with_guardian)
    if False in conditions:
        return False
    return None if None in conditions else True


def _months_later(day: date) -> date:
    """Six months after a day; the last day of a shorter month where there is no such day."""
    months = day.year * 12 + day.month - 1 + MIGRANT_MONTHS
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))
