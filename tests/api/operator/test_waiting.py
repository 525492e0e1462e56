from collections.abc import Iterator
from typing import Any, cast

import pytest

from api.client.http import ServerClient
from api.client.round_view import RoundView
from api.operator.waiting import RoundFailedError, wait_for_review
from tests.api.played_round import ROUND, played_round


class _Client:
    """Answers with one state of the round after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers: Iterator[dict[str, Any]] = iter(answers)

    def get_json(self, path: str) -> dict[str, Any]:
        assert path == f"/v1/rounds/{ROUND}"
        return next(self._answers)


def _matching(done: int) -> dict[str, Any]:
    progress = {"stage": "compare", "done": done, "total": 10}
    return played_round(state="matching", progress=progress)


def _wait(
    *answers: dict[str, Any],
) -> tuple[RoundView, list[tuple[str | None, int, int]], list[float]]:
    told: list[tuple[str | None, int, int]] = []
    pauses: list[float] = []
    view = wait_for_review(
        cast(ServerClient, _Client(*answers)),
        ROUND,
        lambda now: told.append((now.matching.stage, now.matching.done, now.matching.total)),
        sleep=pauses.append,
    )
    return view, told, pauses


def test_progress_is_what_the_server_says() -> None:
    view, told, pauses = _wait(_matching(0), _matching(4), played_round(state="review"))
    assert view.state == "review"
    assert told == [("compare", 0, 10), ("compare", 4, 10), (None, 0, 0)]
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


def test_the_server_is_asked_ever_less_often_but_not_rarely() -> None:
    _, _, pauses = _wait(*[_matching(1)] * 30, played_round(state="released"))
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0


def test_a_failed_matching_says_why() -> None:
    with pytest.raises(RoundFailedError, match="The disk is full"):
        _wait(_matching(3), played_round(state="frozen", failure="The disk is full."))


def test_a_cancelled_round_ends_the_wait() -> None:
    with pytest.raises(RoundFailedError, match="The round is cancelled"):
        _wait(_matching(3), played_round(state="cancelled"))
