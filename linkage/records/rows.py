"""Rows of a table that have too many or too few cells, or nothing in them."""

from collections.abc import Sequence

from linkage.records.cells import Cell, cell_text
from linkage.records.problems import ROW_FIELD, make_problem
from linkage.types import Problem


def is_blank(cells: Sequence[Cell]) -> bool:
    """Whether no cell of a row shows anything."""
    return not any(cell_text(cell) for cell in cells)


def fit_row(cells: Sequence[Cell], width: int, row: int, problems: list[Problem]) -> Sequence[Cell]:
    """Pad or cut a row; report it unless all that differs is empty cells at the end."""
    if len(cells) > width:
        if not is_blank(cells[width:]):
            problems.append(make_problem(row, ROW_FIELD, "row-has-wrong-number-of-cells", None))
        return cells[:width]
    problems.append(make_problem(row, ROW_FIELD, "row-has-wrong-number-of-cells", None))
    padding: list[Cell] = [None] * (width - len(cells))
    return [*cells, *padding]
