"""The office's own ids of records: one for every record, unique in the file, none dropped."""

from collections.abc import Sequence

import numpy as np

from linkage.records.cells import Cell, cell_text, is_null_marker
from linkage.records.problems import make_problem
from linkage.records.seen import FirstSeen
from linkage.types import Problem

_FIELD = "record_id"


class RecordIds:
    """Gives consecutive batches of one file their ids.

    A record without an id goes by ``row-17``. Where an id was already used, ``#17`` (the row) is
    added to the later one. Both depend only on the file, so that every reading gives the same.
    """

    def __init__(self) -> None:
        self._seen = FirstSeen()
        self._made: set[str] = set()

    def assign(self, cells: Sequence[Cell], rows: Sequence[int]) -> tuple[list[str], list[Problem]]:
        """Ids for the records at these rows, and what was wrong with them."""
        problems: list[Problem] = []
        ids = [cell_text(cell) for cell in cells]
        missing = [i for i, text in enumerate(ids) if is_null_marker(text)]
        for i in missing:
            ids[i] = f"row-{rows[i]}"
            problems.append(make_problem(rows[i], _FIELD, "record-id-missing", None))
        keys = np.array([hash(text) for text in ids], dtype=np.int64)
        numbers = np.array(rows, dtype=np.int64)
        first_rows, _ = self._seen.look_up_and_add(keys, numbers, numbers)
        repeated = set(np.flatnonzero(first_rows).tolist())
        if self._made:
            repeated |= {i for i, text in enumerate(ids) if text in self._made}
        for i in sorted(repeated):
            given = ids[i]
            ids[i] = self._make_unique(given, rows[i])
            if i not in missing:
                problems.append(make_problem(rows[i], _FIELD, "record-id-twice", given))
        return ids, problems

    def _make_unique(self, text: str, row: int) -> str:
        while True:
            text = f"{text}#{row}"
            if text not in self._made and hash(text) not in self._seen:
                self._made.add(text)
                return text
