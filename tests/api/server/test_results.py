"""Directed results and the review: who sees what, and what cannot be joined."""

from typing import Any

import numpy as np
import pytest

from api.server.schemas.terms import Terms
from api.server.services.reviews import build_review, suppressed
from linkage.types import LinkSet
from tests.factories import ROLES, ROUND
from tests.simulator import OpenRound, SimulatedServer, granted, refused

OFFICE, PEER, THIRD = ROLES


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    released = server.open_round()
    released.is_released()
    return released


def test_links_are_right_and_each_side_has_its_own(party: OpenRound) -> None:
    for office in ROLES:
        number_of = party.files[office].number_of
        links = granted(party.office(office).reads_results(ROUND))["links"]
        for other in set(ROLES) - {office}:
            own = {number_of[link["record"]] for link in links if link["counterpart"] == other}
            theirs = set(party.files[other].number_of.values())
            assert own == set(number_of.values()) & theirs
        assert [link["link"] for link in links] == sorted(link["link"] for link in links)
        for link in links:
            assert set(link) == {"link", "record", "counterpart", "score", "band"}
            assert link["score"] == round(link["score"], 2)


def test_what_two_offices_were_given_cannot_be_joined(party: OpenRound) -> None:
    seen: set[str] = set()
    for office in ROLES:
        links = granted(party.office(office).reads_results(ROUND))["links"]
        values = {link["link"] for link in links} | {link["record"] for link in links}
        assert not seen & values
        seen |= values


def test_the_order_of_link_ids_says_nothing_of_the_links(
    server: SimulatedServer, party: OpenRound
) -> None:
    rows = [row for row in server.rows("links") if row["office_a"] == THIRD]
    by_a = sorted(rows, key=lambda row: row["link_a"])
    by_b = sorted(rows, key=lambda row: row["link_b"])
    # 20 or more in two random orders: equal by chance once in 20! times.
    assert len(rows) >= 20
    assert by_a != by_b


def test_another_offices_results(party: OpenRound) -> None:
    refused(party.office(OFFICE).reads_results(ROUND, office=PEER), "forbidden")


@pytest.mark.parametrize("limit", [1, 7, 49, 50, 51, 1000])
def test_pages_hold_every_link_once(party: OpenRound, limit: int) -> None:
    office = party.office(OFFICE)
    everything = granted(office.reads_results(ROUND))["links"]
    assert len(everything) == 50
    found, after = [], ""
    while True:
        page = granted(office.reads_results(ROUND, query=f"?limit={limit}{after}"))
        found += page["links"]
        if page["next"] is None:
            break
        assert page["next"] == page["links"][-1]["link"]
        after = f"&after={page['next']}"
    assert found == everything


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?after=x", "?office=peer", "?limit="])
def test_a_page_that_is_none(party: OpenRound, query: str) -> None:
    refused(party.office(OFFICE).reads_results(ROUND, query=query), "invalid")


RESIDENCE, ORIGIN, EDUCATION = ROLES.values()

# Who sees links with whom, as the terms say it -> whom each office is then given links with.
VISIBILITY: dict[str, tuple[Any, tuple[set[str], set[str], set[str]]]] = {
    "everybody": ("all", ({PEER, THIRD}, {OFFICE, THIRD}, {OFFICE, PEER})),
    "both ways": ({RESIDENCE: [EDUCATION], EDUCATION: [RESIDENCE]}, ({THIRD}, set(), {OFFICE})),
    "one way": ({RESIDENCE: [ORIGIN, EDUCATION]}, ({PEER, THIRD}, set(), set())),
    "the other way": ({ORIGIN: [RESIDENCE]}, (set(), {OFFICE}, set())),
    "a row that is empty": ({RESIDENCE: [], ORIGIN: [RESIDENCE]}, (set(), {OFFICE}, set())),
    "an older form": ([[EDUCATION, RESIDENCE]], ({THIRD}, set(), {OFFICE})),
}


@pytest.mark.parametrize("form", VISIBILITY)
def test_the_matrix_in_the_terms_decides_who_sees_links_with_whom(
    server: SimulatedServer, form: str
) -> None:
    visibility, expected = VISIBILITY[form]
    party = server.open_round(visibility=visibility)
    party.is_released()
    for office, counterparts in zip(ROLES, expected, strict=True):
        links = granted(party.office(office).reads_results(ROUND))["links"]
        assert {link["counterpart"] for link in links} == counterparts
        # Pages leave nothing out although links between the pages are another's.
        pages, after = [], ""
        while True:
            page = granted(party.office(office).reads_results(ROUND, query=f"?limit=7{after}"))
            pages += page["links"]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert pages == links
        granted(party.office(office).acknowledges(ROUND, links), 201)
    # What nobody may see is not stored either.
    stored = {frozenset((row["office_a"], row["office_b"])) for row in server.rows("links")}
    seen = {
        frozenset((office, counterpart))
        for office, counterparts in zip(ROLES, expected, strict=True)
        for counterpart in counterparts
    }
    assert stored == seen


