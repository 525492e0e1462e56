"""Cleaning versions: every kind of field has one function, and every cell an outcome."""

import re
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.profile import builtin_profile_names, load_profile
from linkage.records.cells import Cell
from linkage.records.cleaning import CLEANING_VERSIONS, ColumnCleaner, cleaning_version
from linkage.records.problems import ADVICE
from linkage.types import FieldKind, FieldSpec

TODAY = date(2025, 6, 1)
CN_2 = CLEANING_VERSIONS["cn-2"]

CANONICAL = {
    "chinese-name": r"[^\s\d]+( [^\s\d]+)*",
    "latin-name": r"\w+( \w+)*",
    "date": r"(19|20)\d\d-\d\d-\d\d",
    "resident-id": r"[0-9]{17}[0-9X]",
    "identifier": r"[^\W_]+",
    "phone": r"1[3-9][0-9]{9}|0[0-9]{9,11}",
    "division": r"[0-9]{6}",
    "sex": r"[MF]",
    "text": r"[^\s]+( [^\s]+)*",
}

CELLS = st.one_of(
    st.text(max_size=20),
    st.text("0123456789-/.年月日 Xx*GJL+，、某之女男()", max_size=22),
    st.integers(-(10**19), 10**19),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.none(),
)


@pytest.mark.parametrize("kind", sorted(CANONICAL))
@given(cell=CELLS)
def test_whatever_stands_in_a_cell_the_value_is_canonical_or_none(
    kind: FieldKind, cell: Cell
) -> None:
    [(value, codes)] = ColumnCleaner(kind, CN_2, TODAY, {}).clean([cell])
    assert value is None or re.fullmatch(CANONICAL[kind], value)
    assert set(codes) <= set(ADVICE)


@pytest.mark.parametrize("kind", sorted(set(CANONICAL) - {"resident-id"}))
@given(cells=st.lists(CELLS, max_size=8))
def test_what_is_remembered_does_not_change_the_result(kind: FieldKind, cells: list[Cell]) -> None:
    together = ColumnCleaner(kind, CN_2, TODAY, {})
    once = together.clean(cells)
    assert together.clean(cells) == once
    assert once == [ColumnCleaner(kind, CN_2, TODAY, {}).clean([cell])[0] for cell in cells]


def test_numbers_that_are_equal_to_texts_are_not_mixed_up() -> None:
    cleaner = ColumnCleaner("resident-id", CN_2, TODAY, {})
    number = 110105194912310020
    assert cleaner.clean(["0", number, str(number)]) == [
        (None, ()),
        (None, ("id-lost-by-spreadsheet",)),
        (None, ("id-check-character",)),
    ]


def test_values_of_the_mapping_come_first() -> None:
    cleaner = ColumnCleaner("sex", CN_2, TODAY, {"甲": "M", "乙": "F", "1": "F", "丙": ""})
    assert cleaner.clean(["甲", " 乙", "1", 1.0, "2", "丙"]) == [
        ("M", ()),
        ("F", ()),
        ("F", ()),
        ("F", ()),
        ("F", ()),
        (None, ()),
    ]


@pytest.mark.parametrize("kind", sorted(CANONICAL))
def test_errors_of_spreadsheets_are_reported_in_every_kind(kind: FieldKind) -> None:
    assert ColumnCleaner(kind, CN_2, TODAY, {}).clean(["#REF!"]) == [(None, ("spreadsheet-error",))]


def test_control_characters_are_left_out_and_reported() -> None:
    assert ColumnCleaner("chinese-name", CN_2, TODAY, {}).clean(["王\x00明", "王明\t"]) == [
        ("王明", ("control-characters",)),
        ("王明", ()),
    ]


def test_a_memo_that_is_full_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkage.records.cleaning._MEMO_ENTRIES", 2)
    cleaner = ColumnCleaner("sex", CN_2, TODAY, {})
    assert [value for value, _ in cleaner.clean(["男", "女", "1", "2", "男"])] == list("MFMFM")


@pytest.mark.parametrize("name", builtin_profile_names())
def test_the_profiles_of_the_program_name_a_version_that_has_their_kinds(name: str) -> None:
    profile = load_profile(name)
    version = cleaning_version(profile.cleaning, profile.fields)
    assert {field.kind for field in profile.fields} <= set(version.kinds)


def test_versions_are_chosen_by_name_or_by_kinds() -> None:
    latin, chinese = FieldSpec("a", "latin-name"), FieldSpec("b", "chinese-name")
    assert cleaning_version(None, [latin]) is CLEANING_VERSIONS["latin-1"]
    assert cleaning_version(None, [latin, chinese]) is CN_2
    with pytest.raises(RecordsError, match="Update the program"):
        cleaning_version("cn-99", [chinese])
    with pytest.raises(RecordsError, match="chinese-name"):
        cleaning_version("latin-1", [chinese])


def test_latin_dates_know_no_children() -> None:
    assert not CLEANING_VERSIONS["latin-1"].child_rules
    moment = datetime(1959, 4, 14)  # noqa: DTZ001
    assert (
        ColumnCleaner("date", CLEANING_VERSIONS["latin-1"], TODAY, {}).clean(["19590414", moment])
        == [("1959-04-14", ())] * 2
    )
