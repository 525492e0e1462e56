"""The joined list in pages says what the workbook says."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.office.join import OwnRecords, write_joined_list
from api.office.links import Link
from api.office.previous_list import load_previous_list
from api.office.workbench import joined_rows
from api.office.workbench.joined_rows import (
    KINDS,
    PAGE_ROWS,
    Choice,
    JoinedPage,
    Kind,
    joined_page,
    store_lines,
    write_joined_rows,
)

HEADINGS = ("编号", "姓名")


def link(number: int, counterpart: str, score: float = 0.995) -> Link:
    return Link(f"l{number}-{counterpart}", f"{number:032x}", counterpart, score, "certain")


def write(folder: Path, links: list[Link], n_records: int, before: Path | None = None) -> Path:
    rows = [(f"r{i}", (f"r{i}", f"孩子{i}")) for i in range(n_records)]
    path = folder / f"list-{len(links)}.xlsx"
    path.touch()
    previous = None if before is None else load_previous_list(before)
    ids = {f"{i:032x}": f"r{i}" for i in range(n_records)}
    write_joined_list(path, OwnRecords(HEADINGS, rows), links, ids, previous)
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    before = write(tmp_path, [link(0, "school"), link(1, "clinic"), link(2, "school")], 200)
    now = [link(0, "school"), link(1, "school"), *(link(i, "clinic") for i in range(2, 130))]
    path = tmp_path / "rows.sqlite"
    write_joined_rows(write(tmp_path, now, 200, before), path)
    return path


def page(database: Path, number: int = 1, **choice: str) -> JoinedPage:
    found = joined_page(database, Choice(**choice), number)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_rows_of_each_kind_are_counted_and_paged(database: Path) -> None:
    first = page(database)
    assert first.headings == HEADINGS
    assert first.counts == {"linked": 130, "missing": 70, "ended": 2}
    assert (first.n_rows, first.n_pages, len(first.rows)) == (130, 3, PAGE_ROWS)
    rows = [own for number in (1, 2, 3) for own, _ in page(database, number).rows]
    assert rows == [(f"r{i}", f"孩子{i}") for i in range(130)]
    assert [own for own, _ in page(database, kind="missing").rows[:1]] == [("r130", "孩子130")]


def test_a_page_beyond_the_end_is_the_last(database: Path) -> None:
    assert page(database, 99).page == 3
    assert page(database, -1).page == 1


def test_rows_can_be_chosen(database: Path) -> None:
    assert page(database).counterparts == ("clinic", "school")
    assert page(database, counterpart="school").n_rows == 2
    assert page(database, change="unchanged").n_rows == 1
    assert page(database, change="new").n_rows == 129
    assert page(database, band="possible").n_rows == 0
    assert page(database, text="孩子12").n_rows == 11
    assert page(database, text="%").n_rows == 0


def test_what_ended_says_why(database: Path) -> None:
    rows = page(database, kind="ended").rows
    assert {added["counterpart"] for _, added in rows} == {"clinic", "school"}
    assert all(added["reason"] for _, added in rows)


def test_there_is_no_list_before_it_was_made(tmp_path: Path) -> None:
    assert joined_page(tmp_path / "none.sqlite", Choice(), 1) is None


LINE = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(["", "school", "clinic"]),
    st.sampled_from(["", "new"]),
    st.sampled_from(["certain", "possible"]),
    st.text("王小\nAß", max_size=4),
)
CHOICE = st.builds(
    Choice,
    kind=st.sampled_from(KINDS),
    counterpart=st.sampled_from(["", "school", "nobody"]),
    change=st.sampled_from(["", "new"]),
    band=st.sampled_from(["", "possible"]),
    text=st.text("王小Aß", max_size=2),
)


@given(st.lists(LINE, max_size=40), CHOICE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_found_in_stretches_is_what_fits(
    tmp_path: Path, lines: list[tuple[Kind, str, str, str, str]], choice: Choice
) -> None:
    path = tmp_path / "rows.sqlite"
    stored = [
        (kind, counterpart, change, band, text.casefold(), json.dumps([str(n)]), json.dumps({}))
        for n, (kind, counterpart, change, band, text) in enumerate(lines)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joined_rows, "_STRETCH", 4)
        patch.setattr(joined_rows, "_FEW_LINES", 1)
        store_lines(path, HEADINGS, stored)
        shown = joined_page(path, choice, 1)
    assert shown is not None
    wanted = [
        str(n)
        for n, (kind, counterpart, change, band, text) in enumerate(lines)
        if kind == choice.kind
        and choice.counterpart in ("", counterpart)
        and choice.change in ("", change)
        and choice.band in ("", band)
        and choice.text.casefold() in text.casefold()
    ]
    assert [own[0] for own, _ in shown.rows] == wanted
    assert (shown.n_rows, shown.has_more) == (len(wanted), False)


def test_of_very_many_rows_with_a_text_the_first_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined_rows, "MOST_FOUND", 60)
    path = tmp_path / "rows.sqlite"
    line = ("linked", "school", "new", "certain", "王小明", '["王小明"]', "{}")
    store_lines(path, HEADINGS, [line] * 100)
    found = page(path, 2, text="小明")
    assert (found.n_rows, found.has_more, len(found.rows)) == (60, True, 60 - PAGE_ROWS)
    assert page(path, change="new").n_rows == 100


def test_a_list_of_an_older_program_is_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE line (kind TEXT)")
    assert joined_page(path, Choice(), 1) is None
