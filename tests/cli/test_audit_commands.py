"""What an auditor types, what the server sends, and what the auditor reads."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from api.audit.entry_filter import EntryFilter
from api.audit.events import parse_entry
from api.cli import cli
from keys.passphrase import protect
from keys.storage import write_private_file
from tests.api.audit.simulated_log import (
    KEY,
    OTHER_KEY,
    ForgedLog,
    SimulatedLog,
    changed,
    renumber,
)
from tests.api.loopback_server import (
    Answer,
    LoopbackServer,
    Request,
    json_answer,
    problem,
    running,
)
from tests.api.played_round import Holder, make_holder

Log = SimulatedLog | ForgedLog


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return make_holder(tmp_path_factory.mktemp("keys"), "auditor-anna", "auditor")


def searched(log: Log, asked: dict[str, Any]) -> dict[str, object]:
    """Two entries at a time, whatever is asked for."""
    places = {name: asked.pop(name) for name in ("start", "stop", "limit") if name in asked}
    newest_first = asked.pop("order") == "newest"
    wanted = EntryFilter(**asked)
    found = [
        (entry.index, text)
        for text in log.entries(0, 1_000_000)
        if wanted.accepts(entry := parse_entry(text.encode()))
    ]
    if newest_first:
        found.reverse()
        found = [one for one in found if one[0] <= places.get("start", 1_000_000)]
    else:
        found = [one for one in found if one[0] >= places.get("start", 0)]
    n_page = min(2, places["limit"])
    return {
        "entries": [text for _, text in found[:n_page]],
        "next": found[n_page][0] if len(found) > n_page else None,
        "size": 25,
        "sealed_size": 0,
    }


def serving(log: Log) -> Callable[[Request], Answer]:
    """Answer as ``docs/http-api.md`` says a server does."""

    def answer(request: Request) -> Answer:
        if request.path == "/v1/server":
            key = log.log_key()
            return json_answer(
                {
                    "name": "A server",
                    "version": "0.1.0",
                    "log_origin": key.name,
                    "log_key": base64.b64encode(key.public_key).decode(),
                }
            )
        if request.path == "/v1/log/checkpoint":
            return Answer(200, log.checkpoint(), "text/plain")
        if (request.method, request.path) == ("GET", "/v1/log/cosignatures"):
            notes = [note.decode() for note in log.cosigned(0)]
            return json_answer({"checkpoints": notes})
        if (request.method, request.path) == ("POST", "/v1/log/cosignatures"):
            return json_answer({}, 201)
        if request.path == "/v1/log/search":
            return json_answer(searched(log, json.loads(request.body)))
        assert request.path == "/v1/log/entries"
        query = parse_qs(urlsplit(request.target).query)
        entries = log.entries(int(query["start"][0]), int(query["limit"][0]))
        return json_answer({"entries": entries, "size": len(log.entries(0, 1_000_000))})

    return answer


@pytest.fixture
def log() -> SimulatedLog:
    return SimulatedLog(25)


@pytest.fixture
def server(auditor: Holder, log: SimulatedLog) -> Iterator[LoopbackServer]:
    with running(auditor.identity.public, serving(log)) as started:
        yield started


@pytest.fixture
def run(server: LoopbackServer, auditor: Holder) -> Callable[..., Result]:
    def invoke(*words: str | Path, online: bool = True) -> Result:
        where = ("--server", server.url, "--keys", auditor.keys) if online else ()
        return CliRunner().invoke(cli, ["audit", *map(str, (*words, *where))])

    return invoke


@pytest.fixture
def folder(run: Callable[..., Result], tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    result = run("fetch", "--dir", directory)
    assert result.exit_code == 0, result.output
    return directory


def who_else(line: bytes) -> bytes:
    return changed(line, lambda value: value.update(actor="somebody-else"))


def test_fetching_shows_the_key_to_compare_and_the_verdict(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run("fetch", "--dir", tmp_path / "log")
    assert result.exit_code == 0
    assert "25 new entries" in result.stdout
    assert "INTACT: 25 entries" in result.stdout
    assert "Compare it with the operator" in result.stderr
    assert KEY.verifier_key.to_text() in result.stderr


def test_a_key_given_is_not_asked_to_be_compared(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    key = KEY.verifier_key.to_text()
    result = run("fetch", "--dir", tmp_path / "log", "--log-key", key)
    assert result.exit_code == 0
    assert "Compare" not in result.stderr
    other = OTHER_KEY.verifier_key.to_text()
    result = run("fetch", "--dir", tmp_path / "other", "--log-key", other)
    assert result.exit_code == 1
    assert "another key" in result.stderr
    assert run("fetch", "--dir", tmp_path / "x", "--log-key", key[:-1]).exit_code == 2


def test_fetching_again_brings_what_is_new(
    run: Callable[..., Result], folder: Path, log: SimulatedLog
) -> None:
    log.append(4)
    result = run("fetch", "--dir", folder)
    assert result.exit_code == 0
    assert "4 new entries" in result.stdout
    assert "29 entries" in result.stdout
    assert "Compare" not in result.stderr


def test_verifying_needs_no_server(run: Callable[..., Result], folder: Path) -> None:
    result = run("verify", folder, online=False)
    assert result.exit_code == 0
    assert result.stdout.startswith("INTACT: 25 entries from 2026-09-01T08:00:00.000Z to ")
    assert KEY.verifier_key.to_text() in result.stdout


def test_tampering_ends_with_exit_code_one_and_plain_words(
    run: Callable[..., Result], folder: Path
) -> None:
    path = folder / "entries.jsonl"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(line + b"\n" for line in renumber([*lines[:9], *lines[10:]])))
    result = run("verify", folder, online=False)
    assert result.exit_code == 1
    assert "Entry 9 was removed" in result.stdout
    assert "NOT INTACT: 1 finding" in result.stderr
    assert "Traceback" not in result.output


def test_findings_as_json(run: Callable[..., Result], folder: Path) -> None:
    result = run("verify", folder, "--json", online=False)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["intact"] is True
    (folder / "checkpoint").unlink()
    result = run("verify", folder, "--json", online=False)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["intact"] is False
    assert {finding["kind"] for finding in told["findings"]} == {"checkpoint-missing"}


def test_a_server_that_rewrote_its_history_is_told_and_kept(
    run: Callable[..., Result], folder: Path, server: LoopbackServer
) -> None:
    lines = SimulatedLog(30).lines()
    server.handler = serving(ForgedLog([*lines[:6], who_else(lines[6]), *lines[7:]]))
    result = run("fetch", "--dir", folder)
    assert result.exit_code == 1
    assert "changed its history" in result.stderr
    assert "Entry 6 was changed" in result.stderr
    result = run("verify", folder, online=False)
    assert result.exit_code == 1
    assert "refused/" in result.stdout


def test_a_server_with_another_key_is_told(
    run: Callable[..., Result], folder: Path, server: LoopbackServer
) -> None:
    lines = SimulatedLog(30).lines()
    server.handler = serving(ForgedLog(lines, key=OTHER_KEY, named_key=OTHER_KEY))
    result = run("fetch", "--dir", folder)
    assert result.exit_code == 1
    assert "another key" in result.stderr


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/server", json_answer({"name": "x"})),
        ("/v1/server", json_answer({"log_origin": "x", "log_key": "AAAA"})),
        ("/v1/server", json_answer({"log_origin": "x", "log_key": "!"})),
        ("/v1/log/entries", json_answer({"entries": [1]})),
        ("/v1/log/entries", json_answer({"size": 0})),
        ("/v1/log/entries", problem("forbidden", 403, "Only auditors may read the log.")),
    ],
)
def test_strange_answers_end_in_plain_words(
    run: Callable[..., Result],
    server: LoopbackServer,
    log: SimulatedLog,
    tmp_path: Path,
    path: str,
    answer: Answer,
) -> None:
    honest = serving(log)
    server.handler = lambda request: answer if request.path == path else honest(request)
    result = run("fetch", "--dir", tmp_path / "log")
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "log" / "verified.json").exists()


def test_a_folder_without_a_log_is_told(run: Callable[..., Result], tmp_path: Path) -> None:
    for words in (("verify", tmp_path), ("list", "--dir", tmp_path)):
        result = run(*words, online=False)
        assert result.exit_code == 1
        assert "holds no fetched log" in result.stderr
    assert run("verify", tmp_path / "nowhere", online=False).exit_code == 2


def test_listing_shows_what_was_asked_for(run: Callable[..., Result], folder: Path) -> None:
    result = run("list", "--dir", folder, "--outcome", "refused", online=False)
    assert result.exit_code == 0
    assert result.stdout.count("refused: wrong-state") == 4
    assert "granted" not in result.stdout


def test_listing_from_the_server_and_from_a_folder_agree(
    run: Callable[..., Result], folder: Path, log: SimulatedLog
) -> None:
    local = run("list", "--dir", folder, "--format", "jsonl", online=False)
    remote = run("list", "--format", "jsonl")
    assert local.exit_code == remote.exit_code == 0
    assert local.stdout == remote.stdout == b"".join(x + b"\n" for x in log.lines()).decode()


def test_listing_by_time_and_the_last_ones(run: Callable[..., Result], folder: Path) -> None:
    result = run(
        "list", "--dir", folder, "--since", "2026-09-01T08:00:10", "--until", "2026-09-02",
        "--last", "2", "--format", "csv", online=False,
    )  # fmt: skip
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert rows[0].startswith("index,time,action,")
    assert [row.split(",")[0] for row in rows[1:]] == ["23", "24"]
    result = run(
        "list", "--dir", folder, "--since", "2026-09-02", "--format", "jsonl", online=False
    )
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "--action", "uplaod:put", "--dir", "."),
        ("list", "--outcome", "maybe", "--dir", "."),
        ("list", "--since", "yesterday", "--dir", "."),
        ("list", "--actor", "王小明", "--dir", "."),
        ("list", "--last", "0", "--dir", "."),
        ("fetch",),
        ("verify",),
    ],
)
def test_wrong_use_ends_with_exit_code_two(run: Callable[..., Result], words: tuple[str]) -> None:
    assert run(*words, online=False).exit_code == 2


@pytest.mark.parametrize("name", ["fetch", "verify", "list"])
def test_help_has_an_example(run: Callable[..., Result], name: str) -> None:
    result = run(name, "--help", online=False)
    assert result.exit_code == 0
    assert f"tongqiao audit {name}" in result.stdout


class TestOffices:
    """Commands for offices and witnesses, against a real server's application over HTTP."""

    def test_help_is_there(self) -> None:
        for command in ("witness", "own", "prove", "check-proof"):
            result = CliRunner().invoke(cli, ["audit", command, "--help"])
            assert result.exit_code == 0
            assert "Example" in result.output


