"""Flows between counties: who is counted, who is hidden, and who may say where offices stand."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.places import Place, Side
from api.server.services.flows import count_flows
from linkage.types import LinkSet
from tests.factories import PROJECT, ROLES, ROUND
from tests.simulator import SimulatedServer, granted, refused

JINJIANG, QINGYANG, ZHONGJIANG = "510104", "510105", "510623"
OWN, PEER, THIRD = ROLES


def link_set(links: Sequence[tuple[int, int, int]], names: Sequence[str] = "abcd") -> LinkSet:
    """Links of (group, dataset, dataset)."""
    columns = np.array(links, dtype=np.int64).reshape(-1, 3)
    rows = np.arange(len(columns))
    return LinkSet(
        tuple(names),
        columns[:, 1],
        rows,
        columns[:, 2],
        rows,
        np.ones(len(columns)),
        columns[:, 0],
        0.9,
    )


def test_a_child_counts_once_however_many_offices_of_a_county_hold_it() -> None:
    places = {
        "a": Place(ZHONGJIANG, Side.ORIGIN),
        "b": Place(JINJIANG, Side.RESIDENCE),
        "c": Place(JINJIANG, Side.RESIDENCE),
    }
    links = [(group, *pair) for group in range(10) for pair in ((0, 1), (0, 2), (1, 2))]
    assert count_flows(link_set(links), places) == [
        {"origin": ZHONGJIANG, "residence": JINJIANG, "n_children": 10}
    ]


def test_a_child_that_two_offices_hold_only_by_a_third_is_counted() -> None:
    places = {"a": Place(ZHONGJIANG, Side.ORIGIN), "b": Place(JINJIANG, Side.RESIDENCE)}
    links = [(group, *pair) for group in range(5) for pair in ((0, 2), (1, 2))]
    assert [flow["n_children"] for flow in count_flows(link_set(links), places)] == [5]


@pytest.mark.parametrize(("n_children", "shown"), [(4, []), (5, [5]), (9, [5]), (10, [10])])
def test_small_flows_are_left_out_and_others_rounded_down(
    n_children: int, shown: list[int]
) -> None:
    places = {"a": Place(ZHONGJIANG, Side.ORIGIN), "b": Place(JINJIANG, Side.RESIDENCE)}
    links = [(group, 0, 1) for group in range(n_children)]
    assert [flow["n_children"] for flow in count_flows(link_set(links), places)] == shown


@pytest.mark.parametrize(
    ("origin", "residence", "n_flows"),
    [(JINJIANG, JINJIANG, 0), (QINGYANG, JINJIANG, 0), (ZHONGJIANG, JINJIANG, 1)],
)
def test_only_moves_across_county_lines_are_flows(
    origin: str, residence: str, n_flows: int
) -> None:
    places = {"a": Place(origin, Side.ORIGIN), "b": Place(residence, Side.RESIDENCE)}
    assert len(count_flows(link_set([(group, 0, 1) for group in range(20)]), places)) == n_flows


def test_two_offices_of_one_side_make_no_flow() -> None:
    places = {"a": Place(ZHONGJIANG, Side.ORIGIN), "b": Place(JINJIANG, Side.ORIGIN)}
    assert count_flows(link_set([(group, 0, 1) for group in range(20)]), places) == []


PLACES = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(
        Place, st.sampled_from(["510623", "510104", "511602", "513401"]), st.sampled_from(Side)
    ),
)
LINKS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 3)), max_size=200)


@given(LINKS, PLACES)
def test_as_counted_child_by_child(
    links: list[tuple[int, int, int]], places: dict[str, Place]
) -> None:
    held: dict[int, set[Place]] = {}
    for group, a, b in links:
        for number in (a, b):
            place = places.get("abcd"[number])
            held.setdefault(group, set()).update({place} if place else ())
    counted: dict[tuple[str, str], int] = {}
    for found in held.values():
        for origin in found:
            for residence in found:
                if (origin.side, residence.side) == (Side.ORIGIN, Side.RESIDENCE):
                    key = (origin.division, residence.division)
                    counted[key] = counted.get(key, 0) + (key[0] != key[1])
    expected = {key: n // 5 * 5 for key, n in counted.items() if n >= 5}
    flows = count_flows(link_set(links), places)
    assert {(flow["origin"], flow["residence"]): flow["n_children"] for flow in flows} == expected


def test_a_rounds_review_shows_flows_by_the_places_of_its_project(server: SimulatedServer) -> None:
    party = server.open_round()
    places = [
        {"office": OWN, "division": JINJIANG, "side": "residence"},
        {"office": PEER, "division": ZHONGJIANG, "side": "origin"},
    ]
    project = granted(party.first.puts(f"/v1/projects/{PROJECT}/places", {"places": places}))
    assert [member["division"] for member in project["members"] if member["office"] == THIRD] == [
        None
    ]
    party.is_released()
    flows = granted(party.first.gets(f"/v1/rounds/{ROUND}/review"))["flows"]
    assert flows == [{"origin": ZHONGJIANG, "residence": JINJIANG, "n_children": 30}]


def test_a_round_without_places_has_no_flows(server: SimulatedServer) -> None:
    party = server.open_round()
    party.is_released()
    assert granted(party.first.gets(f"/v1/rounds/{ROUND}/review"))["flows"] == []


@pytest.mark.parametrize(
    "places",
    [
        [{"office": "outside-office", "division": JINJIANG, "side": "origin"}],
        [{"office": OWN, "division": "510100", "side": "origin"}],
        [{"office": OWN, "division": "510122", "side": "origin"}],
        [{"office": OWN, "division": "５１０１０４", "side": "origin"}],
        [{"office": OWN, "division": JINJIANG, "side": "both"}],
        [{"office": OWN, "division": JINJIANG}],
        [{"office": OWN, "division": JINJIANG, "side": "origin"}] * 2,
    ],
)
def test_places_that_are_none(server: SimulatedServer, places: list[dict[str, str]]) -> None:
    party = server.open_round()
    refused(party.first.puts(f"/v1/projects/{PROJECT}/places", {"places": places}), "invalid")


def test_a_project_may_be_created_with_places_and_again_with_the_same(
    server: SimulatedServer,
) -> None:
    party = server.open_round()
    members = [
        {"office": OWN, "role": "civil", "division": JINJIANG, "side": "residence"},
        {"office": PEER, "role": "civil"},
    ]
    first = granted(party.first.creates_project(id="second", members=members))
    assert first["members"][0]["side"] == "residence"
    again = granted(party.first.creates_project(id="second", members=members))
    assert again["members"] == first["members"]
    members[1] |= {"division": ZHONGJIANG, "side": "origin"}
    refused(party.first.creates_project(id="second", members=members), "conflict")
    half = [{"office": OWN, "role": "civil", "division": JINJIANG}]
    refused(party.first.creates_project(id="third", members=half), "invalid")
