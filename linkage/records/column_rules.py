"""The rules over several cells of a child's record, applied to whole columns of a text block.

Most records agree with their ID number, or have none, and nothing is to be done; those are told at
once.  The others go through :class:`linkage.records.consistency.ChildRules`, record by record.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from linkage.columns import code_points
from linkage.records.block_cleaning import (
    Additions,
    CodedCleaner,
    DraftColumn,
    codes_in,
    letters_at,
    number_of,
)
from linkage.records.consistency import ChildRules
from linkage.records.problems import make_problem
from linkage.types import I32, I64, U32, U64, FieldSpec, Problem

_ID_CHARACTERS = 18
_HASHED_CHARACTERS = 64


class ColumnRules:
    """Applies the rules to consecutive blocks of one file."""

    def __init__(self, fields: Sequence[FieldSpec], today: date) -> None:
        self._rules = ChildRules(fields, today)
        # Equality of names within one run of the program is all that is asked of these.
        drawn = np.random.default_rng().integers(
            0, 2**64, (2, _HASHED_CHARACTERS + 1), dtype=np.uint64
        )
        self._factors: U64 = drawn | np.uint64(1)

    def apply(
        self,
        distinct: Mapping[str, DraftColumn],
        coded: Mapping[str, I32],
        cleaners: Mapping[str, CodedCleaner],
        additions: Additions,
        rows: Sequence[int],
    ) -> list[Problem]:
        """Change the columns by the rules, in place, and say what was found.

        Args:
            distinct: the block's draft columns of names and numbers, by field.
            coded, cleaners: codes of the other fields, and what they are codes of.
            additions: to the block's text.
            rows: row number of each record.
        """
        fields = self._rules.fields
        problems: list[Problem] = []
        births = _Coded(coded, cleaners, fields.birth_date, len(rows))
        sexes = _Coded(coded, cleaners, fields.sex, len(rows))
        if fields.id_number is not None and fields.id_number in distinct:
            ids = distinct[fields.id_number]
            points = additions.points()
            problems += self._check_ids(ids, births, sexes, points, additions, rows)
            problems += self._check_reuse(ids, births, points, distinct, coded, rows)
        if fields.birth_date in coded:
            problems += self._check_age(births, rows)
        return problems

    def _check_ids(
        self,
        ids: DraftColumn,
        births: "_Coded",
        sexes: "_Coded",
        points: U32,
        additions: Additions,
        rows: Sequence[int],
    ) -> list[Problem]:
        at = np.flatnonzero(ids.stops > ids.starts)
        letters = letters_at(points, ids.starts[at], _ID_CHARACTERS)
        born = number_of(letters[:, 6:14])
        male = (letters[:, 16] & 1).astype(np.int64)
        agrees = (births.days()[at] == born) & (sexes.sexes()[at] == 2 - male)
        odd = np.flatnonzero(~agrees)
        records = at[odd].tolist()
        numbers: list[str | None] = ["".join(map(chr, letters[k].tolist())) for k in odd.tolist()]
        before = list(numbers)
        of_births, of_sexes = births.values(records), sexes.values(records)
        problems = self._rules.check_ids(
            numbers, of_births, of_sexes, [rows[record] for record in records]
        )
        births.put(records, of_births)
        sexes.put(records, of_sexes)
        for record, number, old in zip(records, numbers, before, strict=True):
            if number != old:
                ids.put(record, number, additions)
        return problems

    def _check_reuse(
        self,
        ids: DraftColumn,
        births: "_Coded",
        points: U32,
        distinct: Mapping[str, DraftColumn],
        coded: Mapping[str, I32],
        rows: Sequence[int],
    ) -> list[Problem]:
        at = np.flatnonzero(ids.stops > ids.starts)
        if not len(at):
            return []
        keys = self._hashes(points, ids.starts[at], ids.stops[at])
        payloads = births.days()[at].astype(np.uint64) * self._factors[0, 0]
        name = self._rules.fields.name or ""
        if name in distinct:
            column = distinct[name]
            payloads ^= self._hashes(points, column.starts[at], column.stops[at])
        elif name in coded:
            payloads ^= coded[name][at].astype(np.uint64) * self._factors[0, 1]
        numbers = np.array(rows, dtype=np.int64)[at]
        first_rows, found = self._rules.seen.look_up_and_add(
            keys.view(np.int64), numbers, payloads.view(np.int64)
        )
        is_same = found == payloads.view(np.int64)
        return [
            self._rules.reuse_problem(
                int(numbers[k]),
                int(first_rows[k]),
                "".join(map(chr, points[ids.starts[at[k]] : ids.stops[at[k]]].tolist())),
                is_same_child=bool(is_same[k]),
            )
            for k in np.flatnonzero(first_rows).tolist()
        ]

    def _check_age(self, births: "_Coded", rows: Sequence[int]) -> list[Problem]:
        cutoff = int(self._rules.cutoff.replace("-", ""))
        days = births.days()
        old = np.flatnonzero((days > 0) & (days <= cutoff)).tolist()
        field = self._rules.fields.birth_date or ""
        return [
            make_problem(rows[i], field, "not-a-child", value)
            for i, value in zip(old, births.values(old), strict=True)
        ]

    def _hashes(self, points: U32, starts: I64, stops: I64) -> U64:
        """``(n,) uint64``, equal for equal texts and else nearly never."""
        lengths = stops - starts
        hashes = lengths.astype(np.uint64) * self._factors[0, _HASHED_CHARACTERS]
        for position in range(int(lengths.max(initial=0))):
            longer = lengths > position
            letters = points[np.where(longer, starts + position, 0)].astype(np.uint64)
            first, second = self._factors[:, position % _HASHED_CHARACTERS]
            mixed = (letters + np.uint64(position)) * first
            mixed = (mixed ^ (mixed >> np.uint64(31))) * second
            hashes += np.where(longer, mixed, np.uint64(0))
        mixed_all: U64 = hashes ^ (hashes >> np.uint64(29))
        return mixed_all


class _Coded:
    """A coded field of the block that a profile may not ask for."""

    def __init__(
        self,
        coded: Mapping[str, I32],
        cleaners: Mapping[str, CodedCleaner],
        field: str | None,
        n_records: int,
    ) -> None:
        there = field is not None and field in coded
        self._codes = coded[field] if there and field else np.full(n_records, -1, dtype=np.int32)
        self._cleaner = cleaners.get(field) if field else None
        self._is_kept = there

    def days(self) -> I64:
        """``yyyymmdd`` of each date; 0 where it is missing."""
        values = self._cleaner.values if self._cleaner else []
        table = np.zeros(len(values) + 1, dtype=np.int64)
        if values:
            text = code_points("".join(values)).reshape(len(values), 10)
            table[:-1] = number_of(text[:, [0, 1, 2, 3, 5, 6, 8, 9]])
        found: I64 = table[self._codes]
        return found

    def sexes(self) -> I64:
        """1 for male, 2 for female, 0 where it is missing."""
        return codes_in(
            self._cleaner.values if self._cleaner else [], {"M": 1, "F": 2}, self._codes
        )

    def values(self, records: Sequence[int]) -> list[str | None]:
        """Values of some records."""
        values = self._cleaner.values if self._cleaner else []
        codes = self._codes[list(records)].tolist()
        return [values[code] if code >= 0 else None for code in codes]

    def put(self, records: Sequence[int], values: Sequence[str | None]) -> None:
        """Replace values of some records; kept only if the profile has the field."""
        if self._is_kept and self._cleaner and records:
            self._codes[list(records)] = [self._cleaner.code_of(value) for value in values]
