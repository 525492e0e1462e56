"""The quick way to see that a line is an entry: one regular expression for the whole of it.

``parse_entry`` is the reference. :func:`look` says the same of nearly every line in a third of the
time, and nothing (``None``) of the others: those go to the reference. It never accepts what the
reference refuses; ``tests/api/audit/test_quick_form.py`` holds the two beside each other.

Only the standard library.
"""

import re
from typing import Final

from api.audit.errors import EntryError
from api.audit.events import MAX_ENTRY_BYTES, ROLES, Outcome, is_time, parse_entry

_NAME = rb'"[a-z][a-z0-9_]{0,39}"'
# Text that a detail can hold; a whole number below 10**10 in its one spelling.
_VALUE = rb'(?:null|0|[1-9][0-9]{0,9}|"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,89}")'
_ID = rb'(?:null|"[a-z0-9][a-z0-9-]{0,62}")'
_ROLES = b"|".join(sorted(role.encode() for role in ROLES))

_ENTRY = re.compile(
    rb'\{"action":"[a-z][a-z-]{0,30}:[a-z][a-z-]{0,30}","actor":' + _ID
    + rb',"details":\{((?:' + _NAME + rb":" + _VALUE + rb"(?:," + _NAME + rb":" + _VALUE
    + rb'){0,15})?)\},"index":(0|[1-9][0-9]{0,14}),"origin":(null|"[0-9A-Fa-f:.]{2,45}"),'
    rb'"outcome":"(?:' + b"|".join(sorted(str(one).encode() for one in Outcome)) + rb')","project":'
    + _ID + rb',"reason":' + _ID
    + rb',"request":(null|"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"),"role":(?:null|"(?:' + _ROLES
    + rb')"),"round":' + _ID
    + rb',"time":"([0-9]{4}-[0-9]{2}-[0-9]{2})T'
    rb'((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3})Z","v":1\}'
)  # fmt: skip

# A mobile number has eleven digits; what has fewer in a row cannot be any person's number. A search
# for one byte that stands for all digits is far quicker than one for a class of bytes.
_SAME_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 11
_DIGEST = re.compile(rb'"(?:sha256:)?(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})"')
_NAMES = re.compile(_NAME + rb":")
_MAX_REMEMBERED: Final = 100_000


class QuickForm:
    """Looks at lines one after the other, and remembers what it has seen to be good.

    Addresses, dates and lists of names come again and again: each is checked once.
    """

    def __init__(self) -> None:
        self._good_origins: set[bytes] = {b"null"}
        self._good_names: set[tuple[bytes, ...]] = {()}
        self._good_dates: set[bytes] = set()

    def look(self, line: bytes) -> tuple[int, str] | None:
        """Index and time of an entry without its newline; ``None`` if this way cannot tell."""
        match = _ENTRY.fullmatch(line)
        if match is None or len(line) > MAX_ENTRY_BYTES:
            return None
        if _LONG_NUMBER in line.translate(_SAME_DIGITS) and _has_long_number(match):
            return None
        details, index, origin, _, date, time = match.groups()
        if (
            origin in self._good_origins
            and date in self._good_dates
            and (not details or tuple(_NAMES.findall(details)) in self._good_names)
        ):
            return int(index), f"{date.decode()}T{time.decode()}Z"
        return self._learn(line, details, origin, date)

    def _learn(
        self, line: bytes, details: bytes, origin: bytes, date: bytes
    ) -> tuple[int, str] | None:
        try:
            entry = parse_entry(line)
        except EntryError:
            return None
        if not is_time(entry.time):
            return None
        if len(self._good_origins) < _MAX_REMEMBERED:
            self._good_origins.add(origin)
        if len(self._good_names) < _MAX_REMEMBERED:
            self._good_names.add(tuple(_NAMES.findall(details)))
        if len(self._good_dates) < _MAX_REMEMBERED:
            self._good_dates.add(date)
        return entry.index, entry.time


def _has_long_number(match: re.Match[bytes]) -> bool:
    """Whether a long number stands where chance makes none: not in a digest, or a request's id.

    Only a detail can be a digest; an id that has the form of one is still an id.
    """
    line, details, request = match[0], match.span(1), match.span(4)
    parts = (
        line[: details[0]],
        _DIGEST.sub(b"", match[1]),
        line[details[1] : request[0]],
        line[request[1] :],
    )
    return any(_LONG_NUMBER in part.translate(_SAME_DIGITS) for part in parts)
