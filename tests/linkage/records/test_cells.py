"""Raw cells to plain text."""

from datetime import date, datetime, time, timedelta

import pytest

from linkage.records.cells import (
    Cell,
    cell_text,
    has_control_characters,
    is_null_marker,
    is_spreadsheet_error,
    plain_cell,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        ("", ""),
        (" a b ", "a b"),
        ("１２　", "12"),
        ("a\u200b\u2060\ufeffb\u00ad", "ab"),
        ("a\x00b\x07", "ab"),
        ("\tx\r\n", "x"),
        ('="0123"', "0123"),
        ("'0123", "0123"),
        (17, "17"),
        (17.0, "17"),
        (17.5, "17.5"),
        (1.38e10, "13800000000"),
        (date(2015, 3, 7), "2015-03-07"),
        (datetime(2015, 3, 7, 8, 30), "2015-03-07"),  # noqa: DTZ001
        (float("inf"), "inf"),
    ],
)
def test_the_text_of_a_cell(cell: Cell, text: str) -> None:
    assert cell_text(cell) == text


def test_what_means_empty() -> None:
    for text in ("", "-", "——", "无", "NULL", "null", "None", "N/A", "\\N", "不详", "nan"):
        assert is_null_marker(text)
    for text in ("0", "王", "nancy"):
        assert not is_null_marker(text)


def test_errors_of_spreadsheets() -> None:
    assert is_spreadsheet_error("#REF!")
    assert is_spreadsheet_error("#value!")
    assert not is_spreadsheet_error("#1")


def test_control_characters() -> None:
    assert has_control_characters("a\x00")
    assert not has_control_characters("a\tb\n")
    assert not has_control_characters(5.0)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("", None),
        (None, None),
        (True, "TRUE"),
        (1.5, 1.5),
        (date(2015, 3, 7), date(2015, 3, 7)),
        (time(8, 30), "08:30:00"),
        (timedelta(days=2), "2 days, 0:00:00"),
    ],
)
def test_values_of_workbooks(value: object, cell: Cell) -> None:
    assert plain_cell(value) == cell
