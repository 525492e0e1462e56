"""The joined list of the round before, and what changed since.

A link has another reference in every round, so links are compared by own record and counterpart
office; where a record had several links with one office, by their number.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import python_calamine

from api.office.links import Link
from api.office.list_layout import (
    BAND_NAMES,
    CHANGE_NEW,
    CHANGE_UNCHANGED,
    HEADING_BAND,
    HEADING_COUNTERPART,
    HEADING_RECORD,
    HEADING_SCORE,
    LINK_HEADINGS,
    SHEET_LINKS,
)
from api.office.workbook import raw_text
from linkage.errors import RecordsError
from linkage.records.record_ids import is_made_id


@dataclass(frozen=True, slots=True)
class PreviousLink:
    """One row of the list of the round before; ``values`` are the office's own columns."""

    record_id: str
    counterpart: str
    score: float
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreviousList:
    """The list of the round before; ``headings`` are those of the office's own columns."""

    headings: tuple[str, ...]
    links: tuple[PreviousLink, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed: link reference -> new or unchanged, and the links that are no more."""

    by_link: Mapping[str, str]
    ended: tuple[PreviousLink, ...]


def load_previous_list(path: Path) -> PreviousList:
    """Read a list that ``office join`` wrote, sorted or coloured by people since or not.

    Links that were withdrawn then are left out: they had ended, and counted no more.  So are those
    of records that went by their row: in another file that is another child's.

    Raises:
        RecordsError: the file is not such a list.
        OSError: it cannot be read.
    """
    try:
        with python_calamine.load_workbook(path) as workbook:
            names = [name for name in workbook.sheet_names if name.startswith(SHEET_LINKS)]
            sheets = [workbook.get_sheet_by_name(name).to_python() for name in names]
    except python_calamine.CalamineError as error:
        raise _no_list("it is no .xlsx file") from error
    if not sheets or not sheets[0]:
        raise _no_list(f"it has no sheet '{SHEET_LINKS}'")
    headings = [raw_text(value) for value in sheets[0][0]]
    if any(headings.count(heading) != 1 for heading in LINK_HEADINGS):
        raise _no_list("its headings were changed")
    place = {heading: headings.index(heading) for heading in LINK_HEADINGS}
    own = [number for number in range(len(headings)) if number not in place.values()]
    links = []
    for row in (row for sheet in sheets for row in sheet[1:]):
        texts = [raw_text(value) for value in row]
        if not any(texts) or texts[place[HEADING_BAND]] == BAND_NAMES["withdrawn"]:
            continue
        if is_made_id(texts[place[HEADING_RECORD]]):
            continue
        links.append(
            PreviousLink(
                record_id=texts[place[HEADING_RECORD]],
                counterpart=texts[place[HEADING_COUNTERPART]],
                score=_score(texts[place[HEADING_SCORE]]),
                values=tuple(texts[number] for number in own),
            )
        )
    return PreviousList(tuple(headings[number] for number in own), tuple(links))


def compare(
    links: Sequence[Link], record_ids: Mapping[str, str], previous: PreviousList
) -> Changes:
    """Say of each link whether it is new, and which links of ``previous`` have ended.

    Of several links of a record with one office, those with the highest scores count as unchanged.
    """
    before: dict[tuple[str, str], list[PreviousLink]] = defaultdict(list)
    for old in previous.links:
        before[old.record_id, old.counterpart].append(old)
    taken: Counter[tuple[str, str]] = Counter()
    by_link = {}
    for link in sorted(links, key=lambda link: (-link.score, link.link)):
        key = (record_ids[link.record], link.counterpart)
        known = taken[key] < len(before.get(key, ()))
        by_link[link.link] = CHANGE_UNCHANGED if known else CHANGE_NEW
        taken[key] += 1
    ended = []
    for key, olds in before.items():
        ended += sorted(olds, key=lambda old: -old.score)[taken[key] :]
    return Changes(by_link, tuple(ended))


def _score(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _no_list("a score in it is no number") from error


def _no_list(why: str) -> RecordsError:
    return RecordsError(
        f"The previous list cannot be used: {why}. Give the .xlsx that 'office join' wrote last "
        "time, or leave out --previous."
    )
