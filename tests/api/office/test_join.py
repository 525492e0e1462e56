from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from api.office import list_layout as layout
from api.office.join import JoinCounts, OwnRecords, write_joined_list
from api.office.links import Band, Link
from api.office.previous_list import load_previous_list
from linkage.errors import RecordsError

HEADINGS = ["登记编号", "儿童姓名", "备注"]
ROWS: list[list[Any]] = [
    ["r1", "甲", "=1+1"],
    ["r2", "乙", None],
    ["r3", "丙", 7],
    ["r4", "丁"],
    ["r5", "戊", "never encoded", "beyond the headings"],
]
RECORD_IDS = {f"{number:032x}": f"r{number}" for number in range(1, 5)}


def _link(
    link: str, record: int, counterpart: str, score: float = 0.95, band: Band = "probable"
) -> Link:
    return Link(link, f"{record:032x}", counterpart, score, band)


LINKS = [
    _link("a1", 1, "education"),
    _link("a2", 1, "health", 0.99, "certain"),
    _link("a3", 3, "education", 0.80, "possible"),
]


def _own(rows: Sequence[Sequence[Any]] = ROWS) -> OwnRecords:
    return OwnRecords(HEADINGS, ((row[0], row) for row in rows))


def _join(path: Path, links: Sequence[Link] = LINKS, previous: Path | None = None) -> JoinCounts:
    return write_joined_list(
        path,
        _own(),
        links,
        RECORD_IDS,
        None if previous is None else load_previous_list(previous),
    )


def _rows(path: Path, sheet: str) -> list[tuple[Any, ...]]:
    return list(openpyxl.load_workbook(path)[sheet].iter_rows(values_only=True))


def test_every_link_is_a_row_beside_the_offices_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "joined.xlsx"
    _join(path)
    assert _rows(path, layout.SHEET_LINKS) == [
        (*HEADINGS, *layout.LINK_HEADINGS),
        ("r1", "甲", "=1+1", "health", 0.99, layout.BAND_NAMES["certain"], None, "a2", "r1"),
        ("r1", "甲", "=1+1", "education", 0.95, layout.BAND_NAMES["probable"], None, "a1", "r1"),
        ("r3", "丙", "7", "education", 0.80, layout.BAND_NAMES["possible"], None, "a3", "r3"),
    ]


def test_records_that_nobody_else_holds_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "joined.xlsx"
    _join(path)
    assert _rows(path, layout.SHEET_NOT_FOUND) == [
        (*HEADINGS, layout.HEADING_STATE),
        ("r2", "乙", None, layout.STATE_NOT_FOUND),
        ("r4", "丁", None, layout.STATE_NOT_FOUND),
        ("r5", "戊", "never encoded", layout.STATE_NOT_SENT),
    ]


def test_the_summary_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "joined.xlsx"
    counts = _join(path)
    assert (counts.n_records, counts.n_linked, counts.n_not_found, counts.n_not_sent) == (
        5,
        2,
        2,
        1,
    )
    summary = dict(_rows(path, layout.SHEET_SUMMARY)[1:])
    assert summary["本单位记录 own records"] == 5
    assert summary["匹配 links"] == 3
    assert summary["与 education 的匹配 links with it"] == 2
    assert summary["在 education 找到的记录 records found there"] == 2
    assert summary["匹配，确定 links, certain"] == 1
    assert layout.SHEET_ENDED not in openpyxl.load_workbook(path).sheetnames


def test_a_formula_in_a_record_never_becomes_one(tmp_path: Path) -> None:
    path = tmp_path / "joined.xlsx"
    _join(path)
    for sheet in openpyxl.load_workbook(path):
        assert not [cell for row in sheet for cell in row if cell.data_type == "f"]


