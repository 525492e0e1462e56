"""Fetching links: page by page into a private file, or none at all."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.api.loopback_server import Answer, LoopbackServer, Request, json_answer, problem
from tests.api.played_round import OFFICE, ROUND
from tests.cli.office.clerk import ROUND_PATH, Routes, failed, mode


def _link(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "link": f"{number:032x}",
        "record": f"{number:032x}",
        "counterpart": "zhongjiang-civil",
        "score": 0.97,
        "band": "probable",
        **changes,
    }


def _results(links: list[dict[str, Any]]) -> Callable[[Request], Answer]:
    """Pages of at most two links, as the server would give them."""

    def answer(request: Request) -> Answer:
        after = ""
        for pair in request.target.partition("?")[2].split("&"):
            name, _, value = pair.partition("=")
            after = value if name == "after" else after
        page = [link for link in links if link["link"] > after][:2]
        more = bool(page) and page[-1]["link"] < links[-1]["link"]
        return json_answer({"links": page, "next": page[-1]["link"] if more else None})

    return answer


RESULTS = ("GET", f"{ROUND_PATH}/results/{OFFICE}")


def test_results_come_page_by_page_into_a_private_file(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    links = [_link(number) for number in range(5)]
    links[2] |= {"counterpart": "chengdu-education", "score": 1, "band": "certain"}
    routes[RESULTS] = _results(links)
    out = tmp_path / "links.csv"
    result = run("results", "--round", ROUND, "--out", out)
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["link", "record", "counterpart", "score", "band"]
    assert rows[3] == [f"{2:032x}", f"{2:032x}", "chengdu-education", "1.00", "certain"]
    assert [row[0] for row in rows[1:]] == [f"{number:032x}" for number in range(5)]
    assert mode(out) == 0o600
    assert "5 links of your records" in result.stdout
    assert "4 with zhongjiang-civil" in result.stdout
    assert len([r for r in server.requests if r.path == RESULTS[1]]) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"links": [_link(2), _link(1)], "next": None},
        {"links": [_link(1), _link(1)], "next": None},
        {"links": [_link(1)], "next": "f" * 32},
        {"links": [], "next": "f" * 32},
        {"links": [_link(1, counterpart="unknown-office")], "next": None},
        {"links": [_link(1, counterpart=OFFICE)], "next": None},
        {"links": [_link(1, record="=cmd|x")], "next": None},
        {"links": [_link(1, link="=1")], "next": None},
        {"links": [_link(1, score=1.5)], "next": None},
        {"links": [_link(1, score=True)], "next": None},
        {"links": [_link(1, band="sure")], "next": None},
        {"links": [7], "next": None},
        {"next": None},
    ],
)
def test_results_that_do_not_fit_leave_no_file(
    run: Callable[..., Result], routes: Routes, tmp_path: Path, answer: dict[str, Any]
) -> None:
    routes[RESULTS] = json_answer(answer)
    message = _failed_after_progress(run("results", "--round", ROUND, "--out", tmp_path / "l.csv"))
    assert "Nothing was written" in message
    assert not list(tmp_path.iterdir())


def test_links_that_changed_while_they_were_fetched_are_not_kept(
    run: Callable[..., Result], routes: Routes, tmp_path: Path
) -> None:
    """An office left between two pages: what came is neither the list before nor the one after."""
    routes[RESULTS] = _results([_link(number) for number in range(5)])
    routes["PUT", f"{RESULTS[1]}/receipt"] = problem(
        "conflict", 409, "The links have changed. Fetch them again."
    )
    out = tmp_path / "links.csv"
    command = ("results", "--round", ROUND, "--out", out)
    assert "Fetch them again" in _failed_after_progress(run(*command))
    assert not list(tmp_path.iterdir())
    out.write_bytes(b"the links of last time")
    assert "Fetch them again" in _failed_after_progress(run(*command, "--overwrite"))
    assert out.read_bytes() == b"the links of last time"
    assert [file.name for file in tmp_path.iterdir()] == ["links.csv"]


def test_results_before_the_release(
    run: Callable[..., Result], routes: Routes, tmp_path: Path
) -> None:
    routes[RESULTS] = problem("wrong-state", 409, "The round is not released yet.")
    message = _failed_after_progress(run("results", "--round", ROUND, "--out", tmp_path / "l.csv"))
    assert "not released yet" in message
    assert not list(tmp_path.iterdir())


def _failed_after_progress(result: Result) -> str:
    return failed(result).partition("Error: ")[2]
