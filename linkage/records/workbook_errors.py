"""What is said of a workbook that cannot be read."""

from linkage.errors import RecordsError

SAVE_AS_CSV = "Delete what does not belong to the table, or save the sheet as CSV in UTF-8."


def damaged_workbook() -> RecordsError:
    """For whatever does not fit together."""
    return RecordsError(
        "The workbook is damaged or cut off. Copy or export it again, or save it as CSV.",
        code="damaged-workbook",
    )


def locked_workbook() -> RecordsError:
    """For what is encrypted."""
    return RecordsError("The workbook has a password. Save it without one.", code="password")


def large_workbook() -> RecordsError:
    """For what inflates without end."""
    return RecordsError(
        f"The workbook is too large to be read. {SAVE_AS_CSV}", code="large-workbook"
    )


def no_such_sheet(n_sheets: int, sheet: int) -> RecordsError:
    """For a mapping that was made for another workbook."""
    return RecordsError(
        f"The workbook has {n_sheets} sheets, but the mapping asks for sheet {sheet}. "
        "Correct 'sheet' under [source].",
        code="no-sheet",
        n_sheets=n_sheets,
        sheet=sheet,
    )
