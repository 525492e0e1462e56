"""Sending an encoded file, and taking it back."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.api.loopback_server import Answer, LoopbackServer, json_answer
from tests.api.played_round import OFFICE, ROUND, played_round, played_terms, write_encoded
from tests.cli.office.clerk import COMPLETION, OPEN, PART, UPLOAD, Routes, failed


def test_upload_sends_the_file_and_shows_the_receipt(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    encoded = write_encoded(tmp_path / "x.tqe")
    data = encoded.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    receipt = {"sha256": sha256, "n_records": 3, "n_bytes": len(data), "received_at": "now"}
    routes["POST", PART] = json_answer({"offset": 0})
    routes["PATCH", PART] = json_answer({"offset": len(data)})
    routes[COMPLETION] = json_answer(receipt)
    result = run("upload", "--round", ROUND, encoded)
    assert result.exit_code == 0, result.output
    assert server.requests[-2].body == data
    assert server.last.json() == {"sha256": sha256}
    assert "The server has your 3 records." in result.stdout
    assert "sending" in result.stderr
    assert "left" in result.stderr
    assert json.loads(run("upload", "--round", ROUND, encoded, "--json").stdout) == receipt
    routes[COMPLETION] = json_answer({**receipt, "n_records": 2})
    assert "counts other records" in failed(run("upload", "--round", ROUND, encoded))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (played_round(), "has not signed the terms"),
        (played_round(signed=(OFFICE,), key_confirmed=False), "has not confirmed the key"),
        (played_round(signed=(OFFICE,), state="frozen"), "it is frozen, not open"),
        (
            played_round(
                signed=(OFFICE,), terms=played_terms(members=played_terms()["members"][1:])
            ),
            "no member of this round",
        ),
        (
            played_round(signed=(OFFICE,), terms=played_terms(project="other")),
            "encoded for another round",
        ),
        (
            played_round(signed=(OFFICE,), terms=played_terms(cleaning="cn-9")),
            "cleaned by other rules",
        ),
        (
            played_round(
                signed=(OFFICE,),
                terms=played_terms(profile={"name": "febrl4", "sha256": "ab" * 32}),
            ),
            "another profile",
        ),
        (
            played_round(signed=(OFFICE,), terms=played_terms(max_records=2)),
            "the terms allow 1 to 2",
        ),
    ],
)
def test_a_file_that_does_not_fit_never_leaves_the_office(
    run: Callable[..., Result],
    routes: Routes,
    server: LoopbackServer,
    tmp_path: Path,
    answer: dict[str, Any],
    words: str,
) -> None:
    routes[OPEN] = json_answer(answer)
    encoded = write_encoded(tmp_path / "x.tqe")
    assert words in failed(run("upload", "--round", ROUND, encoded))
    assert {request.method for request in server.requests} == {"GET"}


def test_a_register_is_not_uploaded_by_mistake(
    run: Callable[..., Result], server: LoopbackServer, tmp_path: Path
) -> None:
    register = tmp_path / "register.csv"
    register.write_text("登记编号,儿童姓名\n1,甲\n", encoding="utf-8")
    message = failed(run("upload", "--round", ROUND, register))
    assert "甲" not in message
    assert server.requests == []


def test_withdraw(run: Callable[..., Result], routes: Routes, server: LoopbackServer) -> None:
    routes["DELETE", UPLOAD] = Answer(204)
    result = run("withdraw", "--round", ROUND)
    assert result.exit_code == 0
    assert server.last.method == "DELETE"