def test_a_witness_may_have_its_keys_under_a_passphrase(
    server: LoopbackServer, auditor: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "seven bridges over the river"
    keys, passphrase = tmp_path / "anna.private.json", tmp_path / "passphrase"
    write_private_file(keys, protect(auditor.keys.read_bytes(), words))
    write_private_file(passphrase, words.encode())
    monkeypatch.setenv("TONGQIAO_PASSPHRASE_FILE", str(passphrase))
    options = ["--server", server.url, "--keys", str(keys), "--dir", str(tmp_path / "seen")]
    result = CliRunner().invoke(cli, ["audit", "witness", *options])
    assert result.exit_code == 0, result.output
    assert "Signed: 25 entries" in result.stdout


def test_a_proof_file_is_checked_offline(log: SimulatedLog, tmp_path: Path) -> None:
    from api.audit.merkle import inclusion_proof, leaf_hash
    from api.audit.proof import LogProof

    lines = log.lines()
    hashes = tuple(inclusion_proof([leaf_hash(line) for line in lines], 4))
    path = tmp_path / "entry-4.tlog-proof"
    path.write_bytes(LogProof(lines[4], 4, hashes, log.checkpoint()).to_bytes())
    key = KEY.verifier_key.to_text()

    def check(*words: str) -> Result:
        return CliRunner().invoke(cli, ["audit", "check-proof", str(path), *words])

    good = check("--log-key", key)
    assert good.exit_code == 0, good.output
    assert "PROVED: entry 4 is in the log of 25 entries" in good.stdout
    assert json.loads(check("--log-key", key, "--json").stdout)["n_entries"] == 25
    other = check("--log-key", OTHER_KEY.verifier_key.to_text())
    assert other.exit_code == 1
    assert "not signed by the log's key" in other.stderr
    path.write_bytes(LogProof(who_else(lines[4]), 4, hashes, log.checkpoint()).to_bytes())
    bad = check("--log-key", key)
    assert bad.exit_code == 1
    assert "does not lead to the root" in bad.stderr


def test_an_export_is_verified_by_key_or_by_folder(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    export = tmp_path / "refused.csv"
    result = run(
        "list", "--dir", folder, "--outcome", "refused", "--format", "csv", "--out", export,
        online=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == "4 entries written.\n"
    assert "refused.csv.manifest beside it" in result.stderr
    result = run("verify-export", export, "--dir", folder, online=False)
    assert result.exit_code == 0, result.output
    assert "INTACT: 4 rows stand in the log of 25 entries.\nNone is missing" in result.stdout
    key = ("--log-key", KEY.verifier_key.to_text())
    result = run("verify-export", export, *key, online=False)
    assert result.exit_code == 1
    assert "cannot be told from the file alone" in result.stdout
    assert run("verify-export", export, *key, "--rows-only", online=False).exit_code == 0
    export.write_bytes(export.read_bytes().replace(b"refused", b"granted", 1))
    result = run("verify-export", export, "--dir", folder, online=False)
    assert result.exit_code == 1
    assert "Row 1 was changed" in result.stdout
    assert "NOT INTACT" in result.stderr
    assert run("verify-export", export, online=False).exit_code == 2
    (tmp_path / "refused.csv.manifest").unlink()
    assert run("verify-export", export, "--dir", folder, online=False).exit_code == 2
