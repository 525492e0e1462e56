"""Becoming known, seeing where rounds are, passing on the secret; and what every command does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from keys.identity import new_identity
from tests.api.loopback_server import Answer, LoopbackServer, json_answer, problem
from tests.api.played_round import (
    COORDINATOR,
    OFFICE,
    ROUND,
    Holder,
    make_holder,
    played_round,
    played_summary,
)
from tests.cli.office.clerk import OPEN, Routes, failed, invoke, mode


@pytest.mark.parametrize(
    "command",
    [
        "",
        "enrol",
        "status",
        "identity",
        "send-secret",
        "fetch-secret",
        "terms",
        "sign",
        "upload",
        "withdraw",
        "results",
        "join",
    ],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = invoke("office", *command.split(), "--help")
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"tongqiao office {command}" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["office", "terms", "--round", "2026-h2"],
        ["office", "status", "--server", "http://linkage.example.org"],
        ["office", "status", "--server", "nowhere"],
        ["office", "upload", "--round", "../x", "x.tqe"],
        ["office", "send-secret", "--project", "P", "--to", "a", "b"],
        ["office", "results", "--round", "2026-h2", "--out", "a.csv"],
        ["office", "no-such-command"],
    ],
)
def test_wrong_use_ends_with_2(words: list[str]) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage:")


def test_enrol_shows_the_fingerprint_to_read_out(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, office: Holder
) -> None:
    public = office.identity.public
    routes["POST", "/v1/members"] = json_answer(
        {
            "id": OFFICE,
            "kind": "office",
            "name": OFFICE,
            "state": "pending",
            "fingerprint": public.fingerprint,
        },
        201,
    )
    result = run("enrol")
    assert result.exit_code == 0, result.output
    assert f"Fingerprint: {public.fingerprint}" in result.stdout
    assert "telephone" in result.stdout
    assert server.last.json() == public.to_document()


def test_enrol_notices_other_keys_on_the_server(run: Callable[..., Result], routes: Routes) -> None:
    other = new_identity(OFFICE, "office").public
    routes["POST", "/v1/members"] = json_answer(
        {"id": OFFICE, "state": "pending", "fingerprint": other.fingerprint}
    )
    assert "stored other keys than yours" in failed(run("enrol"))


def test_keys_of_a_person_are_no_office(server: LoopbackServer, tmp_path: Path) -> None:
    person = make_holder(tmp_path, "operator-chen", "operator")
    result = invoke("office", "enrol", "--server", server.url, "--keys", person.keys)
    assert "keys of a person" in failed(result)
    assert not server.requests


def test_a_key_file_that_others_can_read_is_refused(server: LoopbackServer, tmp_path: Path) -> None:
    careless = make_holder(tmp_path, "careless")
    careless.keys.chmod(0o644)
    failed(invoke("office", "enrol", "--server", server.url, "--keys", careless.keys))
    assert not server.requests


def test_a_server_that_is_not_there(office: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.client.http._RETRY_PAUSES_S", (0.0, 0.0))
    words = ("office", "status", "--server", "http://127.0.0.1:1", "--keys", office.keys)
    assert "not reachable at 127.0.0.1:1" in failed(invoke(*words))


def test_a_refusal_comes_in_the_servers_words(run: Callable[..., Result], routes: Routes) -> None:
    routes["GET", "/v1/rounds"] = problem("bad-signature", 401, "The key is not approved yet.")
    message = failed(run("status"))
    assert message == "Error: The key is not approved yet. (request 0123abcd)"


def test_status_lists_rounds(run: Callable[..., Result], routes: Routes) -> None:
    listed = played_summary()
    routes["GET", "/v1/rounds"] = json_answer({"rounds": [listed]})
    result = run("status")
    assert result.exit_code == 0
    assert ROUND in result.stdout
    assert json.loads(run("status", "--json").stdout) == {"rounds": [listed]}
    routes["GET", "/v1/rounds"] = json_answer({"rounds": []})
    assert run("status").stdout == "There are no rounds yet.\n"
    routes["GET", "/v1/rounds"] = json_answer({"rounds": [{}]})
    for words in (["status"], ["status", "--json"]):
        assert "not what this program expects" in failed(run(*words))


@pytest.mark.parametrize(
    ("answer", "to_do"),
    [
        (played_round(), "read and sign the terms"),
        (played_round(signed=(OFFICE,), key_confirmed=False), f"wait until {COORDINATOR} has"),
        (played_round(signed=(OFFICE,)), "encode and upload"),
        (played_round(signed=(OFFICE,), uploaded=(OFFICE,)), "nothing"),
        (played_round(state="frozen", signed=(OFFICE,), uploaded=(OFFICE,)), "nothing"),
        (played_round(state="released", signed=(OFFICE,)), "fetch the results"),
    ],
)
def test_status_says_what_is_still_to_do(
    run: Callable[..., Result], routes: Routes, answer: dict[str, Any], to_do: str
) -> None:
    routes[OPEN] = json_answer(answer)
    result = run("status", "--round", ROUND)
    assert result.exit_code == 0, result.output
    assert f"Your office still has to do: {to_do}" in result.stdout
    assert f"Round {ROUND} of project sichuan-children: {answer['state']}" in result.stdout


def test_status_shows_no_escape_sequence_of_the_server(
    run: Callable[..., Result], routes: Routes
) -> None:
    answer = played_round(state="frozen", failure="\x1b]0;owned\x07[bold]x[/bold]")
    answer["members"][0]["role"] = "[red]\x1b[31m"
    routes[OPEN] = json_answer(answer)
    result = run("status", "--round", ROUND)
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    assert "[bold]x[/bold]" in result.stdout


def test_sealed_secrets_travel(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    blob, out = tmp_path / "sealed", tmp_path / "fetched"
    blob.write_bytes(b"\x00sealed")
    routes["PUT", "/v1/projects/p/secrets/2/zhongjiang-civil"] = Answer(204)
    words = ("send-secret", "--project", "p", "--epoch", "2", "--to", "zhongjiang-civil", blob)
    assert run(*words).exit_code == 0
    assert server.last.body == b"\x00sealed"
    routes["GET", f"/v1/projects/p/secrets/1/{OFFICE}"] = Answer(
        200, b"\x00mine", "application/octet-stream"
    )
    assert run("fetch-secret", "--project", "p", "--out", out).exit_code == 0
    assert out.read_bytes() == b"\x00mine"
    assert mode(out) == 0o600
    failed(run("fetch-secret", "--project", "p", "--out", out))
    blob.write_bytes(b"x" * (64 * 1024 + 1))
    n_requests = len(server.requests)
    assert "no sealed secret" in failed(run(*words))
    assert len(server.requests) == n_requests


def test_the_identity_of_another_office_is_checked(
    run: Callable[..., Result], routes: Routes, coordinator: Holder, tmp_path: Path
) -> None:
    out, public = tmp_path / "c.public.json", coordinator.identity.public
    path = f"/v1/members/{COORDINATOR}"
    routes["GET", path] = json_answer({"id": COORDINATOR, "identity": public.to_document()})
    result = run("identity", COORDINATOR, "--out", out)
    assert result.exit_code == 0, result.output
    assert public.fingerprint in result.stdout
    assert out.read_bytes() == public.to_json()
    forged = {**public.to_document(), "sealing_key": new_identity("x", "office").public
              .to_document()["sealing_key"]}  # fmt: skip
    someone = new_identity("someone", "office").public.to_document()
    for document in (forged, someone, None):
        routes["GET", path] = json_answer({"id": COORDINATOR, "identity": document})
        failed(run("identity", COORDINATOR, "--out", tmp_path / "other.json"))
    assert not (tmp_path / "other.json").exists()
