"""Values of a block of records, and their tokens, numbered once for all views."""

from collections.abc import Mapping, Sequence
from itertools import chain, islice

import numpy as np

from linkage.encoding.frequency import is_frequent
from linkage.encoding.tokens import CANONICAL, Part, framed_token, token_parts
from linkage.errors import EncodingError
from linkage.profile import Profile
from linkage.types import I64, FieldSpec

_MEMO_VALUES = 65_536
"""Values, and tokens, that are remembered at most, so that memory has a bound."""


class TokenTable:
    """Tokens of one kind from one field, numbered as they are met; shared by all views.

    Attributes:
        generation: changes when numbers start again from 0, which bounds the memory.
        frequent: whether very many people have it.
    """

    def __init__(self, kind: str) -> None:
        self.generation = 0
        self.frequent: list[bool] = []
        self._kind = kind
        self._numbers: dict[Part, int] = {}
        self._of_value: dict[str, list[int]] = {}

    def start_block(self) -> None:
        """Forget everything if there is too much of it; numbers of earlier blocks are void then."""
        if max(len(self.frequent), len(self._of_value)) >= _MEMO_VALUES:
            self.generation += 1
            self.frequent = []
            self._numbers = {}
            self._of_value = {}

    def framed(self, hashed_as: str, first: int) -> list[bytes]:
        """The bytes of all tokens from number ``first`` on, see :func:`framed_token`."""
        # A dict keeps the order in which it was filled, which is that of the numbers.
        parts = islice(self._numbers, first, None)
        return [framed_token(self._kind, hashed_as, part) for part in parts]

    def of_value(self, value: str) -> list[int]:
        """Numbers of a value's tokens."""
        known = self._of_value.get(value)
        if known is None:
            parts = token_parts(self._kind, value)
            known = self._of_value[value] = [self._number(part) for part in parts]
        return known

    def _number(self, part: Part) -> int:
        number = self._numbers.setdefault(part, len(self.frequent))
        if number == len(self.frequent):
            self.frequent.append(is_frequent(self._kind, part[1]))
        return number


TokenTables = Mapping[tuple[str, str], TokenTable]
"""By field and kind."""


def token_tables(profile: Profile) -> TokenTables:
    """Empty tables for all tokens of a profile."""
    return {
        (token.field, token.kind): TokenTable(token.kind)
        for group in profile.groups.values()
        for token in group.tokens
    }


class BlockValues:
    """Values of a block of records, each field's distinct values numbered.

    Args:
        columns: one value a record for each field, ``None`` or empty where it is missing.
        n_records: in the block.
        tables: from :func:`token_tables`.
        fields: of the profile.

    Raises:
        EncodingError: a value is not in the form that its field's kind has.
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[str | None]],
        n_records: int,
        tables: TokenTables,
        fields: Sequence[FieldSpec],
    ) -> None:
        self.n_records = n_records
        self._tables = tables
        self._numbered = {
            field.name: _number_values(columns[field.name], field) for field in fields
        }
        self._tokens: dict[tuple[str, str], tuple[I64, I64]] = {}
        for table in tables.values():
            table.start_block()

    def numbered(self, field: str) -> tuple[list[str], I64]:
        """Distinct values of a field, and the number of each record's value, -1 if missing."""
        return self._numbered[field]

    def table(self, field: str, kind: str) -> TokenTable:
        """The table that numbers the tokens of a kind of a field."""
        return self._tables[field, kind]

    def tokens(self, field: str, kind: str) -> tuple[I64, I64]:
        """``(k,) int64`` record and ``(k,) int64`` token number of every token of the block."""
        if (field, kind) not in self._tokens:
            distinct, codes = self.numbered(field)
            table = self._tables[field, kind]
            of_values = [table.of_value(value) for value in distinct]
            lengths = np.array([len(numbers) for numbers in of_values], dtype=np.int64)
            flat = np.fromiter(chain.from_iterable(of_values), np.int64, int(lengths.sum()))
            records = np.flatnonzero(codes >= 0)
            starts = np.cumsum(lengths) - lengths
            take, owner = _expand(starts[codes[records]], lengths[codes[records]], records)
            self._tokens[field, kind] = (owner, flat[take])
        return self._tokens[field, kind]


def _number_values(column: Sequence[str | None], field: FieldSpec) -> tuple[list[str], I64]:
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) if value else -1 for value in column]
    form = CANONICAL.get(field.kind)
    if form is not None and not all(map(form.fullmatch, numbers)):
        raise EncodingError(
            f"Field '{field.name}' holds a value that was not cleaned as '{field.kind}'. Read the "
            "records with 'tongqiao encode', which cleans them."
        )
    return list(numbers), np.array(codes, dtype=np.int64)


def _expand(starts: I64, lengths: I64, records: I64) -> tuple[I64, I64]:
    """Indices ``starts[i] .. starts[i] + lengths[i] - 1`` of each i, and ``records[i]`` beside."""
    ends = np.cumsum(lengths)
    which = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    inside = np.arange(len(which), dtype=np.int64) - (ends - lengths)[which]
    return starts[which] + inside, records[which]
