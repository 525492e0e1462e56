"""Values of a block of records, made ready once for all views: tokens, and strings for salts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linkage.columns import CodedColumn, TextColumn, coded_column, text_column
from linkage.encoding import token_kernels
from linkage.encoding.token_numbers import (
    Readings,
    TokenNumbers,
    ValueNumbers,
    ValueStrings,
    ValueTokens,
    compound_surnames,
)
from linkage.encoding.tokens import CANONICAL, SALT_KINDS, SIGN_KINDS, UNIT_KINDS, salt_text
from linkage.errors import EncodingError
from linkage.types import I32, I64, U8, Bools, FieldSpec

_MOSTLY_DISTINCT = frozenset({"chinese-name", "phone", "resident-id", "identifier"})
_TEXT_BYTES = 112
_WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class TokenStream:
    """Tokens of a block, by ascending record: ``(k,) int32`` records and token numbers."""

    records: I32
    tokens: I32


@dataclass(frozen=True, slots=True)
class Strings:
    """One string a record, in UTF-8.

    Attributes:
        texts: ``(n, w) uint8``.
        lengths: ``(n,) int64``; 0 for none, -1 for one that is longer than ``w``.
    """

    texts: U8
    lengths: I64


class FieldMemory:
    """What is remembered of one field from block to block."""

    def __init__(self, spec: FieldSpec) -> None:
        self.spec = spec
        self.values = ValueNumbers()
        self.numbers: dict[str, TokenNumbers] = {}
        self.readings = Readings()
        self.value_tokens: dict[str, ValueTokens] = {}
        self.value_strings: dict[str, ValueStrings] = {}
        self.compound, self.begins = compound_surnames()

    def of_kind(self, kind: str) -> tuple[TokenNumbers, ValueTokens]:
        """Numbers of a kind's tokens, and the tokens of numbered values."""
        if kind not in self.numbers:
            self.numbers[kind] = TokenNumbers(kind, self.spec.name)
            self.value_tokens[kind] = ValueTokens()
        return self.numbers[kind], self.value_tokens[kind]

    def strings_of_kind(self, kind: str) -> ValueStrings:
        """The one string of numbered values."""
        if kind not in self.value_strings:
            self.value_strings[kind] = ValueStrings(kind, _TEXT_BYTES)
        return self.value_strings[kind]

    def start_block(self) -> None:
        """Drop what has grown too large."""
        self.values.start_block()
        for numbers in self.numbers.values():
            numbers.start_block()


