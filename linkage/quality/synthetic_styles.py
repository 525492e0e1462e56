"""How offices write values that they know: cells of dates, numbers, telephones and divisions.

Nothing here is false; cleaning should undo all of it.
"""

from datetime import date, datetime, time

from linkage.quality.synthetic_draws import Draws
from linkage.quality.synthetic_offices import Office
from linkage.quality.synthetic_people import Guardian
from linkage.quality.synthetic_slips import DateParts

Cell = str | int | date | datetime | None
"""A raw cell; a CSV file holds its text, an .xlsx file its type as well."""

_EXCEL_EPOCH = date(1899, 12, 30)
_FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


def date_cell(draws: Draws, office: Office, parts: DateParts) -> Cell:
    """A date in the office's style; text where there is no such day."""
    year, month, day = parts
    style, share = office.date_style, draws.share()
    if style == "compact":
        return f"{year}{month:02d}{day:02d}"
    dashes, words = f"{year}-{month:02d}-{day:02d}", f"{year}年{month}月{day}日"
    if style == "dashes":
        slashes, dots = f"{year}/{month}/{day}", f"{year}.{month:02d}.{day:02d}"
        return (
            dashes if share < 0.7 else slashes if share < 0.9 else dots if share < 0.97 else words
        )
    try:
        cell = date(year, month, day)
    except ValueError:
        return dashes
    if style == "cell":
        return cell if share < 0.95 else words
    serial = (cell - _EXCEL_EPOCH).days
    return cell if share < 0.85 else serial if share < 0.9 else dashes


def odd_id_number(draws: Draws, number: str) -> str:
    """An ID number with full-width digits, blanks or the apostrophe that makes it text."""
    share = draws.share()
    if share < 0.3:
        return number.translate(_FULL_WIDTH)
    if share < 0.6:
        return f"{number[:6]} {number[6:14]} {number[14:]}"
    return "'" + number if share < 0.8 else number + " "


def odd_phone(draws: Draws, phone: str, guardian: Guardian) -> str:
    """A telephone number with separators, country code or full-width digits, or two in one."""
    share = draws.share()
    if share < 0.3:
        return f"{phone[:3]}-{phone[3:7]}-{phone[7:]}"
    if share < 0.55:
        return f"{phone[:3]} {phone[3:7]} {phone[7:]}"
    if share < 0.75:
        return f"+86{phone}"
    if share < 0.85:
        return phone.translate(_FULL_WIDTH)
    second = guardian.phone if phone == guardian.former_phone else guardian.former_phone
    return f"{phone}/{second}"


def division_cell(draws: Draws, office: Office, code: str) -> str:
    """A county code of 6 digits, or of 12 with zeros or with town and village behind."""
    if office.division_style == "six" or draws.chance(0.05):
        return code
    if office.division_style == "zeros":
        return code + "000000"
    return f"{code}{draws.between(1, 20):03d}{draws.between(1, 30):03d}"


def entry_cell(draws: Draws, office: Office, day: date) -> Cell:
    """When the record was entered: a moment in .xlsx, a day in CSV."""
    if office.file_format != "xlsx":
        return f"{day:%Y-%m-%d}"
    return datetime.combine(day, time(draws.between(8, 17), draws.below(60)))
