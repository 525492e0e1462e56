"""Filters kept for the next time that they are needed, within a bounded number of bytes."""

from collections.abc import Iterable, Sequence

import numpy as np

from linkage.encoding.clk.positions import TokenPositions, filter_words, rows_of_bits
from linkage.types import I64, U64

KEPT_BYTES = 8 << 20
KEPT_TEXTS = 1 << 16


def most_kept(words: int) -> int:
    """Filters of so many words that a store may keep before it is started anew."""
    return max(1, min(KEPT_TEXTS, KEPT_BYTES // (words * 8)))


class FilterRows:
    """Rows of filters, to which rows are added at the end.

    Attributes:
        rows: ``(capacity, words) uint64``, of which the first ``n`` are in use.
        n: how many.
    """

    def __init__(self, words: int) -> None:
        self.rows: U64 = np.empty((0, words), dtype=np.uint64)
        self.n = 0

    def append(self, filters: U64) -> int:
        """Add filters; returns the row of the first one."""
        start, stop = self.n, self.n + len(filters)
        if stop > len(self.rows):
            grown = np.empty((max(stop, 2 * len(self.rows)), self.rows.shape[1]), dtype=np.uint64)
            grown[:start] = self.rows[:start]
            self.rows = grown
        self.rows[start:stop] = filters
        self.n = stop
        return start


class ValueFilters:
    """The filters of values that came before."""

    def __init__(self, words: int) -> None:
        self._row_of: dict[str, int] = {}
        self._filters = FilterRows(words)
        self._most = most_kept(words)

    def is_full(self) -> bool:
        """Whether it is time to start a new one; keeping still works, for one block's sake."""
        return self._filters.n >= self._most

    def lacking(self, values: Iterable[str]) -> list[str]:
        """The values that are not kept, each once, in their order."""
        known, distinct = self._row_of, dict.fromkeys(values)
        return [value for value in distinct if value not in known] if known else list(distinct)

    def keep(self, values: Sequence[str], filters: U64) -> None:
        """Keep the filters of values that are not kept yet."""
        start = self._filters.append(filters)
        self._row_of.update(zip(values, range(start, start + len(values)), strict=True))

    def of(self, values: Sequence[str]) -> U64:
        """``(len(values), words) uint64``: their filters; all must be kept."""
        rows = map(self._row_of.__getitem__, values)
        return self._filters.rows[np.fromiter(rows, dtype=np.int64, count=len(values))]


class TokenFilters:
    """Filters of tokens in which a certain number of positions is set, made when first asked for.

    Args:
        positions: where tokens set positions.
        n_bits: how many.
        filter_bits: length of the filters.
        encoding: how tokens become bytes.
    """

    def __init__(
        self, positions: TokenPositions, n_bits: int, filter_bits: int, encoding: str
    ) -> None:
        self._positions = positions
        self._n_bits = n_bits
        self._filter_bits = filter_bits
        self._encoding = encoding
        self._row_of = np.empty(0, dtype=np.int64)
        self._filters = FilterRows(filter_words(filter_bits))

    def __len__(self) -> int:
        return self._filters.n

    def join(self, filters: U64, numbers: I64, tokens: Sequence[str]) -> None:
        """OR the filters of each text's tokens into its filter.

        Args:
            filters: ``(n, words) uint64``, changed in place.
            numbers: ``(n, m) int64``, the numbers of the tokens of each text.
            tokens: all tokens by number.
        """
        self._make(numbers, tokens)
        rows = self._row_of[numbers]
        one = np.empty_like(filters)
        for of_place in np.ascontiguousarray(rows.T):
            np.take(self._filters.rows, of_place, axis=0, out=one, mode="clip")
            np.bitwise_or(filters, one, out=filters)

    def _make(self, numbers: I64, tokens: Sequence[str]) -> None:
        if len(self._row_of) < len(tokens):
            grown = np.full(max(len(tokens), 2 * len(self._row_of)), -1, dtype=np.int64)
            grown[: len(self._row_of)] = self._row_of
            self._row_of = grown
        wanted = np.zeros(len(self._row_of), dtype=np.bool_)
        wanted[numbers] = True
        fresh = np.flatnonzero(wanted & (self._row_of < 0))
        if len(fresh):
            encoded = [tokens[number].encode(self._encoding) for number in fresh.tolist()]
            made = rows_of_bits(self._positions.of(encoded, self._n_bits), self._filter_bits)
            self._row_of[fresh] = self._filters.append(made) + np.arange(len(fresh))
