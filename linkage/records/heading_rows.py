"""Where the headings of a table are: below titles, in one row or in two, each told from the others.

Printed forms have groups above the headings (监护人信息 over 姓名 and 联系电话), in merged cells.
What stands over several columns stands in the first of them only, and what has no group stands in
the upper row.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from linkage.records.cells import Cell, cell_text
from linkage.records.headings import meanings, names_nobody
from linkage.records.rows import is_label_of_form

_NUMBERED = re.compile(r"(.+) \(([0-9]+)\)")


class HeadingRows(NamedTuple):
    """Headings of a table, the rows up to and with them, and how many rows they are made of."""

    headings: tuple[str, ...]
    rows_above: int
    n_rows: int


def find_headings(first: Sequence[Sequence[Cell]]) -> HeadingRows | None:
    """Find the headings in the first rows of a table; ``None`` where nothing is filled.

    They are the first row with at least two filled cells and half as many as the fullest row, so
    that a title, and a line of who reports and when, are skipped (one as full as that, if known
    headings follow); together with the row of groups above it, or the row below it if it is one of
    groups itself. Of equal headings each gets its
    number, from the left: ``姓名 (1)``, ``姓名 (2)``.
    """
    texts = [[" ".join(cell_text(cell).split()) for cell in row] for row in first]
    filled = [sum(map(bool, row)) for row in texts]
    best = max(filled, default=0)
    if not best:
        return None
    full = [i for i, n in enumerate(filled) if n >= max(min(2, best), best / 2)]
    at = full[0]
    if _is_form_line(texts[at]):
        at = next((i for i in full if _are_known(texts[i])), at)
    for upper in (at, at - 1):
        if 0 <= upper < len(texts) - 1 and _are_groups(texts[upper], texts[upper + 1]):
            headings = _under_groups(texts[upper], texts[upper + 1])
            return HeadingRows(_numbered(headings), upper + 2, 2)
    return HeadingRows(_numbered(texts[at]), at + 1, 1)


def heading_key(heading: str) -> str:
    """What two headings must have in common to be the same: all but blanks and case."""
    return "".join(cell_text(heading).split()).casefold()


def several_of_one(headings: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """What stands over several columns -> the headings that tell these apart."""
    found: dict[str, list[str]] = defaultdict(list)
    for heading in headings:
        match = _NUMBERED.fullmatch(heading)
        if match:
            found[heading_key(match[1])].append(heading)
    return {
        _name_of(numbered[0]): tuple(numbered) for numbered in found.values() if len(numbered) > 1
    }


def _name_of(numbered: str) -> str:
    return numbered.rpartition(" (")[0]


def _are_groups(upper: Sequence[str], lower: Sequence[str]) -> bool:
    """Whether a row holds groups, and the one below it the headings under them.

    The words below must be headings, most of them known ones; no record holds such words.
    """
    width = max(len(upper), len(lower))
    pairs = list(zip(_padded(upper, width), _padded(lower, width), strict=True))
    below = [text for text in lower if text]
    if any(text.isdecimal() for text in below) or sum(map(bool, upper)) < 2:
        return False
    if any(":" in text for text in upper) or is_label_of_form(next(filter(None, upper))):
        return False
    if 2 * sum(map(_is_known, below)) < max(len(below), 2):
        return False
    continued = False
    for i, (group, heading) in enumerate(pairs):
        if heading and not group:
            continued = True
            if i == 0 or not pairs[i - 1][1]:
                return False
    beside = any(group and not heading for group, heading in pairs)
    return continued and (beside or len({heading_key(text) for text in below}) < len(below))


def _is_form_line(row: Sequence[str]) -> bool:
    """Whether a row says who fills in the form: 填报单位 某乡 填表人 ..."""
    return any(text.endswith(":") or is_label_of_form(text) for text in row)


def _are_known(row: Sequence[str]) -> bool:
    texts = [text for text in row if text]
    return sum(map(_is_known, texts)) >= max(2, len(texts) / 2)


def _is_known(heading: str) -> bool:
    return bool(meanings(heading))


def _under_groups(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """One heading a column: with its group where it does not say by itself whose it is."""
    width = max(len(upper), len(lower))
    times = Counter(heading_key(text) for text in lower if text)
    headings, group = [], ""
    for above, text in zip(_padded(upper, width), _padded(lower, width), strict=True):
        group = above or (group if text else "")
        alone = bool(text) and times[heading_key(text)] == 1 and not names_nobody(text)
        headings.append(text if alone else f"{group} {text}".strip())
    return headings


def _padded(row: Sequence[str], width: int) -> list[str]:
    return [*row, *[""] * (width - len(row))]


def _numbered(row: Sequence[str]) -> tuple[str, ...]:
    headings = list(row)
    while headings and not headings[-1]:
        headings.pop()
    keys = [heading_key(heading) for heading in headings]
    times, taken = Counter(keys), set(keys)
    numbers: Counter[str] = Counter()
    for i, key in enumerate(keys):
        if not key or times[key] == 1:
            continue
        numbers[key] += 1
        while heading_key(f"{headings[i]} ({numbers[key]})") in taken:
            numbers[key] += 1
        headings[i] += f" ({numbers[key]})"
    return tuple(headings)