class FieldBlock:
    """One field of a block.

    Values that repeat (dates, divisions, sexes) are numbered, and each distinct one is looked at
    once.  Values that are mostly distinct (names, numbers) go through kernels as they lie; those
    that the kernels leave alone, such as names with Latin letters, are numbered too.

    Raises:
        EncodingError: a value is not in the form that its field's kind has.
    """

    def __init__(self, memory: FieldMemory, column: Sequence[str | None]) -> None:
        self._memory = memory
        self._column = column
        self.n_records = len(column)
        self._streams: dict[str, tuple[TokenStream, ...]] = {}
        self._halves: dict[str, tuple[tuple[TokenStream, bool], ...]] = {}
        self._strings: dict[str, Strings] = {}
        memory.start_block()
        if memory.spec.kind in _MOSTLY_DISTINCT:
            self.text: TextColumn | None = (
                column if isinstance(column, TextColumn) else text_column(column)
            )
            self._verify_texts(self.text)
            self._split(self.text)
        else:
            self.text = None
            coded = column if isinstance(column, CodedColumn) else coded_column(column)
            self._codes = self._number(coded)

    def value(self, record: int) -> str | None:
        """The value of one record."""
        return self._column[record]

    def present(self) -> Bools:
        """Which records have a value."""
        if self.text is None:
            return np.asarray(self._codes >= 0)
        return np.asarray(self.text.stops > self.text.starts)

    def streams(self, kind: str) -> tuple[TokenStream, ...]:
        """All tokens of a kind."""
        if kind not in self._streams:
            self._streams[kind] = tuple(
                stream for stream in self._make_streams(kind) if len(stream.records)
            )
        return self._streams[kind]

    def streams_by_frequency(self, kind: str) -> tuple[tuple[TokenStream, bool], ...]:
        """All tokens of a kind: those that very many people have (``True``) and the others."""
        if kind not in self._halves:
            streams = self.streams(kind)
            frequent = self._memory.of_kind(kind)[0].are_frequent()
            self._halves[kind] = tuple(
                (TokenStream(stream.records[chosen], stream.tokens[chosen]), which)
                for stream in streams
                for which in (False, True)
                for chosen in (frequent[stream.tokens] == which,)
            )
        return self._halves[kind]

    def strings(self, kind: str) -> Strings:
        """The one string of each record; of a kind in ``SALT_KINDS``."""
        if kind not in self._strings:
            self._strings[kind] = self._make_strings(kind)
        return self._strings[kind]

    def is_one_string(self, kind: str) -> bool:
        """Whether tokens of a kind are best hashed for each record, and not numbered."""
        return self.text is not None and kind in SALT_KINDS

    # --- looking at the values ----------------------------------------------------------------

    def _number(self, column: CodedColumn) -> I32:
        distinct, inverse = np.unique(column.codes, return_inverse=True)
        known = [column.values[code] for code in distinct.tolist() if code >= 0]
        self._verify_form(known)
        numbers = self._memory.values.of(known)
        if len(numbers) < len(distinct):
            numbers = np.concatenate([np.array([-1], dtype=np.int32), numbers])
        codes: I32 = numbers[inverse]
        return codes

    def _verify_form(self, values: Sequence[str]) -> None:
        form = CANONICAL.get(self._memory.spec.kind)
        if form is not None and not all(map(form.fullmatch, values)):
            raise EncodingError(
                f"Field '{self._memory.spec.name}' holds a value that was not cleaned as "
                f"'{self._memory.spec.kind}'. Read the records with 'tongqiao encode', which "
                "cleans them."
            )

    def _verify_texts(self, text: TextColumn) -> None:
        if self._memory.spec.kind not in CANONICAL:
            return
        odd = np.flatnonzero(
            token_kernels.not_digits(
                text.points, text.starts, text.stops, _digits(self._memory.spec)
            )
        )
        self._verify_form([value for value in (self._column[i] for i in odd.tolist()) if value])

    def _split(self, text: TextColumn) -> None:
        """Units of names; and the values that no kernel takes, numbered."""
        n = self.n_records
        if self._memory.spec.kind == "chinese-name":
            self._units = np.zeros((n, token_kernels.MAX_UNITS), dtype=np.int32)
            self._counts = np.zeros(n, dtype=np.int32)
            memory = self._memory
            token_kernels.split_units(
                *(text.points, text.starts, text.stops, memory.compound, memory.begins),
                *(self._units, self._counts),
            )
            slow = self._counts < 0
        else:
            slow = np.zeros(n, dtype=np.bool_)
            token_kernels.find_odd_signs(text.points, text.starts, text.stops, slow)
        self._slow = slow
        self._codes = np.full(n, -1, dtype=np.int32)
        odd = np.flatnonzero(slow)
        self._codes[odd] = self._memory.values.of(self._column[i] or "" for i in odd.tolist())

    # --- tokens -------------------------------------------------------------------------------

    def _make_streams(self, kind: str) -> list[TokenStream]:
        if self.text is None:
            return [self._of_values(kind, self._codes)]
        if self._memory.spec.kind == "chinese-name" and kind in UNIT_KINDS:
            return [self._of_units(kind), self._of_values(kind, self._codes)]
        if self._memory.spec.kind != "chinese-name" and kind in SIGN_KINDS:
            return [self._of_signs(kind, self.text), self._of_values(kind, self._codes)]
        every = np.full(self.n_records, -1, dtype=np.int32)
        there = np.flatnonzero(self.text.stops > self.text.starts)
        every[there] = self._memory.values.of(self._column[i] or "" for i in there.tolist())
        return [self._of_values(kind, every)]

    def _of_values(self, kind: str, codes: I32) -> TokenStream:
        numbers, value_tokens = self._memory.of_kind(kind)
        value_tokens.update(self._memory.values, numbers)
        there = codes[codes >= 0]
        n = int((value_tokens.first[there + 1] - value_tokens.first[there]).sum())
        records, tokens = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
        token_kernels.value_tokens(codes, value_tokens.first, value_tokens.flat, records, tokens)
        return TokenStream(records, tokens)

    def _of_units(self, kind: str) -> TokenStream:
        numbers, _ = self._memory.of_kind(kind)
        size = self.n_records * token_kernels.MAX_UNITS
        records, tokens, unseen = (np.empty(size, dtype=np.int32) for _ in range(3))
        while True:
            n, n_unseen = token_kernels.unit_tokens(
                self._units, self._counts, numbers.unit_table, records, tokens, unseen
            )
            if not n_unseen:
                return TokenStream(records[:n].copy(), tokens[:n].copy())
            numbers.learn_units(unseen[:n_unseen])

    def _of_signs(self, kind: str, text: TextColumn) -> TokenStream:
        numbers, _ = self._memory.of_kind(kind)
        size = self.n_records * token_kernels.MAX_SIGNS
        records, tokens, unseen = (np.empty(size, dtype=np.int32) for _ in range(3))
        while True:
            n, n_unseen = token_kernels.sign_tokens(
                *(text.points, text.starts, text.stops, self._slow, SIGN_KINDS[kind]),
                *(numbers.sign_table, records, tokens, unseen),
            )
            if not n_unseen:
                return TokenStream(records[:n].copy(), tokens[:n].copy())
            numbers.learn_signs(unseen[:n_unseen], SIGN_KINDS[kind])

    # --- strings ------------------------------------------------------------------------------

    def _make_strings(self, kind: str) -> Strings:
        if self.text is None:
            return self._of_numbered(kind)
        n = self.n_records
        texts, lengths = np.zeros((n, _TEXT_BYTES), np.uint8), np.zeros(n, np.int64)
        if self._memory.spec.kind == "chinese-name" and kind in ("pinyin", "given-pinyin"):
            readings = self._memory.readings
            unseen = np.empty(n * token_kernels.MAX_UNITS, dtype=np.int32)
            while True:
                n_unseen = token_kernels.unit_texts(
                    self._units,
                    self._counts,
                    kind == "given-pinyin",
                    readings.table,
                    readings.pieces,
                    readings.sizes,
                    texts,
                    lengths,
                    unseen,
                )
                if not n_unseen:
                    break
                readings.learn(unseen[:n_unseen])
        elif kind == _WHOLE:
            token_kernels.copy_ascii(
                self.text.points, self.text.starts, self.text.stops, texts, lengths
            )
        else:
            lengths[:] = np.where(self.text.stops > self.text.starts, -1, 0)
        for record in np.flatnonzero(lengths < 0).tolist():
            _put(texts, lengths, record, salt_text(kind, self.value(record) or "").encode())
        return Strings(texts, lengths)

    def _of_numbered(self, kind: str) -> Strings:
        strings = self._memory.strings_of_kind(kind)
        strings.update(self._memory.values)
        # Value -1 is the last row: one that has no string.
        texts = np.concatenate([strings.texts, np.zeros((1, _TEXT_BYTES), np.uint8)])
        return Strings(texts[self._codes], np.append(strings.lengths, 0)[self._codes])


def _put(texts: U8, lengths: I64, at: int, text: bytes) -> None:
    if len(text) > texts.shape[1]:
        lengths[at] = -1
        return
    lengths[at] = len(text)
    texts[at, : len(text)] = np.frombuffer(text, dtype=np.uint8)


def _digits(spec: FieldSpec) -> int:
    """Exact number of digits that values of a kind begin with; 0 for digits only."""
    return 17 if spec.kind == "resident-id" else 0