def test_who_does_not_see_a_link_is_not_told_of_its_end(server: SimulatedServer) -> None:
    party = server.open_round(visibility={ORIGIN: [RESIDENCE]})
    party.is_released()
    # The residence office sees no links, so its leaving must not tell it how many there were.
    assert granted(party.office(OFFICE).leaves(ROUND))["n_links"] == 0
    marks = granted(party.office(PEER).reads_results(ROUND))["links"]
    assert len(marks) == 30
    assert {link["band"] for link in marks} == {"withdrawn"}
    assert server.rows("links") == []


def test_who_did_not_see_a_link_gets_no_mark_of_it(server: SimulatedServer) -> None:
    party = server.open_round(visibility={RESIDENCE: [ORIGIN]})
    party.is_released()
    assert granted(party.office(OFFICE).leaves(ROUND))["n_links"] == 30
    assert server.rows("links") == server.rows("retracted_links") == []


def test_offices_with_equal_roles_see_each_other_if_the_terms_say_so_of_the_role() -> None:
    members = [{"office": "a", "role": "school"}, {"office": "b", "role": "school"}]
    for same in ([["school", "school"]], {"school": ["school"]}, "all"):
        assert Terms({"members": members, "visibility": same}).sees("a", "b")
    members.append({"office": "c", "role": "police"})
    other = Terms({"members": members, "visibility": {"school": ["police"]}})
    assert not other.sees("a", "b")
    assert other.sees("a", "c")
    assert not other.sees("c", "a")
    assert not other.sees("a", "a")


class TestReview:
    def test_aggregates_of_a_round(self, party: OpenRound) -> None:
        review = granted(party.second.reads_review(ROUND)).json
        by_pair = {(pair["office_a"], pair["office_b"]): pair for pair in review["pairs"]}
        assert by_pair[OFFICE, PEER]["n_links"] == 30
        assert by_pair[OFFICE, PEER]["n_records_a"] == 45
        assert by_pair[THIRD, OFFICE]["n_records_a"] == 20
        assert all(0 <= pair["estimated_precision"] <= 1 for pair in review["pairs"])
        assert sum(bin_["n"] or 0 for bin_ in review["histogram"]) >= 70
        assert 0 < review["threshold"] < 1
        assert {d["office"]: d["n_groups"] for d in review["duplicates"]} == dict.fromkeys(ROLES)

    def test_not_for_offices_and_auditors(self, party: OpenRound) -> None:
        for asker in (party.office(OFFICE), party.auditor):
            refused(asker.gets(f"/v1/rounds/{ROUND}/review"), "forbidden")

    def test_small_cells_are_suppressed(self) -> None:
        none = np.zeros(0, dtype=np.int64)
        link_set = LinkSet(
            ("a", "b", "c"), none, none, none, none, np.zeros(0), none, 0.9,
            duplicates={"a": tuple((i, i + 1) for i in range(4)), "b": ((1, 2),) * 5},
            figures={
                "histogram": [{"from": 0.0, "to": 0.5, "n": 4}, {"from": 0.5, "to": 1.0, "n": 5}],
                "pairs": [
                    {"dataset_a": "a", "dataset_b": "b", "n_links": 4,
                     "estimated_precision": 0.75, "estimated_recall": 0.5},
                    {"dataset_a": "a", "dataset_b": "c", "n_links": 5,
                     "estimated_precision": 0.98765, "estimated_recall": None},
                ],
            },
        )  # fmt: skip
        review = build_review(link_set, {"a": 100, "b": 4, "c": 5}, {})
        small, large = review["pairs"]
        assert small["n_links"] is None
        assert small["estimated_precision"] is None
        assert small["estimated_recall"] is None
        assert (small["n_records_a"], small["n_records_b"]) == (100, None)
        assert (large["n_links"], large["n_records_b"]) == (5, 5)
        assert (large["estimated_precision"], large["estimated_recall"]) == (0.9877, None)
        assert [bin_["n"] for bin_ in review["histogram"]] == [None, 5]
        assert review["duplicates"] == [
            {"office": "a", "n_groups": None},
            {"office": "b", "n_groups": 5},
            {"office": "c", "n_groups": None},
        ]

    @pytest.mark.parametrize(("count", "shown"), [(0, None), (4, None), (5, 5), (10**7, 10**7)])
    def test_the_edge_of_a_small_cell(self, count: int, shown: int | None) -> None:
        assert suppressed(count) == shown