def test_what_changed_since_the_previous_list(tmp_path: Path) -> None:
    old, new = tmp_path / "old.xlsx", tmp_path / "new.xlsx"
    _join(old)
    # r1 - health has ended, r1 - education stays under another reference, r2 - health is new.
    counts = _join(new, [_link("b1", 1, "education"), _link("b2", 2, "health")], old)
    changes = {row[7]: row[6] for row in _rows(new, layout.SHEET_LINKS)[1:]}
    assert changes == {"b1": layout.CHANGE_UNCHANGED, "b2": layout.CHANGE_NEW}
    assert _rows(new, layout.SHEET_ENDED) == [
        (*HEADINGS, *layout.ENDED_HEADINGS),
        ("r1", "甲", "=1+1", "health", 0.99, layout.ENDED_LINK, "r1"),
        ("r3", "丙", "7", "education", 0.80, layout.ENDED_LINK, "r3"),
    ]
    assert (counts.n_new, counts.n_unchanged, counts.n_ended) == (1, 1, 2)
    summary = dict(_rows(new, layout.SHEET_SUMMARY)[1:])
    assert summary["已终止的匹配 ended links"] == 2


def test_several_links_with_one_office_are_compared_by_number(tmp_path: Path) -> None:
    old, new = tmp_path / "old.xlsx", tmp_path / "new.xlsx"
    _join(old, [_link("a1", 1, "education", 0.99), _link("a2", 1, "education", 0.9)])
    counts = _join(new, [_link("b1", 1, "education", 0.9), _link("b2", 3, "education")], old)
    assert (counts.n_new, counts.n_unchanged, counts.n_ended) == (1, 1, 1)
    assert _rows(new, layout.SHEET_ENDED)[1][4] == 0.9


def test_links_with_an_office_that_left_are_marked_and_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "joined.xlsx"
    counts = _join(path, [*LINKS[:2], _link("a3", 3, "education", 0.80, "withdrawn")])
    assert _rows(path, layout.SHEET_LINKS)[-1] == (
        "r3", "丙", "7", "education", 0.80, layout.BAND_NAMES["withdrawn"],
        layout.CHANGE_WITHDRAWN, "a3", "r3",
    )  # fmt: skip
    assert (counts.n_linked, counts.n_links, counts.n_withdrawn) == (1, 2, 1)
    # It was found once; "not found" would be a lie.
    assert "r3" not in {row[0] for row in _rows(path, layout.SHEET_NOT_FOUND)}
    assert dict(_rows(path, layout.SHEET_SUMMARY))["对方已撤回的匹配 links withdrawn"] == 1


def test_a_link_that_was_withdrawn_last_time_is_new_when_it_comes_back(tmp_path: Path) -> None:
    """It counted no more then, so it neither stays as it was nor ends a second time."""
    old, back, gone = tmp_path / "old.xlsx", tmp_path / "back.xlsx", tmp_path / "gone.xlsx"
    withdrawn = _link("a3", 3, "education", 0.80, "withdrawn")
    _join(old, [*LINKS[:2], withdrawn])
    counts = _join(back, [*LINKS[:2], _link("b3", 3, "education")], old)
    assert (counts.n_new, counts.n_unchanged, counts.n_ended) == (1, 2, 0)
    assert {row[7]: row[6] for row in _rows(back, layout.SHEET_LINKS)}["b3"] == layout.CHANGE_NEW
    counts = _join(gone, LINKS[:2], old)
    assert (counts.n_new, counts.n_unchanged, counts.n_ended) == (0, 2, 0)


def test_a_record_that_left_the_register_ends_its_links(tmp_path: Path) -> None:
    old, new = tmp_path / "old.xlsx", tmp_path / "new.xlsx"
    _join(old)
    write_joined_list(new, _own(ROWS[:2]), LINKS[:2], RECORD_IDS, load_previous_list(old))
    reasons = {row[-1]: row[-2] for row in _rows(new, layout.SHEET_ENDED)[1:]}
    assert reasons == {"r3": layout.ENDED_RECORD}


