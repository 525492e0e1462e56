"""An office's links and its map from pseudonyms to its own records, as files."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from linkage.errors import RecordsError

Band = Literal["certain", "probable", "possible", "withdrawn"]
"""How sure a link is; ``withdrawn`` where the other office has left the round since."""

LINK_COLUMNS = ("link", "record", "counterpart", "score", "band")
MAP_COLUMNS = ("pseudonym", "record_id")


@dataclass(frozen=True, slots=True)
class Link:
    """One link of one own record.

    Attributes:
        link: reference that only this office knows the link by.
        record: the office's own pseudonym, 32 hex characters.
        counterpart: the office whose register holds the other record.
        score: estimated probability that both are the same child, to two decimals.
    """

    link: str
    record: str
    counterpart: str
    score: float
    band: Band


def load_links(path: Path) -> list[Link]:
    """Read what ``office results`` wrote.

    Raises:
        RecordsError: the file is not such a list.
        OSError: it cannot be read.
    """
    links = []
    for row_number, row in _rows(path, LINK_COLUMNS, "links"):
        try:
            score = float(row[3])
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1 or row[4] not in get_args(Band):
            raise RecordsError(
                f"Row {row_number} of the file of links is not as 'office results' wrote it. "
                "Fetch the links again."
            )
        links.append(Link(row[0], row[1], row[2], score, cast(Band, row[4])))
    if len({link.link for link in links}) != len(links):
        raise RecordsError("The file of links names a link twice. Fetch the links again.")
    return links


def load_pseudonym_map(path: Path) -> dict[str, str]:
    """Read what ``encode --map`` wrote: pseudonym -> the office's own record id.

    Raises:
        RecordsError: the file is not such a map.
        OSError: it cannot be read.
    """
    record_ids: dict[str, str] = {}
    n_rows = 0
    for _, row in _rows(path, MAP_COLUMNS, "pseudonyms"):
        record_ids[row[0]] = row[1]
        n_rows += 1
    if len(record_ids) != n_rows or len(set(record_ids.values())) != n_rows:
        raise RecordsError(
            "The map names a pseudonym or a record twice. Give the file that 'encode --map' wrote."
        )
    return record_ids


def _rows(path: Path, columns: tuple[str, ...], what: str) -> Iterator[tuple[int, list[str]]]:
    expected = list(columns)
    advice = f"This is no file of {what}: its first line must be {','.join(columns)}."
    with path.open(encoding="utf-8", newline="") as file:
        try:
            reader = csv.reader(file, strict=True)
            if next(reader, None) != expected:
                raise RecordsError(advice)
            for row_number, row in enumerate(reader, 1):
                if len(row) != len(columns):
                    raise RecordsError(
                        f"Row {row_number} of the file of {what} has not {len(columns)} columns. "
                        "The file was changed or cut short: make it again."
                    )
                yield row_number, row
        except (UnicodeDecodeError, csv.Error) as error:
            raise RecordsError(advice) from error
