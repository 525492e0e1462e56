"""Telling what was done to entries, by somebody careless and by somebody careful."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.findings import Finding, Kind, classify_by_index, compare_with_verified
from api.audit.merkle import leaf_hash
from tests.api.audit.simulated_log import SimulatedLog, changed, renumber

LINES = SimulatedLog(30).lines()
LEAVES = [leaf_hash(line) for line in LINES]
EXTRA = SimulatedLog(31).lines()[30]


def kinds(findings: list[Finding]) -> dict[Kind, list[int | None]]:
    result: dict[Kind, list[int | None]] = {}
    for finding in findings:
        result.setdefault(finding.kind, []).append(finding.index)
    return result


def who_else(line: bytes) -> bytes:
    return changed(line, lambda value: value.update(actor="somebody-else"))


def test_nothing_is_found_in_what_was_not_changed() -> None:
    assert compare_with_verified(LINES, LEAVES) == []
    assert classify_by_index(range(30)) == []


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([*LINES[:7], who_else(LINES[7]), *LINES[8:]], {Kind.ENTRY_CHANGED: [7]}),
        ([*LINES[:7], *LINES[8:]], {Kind.ENTRY_REMOVED: [7]}),
        (LINES[1:], {Kind.ENTRY_REMOVED: [0]}),
        ([*LINES[:7], *LINES[12:]], {Kind.ENTRY_REMOVED: [7]}),
        ([*LINES[:3], *LINES[4:20], *LINES[21:]], {Kind.ENTRY_REMOVED: [3, 20]}),
        ([*LINES[:7], EXTRA, *LINES[7:]], {Kind.ENTRY_INSERTED: [7]}),
        ([*LINES, EXTRA], {Kind.ENTRY_INSERTED: [30]}),
        (LINES[:-1], {Kind.TAIL_CUT: [29]}),
        (LINES[:20], {Kind.TAIL_CUT: [20]}),
        ([], {Kind.TAIL_CUT: [0]}),
        (
            [*LINES[:5], LINES[6], LINES[5], *LINES[7:]],
            {Kind.ENTRY_REORDERED: [6]},
        ),
        (
            [*LINES[:5], *LINES[6:20], LINES[5], *LINES[20:]],
            {Kind.ENTRY_REORDERED: [5]},
        ),
        (
            [*LINES[:5], LINES[20], *LINES[6:20], LINES[5], *LINES[21:]],
            {Kind.ENTRY_REORDERED: [5, 20]},
        ),
        (
            [*LINES[:4], *LINES[5:9], who_else(LINES[9]), *LINES[10:15], EXTRA, *LINES[15:28]],
            {
                Kind.ENTRY_REMOVED: [4],
                Kind.ENTRY_CHANGED: [9],
                Kind.ENTRY_INSERTED: [14],
                Kind.TAIL_CUT: [28],
            },
        ),
    ],
)
def test_each_change_is_told_even_if_all_was_numbered_anew(
    lines: list[bytes], expected: dict[Kind, list[int | None]], careful: bool
) -> None:
    found = compare_with_verified(renumber(lines) if careful else lines, LEAVES)
    assert kinds(found) == expected


def test_a_copy_put_in_is_an_insertion() -> None:
    lines = [*LINES[:9], LINES[3], *LINES[9:]]
    assert kinds(compare_with_verified(lines, LEAVES)) == {Kind.ENTRY_INSERTED: [9]}


def test_entries_after_the_verified_ones_are_expected_from_a_server() -> None:
    found = compare_with_verified(LINES, LEAVES[:20], newer_follow=True)
    assert found == []
    assert kinds(compare_with_verified(LINES, LEAVES[:20])) == {Kind.ENTRY_INSERTED: [20]}


def test_a_log_replaced_as_a_whole_is_all_changed() -> None:
    other = [who_else(line) for line in LINES]
    assert kinds(compare_with_verified(other, LEAVES)) == {Kind.ENTRY_CHANGED: [0]}


def test_neighbours_are_told_in_one_message() -> None:
    found = compare_with_verified([*LINES[:7], *LINES[12:]], LEAVES)
    assert [finding.message for finding in found] == [
        "Entries 7 to 11 were removed after the log had been verified."
    ]
    found = compare_with_verified([*LINES[:7], EXTRA, *LINES[7:]], LEAVES)
    assert found[0].message == "Line 8 was inserted after the log had been verified."


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ([0, 1, 3, 4], {Kind.ENTRY_REMOVED: [2]}),
        ([1, 2, 3], {Kind.ENTRY_REMOVED: [0]}),
        ([0, 1, 1, 2], {Kind.ENTRY_INSERTED: [1]}),
        ([0, 2, 1, 3], {Kind.ENTRY_REORDERED: [2]}),
        ([0, None, 2], {}),
        ([0, 1, 10**15], {Kind.ENTRY_REMOVED: [2]}),
        ([], {}),
    ],
)
def test_numbers_alone_tell_careless_changes(
    indexes: list[int | None], expected: dict[Kind, list[int | None]]
) -> None:
    assert kinds(classify_by_index(indexes)) == expected


@given(st.permutations(range(30)))
def test_any_new_order_is_reordering_and_nothing_else(order: list[int]) -> None:
    lines = [LINES[index] for index in order]
    expected = set() if order == sorted(order) else {Kind.ENTRY_REORDERED}
    assert set(kinds(compare_with_verified(lines, LEAVES))) == expected
    assert set(kinds(compare_with_verified(renumber(lines), LEAVES))) == expected


@given(
    st.lists(
        st.integers(0, 29).map(lambda at: LINES[at])
        | st.integers(0, 29).map(lambda at: who_else(LINES[at]))
        | st.just(b"no entry")
        | st.just(json.dumps({"index": 3}).encode()),
        max_size=40,
    )
)
def test_any_other_log_gives_findings(lines: list[bytes]) -> None:
    assert bool(compare_with_verified(lines, LEAVES)) == (lines != LINES)