def test_a_previous_list_that_people_sorted_and_coloured_is_still_read(tmp_path: Path) -> None:
    old = tmp_path / "old.xlsx"
    _join(old)
    workbook = openpyxl.load_workbook(old)
    sheet = workbook[layout.SHEET_LINKS]
    sheet.move_range("A2:I2", rows=5)
    sheet["A3"].font = openpyxl.styles.Font(color="FF0000")
    workbook.save(old)
    previous = load_previous_list(old)
    assert [(link.record_id, link.counterpart, link.score) for link in previous.links] == [
        ("r1", "education", 0.95),
        ("r3", "education", 0.80),
        ("r1", "health", 0.99),
    ]
    assert previous.headings == tuple(HEADINGS)


def test_other_workbooks_are_no_previous_list(tmp_path: Path) -> None:
    path = tmp_path / "other.xlsx"
    path.write_bytes(b"PK no workbook")
    with pytest.raises(RecordsError, match=r"is no \.xlsx file"):
        load_previous_list(path)
    workbook = openpyxl.Workbook()
    workbook.save(path)
    with pytest.raises(RecordsError, match="no sheet"):
        load_previous_list(path)
    sheet = workbook.active
    assert isinstance(sheet, Worksheet)
    sheet.title = layout.SHEET_LINKS
    sheet.append(["甲", *layout.LINK_HEADINGS[:-1]])
    workbook.save(path)
    with pytest.raises(RecordsError, match="headings were changed"):
        load_previous_list(path)
    sheet["G1"] = layout.LINK_HEADINGS[-1]
    sheet.append(["x", "education", "high", "", "", "a1", "r1"])
    workbook.save(path)
    with pytest.raises(RecordsError, match="score"):
        load_previous_list(path)


def test_links_of_another_round_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="2 of 4 links") as caught:
        _join(tmp_path / "x.xlsx", [*LINKS[:2], _link("a8", 8, "health"), _link("a9", 9, "health")])
    assert f"{9:032x}" not in str(caught.value)


def test_a_file_that_lacks_linked_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="lacks 1 record") as caught:
        write_joined_list(tmp_path / "x.xlsx", _own(ROWS[:2]), LINKS, RECORD_IDS)
    assert "r3" not in str(caught.value)


@pytest.mark.parametrize("made", ["row-3", "r1@row-3"])
def test_a_row_without_an_id_must_be_where_it_was(tmp_path: Path, made: str) -> None:
    """A row put in above it, and its link would stand beside another child."""
    record_ids = {f"{1:032x}": "r1", f"{2:032x}": made}
    own = OwnRecords(HEADINGS, [("r1", ["r1", "甲"]), (made, [None, "乙"])])
    links = [_link("a2", 2, "health")]
    assert write_joined_list(tmp_path / "x.xlsx", own, links, record_ids).n_linked == 1
    moved = OwnRecords(
        HEADINGS, [("r1", ["r1", "甲"]), (made, [None, "丙"]), ("row-4", [None, "乙"])]
    )
    with pytest.raises(RecordsError, match="not where they were"):
        write_joined_list(tmp_path / "x.xlsx", moved, links, record_ids)


def test_links_of_rows_without_an_id_are_not_compared_with_the_list_before(tmp_path: Path) -> None:
    """Row 3 of the next file is another child's: its first link would be called unchanged."""
    old, new = tmp_path / "old.xlsx", tmp_path / "new.xlsx"
    for path, name in ((old, "乙"), (new, "丙")):
        own = OwnRecords(HEADINGS, [("r1", ["r1", "甲"]), ("row-3", [None, name])])
        counts = write_joined_list(
            path,
            own,
            [_link("a1", 1, "health"), _link("a2", 2, "health")],
            {f"{1:032x}": "r1", f"{2:032x}": "row-3"},
            load_previous_list(old) if path == new else None,
        )
    assert (counts.n_new, counts.n_unchanged, counts.n_ended) == (1, 1, 0)


def test_no_links_at_all_is_a_list_too(tmp_path: Path) -> None:
    path = tmp_path / "joined.xlsx"
    counts = _join(path, [])
    assert counts.n_links == 0
    assert len(_rows(path, layout.SHEET_LINKS)) == 1
    assert len(_rows(path, layout.SHEET_NOT_FOUND)) == 6
