"""Markup and characters of XML, as compiled code meets them in an array of bytes.

No more of XML 1.0 than workbooks use: tags with their attributes, text, CDATA sections, the five
named entities and numbered characters; comments and instructions are passed over.  A document type
is refused, so no entity can be declared.  Whether names of end tags fit is for the caller to see.
"""

from linkage.compiled import kernel
from linkage.types import U8

START, EMPTY, END, CDATA, NO_TAG = range(5)
"""Kinds of markup; ``NO_TAG`` is a comment or an instruction."""
NOT_YET, BAD = -1, -2
"""In place of an index: the markup does not end in these bytes; it is none."""

CDATA_HEAD, CDATA_TAIL = len("<![CDATA["), len("]]>")

_LT, _GT, _AMPERSAND, _SLASH, _COLON, _EQUALS = (ord(sign) for sign in "<>&/:=")
_QUOTE, _APOSTROPHE, _QUESTION, _EXCLAMATION, _DASH = (ord(sign) for sign in "\"'?!-")
_BRACKET, _CLOSING, _SEMICOLON, _HASH, _X = (ord(sign) for sign in "[];#x")
_LINE_FEED, _RETURN, _SPACE = 10, 13, 32
_KEY_MASK = (1 << 47) - 1
_LONGEST_ENTITY = len("#x0010FFFF") + 2


def key_of(name: str) -> int:
    """A number for a name, as :func:`name_key` finds it; two that share one make no harm.

    What a file's names stand for is for the file to say: nobody gains by making them alike.
    """
    key = 0
    for letter in name.encode():
        key = (key * 257 + letter) & _KEY_MASK
    return key


_ENTITIES = tuple(key_of(name) for name in ("lt", "gt", "amp", "quot", "apos"))
_ENTITY_SIGNS = tuple(ord(sign) for sign in "<>&\"'")


@kernel
def name_key(xml: U8, start: int, stop: int) -> int:
    """The number of the name that lies there."""
    key = 0
    for i in range(start, stop):
        key = (key * 257 + int(xml[i])) & _KEY_MASK
    return key


@kernel
def element_key(xml: U8, start: int, stop: int) -> int:
    """The number of an element's name, its prefix left out, in the tag from ``start``."""
    at = start
    for i in range(start, stop):
        sign = xml[i]
        if sign == _COLON:
            at = i + 1
        elif sign <= _SPACE or sign in (_SLASH, _GT):
            return name_key(xml, at, i)
    return 0


@kernel
def next_markup(xml: U8, at: int) -> tuple[int, int]:
    """Kind of the markup that begins at ``at``, and the index behind it or why there is none."""
    n = len(xml)
    if at + 1 >= n:
        return NO_TAG, NOT_YET
    sign = xml[at + 1]
    if sign == _QUESTION:
        return NO_TAG, _behind(xml, at + 2, _QUESTION, False)
    if sign == _EXCLAMATION:
        if n - at < CDATA_HEAD:
            return NO_TAG, NOT_YET
        if xml[at + 2] == _DASH and xml[at + 3] == _DASH:
            return NO_TAG, _behind(xml, at + 4, _DASH, True)
        if xml[at + 2] == _BRACKET and xml[at + 8] == _BRACKET:
            return CDATA, _behind(xml, at + CDATA_HEAD, _CLOSING, True)
        return NO_TAG, BAD
    return _tag(xml, at)


@kernel
def _tag(xml: U8, at: int) -> tuple[int, int]:
    quote = 0
    for i in range(at + 1, len(xml)):
        sign = int(xml[i])
        if quote:
            quote = 0 if sign == quote else quote
        elif sign == _GT:
            if xml[at + 1] == _SLASH:
                return END, i + 1
            return (EMPTY if xml[i - 1] == _SLASH else START), i + 1
        elif sign in (_QUOTE, _APOSTROPHE):
            quote = sign
        elif sign == _LT:
            return NO_TAG, BAD
    return NO_TAG, NOT_YET


@kernel
def _behind(xml: U8, start: int, sign: int, twice: bool) -> int:
    """Index behind the next ``sign`` and ``>``, the sign once or twice."""
    for i in range(start + 1 + twice, len(xml)):
        if xml[i] == _GT and xml[i - 1] == sign and (not twice or xml[i - 2] == sign):
            return i + 1
    return NOT_YET


