"""Cleaned records of a text file or a workbook's sheet, from its blocks."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

import numpy as np

from linkage.columns import CodedColumn, code_points
from linkage.records.block_cleaning import (
    DISTINCT_KINDS,
    Additions,
    CellProblems,
    CodedCleaner,
    DistinctCleaner,
    DraftColumn,
    cells_of,
)
from linkage.records.cells import cell_text
from linkage.records.cleaning import ColumnCleaner
from linkage.records.column_rules import ColumnRules
from linkage.records.mapping import RECORD_ID
from linkage.records.problems import ROW_FIELD, make_problem
from linkage.records.record_ids import RecordIds
from linkage.records.rows import INITIALS, UNLINKABLE_KINDS, NoRecords, fit_row, is_blank
from linkage.records.text_blocks import TextBlock
from linkage.types import I32, I64, Bools, FieldSpec, Problem, RecordBatch

_PLAIN_ID_CHARACTERS = 32


class Blocks(Protocol):
    """The rows of a file in blocks, behind the ``skip_rows`` at its beginning."""

    skip_rows: int

    def read(self, block_rows: int) -> Iterator[TextBlock]:
        """All of them, in blocks of at most so many."""


class TextRecords:
    """Cleans the records of a file; what comes out is what the rules give cell by cell.

    Args:
        blocks: of the file, behind its headings.
        fields: of the profile.
        places: canonical field, or ``record_id`` -> index of its column.
        cleaners: the rule of each field.
        today: the last day that is no future.
        child_rules: whether records are children's.
        no_records: tells rows that are none.
    """

    def __init__(
        self,
        blocks: Blocks,
        fields: Sequence[FieldSpec],
        places: Mapping[str, int],
        cleaners: Mapping[str, ColumnCleaner],
        today: date,
        child_rules: bool,
        no_records: NoRecords,
    ) -> None:
        self._blocks = blocks
        self._fields = fields
        self._places = places
        self._ids = RecordIds()
        self._no_records = no_records
        self._rules = ColumnRules(fields, today) if child_rules else None
        self._distinct = {
            field.name: DistinctCleaner(field.kind, cleaners[field.name], today)
            for field in fields
            if field.kind in DISTINCT_KINDS
        }
        self._coded = {
            field.name: CodedCleaner(cleaners[field.name])
            for field in fields
            if field.kind not in DISTINCT_KINDS
        }

    def batches(self, batch_rows: int) -> Iterator[RecordBatch]:
        """All records, in batches of at most so many rows.

        Raises:
            RecordsError: the file turns out to be damaged.
        """
        row = self._blocks.skip_rows
        for block in self._blocks.read(batch_rows):
            problems: list[Problem] = []
            block, kept = self._kept(block, row, problems)
            numbers = kept + (row + 1)
            row += len(block)
            if len(kept):
                yield self._batch(block, kept, numbers.tolist(), problems)
            elif problems:
                yield RecordBatch(problems[0].row, (), {}, tuple(problems))

    # --- rows ---------------------------------------------------------------------------------

    def _kept(self, block: TextBlock, row: int, problems: list[Problem]) -> tuple[TextBlock, I64]:
        """The block with all rows as wide as the headings, and the numbers of those not blank."""
        kept = np.ones(len(block), dtype=np.bool_)
        first = self._places.get(RECORD_ID) or 0
        for i in np.flatnonzero(~_begins_visibly(block, first)).tolist():
            if i not in block.others:
                cells = _row_of(block, i)
                kept[i] = bool(cells[first].strip()) or not is_blank(cells)
        for i in np.flatnonzero(kept & self._may_be_no_records(block)).tolist():
            self._tell_apart(i, _row_of(block, i), kept, row, problems)
        fitted: dict[int, list[str]] = {}
        for i, cells in sorted(block.others.items()):
            kept[i] = not is_blank(cells)
            self._tell_apart(i, cells, kept, row, problems)
            if kept[i]:
                width = block.starts.shape[1]
                row_cells = fit_row(cells, width, row + 1 + i, problems)
                fitted[i] = [cell if isinstance(cell, str) else "" for cell in row_cells]
        return (_filled_in(block, fitted) if fitted else block), np.flatnonzero(kept)

    def _may_be_no_records(self, block: TextBlock) -> Bools:
        """Rows that :meth:`NoRecords.code_of` has to look at, of those as wide as the headings."""
        may: Bools = ~_begins_visibly(block, 0) | _begins_with(block, 0, INITIALS)
        for letter, length in self._no_records.begin_headings:
            is_long = block.stops[:, 0] - block.starts[:, 0] == length
            may |= is_long & _begins_with(block, 0, letter)
        if block.starts.shape[1] > 1:
            there = block.stops[:, 1] > block.starts[:, 1]
            may |= there & (~_begins_visibly(block, 1) | _begins_with(block, 1, INITIALS))
        may[list(block.others)] = False
        return may

    def _tell_apart(
        self, i: int, cells: list[str], kept: Bools, row: int, problems: list[Problem]
    ) -> None:
        code = self._no_records.code_of(cells) if kept[i] else None
        if code:
            kept[i] = False
            problems.append(self._no_records.problem(code, cells, row + 1 + i))

    # --- columns ------------------------------------------------------------------------------

    def _batch(
        self, block: TextBlock, kept: I64, rows: list[int], problems: list[Problem]
    ) -> RecordBatch:
        record_ids = self._record_ids(block, kept, rows, problems)
        additions = Additions(block)
        distinct: dict[str, DraftColumn] = {}
        coded: dict[str, I32] = {}
        for field in self._fields:
            index = self._places.get(field.name)
            found: CellProblems = []
            if index is None:
                nowhere = np.zeros(len(kept), dtype=np.int64)
                if field.name in self._distinct:
                    distinct[field.name] = DraftColumn(nowhere, nowhere.copy())
                else:
                    coded[field.name] = np.full(len(kept), -1, dtype=np.int32)
                continue
            if field.name in self._distinct:
                distinct[field.name], found = self._distinct[field.name].clean(
                    block, kept, index, additions
                )
            else:
                column, found = self._coded[field.name].clean(block, kept, index)
                coded[field.name] = column.codes
            problems += _problems_of(field.name, found, block, kept, index, rows)
        if self._rules is not None:
            problems += self._rules.apply(distinct, coded, self._coded, additions, rows)
        problems += [
            make_problem(rows[i], ROW_FIELD, "row-cannot-be-linked", None)
            for i in self._unlinkable(distinct, coded)
        ]
        problems.sort(key=lambda problem: problem.row)
        points = additions.points()
        return RecordBatch(
            first_row=rows[0],
            record_ids=tuple(record_ids),
            columns={
                field.name: distinct[field.name].finish(points)
                if field.name in distinct
                else CodedColumn(coded[field.name], self._coded[field.name].values)
                for field in self._fields
            },
            problems=tuple(problems),
        )

    def _unlinkable(
        self, distinct: Mapping[str, DraftColumn], coded: Mapping[str, I32]
    ) -> list[int]:
        """Records that nothing could be linked by; none where the mapping names no such field."""
        used = {
            field.name
            for field in self._fields
            if field.name in self._places and field.kind not in UNLINKABLE_KINDS
        }
        there: list[Bools] = [
            column.stops > column.starts for name, column in distinct.items() if name in used
        ]
        there += [codes >= 0 for name, codes in coded.items() if name in used]
        return np.flatnonzero(~np.any(there, axis=0)).tolist() if there else []

    def _record_ids(
        self, block: TextBlock, kept: I64, rows: list[int], problems: list[Problem]
    ) -> list[str]:
        index = self._places.get(RECORD_ID)
        if index is None:
            return [f"row-{row}" for row in rows]
        texts = cells_of(block, kept, index)
        starts, stops = block.starts[kept, index], block.stops[kept, index]
        for i in np.flatnonzero(~_are_plain_ids(block, starts, stops)).tolist():
            texts[i] = cell_text(texts[i])
        ids, found = self._ids.assign_texts(texts, rows)
        problems += found
        return ids


def _row_of(block: TextBlock, i: int) -> list[str]:
    return [
        block.text[start:stop] for start, stop in zip(block.starts[i], block.stops[i], strict=True)
    ]


def _begins_with(block: TextBlock, index: int, letters: str) -> Bools:
    """Rows whose cell at ``index`` begins with one of these."""
    starts, stops = block.starts[:, index], block.stops[:, index]
    there = stops > starts
    if not len(block.points):
        return there
    found: Bools = there & np.isin(block.points[np.where(there, starts, 0)], code_points(letters))
    return found


def _begins_visibly(block: TextBlock, index: int) -> Bools:
    """Rows whose cell at ``index`` begins with a sign that is surely no blank."""
    starts, stops = block.starts[:, index], block.stops[:, index]
    there = stops > starts
    if not len(block.points):
        return there
    letters = block.points[np.where(there, starts, 0)]
    visible = ((letters > 0x20) & (letters < 0x7F)) | ((letters >= 0x4E00) & (letters <= 0x9FFF))
    found: Bools = there & visible
    return found


def _are_plain_ids(block: TextBlock, starts: I64, stops: I64) -> Bools:
    """Cells of visible ASCII signs whose text is the cell itself."""
    if not len(block.points):
        return np.zeros(len(starts), dtype=np.bool_)
    lengths = stops - starts
    plain: Bools = (lengths > 0) & (lengths <= _PLAIN_ID_CHARACTERS)
    at = np.flatnonzero(plain)
    offsets = np.arange(int(lengths[at].max(initial=1)))
    # Positions behind the end repeat the first sign.
    offsets = np.where(offsets < lengths[at][:, None], offsets, 0)
    letters = block.points[starts[at][:, None] + offsets]
    good = ((letters > 0x20) & (letters < 0x7F)).all(axis=1)
    # What protects digits from a spreadsheet begins with one of these.
    plain[at] = good & (letters[:, 0] != ord("'")) & (letters[:, 0] != ord("="))
    return plain


def _filled_in(block: TextBlock, fitted: Mapping[int, list[str]]) -> TextBlock:
    """The block with rows of another width cut or padded, their cells added to its text."""
    starts, stops = block.starts.copy(), block.stops.copy()
    size = len(block.text)
    for i, cells in fitted.items():
        lengths = np.fromiter(map(len, cells), np.int64, len(cells))
        stops[i] = size + np.cumsum(lengths)
        starts[i] = stops[i] - lengths
        size += int(lengths.sum())
    added = "".join(cell for cells in fitted.values() for cell in cells)
    points = np.concatenate([block.points, code_points(added)])
    return TextBlock(block.text + added, points, starts, stops, block.others, block.numbers)


def _problems_of(
    field: str, found: CellProblems, block: TextBlock, kept: I64, index: int, rows: list[int]
) -> list[Problem]:
    return [
        make_problem(
            rows[i],
            field,
            code,
            block.text[block.starts[kept[i], index] : block.stops[kept[i], index]],
        )
        for i, codes in found
        for code in codes
    ]
