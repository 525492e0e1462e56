"""Encoded records as rows of words, before they are the columns of a file.

A file has its records in the order of random pseudonyms, and each column in one piece.  Records
come in the order of the office's own file.  So they are first packed, each into one row of 64-bit
words that holds all of its columns, and such rows are sorted (``linkage.shuffle``) and then taken
apart again (``linkage.tqe_writer``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from linkage.types import U8, U64, Bools, EncodedView, ViewLayout

PSEUDONYM_WORDS = 2


@dataclass(frozen=True, slots=True)
class RowColumn:
    """Where a column lies in a row.

    Attributes:
        name: as TQE.md has it.
        first_word, n_words: its value; none for a view's presence.
        validity_bit: which validity bit says that it is there; -1 for the pseudonym.
    """

    name: str
    first_word: int
    n_words: int
    validity_bit: int


class RowLayout:
    """Where everything lies in a row: pseudonym, validity bits, then the columns in order.

    Attributes:
        columns: all columns of the file, in the order of TQE.md.
        n_words: words of a row.
        validity_words: words of validity bits, behind the pseudonym.
    """

    def __init__(self, views: tuple[ViewLayout, ...]) -> None:
        self.views = views
        n_bits = sum(1 + len(view.groups) for view in views)
        self.validity_words = -(-n_bits // 64)
        at, bit = PSEUDONYM_WORDS + self.validity_words, 0
        columns = [RowColumn("pseudonym", 0, PSEUDONYM_WORDS, -1)]
        for view in views:
            name = f"{view.name}.{'tag' if view.tagged else 'present'}"
            columns.append(RowColumn(name, at, int(view.tagged), bit))
            at, bit = at + int(view.tagged), bit + 1
            for group in view.groups:
                n_words = group.filter_bits // 64
                columns.append(RowColumn(f"{view.name}.{group.name}", at, n_words, bit))
                at, bit = at + n_words, bit + 1
        self.columns = tuple(columns)
        self.n_words = at
        self._by_name = {column.name: column for column in columns}

    def presence(self, view: ViewLayout) -> RowColumn:
        """The column that says whether a record has the view."""
        return self._by_name[f"{view.name}.{'tag' if view.tagged else 'present'}"]

    def group(self, view: str, group: str) -> RowColumn:
        """The column of a filter."""
        return self._by_name[f"{view}.{group}"]

    def empty_rows(self, n_rows: int) -> U64:
        """``(n_rows, n_words) uint64`` zeros."""
        return np.zeros((n_rows, self.n_words), dtype=np.uint64)

    def set_validity(self, rows: U64, column: RowColumn, valid: Bools) -> None:
        """Write a column's validity bit into rows."""
        word, bit = divmod(column.validity_bit, 64)
        rows[:, PSEUDONYM_WORDS + word] |= valid.astype(np.uint64) << np.uint64(bit)

    def validity(self, rows: U64, column: RowColumn) -> Bools:
        """Which rows have a value in a column."""
        if column.validity_bit < 0:
            return np.ones(len(rows), dtype=np.bool_)
        word, bit = divmod(column.validity_bit, 64)
        found = rows[:, PSEUDONYM_WORDS + word] >> np.uint64(bit) & np.uint64(1)
        valid: Bools = found.astype(np.bool_)
        return valid

    def set_pseudonyms(self, rows: U64, pseudonyms: bytes) -> None:
        """Write 16 bytes a row."""
        words = np.frombuffer(pseudonyms, dtype="<u8").reshape(len(rows), PSEUDONYM_WORDS)
        rows[:, :PSEUDONYM_WORDS] = words

    def pseudonyms(self, rows: U64) -> U8:
        """``(n, 16) uint8``."""
        words = np.ascontiguousarray(rows[:, :PSEUDONYM_WORDS]).astype("<u8", copy=False)
        return words.view(np.uint8).reshape(len(rows), PSEUDONYM_WORDS * 8)

    def unpacked(self, rows: U64) -> Iterator[EncodedView]:
        """The views of rows, as arrays of their own."""
        for view in self.views:
            presence = self.presence(view)
            tags = np.ascontiguousarray(rows[:, presence.first_word]) if view.tagged else None
            places = {group.name: self.group(view.name, group.name) for group in view.groups}
            yield EncodedView(
                layout=view,
                tags=tags,
                present=self.validity(rows, presence),
                filters={
                    name: np.ascontiguousarray(
                        rows[:, place.first_word : place.first_word + place.n_words]
                    )
                    for name, place in places.items()
                },
                filter_present={name: self.validity(rows, c) for name, c in places.items()},
            )


def ascending(rows: U64) -> np.ndarray:
    """Order of rows by their pseudonyms as unsigned bytes; ``(n,) int64``."""
    high, low = (rows[:, word].astype("<u8").view(">u8") for word in range(PSEUDONYM_WORDS))
    order: np.ndarray = np.lexsort((low, high))
    return order
