from typing import Any

import pytest

from api.client.errors import ApiError
from api.client.match_figures import MatchFigures
from api.client.round_view import parse_round, parse_rounds
from linkage.errors import LinkageError
from tests.api.played_round import (
    COORDINATOR,
    OFFICE,
    ROUND,
    played_round,
    played_summary,
    played_terms,
)


def test_an_answer_about_a_round_is_read() -> None:
    progress = {"stage": "compare", "done": 3, "total": 9}
    view = parse_round(played_round(signed=(OFFICE,), progress=progress), ROUND)
    member = view.member(OFFICE)
    assert member is not None
    assert (member.signed, member.uploaded, member.n_records) == (True, False, None)
    assert view.matching == MatchFigures("compare", 3, 9)
    assert view.member("stranger") is None


def test_all_figures_of_a_matching_are_read() -> None:
    progress = {
        "stage": "compare",
        "done": 3,
        "total": 9,
        "n_pairs": 3,
        "n_candidates": None,
        "pairs_per_s": 1.5,
        "seconds_left": 4,
    }
    view = parse_round(played_round(progress=progress), ROUND)
    assert view.matching == MatchFigures("compare", 3, 9, 3, None, 1.5, 4.0)


@pytest.mark.parametrize("key", ["id", "state", "terms", "key_confirmed", "members"])
def test_an_answer_that_lacks_something(key: str) -> None:
    answer = played_round()
    del answer[key]
    with pytest.raises(ApiError):
        parse_round(answer, ROUND)


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": []},
        {"members": [7]},
        {"members": None},
        {"members": [{"office": OFFICE}]},
        {"progress": 7},
        {"progress": {"done": "many"}},
        {"progress": {"n_pairs": "many"}},
        {"progress": {"seconds_left": {}}},
        {"terms_sha256": "0" * 64},
        {"terms_sha256": None},
        {"id": "2026-h1"},
    ],
)
def test_an_answer_that_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        parse_round({**played_round(), **changes}, ROUND)


def test_terms_that_this_program_does_not_understand_are_not_shown_as_if_it_did() -> None:
    with pytest.raises(LinkageError, match="not known to this program"):
        parse_round(played_round(terms=played_terms(also_to="the press")), ROUND)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"rounds": [7]},
        {"rounds": [{}]},
        {"rounds": 7},
        {"rounds": [played_summary(own="yes")]},
        {"rounds": [played_summary(own={})]},
    ],
)
def test_a_list_of_rounds_that_is_none(answer: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        parse_rounds(answer)


@pytest.mark.parametrize("state", ["draft", "open", "frozen", "released", "expired"])
@pytest.mark.parametrize("key_confirmed", [False, True])
@pytest.mark.parametrize("done", [(), ("signed",), ("signed", "uploaded")])
def test_a_list_says_what_the_round_itself_says(
    state: str, key_confirmed: bool, done: tuple[str, ...]
) -> None:
    both = {"state": state, "key_confirmed": key_confirmed}
    view = parse_round(played_round(**both, **dict.fromkeys(done, (OFFICE,))), ROUND)  # type: ignore[arg-type]
    own = {"signed": "signed" in done, "uploaded": "uploaded" in done}
    (office,) = parse_rounds({"rounds": [played_summary(**both, own=own)]})
    assert office.next_step(OFFICE) == view.next_step(OFFICE)
    (coordinator,) = parse_rounds({"rounds": [played_summary(**both)]})
    assert coordinator.next_step(COORDINATOR) == view.next_step(COORDINATOR)


@pytest.mark.parametrize(
    ("answer", "to_do"),
    [
        (played_round(state="draft", key_confirmed=False), "nothing"),
        (played_round(key_confirmed=False), "sign the terms with --secret-file"),
        (played_round(key_confirmed=True), "nothing"),
    ],
)
def test_what_the_coordinating_office_has_to_do(answer: dict[str, Any], to_do: str) -> None:
    assert parse_round(answer, ROUND).to_do(COORDINATOR) == to_do


def test_a_coordinating_office_that_is_a_member_uploads_too() -> None:
    terms = played_terms(coordinating_office=OFFICE)
    before = parse_round(played_round(terms=terms, key_confirmed=False), ROUND)
    after = parse_round(played_round(terms=terms, signed=(OFFICE,)), ROUND)
    assert before.to_do(OFFICE) == "sign the terms with --secret-file"
    assert after.to_do(OFFICE) == "encode and upload"
