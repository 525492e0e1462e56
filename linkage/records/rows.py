"""Rows of a table that are no records, or have too many or too few cells, or nothing in them."""

import re
from collections.abc import Sequence

from linkage.records.cells import Cell, cell_text
from linkage.records.problems import ROW_FIELD, make_problem
from linkage.types import FieldKind, Problem

_TOTALS = re.compile(
    r"(?:(?:本|全|各|上)[\u4e00-\u9fff]{1,3}|以上)?"
    r"(?:合计|总计|小计|共计|累计|总数|总人数)(?:人数)?:?[0-9]*[人名条户]?|共[0-9]+[人名条户].*"
)
_NOTES = re.compile(
    r"(?:(?:填表|制表|填报|审核|审批|复核|负责|经办|录入|统计|报送)人|(?:填报|制表|填表|报送)单位"
    r"|(?:单位|主要)负责人|分管领导|(?:单位)?盖章|(?:填表|填报|制表|上报|报送|打印|导出|统计)(?:日期|时间))"
    r"(?:\([^)]*\))?(?::.*)?"
)
_REMARK = re.compile(r"(?:备注|注|注意|注意事项|说明|填[表写]说明)(?:\([^)]*\))?:.*")
# What a page ends with; beside anything else it may be where a record stands in a folder.
_ALONE = re.compile(r"\W*(?:第[0-9]+页(?:\W*共[0-9]+页)?|以下(?:空白|为空|无正文))\W*")
# 例12 alone is not one: where cases have numbers, this is the twelfth case.
_EXAMPLE = re.compile(r"(?:填写)?(?:(?:示例|样例|范例|举例|例如):?[0-9]*|例(?::[0-9]*)?)")
_SERIAL = re.compile(r"[0-9]{1,7}")
_IDENTITY = re.compile(r"[0-9]{15}|[0-9]{17}[0-9Xx]")
_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[-/.年]?(?:0?[1-9]|1[0-2])[-/.月]?(?:0?[1-9]|[12][0-9]|3[01]).*"
)
UNLINKABLE_KINDS = frozenset[FieldKind]({"sex", "division"})
"""Kinds of fields that very many people share: a record of these alone is nobody's."""
INITIALS = "本全各上以第合总小共累填制审复负经录统报单主分盖打导备注说示样范举例'="
"""What a line of totals or notes may begin with, and what may stand before it."""


class NoRecords:
    """Tells the rows of a table that are no records, by how they begin.

    Registers are printed forms too: they end in totals and in who filled them in, and lists of
    several places are pasted below each other with their headings. A row with a person's ID number
    is a record, whatever it begins with (unless it says that it is an example), and so is one with
    a date that begins like totals or a remark.

    Args:
        above: the rows up to and with the headings.
    """

    def __init__(self, above: Sequence[Sequence[Cell]]) -> None:
        self._above = [[_squeezed(cell) for cell in row] for row in above]
        begins = [_shown(row[0]) for row in above if row]
        self.begin_headings = frozenset((text[0], len(text)) for text in begins if text)
        """First character and length of the cells that the rows above begin with."""

    def code_of(self, cells: Sequence[Cell]) -> str | None:
        """The code of what a row is, or ``None`` for a record and for a blank row."""
        if not self.may_hold(*(_shown(cell) for cell in (*cells[:2], None, None)[:2])):
            return None
        texts = [_squeezed(cell) for cell in cells]
        first = next((i for i, text in enumerate(texts) if text), None)
        if first is None:
            return None
        is_alone = sum(map(bool, texts)) == 1
        if _EXAMPLE.fullmatch(texts[first]) or (is_alone and _ALONE.fullmatch(texts[first])):
            return "row-of-notes"
        if not any(map(_IDENTITY.fullmatch, texts)):
            if _NOTES.fullmatch(texts[first]):
                return "row-of-notes"
            # A serial number may go on to the line of totals.
            after = texts[first + 1 : first + 2] if _SERIAL.fullmatch(texts[first]) else []
            is_dated = any(map(_DATE.fullmatch, texts))
            if any(map(_TOTALS.fullmatch, [texts[first], *after])) and not is_dated:
                return "row-of-totals"
            # A column of remarks may be the first one.
            if _REMARK.fullmatch(texts[first]) and not is_dated:
                return "row-of-notes"
        return "row-of-headings" if any(_repeats(texts, row) for row in self._above) else None

    def is_record(self, cells: Sequence[Cell]) -> bool:
        """Whether a row is neither blank nor one of those."""
        return not is_blank(cells) and self.code_of(cells) is None

    def may_hold(self, first: str, second: str) -> bool:
        """Whether a row with these first two cells has to be looked at; cheap, and seldom true."""
        return (
            not _begins_plainly(first)
            or first[0] in INITIALS
            or (first[0], len(first)) in self.begin_headings
            or (bool(second) and (not _begins_plainly(second) or second[0] in INITIALS))
        )

    def problem(self, code: str, cells: Sequence[Cell], row: int) -> Problem:
        """What to tell of a row that is left out."""
        shown = next(cell for cell in cells if cell_text(cell))
        return make_problem(row, ROW_FIELD, code, shown)


def _shown(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell_text(cell)


def _squeezed(cell: Cell) -> str:
    return "".join(cell_text(cell).split())


def _begins_plainly(text: str) -> bool:
    return bool(text) and ("!" <= text[0] <= "~" or "\u4e00" <= text[0] <= "\u9fff")


def _repeats(row: Sequence[str], above: Sequence[str]) -> bool:
    """Whether what is filled in a row, two cells at least or a title, stands so in a row above."""
    filled = [i for i, text in enumerate(row) if text]
    same = all(i < len(above) and row[i] == above[i] for i in filled)
    return same and (len(filled) > 1 or sum(map(bool, above)) == 1)


def is_label_of_form(text: str) -> bool:
    """Whether a cell says, or asks, who filled in the form or when."""
    return _NOTES.fullmatch("".join(text.split())) is not None


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
