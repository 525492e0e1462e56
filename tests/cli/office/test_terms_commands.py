"""Reading the terms of a round, and signing them: nothing is signed that was not read."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from keys import labels
from keys.canonical import canonical_json
from keys.signing import verify_document
from linkage.profile import load_profile
from tests.api.loopback_server import Answer, LoopbackServer, json_answer
from tests.api.played_round import (
    COORDINATOR,
    PROFILE,
    ROUND,
    SECRET,
    Holder,
    played_round,
    played_terms,
    save_secret,
)
from tests.cli.office.clerk import (
    OPEN,
    PROFILE_ROUTE,
    ROUND_PATH,
    SIGNATURE,
    Routes,
    failed,
    invoke,
)


def test_terms_are_written_and_shown_in_plain_words(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    out, profile_out = tmp_path / "terms.json", tmp_path / "profile.toml"
    result = run("terms", "--round", ROUND, "--out", out, "--profile-out", profile_out)
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    for words in (
        "Purpose: Find children that no service reaches.",
        "zhongjiang-civil (origin-civil-affairs)",
        "deletes encodings and links 180 days after their release",
        "sees its links with: zhongjiang-civil, chengdu-education.",
        "No name, number or date leaves it.",
    ):
        assert words in shown
    assert json.loads(out.read_text(encoding="utf-8")) == played_terms()
    assert profile_out.read_text(encoding="utf-8") == PROFILE.source
    again = run("terms", "--round", ROUND, "--out", out)
    assert "a file of that name exists already" in failed(again)
    assert run("terms", "--round", ROUND, "--out", out, "--overwrite").exit_code == 0


def test_terms_say_when_an_office_sees_little(
    run: Callable[..., Result], routes: Routes, tmp_path: Path
) -> None:
    terms = played_terms(visibility={"education": ["origin-civil-affairs"]}, threshold=0.95)
    routes[OPEN] = json_answer(played_round(terms=terms))
    shown = " ".join(run("terms", "--round", ROUND, "--out", tmp_path / "t.json").stdout.split())
    assert "sees no links" in shown
    assert "education sees its links with origin-civil-affairs" in shown
    assert "origin-civil-affairs sees no links" in shown
    assert "at least 0.95" in shown


def test_a_profile_that_is_not_the_one_in_the_terms_is_refused(
    run: Callable[..., Result], routes: Routes, tmp_path: Path, server: LoopbackServer
) -> None:
    other = load_profile("cn-child-v1").source
    out = tmp_path / "terms.json"
    good = PROFILE.source
    for text in (other, good.replace("diffusion = ", "diffusion = 1"), "\udcff".join("ab")):
        routes[PROFILE_ROUTE] = Answer(200, text.encode("utf-8", "surrogateescape"), "text/plain")
        failed(run("terms", "--round", ROUND, "--out", out))
        assert not out.exists()
    out.write_text(json.dumps(played_terms()), encoding="utf-8")
    failed(run("sign", "--round", ROUND, "--terms", out))
    assert {request.method for request in server.requests} == {"GET"}


def test_terms_that_do_not_fit_their_own_hash_are_refused(
    run: Callable[..., Result], routes: Routes, tmp_path: Path
) -> None:
    for answer in (played_round(terms_sha256="0" * 64), played_round(id="2026-h1")):
        routes[OPEN] = json_answer(answer)
        message = failed(run("terms", "--round", ROUND, "--out", tmp_path / "t.json"))
        assert "tell the operator and the auditor" in message


def test_signing_sends_a_signature_over_what_was_read(
    run: Callable[..., Result],
    routes: Routes,
    server: LoopbackServer,
    office: Holder,
    tmp_path: Path,
) -> None:
    routes[SIGNATURE] = json_answer({})
    out = tmp_path / "terms.json"
    assert run("terms", "--round", ROUND, "--out", out).exit_code == 0
    result = run("sign", "--round", ROUND, "--terms", out)
    assert result.exit_code == 0, result.output
    body = server.last.json()
    assert body.keys() == {"terms_sha256", "signature"}
    verify_document(
        office.identity.public.signing_key,
        labels.TERMS,
        canonical_json(played_terms()),
        base64.b64decode(body["signature"]),
    )


def test_nothing_is_signed_when_the_terms_changed_meanwhile(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    routes[SIGNATURE] = json_answer({})
    out = tmp_path / "terms.json"
    assert run("terms", "--round", ROUND, "--out", out).exit_code == 0
    routes[OPEN] = json_answer(played_round(terms=played_terms(retention_days=3650)))
    message = failed(run("sign", "--round", ROUND, "--terms", out))
    assert "not the ones in your file. Nothing was signed." in message
    assert {request.method for request in server.requests} == {"GET"}


def test_terms_that_name_others_only_are_not_signed(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    terms = played_terms(members=played_terms()["members"][1:])
    routes[OPEN] = json_answer(played_round(terms=terms))
    out = tmp_path / "terms.json"
    assert "Your office is not among" in run("terms", "--round", ROUND, "--out", out).stdout
    assert "not among those" in failed(run("sign", "--round", ROUND, "--terms", out))
    other = played_terms(round="2026-h1")
    out.write_text(json.dumps(other), encoding="utf-8")
    assert "another round" in failed(run("sign", "--round", ROUND, "--terms", out))
    assert {request.method for request in server.requests} == {"GET"}


def test_the_coordinating_office_confirms_the_key(
    routes: Routes, server: LoopbackServer, coordinator: Holder, tmp_path: Path
) -> None:
    server.identity = coordinator.identity.public
    routes["PUT", f"{ROUND_PATH}/signatures/{COORDINATOR}"] = json_answer({})
    terms, secret = tmp_path / "terms.json", save_secret(tmp_path)
    terms.write_text(json.dumps(played_terms()), encoding="utf-8")
    words = ("office", "sign", "--round", ROUND, "--terms", terms, "--server", server.url,
             "--keys", coordinator.keys)  # fmt: skip
    assert "give --secret-file" in failed(invoke(*words), 2)
    result = invoke(*words, "--secret-file", secret)
    assert result.exit_code == 0, result.output
    body = server.last.json()
    assert body["key_confirmation"] == SECRET.key_confirmation(f"sichuan-children/{ROUND}")
    sent = b"".join(request.body for request in server.requests).decode()
    assert bytes(range(32)).hex() not in sent


def test_other_offices_give_no_secret(run: Callable[..., Result], tmp_path: Path) -> None:
    terms, secret = tmp_path / "terms.json", save_secret(tmp_path)
    terms.write_text(json.dumps(played_terms()), encoding="utf-8")
    result = run("sign", "--round", ROUND, "--terms", terms, "--secret-file", secret)
    assert "Leave it out" in failed(result, 2)
