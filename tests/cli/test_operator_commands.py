"""What a linkage operator types, what the server says, and what the operator reads."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from keys.identity import new_identity
from tests.api.loopback_server import (
    Answer,
    LoopbackServer,
    Request,
    json_answer,
    problem,
    running,
)
from tests.api.played_round import (
    OFFICE,
    PROFILE,
    ROUND,
    Holder,
    make_holder,
    played_round,
    played_summary,
    played_terms,
)

Routes = dict[tuple[str, str], Answer | Callable[[Request], Answer]]

ROUND_PATH = f"/v1/rounds/{ROUND}"
TRANSITION = ("POST", f"{ROUND_PATH}/transitions")


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return make_holder(tmp_path_factory.mktemp("keys"), "operator-chen", "operator")


@pytest.fixture
def routes() -> Routes:
    return {}


@pytest.fixture
def server(operator: Holder, routes: Routes) -> Iterator[LoopbackServer]:
    def answer(request: Request) -> Answer:
        known = routes.get((request.method, request.path))
        if known is None:
            return problem("not-found", 404, "There is no such thing.")
        return known if isinstance(known, Answer) else known(request)

    with running(operator.identity.public, answer) as started:
        yield started


@pytest.fixture
def run(server: LoopbackServer, operator: Holder) -> Callable[..., Result]:
    def invoke(*words: str | Path, answer: str | None = None) -> Result:
        options = ["--server", server.url, "--keys", str(operator.keys)]
        return CliRunner().invoke(cli, [str(word) for word in (*words, *options)], input=answer)

    return invoke


def _failed(result: Result, code: int = 1) -> str:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        "member", "member list", "member approve", "member revoke",
        "project", "project create", "project list", "project show",
        "round", "round create", "round open", "round freeze", "round run", "round review",
        "round release", "round cancel", "round status", "round exclude", "round expire",
        "project exclude",
    ],
)  # fmt: skip
def test_every_command_has_help_with_an_example(words: str) -> None:
    result = CliRunner().invoke(cli, [*words.split(), "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"tongqiao {words}" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["member", "approve", OFFICE],
        ["member", "revoke", OFFICE],
        ["member", "revoke", OFFICE, "--reason", " "],
        ["project", "create"],
        ["round", "create", "no-such-file.toml"],
        ["round", "open"],
        ["round", "open", "../x"],
        ["round", "thaw", ROUND],
    ],
)
def test_wrong_use_ends_with_2(
    run: Callable[..., Result], server: LoopbackServer, words: list[str]
) -> None:
    assert "Usage:" in _failed(run(*words), 2)
    assert not server.requests


def test_members_are_listed(run: Callable[..., Result], routes: Routes) -> None:
    member = {"id": OFFICE, "kind": "office", "name": "锦江区民政局", "state": "pending",
              "fingerprint": "12345-67890"}  # fmt: skip
    routes["GET", "/v1/members"] = json_answer({"members": [member]})
    result = run("member", "list")
    assert result.exit_code == 0
    for text in member.values():
        assert text in result.stdout
    assert json.loads(run("member", "list", "--json").stdout) == {"members": [member]}
    routes["GET", "/v1/members"] = json_answer({"members": "all"})
    _failed(run("member", "list"))


def test_approving_compares_with_what_was_heard(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer
) -> None:
    public = new_identity(OFFICE, "office").public
    routes["GET", f"/v1/members/{OFFICE}"] = json_answer(
        {"id": OFFICE, "identity": public.to_document()}
    )
    routes["POST", f"/v1/members/{OFFICE}/approval"] = json_answer({"state": "approved"})
    typed = public.fingerprint.replace("-", " ")
    result = run("member", "approve", OFFICE, "--fingerprint", typed)
    assert result.exit_code == 0, result.output
    assert server.last.json() == {"fingerprint": public.fingerprint}


def test_keys_that_were_swapped_on_the_server_are_not_approved(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer
) -> None:
    heard = new_identity(OFFICE, "office").public.fingerprint
    swapped = new_identity(OFFICE, "office").public
    another = new_identity("another", "office").public
    for answer in (
        # A server that lies about the fingerprint does not help.
        {"id": OFFICE, "fingerprint": heard, "identity": swapped.to_document()},
        {"id": OFFICE, "fingerprint": heard, "identity": another.to_document()},
        {"id": OFFICE, "fingerprint": heard, "identity": {}},
        {"id": OFFICE, "fingerprint": heard},
    ):
        routes["GET", f"/v1/members/{OFFICE}"] = json_answer(answer)
        _failed(run("member", "approve", OFFICE, "--fingerprint", heard))
    assert {request.method for request in server.requests} == {"GET"}


def test_half_a_fingerprint_is_none(run: Callable[..., Result], server: LoopbackServer) -> None:
    _failed(run("member", "approve", OFFICE, "--fingerprint", "12345-67890"))
    assert not server.requests


def test_revoking_says_why(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer
) -> None:
    routes["POST", f"/v1/members/{OFFICE}/revocation"] = json_answer({"state": "revoked"})
    assert run("member", "revoke", OFFICE, "--reason", "key lost ").exit_code == 0
    assert server.last.json() == {"reason": "key lost"}


PROJECT_TOML = """
id = "sichuan-children"
name = "流动儿童"
purpose = "So that no child is missed."
coordinating_office = "province-coordination"
[[members]]
office = "jinjiang-civil"
role = "residence-civil-affairs"
[[members]]
office = "zhongjiang-civil"
role = "origin-civil-affairs"
"""


def test_a_project_is_created_listed_and_shown(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    path = tmp_path / "project.toml"
    path.write_text(PROJECT_TOML, encoding="utf-8")
    routes["POST", "/v1/projects"] = json_answer({}, 201)
    result = run("project", "create", path)
    assert result.exit_code == 0, result.output
    project = server.last.json()
    assert project["name"] == "流动儿童"
    assert len(project["members"]) == 2
    routes["GET", "/v1/projects"] = json_answer({"projects": [project]})
    assert "流动儿童" in run("project", "list").stdout
    routes["GET", "/v1/projects/sichuan-children"] = json_answer(project)
    shown = run("project", "show", "sichuan-children").stdout
    assert "origin-civil-affairs" in shown
    assert "coordinating office: province-coordination" in shown
    assert json.loads(run("project", "show", "sichuan-children", "--json").stdout) == project
    path.write_text("id = ", encoding="utf-8")
    assert "not proper TOML" in _failed(run("project", "create", path))


PLACED = (
    {"office": "jinjiang-civil", "role": "r", "division": "510104", "side": "residence"},
    {"office": "zhongjiang-civil", "role": "o", "division": None, "side": None},
)


def test_an_office_is_given_a_place_and_the_others_keep_theirs(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer
) -> None:
    path = "/v1/projects/sichuan-children"
    routes["GET", path] = json_answer({"members": PLACED})
    routes["PUT", f"{path}/places"] = json_answer({})
    place = ("project", "place", "sichuan-children")
    result = run(*place, "zhongjiang-civil", "--division", "510623", "--side", "origin")
    assert result.exit_code == 0, result.output
    assert server.last.json() == {
        "places": [
            {"office": "jinjiang-civil", "division": "510104", "side": "residence"},
            {"office": "zhongjiang-civil", "division": "510623", "side": "origin"},
        ]
    }
    assert run(*place, "jinjiang-civil", "--none").exit_code == 0
    assert server.last.json() == {"places": []}
    assert "510104" in run("project", "show", "sichuan-children").stdout


@pytest.mark.parametrize(
    "options",
    [
        ("zhongjiang-civil", "--division", "510623"),
        ("zhongjiang-civil", "--division", "5106", "--side", "origin"),
        ("zhongjiang-civil", "--division", "511002x", "--side", "origin"),
        ("zhongjiang-civil", "--none", "--side", "origin"),
        ("stranger-civil", "--division", "510623", "--side", "origin"),
    ],
)
def test_a_place_that_is_none(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, options: tuple[str, ...]
) -> None:
    routes["GET", "/v1/projects/sichuan-children"] = json_answer({"members": PLACED})
    _failed(run("project", "place", "sichuan-children", *options))
    assert all(request.method == "GET" for request in server.requests)


@pytest.mark.parametrize("place", ['division = "510104"', 'division = "51"\nside = "origin"'])
def test_a_project_with_half_a_place_is_not_sent(
    run: Callable[..., Result], server: LoopbackServer, tmp_path: Path, place: str
) -> None:
    path = tmp_path / "project.toml"
    path.write_text(PROJECT_TOML + place + "\n", encoding="utf-8")
    _failed(run("project", "create", path))
    assert not server.requests


def test_a_round_is_created_with_the_hash_of_its_profile(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    path = tmp_path / "terms.toml"
    path.write_text(
        f'project = "sichuan-children"\nround = "{ROUND}"\nprofile = "febrl4"\n', encoding="utf-8"
    )
    terms = played_terms()
    routes["POST", "/v1/rounds"] = json_answer({}, 201)
    inherited = ("purpose", "coordinating_office", "min_witnesses")
    placed = [member | {"division": None, "side": None} for member in terms["members"]]
    routes["GET", "/v1/projects/sichuan-children"] = json_answer(
        {key: terms[key] for key in inherited} | {"members": placed}
    )
    result = run("round", "create", path)
    assert result.exit_code == 0, result.output
    assert server.last.json() == {"terms": terms, "profile": PROFILE.source}
    result = run("round", "create", path, "--profile", "cn-child-v1")
    assert result.exit_code == 0, result.output
    assert server.last.json()["terms"]["profile"]["name"] == "cn-child-v1"
    n_requests = len(server.requests)
    path.write_text('project = "p"\nround = "r"\nprofile = "none"\n', encoding="utf-8")
    assert "no such profile" in _failed(run("round", "create", path))
    assert len(server.requests) == n_requests


@pytest.mark.parametrize(
    ("words", "action", "state"),
    [
        (["open", ROUND], "open", "open"),
        (["freeze", ROUND], "freeze", "frozen"),
        (["run", ROUND], "run", "matching"),
        (["release", ROUND], "release", "released"),
        (["cancel", ROUND, "--yes"], "cancel", "cancelled"),
    ],
)
def test_the_steps_of_a_round(
    run: Callable[..., Result],
    routes: Routes,
    server: LoopbackServer,
    words: list[str],
    action: str,
    state: str,
) -> None:
    routes[TRANSITION] = json_answer(played_round(state=state))
    result = run("round", *words)
    assert result.exit_code == 0, result.output
    assert server.last.json() == {"action": action}
    assert f"Round {ROUND} is now: {state}" in result.stdout


def test_cancelling_asks_first(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer
) -> None:
    routes[TRANSITION] = json_answer(played_round(state="cancelled"))
    assert run("round", "cancel", ROUND, answer="n\n").exit_code == 1
    assert run("round", "cancel", ROUND).exit_code == 1
    assert not server.requests
    assert run("round", "cancel", ROUND, answer="y\n").exit_code == 0


WAITING = {"by": "operator-chen", "at": "2026-11-26T10:00:00Z", "until": "2026-12-03T10:00:00Z"}


@pytest.mark.parametrize(
    ("words", "path", "waiting", "done"),
    [
        (["exclude", ROUND, OFFICE], f"exclusions/{OFFICE}", {"what": "exclude", "office": OFFICE},
         f"{OFFICE} is out of round {ROUND}"),
        (["expire", ROUND], "expiry", {"what": "expire", "office": None},
         f"Round {ROUND} is now: expired"),
    ],
)  # fmt: skip
def test_what_takes_two_operators(
    run: Callable[..., Result],
    routes: Routes,
    server: LoopbackServer,
    words: list[str],
    path: str,
    waiting: dict[str, Any],
    done: str,
) -> None:
    assert run("round", *words, answer="n\n").exit_code == 1
    assert not server.requests
    routes[("PUT", f"{ROUND_PATH}/{path}")] = json_answer(
        played_round(state="released", requests=[waiting | WAITING]), 202
    )
    first = run("round", *words, answer="y\n")
    assert first.exit_code == 0, first.output
    assert "nothing is deleted yet" in first.stdout
    assert "another operator gives the same command" in " ".join(first.stderr.split())
    routes[("GET", ROUND_PATH)] = json_answer(
        played_round(state="released", requests=[waiting | WAITING])
    )
    assert "another operator must ask for the same" in run("round", "status", ROUND).stdout
    routes[("DELETE", f"{ROUND_PATH}/{path}")] = json_answer(
        played_round(state="released", requests=[])
    )
    recalled = run("round", *words, "--recall")
    assert recalled.exit_code == 0, recalled.output
    assert "Nobody asks any more" in recalled.stdout
    routes[("PUT", f"{ROUND_PATH}/{path}")] = json_answer(
        played_round(state="expired", requests=[])
    )
    second = run("round", *words, "--yes")
    assert second.exit_code == 0, second.output
    assert done in second.stdout


def test_an_office_is_taken_out_of_a_project(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer
) -> None:
    routes[("PUT", f"/v1/projects/sichuan-children/exclusions/{OFFICE}")] = json_answer({})
    result = run("project", "exclude", "sichuan-children", OFFICE)
    assert result.exit_code == 0, result.output
    assert "make a new one" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("slug", "status", "detail"),
    [
        ("second-person", 403, "Who ran the round may not release it."),
        ("wrong-state", 409, "The round is open; to run it, it must be frozen."),
        ("forbidden", 403, "Only operators may do that."),
    ],
)
def test_a_step_that_is_refused(
    run: Callable[..., Result], routes: Routes, slug: str, status: int, detail: str
) -> None:
    routes[TRANSITION] = problem(slug, status, detail)
    result = run("round", "release", ROUND)
    assert _failed(result) == f"Error: {detail} (request 0123abcd)"
    assert not result.stdout


def _states(*states: dict[str, Any]) -> Callable[[Request], Answer]:
    remaining = iter(states)
    return lambda request: json_answer(next(remaining))


def test_run_waits_until_the_review(
    run: Callable[..., Result], routes: Routes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.operator.waiting._FIRST_PAUSE_S", 0.0)
    routes[TRANSITION] = json_answer(played_round(state="matching"))
    matching = played_round(state="matching", progress={"stage": "solve", "done": 1, "total": 2})
    routes["GET", ROUND_PATH] = _states(matching, matching, played_round(state="review"))
    result = run("round", "run", ROUND, "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"Round {ROUND} is matched; state: review"
    routes["GET", ROUND_PATH] = _states(matching, played_round(state="frozen", failure="No room."))
    assert "The matching failed: No room." in _failed(run("round", "run", ROUND, "--wait"))


def test_status_shows_who_has_to_do_what(run: Callable[..., Result], routes: Routes) -> None:
    answer = played_round(signed=(OFFICE, "zhongjiang-civil"), uploaded=(OFFICE,))
    routes["GET", ROUND_PATH] = json_answer(answer)
    result = run("round", "status", ROUND)
    assert result.exit_code == 0, result.output
    lines = {line.split()[1]: line for line in result.stdout.splitlines() if "civil" in line[:20]}
    assert "encode and upload" in lines["zhongjiang-civil"]
    assert "nothing" in lines[OFFICE]
    assert "read and sign the terms" in result.stdout
    assert json.loads(run("round", "status", ROUND, "--json").stdout) == answer
    listed = played_summary()
    routes["GET", "/v1/rounds"] = json_answer({"rounds": [listed]})
    assert ROUND in run("round", "status").stdout


REVIEW: dict[str, Any] = {
    "pairs": [
        {
            "office_a": "jinjiang-civil",
            "office_b": "zhongjiang-civil",
            "n_records_a": 12000,
            "n_records_b": 9000,
            "n_links": 1234,
            "estimated_precision": 0.9971,
            "estimated_recall": None,
        },
        {
            "office_a": "jinjiang-civil",
            "office_b": "chengdu-education",
            "n_records_a": 12000,
            "n_records_b": None,
            "n_links": None,
            "estimated_precision": None,
            "estimated_recall": None,
        },
    ],
    "histogram": [{"from": 0.5, "to": 0.9, "n": None}, {"from": 0.9, "to": 1.0, "n": 1230}],
    "duplicates": [{"office": "jinjiang-civil", "n_groups": 17}],
    "threshold": 0.7312,
    "flows": [{"origin": "510623", "residence": "510104", "n_children": 1235}],
}


def test_review_is_a_table_of_figures(run: Callable[..., Result], routes: Routes) -> None:
    routes["GET", f"{ROUND_PATH}/review"] = json_answer(REVIEW)
    result = run("round", "review", ROUND)
    assert result.exit_code == 0, result.output
    for text in ("1,234", "0.997", "12,000", "<5", "0.90 - 1.00", "17", "0.731", "中江县", "1,235"):
        assert text in result.stdout
    assert json.loads(run("round", "review", ROUND, "--json").stdout) == REVIEW


@pytest.mark.parametrize(
    "changes",
    [{"pairs": None}, {"pairs": [{}]}, {"histogram": [7]}, {"threshold": "high"}, {"flows": [{}]}],
)
def test_a_review_that_is_none(
    run: Callable[..., Result], routes: Routes, changes: dict[str, Any]
) -> None:
    routes["GET", f"{ROUND_PATH}/review"] = json_answer({**REVIEW, **changes})
    assert "not what this program expects" in _failed(run("round", "review", ROUND))
