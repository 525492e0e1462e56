"""The stable codes of everything that can be wrong with a cell, what to do about each, and masking.

Codes never change their meaning: they are counted in every manifest.
"""

from collections.abc import Mapping

from linkage.records.cells import Cell, cell_text
from linkage.types import Problem

ROW_FIELD = "row"
"""``Problem.field`` of what is wrong with a whole row and not with one cell."""

ADVICE: Mapping[str, str] = {
    "row-has-wrong-number-of-cells": (
        "Look for a stray separator or quotation mark in this row; cells may sit under the wrong "
        "heading."
    ),
    "row-of-totals": "Nothing to do: this line of totals is no record, and was left out.",
    "row-of-notes": (
        "Nothing to do: this line says who filled in the form, or is a note or an example; it is "
        "no record, and was left out."
    ),
    "row-of-headings": (
        "Nothing to do: this line repeats the title or the headings; it is no record, and was left "
        "out."
    ),
    "row-cannot-be-linked": (
        "Fill in the name, the birth date or the ID number, or delete this row; nothing of it can "
        "be linked."
    ),
    "record-id-missing": "Give the record an id; until then it goes by its row number.",
    "record-id-twice": (
        "Give each record an id of its own; until then the row number is added to this one."
    ),
    "control-characters": "Delete the invisible characters in this cell; they were left out.",
    "spreadsheet-error": "Mend the formula behind this cell; it shows an error and not a value.",
    "masked-value": "Ask for the value without asterisks; a masked value cannot be used.",
    "placeholder-name": "Enter the real name when the child has one.",
    "not-a-name": "Enter a name; this cell holds something else.",
    "garbled-name": "Enter the name again; a wrong text encoding destroyed it.",
    "name-with-unknown-character": (
        "Enter the rare character by its Unicode code point; this one is private to one computer "
        "or was lost."
    ),
    "name-with-note": "Keep notes, digits and signs out of the name; they were left out.",
    "several-names": "Enter one name in a cell; only the first was used.",
    "name-of-one-character": "Check the name; it has only one character.",
    "name-too-long": "Check the name; it is too long for one and was not used.",
    "date-not-understood": "Write the date as 2015-03-07.",
    "date-incomplete": "Enter year, month and day.",
    "date-impossible": "Correct the date; there is no such day.",
    "date-in-future": "Correct the date; it has not come yet.",
    "date-of-lunar-calendar": "Enter the date of the solar calendar.",
    "placeholder-date": "Enter the real date, or leave the cell empty.",
    "not-a-child": "Check the birth date; this person is 18 or older.",
    "sex-not-understood": (
        "Write 男 or 女, 1 or 2, M or F, or say under [values.sex] what your codes mean."
    ),
    "sex-zero": (
        "Say under [values.sex] what 0 means in your system; until then it counts as unknown."
    ),
    "sex-contradicts-id": (
        "Check the sex: the ID number and the birth date agree with each other, not with it; the "
        "sex was left out."
    ),
    "id-lost-by-spreadsheet": (
        "Get the number again from its source and store it as text; a spreadsheet keeps 15 digits "
        "only, the others are lost."
    ),
    "id-wrong-length": "Enter all 18 characters of the ID number.",
    "id-check-character": "Compare the number with the document; its check character is wrong.",
    "id-birth-date-impossible": (
        "Compare the number with the document; the birth date in it does not exist."
    ),
    "id-from-disability-card": (
        "Nothing to do: the ID number was taken from the number of the disability certificate."
    ),
    "not-a-resident-id": (
        "Enter the resident ID number; this is another kind of number, such as a school number."
    ),
    "id-contradicts-birth-date": (
        "Check both: the birth date in the ID number is another one; the ID number was left out."
    ),
    "birth-date-contradicts-id": (
        "Check both: the birth date in the ID number is slightly another one; both were kept."
    ),
    "id-contradicts-sex": (
        "Check both: the ID number is of the other sex and there is no birth date to compare; the "
        "ID number was left out."
    ),
    "id-of-an-adult": (
        "Enter the child's own number; this one belongs to an adult, perhaps the guardian."
    ),
    "id-used-twice": (
        "Check whose number it is; an earlier row has it with another name or birth date."
    ),
    "child-twice": (
        "Delete one of the two rows if they are one child; an earlier row has the same ID number, "
        "name and birth date, and both were kept."
    ),
    "phone-not-understood": "Enter a phone number; this cell holds something else.",
    "phone-wrong-length": "Check the number of digits: a mobile has 11.",
    "phone-without-area-code": "Add the area code, such as 028, before the number.",
    "phone-lost-by-spreadsheet": (
        "Get the number again and store it as text; a spreadsheet rounded it."
    ),
    "placeholder-phone": "Enter a real phone number, or leave the cell empty.",
    "several-phones": "Enter one number in a cell; only the first good one was used.",
    "division-not-understood": "Enter the six-digit code of the county or district.",
    "division-unknown": "Correct the code; no division of China begins with these digits.",
    "division-not-a-county": (
        "Enter the code of the county or district; this one names a larger place."
    ),
    "division-withdrawn": ("Nothing to do: the code was withdrawn, and its successor's was used."),
    "division-not-in-table": (
        "Check the code: no county of the province has it now or had it since 1998; it was kept."
    ),
    "placeholder-identifier": "Enter the real number, or leave the cell empty.",
}
"""Code -> one sentence for a clerk."""


def make_problem(
    row: int, field: str, code: str, value: Cell, other_row: int | None = None
) -> Problem:
    """A problem with its value masked and the advice of its code.

    Raises:
        KeyError: the code is not one of :data:`ADVICE`.
    """
    return Problem(row, field, code, mask(cell_text(value)), ADVICE[code], other_row)


def mask(text: str) -> str:
    """The text with all but its ends replaced by asterisks, at most 24 characters.

    Of one character nothing stays, of two to four the first, of five to seven the first and the
    last, of longer ones the first two and the last two, but only one at an end with a Chinese
    character: two would be the whole name of 李四 where a number stands behind it.
    """
    text = text.replace("\n", " ").replace("\r", " ")
    if len(text) > 24:
        text = text[:12] + text[-12:]
    n = len(text)
    if n <= 1:
        return "*" * n
    if n <= 7:
        head, tail = 1, int(n > 4)
    else:
        head, tail = 1 + text[:2].isascii(), 1 + text[-2:].isascii()
    return text[:head] + "*" * (n - head - tail) + text[n - tail :]
