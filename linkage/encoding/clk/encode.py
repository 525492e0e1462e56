"""Rows in, CLKs out: each distinct value is hashed once, and filters are joined by OR.

A block of rows is worked on column by column.  What a value sets in the filter is kept for the
rows to come, and what a token sets for the values to come, both within a fixed number of bytes:
memory does not grow with the file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from linkage.encoding.clk.formats import UnfitValueError, hashed_text, text_encoding
from linkage.encoding.clk.keys import FeatureKeys, derive_feature_keys
from linkage.encoding.clk.positions import TokenPositions, filter_words, rows_of_bits
from linkage.encoding.clk.schema import Feature, LinkageSchema
from linkage.encoding.clk.tokens import tokens_of
from linkage.errors import EncodingError
from linkage.types import I64, U8, U64

_KEPT_BYTES = 16 << 20
_KEPT_TEXTS = 1 << 16
_VALUES_AT_ONCE = 4096
_PROBLEMS_SHOWN = 20


class ClkEncoder:
    """Encodes rows under one schema and secret.

    Args:
        schema: names the columns in their order.
        secret: the offices' common secret: clkhash takes a text, which is its UTF-8 bytes here.
        check_values: whether values must fit their formats; without, only what cannot be hashed
            at all is refused.
    """

    def __init__(self, schema: LinkageSchema, secret: bytes, *, check_values: bool = True) -> None:
        self._schema = schema
        keys = derive_feature_keys(schema.key_derivation, secret, len(schema.features))
        self._encoders = [
            _FeatureEncoder(feature, column, keys[column], schema.filter_bits, check_values)
            for column, feature in enumerate(schema.features)
            if isinstance(feature, Feature)
        ]

    def __repr__(self) -> str:
        return "ClkEncoder(hidden)"

    def encode(self, rows: Sequence[Sequence[str]], *, first_row: int = 1) -> U8:
        """The CLKs of consecutive rows.

        Args:
            rows: one cell for each feature, ignored ones included, as they stand in the file.
            first_row: number of the first one, for messages; headings are not counted.

        Returns:
            ``(len(rows), clk_bytes) uint8``; bit ``i`` is bit ``7 - i % 8`` of byte ``i // 8``.

        Raises:
            EncodingError: rows have too few or too many cells, or values do not fit their
                formats; names rows and features, never a value.
        """
        self._verify_widths(rows, first_row)
        columns = list(zip(*rows, strict=True))
        filters = np.zeros((len(rows), filter_words(self._schema.filter_bits)), dtype=np.uint64)
        problems: list[_Problem] = []
        if columns:
            for encoder in self._encoders:
                problems += encoder.add_to(filters, columns[encoder.column], first_row)
        if problems:
            raise EncodingError(_described(problems))
        return _folded(filters, self._schema)

    def _verify_widths(self, rows: Sequence[Sequence[str]], first_row: int) -> None:
        expected = len(self._schema.features)
        if set(map(len, rows)) <= {expected}:
            return
        number, width = next(
            (number, len(row)) for number, row in enumerate(rows, first_row) if len(row) != expected
        )
        raise EncodingError(
            f"Row {number} (headings not counted) has {width} cells, and the linkage schema has "
            f"{expected} features. Correct that row; no CLKs were made."
        )


@dataclass(frozen=True, slots=True, order=True)
class _Problem:
    row: int
    column: int
    identifier: str
    reason: str


def _described(problems: list[_Problem]) -> str:
    problems.sort()
    lines = [f"  row {p.row}, {p.identifier}: {p.reason}" for p in problems[:_PROBLEMS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"  and {len(problems) - _PROBLEMS_SHOWN:,} more in this part of the file")
    return "\n".join(
        [
            "Values do not fit the linkage schema (rows are counted from 1, without headings):",
            *lines,
            "Correct them, or say in the schema which value stands for a missing one. No CLKs "
            "were made.",
        ]
    )


def _folded(filters: U64, schema: LinkageSchema) -> U8:
    """Halve filters by XOR ``xor_folds`` times; that joins all bits equal modulo the CLK's length."""
    n, l = len(filters), schema.clk_bits  # noqa: E741 - the name in the specification
    raw = filters.view(np.uint8)
    if schema.xor_folds == 0:
        return np.ascontiguousarray(raw[:, : schema.clk_bytes])
    parts = 1 << schema.xor_folds
    if l % 8 == 0:
        pieces = raw[:, : parts * l // 8].reshape(n, parts, l // 8)
        return np.bitwise_xor.reduce(pieces, axis=1)
    bits = np.unpackbits(raw, axis=1, count=parts * l).reshape(n, parts, l)
    return np.packbits(np.bitwise_xor.reduce(bits, axis=1), axis=1)


class _FeatureEncoder:
    """What one feature sets in the filters."""

    def __init__(
        self,
        feature: Feature,
        column: int,
        keys: FeatureKeys,
        filter_bits: int,
        check_values: bool,
    ) -> None:
        self.column = column
        self._feature = feature
        self._check = check_values
        self._encoding = text_encoding(feature.format)
        self._positions = TokenPositions(feature.hash, keys, filter_bits)
        self._filter_bits = filter_bits
        self._values = _KeptFilters(filter_words(filter_bits))
        self._tokens: dict[int, _KeptFilters] = {}

    def add_to(self, filters: U64, column: Sequence[str], first_row: int) -> list[_Problem]:
        """OR this feature of each row into ``filters``; returns what is wrong with the column."""
        values = self._values
        if values.is_full():
            values = self._values = _KeptFilters(filters.shape[1])
        unfit = self._hash_values(values.lacking(column))
        if unfit:
            return [
                _Problem(row, self.column, self._feature.identifier, unfit[value])
                for row, value in enumerate(column, first_row)
                if value in unfit
            ]
        for start in range(0, len(column), _VALUES_AT_ONCE):
            stop = start + _VALUES_AT_ONCE
            filters[start:stop] |= values.filters_of(column[start:stop])
        return []

    def _hash_values(self, values: Iterable[str]) -> dict[str, str]:
        """Keep the filters of new values; returns the reason for each that does not fit."""
        unfit: dict[str, str] = {}
        by_length: dict[int, tuple[list[str], list[list[str]]]] = {}
        for value in values:
            try:
                text = hashed_text(self._feature, value, check=self._check)
                tokens = tokens_of(self._feature.comparison, text)
            except UnfitValueError as error:
                unfit[value] = str(error)
                continue
            alike, token_lists = by_length.setdefault(len(tokens), ([], []))
            alike.append(value)
            token_lists.append(tokens)
        for n_tokens, (alike, token_lists) in by_length.items():
            at_once = _values_at_once(n_tokens, filter_words(self._filter_bits))
            for start in range(0, len(alike), at_once):
                part = slice(start, start + at_once)
                self._values.keep(alike[part], self._filters_of(token_lists[part], n_tokens))
        return unfit

    def _filters_of(self, token_lists: Sequence[Sequence[str]], n_tokens: int) -> U64:
        """Filters of values that have ``n_tokens`` tokens each."""
        filters = np.zeros((len(token_lists), filter_words(self._filter_bits)), dtype=np.uint64)
        if not n_tokens:
            return filters
        n_more, more, fewer = self._feature.strategy.bits_of_tokens(n_tokens)
        for bits, part in ((more, slice(n_more)), (fewer, slice(n_more, None))):
            tokens = list(chain.from_iterable(each[part] for each in token_lists))
            if not bits or not tokens:
                continue
            kept = self._kept_tokens(tokens, bits)
            for of_place in kept.rows_of(tokens).reshape(len(token_lists), -1).T:
                filters |= kept.rows[of_place]
        return filters

    def _kept_tokens(self, tokens: Sequence[str], bits: int) -> "_KeptFilters":
        """A store in which each of the tokens has its filter, ``bits`` positions in it set."""
        if any(kept.is_full() for kept in self._tokens.values()):
            self._tokens.clear()
        kept = self._tokens.setdefault(bits, _KeptFilters(filter_words(self._filter_bits)))
        fresh = kept.lacking(tokens)
        if fresh:
            encoded = [token.encode(self._encoding) for token in fresh]
            positions = self._positions.of(encoded, bits)
            kept.keep(fresh, rows_of_bits(positions, self._filter_bits))
        return kept


def _values_at_once(n_tokens: int, words: int) -> int:
    """Values whose tokens may all be new and still take no more than what may be kept."""
    return max(1, min(_VALUES_AT_ONCE, _KEPT_BYTES // (max(n_tokens, 1) * words * 8)))


class _KeptFilters:
    """Filters of texts, kept for the next time that a text occurs.

    Attributes:
        rows: ``(capacity, words) uint64``; a text's filter is in the row that it was given.
    """

    def __init__(self, words: int) -> None:
        self._row_of: dict[str, int] = {}
        self._most = max(1, min(_KEPT_TEXTS, _KEPT_BYTES // (words * 8)))
        self.rows: U64 = np.empty((0, words), dtype=np.uint64)

    def is_full(self) -> bool:
        """Whether it is time to start a new one; keeping still works, for one block's sake."""
        return len(self._row_of) >= self._most

    def lacking(self, texts: Iterable[str]) -> list[str]:
        """The texts that are not kept, each once, in their order."""
        return [text for text in dict.fromkeys(texts) if text not in self._row_of]

    def keep(self, texts: Sequence[str], filters: U64) -> None:
        """Keep the filters of texts that are not kept yet."""
        start = len(self._row_of)
        stop = start + len(texts)
        if stop > len(self.rows):
            grown = np.empty((max(stop, 2 * len(self.rows)), self.rows.shape[1]), dtype=np.uint64)
            grown[:start] = self.rows[:start]
            self.rows = grown
        self.rows[start:stop] = filters
        self._row_of.update(zip(texts, range(start, stop), strict=True))

    def rows_of(self, texts: Sequence[str]) -> I64:
        """``(len(texts),) int64``: the row of each text; all must be kept."""
        return np.fromiter(map(self._row_of.__getitem__, texts), dtype=np.int64, count=len(texts))

    def filters_of(self, texts: Sequence[str]) -> U64:
        """``(len(texts), words) uint64``: the filter of each text; all must be kept."""
        return self.rows[self.rows_of(texts)]
