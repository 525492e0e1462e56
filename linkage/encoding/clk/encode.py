"""Rows in, CLKs out: each distinct value is hashed once, and filters are joined by OR.

A block of rows is worked on column by column.  What a value sets in the filter is kept for the
rows to come, and what a token sets for the values to come, both within a fixed number of bytes:
memory does not grow with the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linkage.encoding.clk.filters import KEPT_TEXTS, TokenFilters, ValueFilters, most_kept
from linkage.encoding.clk.formats import (
    UnfitValueError,
    column_reader,
    text_encoding,
    value_reader,
    verify_encodable,
)
from linkage.encoding.clk.keys import FeatureKeys, derive_feature_keys
from linkage.encoding.clk.positions import TokenPositions, filter_words
from linkage.encoding.clk.schema import Feature, LinkageSchema
from linkage.encoding.clk.tokens import count_tokens
from linkage.encoding.clk.vocabulary import Vocabulary
from linkage.errors import EncodingError
from linkage.types import U8, U64

_ROWS_AT_ONCE = 4096
_MOSTLY, _NEARLY_ALL = 0.7, 0.9
_PROBLEMS_SHOWN = 20
_HEADING = "Values do not fit the linkage schema (rows are counted from 1, without headings):"
_ADVICE = (
    "Correct them, or say in the schema which value stands for a missing one. No CLKs were made."
)


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
            _HEADING,
            *lines,
            _ADVICE,
        ]
    )


def _folded(filters: U64, schema: LinkageSchema) -> U8:
    """Halve filters by XOR ``xor_folds`` times: what is equal modulo the CLK's length meets."""
    n, clk_bits = len(filters), schema.clk_bits
    raw = filters.view(np.uint8)
    if schema.xor_folds == 0:
        return np.ascontiguousarray(raw[:, : schema.clk_bytes])
    parts = 1 << schema.xor_folds
    if clk_bits % 8 == 0:
        pieces = raw[:, : parts * schema.clk_bytes].reshape(n, parts, schema.clk_bytes)
        folded: U8 = np.bitwise_xor.reduce(pieces, axis=1)
        return folded
    bits = np.unpackbits(raw, axis=1, count=parts * clk_bits).reshape(n, parts, clk_bits)
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
        self._read = value_reader(feature, check=check_values)
        self._read_all = column_reader(feature, check=check_values)
        self._encoding = text_encoding(feature.format)
        self._positions = TokenPositions(feature.hash, keys, filter_bits)
        self._filter_bits = filter_bits
        self._words = filter_words(filter_bits)
        self._values = ValueFilters(self._words)
        self._keeping = True
        self._share_new = 0.0
        self._forget_tokens()

    def _forget_tokens(self) -> None:
        self._vocabulary = Vocabulary(self._feature.comparison)
        self._tokens: dict[int, TokenFilters] = {}

    def add_to(self, filters: U64, column: Sequence[str], first_row: int) -> list[_Problem]:
        """OR this feature of each row into ``filters``; returns what is wrong with the column."""
        if self._values.is_full():
            # Where nearly every value is new, as with ID numbers, there is no use in keeping them.
            self._keeping = self._share_new < _MOSTLY
            self._values = ValueFilters(self._words)
        values = self._values.lacking(column) if self._keeping else column
        # Where nearly every value is new, as with telephone numbers, keeping them is only work.
        keeping = self._keeping and len(values) < _NEARLY_ALL * len(column)
        if not keeping:
            values = column
        texts = self._texts(values)
        if texts is None:
            return self._problems(column, first_row)
        if not keeping:
            self._join(filters, texts)
            return []
        fresh = np.zeros((len(values), self._words), dtype=np.uint64)
        self._join(fresh, texts)
        self._values.keep(values, fresh)
        self._share_new = len(values) / max(1, len(column))
        for start in range(0, len(column), _ROWS_AT_ONCE):
            stop = start + _ROWS_AT_ONCE
            filters[start:stop] |= self._values.of(column[start:stop])
        return []

    def _texts(self, values: Sequence[str]) -> Sequence[str] | None:
        """The compared texts of values; ``None`` if one does not fit."""
        try:
            texts = self._read_all(values)
            verify_encodable("".join(texts), self._encoding)
        except UnfitValueError:
            return None
        return texts

    def _problems(self, column: Sequence[str], first_row: int) -> list[_Problem]:
        found = []
        for row, value in enumerate(column, first_row):
            try:
                verify_encodable(self._read(value), self._encoding)
            except UnfitValueError as error:
                found.append(_Problem(row, self.column, self._feature.identifier, str(error)))
        return found

    def _join(self, filters: U64, texts: Sequence[str]) -> None:
        """OR the filter of each compared text into ``filters``, ``(len(texts), words) uint64``."""
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        order = np.argsort(lengths, kind="stable")
        for alike in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
            n_tokens = count_tokens(self._feature.comparison, texts[alike[0]]) if alike.size else 0
            if n_tokens == 0:
                continue
            at_once = _texts_at_once(n_tokens, self._words)
            for start in range(0, len(alike), at_once):
                part = alike[start : start + at_once]
                joined = self._filters_of([texts[i] for i in part.tolist()], n_tokens)
                filters[part] |= joined

    def _filters_of(self, texts: Sequence[str], n_tokens: int) -> U64:
        """Filters of texts that are equally long and have ``n_tokens`` tokens each."""
        if len(self._vocabulary) > KEPT_TEXTS:
            self._forget_tokens()
        if sum(map(len, self._tokens.values())) > most_kept(self._words):
            self._tokens.clear()
        filters = np.zeros((len(texts), self._words), dtype=np.uint64)
        numbers = self._vocabulary.numbers_of(texts, n_tokens)
        n_more, more, fewer = self._feature.strategy.bits_of_tokens(n_tokens)
        for n_bits, part in ((more, numbers[:, :n_more]), (fewer, numbers[:, n_more:])):
            if n_bits and part.size:
                if n_bits not in self._tokens:
                    self._tokens[n_bits] = TokenFilters(
                        self._positions, n_bits, self._filter_bits, self._encoding
                    )
                self._tokens[n_bits].join(filters, part, self._vocabulary.tokens)
        return filters


def _texts_at_once(n_tokens: int, words: int) -> int:
    """Texts whose tokens may all be new and still take no more than what may be kept."""
    return max(1, min(_ROWS_AT_ONCE, most_kept(words) // n_tokens))
