"""Links, truth and pseudonym maps as files hold them.

No message of this module holds a record id: rows are named by number, from 1, headings not
counted.
"""

import csv
import math
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from linkage.errors import EvaluationError
from linkage.types import F64, I64, LinkSet

_LINK_COLUMNS = ("dataset_a", "record_a", "dataset_b", "record_b")
_ENTITY_COLUMNS = ("dataset", "record", "entity")
_MAP_COLUMNS = ("pseudonym", "record_id")

Record = tuple[str, str]
"""Name of the dataset and id of the record in it."""


@dataclass(frozen=True, slots=True)
class Links:
    """Links as a file or a matcher gives them: ``n`` pairs of records and their scores.

    Attributes:
        a, b: dataset and record of either side, ``n`` each.
        score: ``(n,) float64``, NaN where none was given.
    """

    a: Sequence[Record] = field(repr=False)
    b: Sequence[Record] = field(repr=False)
    score: F64 = field(repr=False)

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True, slots=True)
class Truth:
    """Which records are the same entity; exactly one of the two forms is present.

    Attributes:
        entities: number of the entity of every record there is.
        pairs: true pairs, each in both or either order; records in no pair match nothing.
    """

    entities: Mapping[Record, int] | None = field(default=None, repr=False)
    pairs: Sequence[tuple[Record, Record]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.entities is None) == (self.pairs is None):
            raise EvaluationError("A truth is either entities or pairs. Give one of the two.")

    def among(self, datasets: Collection[str]) -> "Truth":
        """What the truth says of these datasets alone."""
        if self.entities is not None:
            kept = {key: entity for key, entity in self.entities.items() if key[0] in datasets}
            return Truth(entities=kept)
        pairs = self.pairs or ()
        return Truth(pairs=[p for p in pairs if p[0][0] in datasets and p[1][0] in datasets])


def load_links(path: Path) -> Links:
    """Links from a CSV file with columns ``dataset_a,record_a,dataset_b,record_b``.

    A column ``score`` is read where there is one; other columns are passed over.

    Raises:
        EvaluationError: if the file is not such a table.
    """
    return _pairs(path, "links")


def _pairs(path: Path, what: str) -> Links:
    sides_a: list[Record] = []
    sides_b: list[Record] = []
    scores: list[float] = []
    for row, cells in _rows(path, what, _LINK_COLUMNS, optional=("score",)):
        sides_a.append((sys.intern(cells[0]), cells[1]))
        sides_b.append((sys.intern(cells[2]), cells[3]))
        scores.append(_score(cells[4], row, what))
    return Links(sides_a, sides_b, np.array(scores, dtype=np.float64))


def links_of(links: LinkSet, record_ids: Sequence[Sequence[str]]) -> Links:
    """The links of a matcher's result, with the ids of each dataset's rows in its order.

    Raises:
        EvaluationError: if ``record_ids`` do not fit the datasets of ``links``.
    """
    names = links.dataset_names
    if len(record_ids) != len(names):
        raise EvaluationError("Give the record ids of every dataset of the links, in their order.")

    def side(datasets: I64, rows: I64) -> list[Record]:
        try:
            return [
                (names[dataset], record_ids[dataset][row])
                for dataset, row in zip(datasets.tolist(), rows.tolist(), strict=True)
            ]
        except IndexError:
            raise EvaluationError(
                "The links name rows that the record ids lack. Give the ids of all rows."
            ) from None

    return Links(
        side(links.dataset_a, links.row_a), side(links.dataset_b, links.row_b), links.score
    )


def load_truth(path: Path) -> Truth:
    """Truth from a CSV file, either ``dataset,record,entity`` or pairs in the columns of links.

    Raises:
        EvaluationError: if the file is neither, or lists a record twice.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        has_pairs = "record_a" in stream.readline()
    if has_pairs:
        links = _pairs(path, "truth")
        return Truth(pairs=list(zip(links.a, links.b, strict=True)))
    entities: dict[Record, int] = {}
    numbers: dict[str, int] = {}
    for row, (dataset, record, entity) in _rows(path, "truth", _ENTITY_COLUMNS):
        key = (sys.intern(dataset), record)
        if key in entities:
            raise EvaluationError(
                f"Row {row} of the truth lists a record for the second time. Keep one row a record."
            )
        entities[key] = numbers.setdefault(entity, len(numbers))
    return Truth(entities=entities)


def load_pseudonym_map(path: Path) -> dict[str, str]:
    """Record ids by pseudonym from an office's map, columns ``pseudonym,record_id``.

    Raises:
        EvaluationError: if the file is not such a table, or names a pseudonym twice.
    """
    found: dict[str, str] = {}
    for row, (pseudonym, record_id) in _rows(path, "map", _MAP_COLUMNS):
        if pseudonym in found:
            raise EvaluationError(
                f"Row {row} of the map names a pseudonym for the second time. "
                "Use the map that was written with the encoded file."
            )
        found[pseudonym] = record_id
    return found


def _score(text: str, row: int, what: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise EvaluationError(
            f"Row {row} of the {what} has a score that is not a number. Write it like 0.98."
        ) from None


def _rows(
    path: Path, what: str, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """Row numbers from 1 and the cells of ``columns``, then of ``optional`` ('' if absent)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            places = _places(next(reader, []), what, columns, optional)
            width = max(places) + 1
            for row, cells in enumerate(reader, start=1):
                if not cells:
                    continue
                if len(cells) < width:
                    raise EvaluationError(
                        f"Row {row} of the {what} has too few columns. Write the file anew."
                    )
                yield row, [cells[place] if place >= 0 else "" for place in places]
    except (UnicodeDecodeError, csv.Error):
        raise EvaluationError(f"The {what} are no UTF-8 CSV file. Save them as one.") from None


def _places(
    headings: Sequence[str], what: str, columns: Sequence[str], optional: Sequence[str]
) -> list[int]:
    missing = [column for column in columns if column not in headings]
    if missing:
        raise EvaluationError(
            f"The {what} lack columns: {', '.join(missing)}. Name them in the first row."
        )
    return [
        headings.index(column) if column in headings else -1 for column in (*columns, *optional)
    ]
