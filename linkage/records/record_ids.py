"""The office's own ids of records: one for every record, unique in the file, none dropped."""

import re
from collections.abc import Sequence

import numpy as np

from linkage.records.cells import LONGEST_NULL_MARKER, Cell, cell_text, is_null_marker
from linkage.records.problems import make_problem
from linkage.records.seen import FirstSeen
from linkage.types import Problem

_FIELD = "record_id"
_MADE = re.compile(r"(?:^|.*@)row-([0-9]+)", re.DOTALL)


class RecordIds:
    """Gives consecutive batches of one file their ids.

    A record without an id goes by ``row-17``. Where an id was already used, ``@row-17`` is added to
    the later one. An id that looks made this way, but for another row, gets its own row added too:
    so all ids are unique, and depend on the file alone.
    """

    def __init__(self) -> None:
        self._seen = FirstSeen()

    def assign(self, cells: Sequence[Cell], rows: Sequence[int]) -> tuple[list[str], list[Problem]]:
        """Ids for the records at these rows, and what was wrong with them."""
        return self.assign_texts([cell_text(cell) for cell in cells], rows)

    def assign_texts(self, ids: list[str], rows: Sequence[int]) -> tuple[list[str], list[Problem]]:
        """As :meth:`assign`, for cells that are plain text already; ``ids`` is changed."""
        problems: list[Problem] = []
        keys = np.array([hash(text) for text in ids], dtype=np.int64)
        numbers = np.array(rows, dtype=np.int64)
        first_rows, _ = self._seen.look_up_and_add(keys, numbers, numbers)
        repeated = set(np.flatnonzero(first_rows).tolist())
        for i, text in enumerate(ids):
            if len(text) <= LONGEST_NULL_MARKER and is_null_marker(text):
                ids[i] = f"row-{rows[i]}"
                problems.append(make_problem(rows[i], _FIELD, "record-id-missing", None))
            elif i in repeated or ("row-" in text and _is_of_another_row(text, rows[i])):
                ids[i] = f"{text}@row-{rows[i]}"
                other = int(first_rows[i]) or None
                problems.append(make_problem(rows[i], _FIELD, "record-id-twice", text, other))
        return ids, problems


def is_made_id(text: str) -> bool:
    """Whether an id names a row of one file, and so may be another record's in any other file."""
    return _MADE.fullmatch(text) is not None


def _is_of_another_row(text: str, row: int) -> bool:
    match = _MADE.fullmatch(text)
    return match is not None and match[1] != str(row)