@kernel
def next_attribute(xml: U8, at: int, stop: int) -> tuple[int, int, int, int]:
    """Name's number, start and stop of the value, and index behind the attribute.

    ``at`` lies behind the element's name or another attribute, ``stop`` behind the tag.  The number
    is 0 if none follows and ``BAD`` if what follows is none.
    """
    start = at
    while xml[start] <= _SPACE:
        start += 1
    if xml[start] in (_GT, _SLASH):
        return 0, 0, 0, stop
    i = start
    while xml[i] > _SPACE and xml[i] != _EQUALS and xml[i] != _GT:
        i += 1
    key = name_key(xml, start, i)
    while xml[i] <= _SPACE:
        i += 1
    if xml[i] != _EQUALS:
        return BAD, 0, 0, stop
    i += 1
    while xml[i] <= _SPACE:
        i += 1
    quote = xml[i]
    if quote not in (_QUOTE, _APOSTROPHE):
        return BAD, 0, 0, stop
    value = i + 1
    i = value
    while i < stop and xml[i] != quote:
        i += 1
    return (key, value, i, i + 1) if i < stop else (BAD, 0, 0, stop)


@kernel
def behind_name(xml: U8, at: int) -> int:
    """Index behind the element's name of the start tag at ``at``."""
    i = at + 1
    while xml[i] > _SPACE and xml[i] != _SLASH and xml[i] != _GT:
        i += 1
    return i


@kernel
def next_tag(xml: U8, at: int) -> int:
    """Index of the next ``<``, or the number of bytes."""
    i = at
    while i < len(xml) and xml[i] != _LT:
        i += 1
    return i


@kernel
def copy_characters(xml: U8, start: int, stop: int, text: U8, n_text: int) -> int:
    """Append text with its entities resolved and its line ends as line feeds (XML 1.0, 2.11).

    Returns:
        Number of bytes of text now, or ``BAD``.
    """
    i = start
    while i < stop:
        sign = xml[i]
        if sign == _AMPERSAND:
            i, n_text = _copy_entity(xml, i + 1, stop, text, n_text)
            if i < 0:
                return BAD
            continue
        i += 1
        if sign == _RETURN:
            if i < stop and xml[i] == _LINE_FEED:
                continue
            sign = _LINE_FEED
        text[n_text] = sign
        n_text += 1
    return n_text


@kernel
def copy_cdata(xml: U8, start: int, stop: int, text: U8, n_text: int) -> int:
    """Append the text of a CDATA section."""
    for i in range(start, stop):
        if xml[i] != _RETURN:
            text[n_text] = xml[i]
        elif i + 1 < stop and xml[i + 1] == _LINE_FEED:
            continue
        else:
            text[n_text] = _LINE_FEED
        n_text += 1
    return n_text


@kernel
def _copy_entity(xml: U8, start: int, stop: int, text: U8, n_text: int) -> tuple[int, int]:
    end = start
    while end < stop and xml[end] != _SEMICOLON:
        end += 1
    if end in (stop, start) or end - start > _LONGEST_ENTITY:
        return BAD, n_text
    if xml[start] == _HASH:
        point = _number(xml, start + 1, end)
    else:
        point = BAD
        key = name_key(xml, start, end)
        for i in range(len(_ENTITIES)):
            if key == _ENTITIES[i]:
                point = _ENTITY_SIGNS[i]
    if point <= 0 or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        return BAD, n_text
    return end + 1, put_code_point(text, n_text, point)


@kernel
def _number(xml: U8, start: int, stop: int) -> int:
    """A numbered character: decimal, or hexadecimal behind an ``x``."""
    if start < stop and xml[start] == _X:
        return parse_digits(xml, start + 1, stop, 16)
    return parse_digits(xml, start, stop, 10)


@kernel
def parse_digits(xml: U8, start: int, stop: int, base: int) -> int:
    """A number without a sign, or ``BAD`` where there is none or it needs over ten digits."""
    if start >= stop or stop - start > 10:
        return BAD
    number = 0
    for i in range(start, stop):
        sign = int(xml[i])
        if 48 <= sign <= 57:
            digit = sign - 48
        elif 97 <= sign <= 102:
            digit = sign - 87
        elif 65 <= sign <= 70:
            digit = sign - 55
        else:
            return BAD
        if digit >= base:
            return BAD
        number = number * base + digit
    return number


@kernel
def put_code_point(text: U8, n_text: int, point: int) -> int:
    """Append a character as UTF-8; the number of bytes of text now."""
    if point < 0x80:
        text[n_text] = point
        return n_text + 1
    if point < 0x800:
        text[n_text] = 0xC0 | (point >> 6)
        text[n_text + 1] = 0x80 | (point & 0x3F)
        return n_text + 2
    if point < 0x10000:
        text[n_text] = 0xE0 | (point >> 12)
        text[n_text + 1] = 0x80 | ((point >> 6) & 0x3F)
        text[n_text + 2] = 0x80 | (point & 0x3F)
        return n_text + 3
    text[n_text] = 0xF0 | (point >> 18)
    text[n_text + 1] = 0x80 | ((point >> 12) & 0x3F)
    text[n_text + 2] = 0x80 | ((point >> 6) & 0x3F)
    text[n_text + 3] = 0x80 | (point & 0x3F)
    return n_text + 4
