"""What a clerk of an office types, what the server says, and what the clerk reads."""

import base64
import csv
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from api.office import list_layout as layout
from keys import labels
from keys.canonical import canonical_json
from keys.identity import new_identity
from keys.signing import verify_document
from linkage.profile import load_profile
from tests.api.loopback_server import (
    Answer,
    LoopbackServer,
    Request,
    json_answer,
    problem,
    running,
)
from tests.api.played_round import (
    COORDINATOR,
    OFFICE,
    PROFILE,
    ROUND,
    SECRET,
    Holder,
    make_holder,
    played_round,
    played_summary,
    played_terms,
    save_secret,
    write_encoded,
)

Routes = dict[tuple[str, str], Answer | Callable[[Request], Answer]]

ROUND_PATH = f"/v1/rounds/{ROUND}"
OPEN = ("GET", ROUND_PATH)
PROFILE_ROUTE = ("GET", f"{ROUND_PATH}/profile")
SIGNATURE = ("PUT", f"{ROUND_PATH}/signatures/{OFFICE}")
UPLOAD = f"{ROUND_PATH}/uploads/{OFFICE}"
PART = f"{UPLOAD}/part"
COMPLETION = ("POST", f"{PART}/completion")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return make_holder(tmp_path_factory.mktemp("keys"), OFFICE)


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return make_holder(tmp_path_factory.mktemp("keys"), COORDINATOR)


@pytest.fixture
def routes() -> Routes:
    return {
        OPEN: json_answer(played_round(signed=(OFFICE,))),
        PROFILE_ROUTE: Answer(200, PROFILE.source.encode(), "text/plain"),
    }


def _answering(routes: Routes) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        known = routes.get((request.method, request.path))
        if known is None:
            return problem("not-found", 404, "There is no such thing.")
        return known if isinstance(known, Answer) else known(request)

    return answer


@pytest.fixture
def server(office: Holder, routes: Routes) -> Iterator[LoopbackServer]:
    with running(office.identity.public, _answering(routes)) as started:
        yield started


@pytest.fixture
def run(server: LoopbackServer, office: Holder) -> Callable[..., Result]:
    def invoke(*words: str | Path) -> Result:
        server.identity = office.identity.public
        options = ["--server", server.url, "--keys", str(office.keys)]
        return _invoke("office", *words, *options)

    return invoke


def _invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def _failed(result: Result, code: int = 1) -> str:
    """What the clerk reads of a failure: on stderr, and never a traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert not result.stdout
    return " ".join(result.stderr.split())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


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
    result = _invoke("office", *command.split(), "--help")
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
    result = _invoke(*words)
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
    assert "stored other keys than yours" in _failed(run("enrol"))


def test_keys_of_a_person_are_no_office(server: LoopbackServer, tmp_path: Path) -> None:
    person = make_holder(tmp_path, "operator-chen", "operator")
    result = _invoke("office", "enrol", "--server", server.url, "--keys", person.keys)
    assert "keys of a person" in _failed(result)
    assert not server.requests


def test_a_key_file_that_others_can_read_is_refused(server: LoopbackServer, tmp_path: Path) -> None:
    careless = make_holder(tmp_path, "careless")
    careless.keys.chmod(0o644)
    _failed(_invoke("office", "enrol", "--server", server.url, "--keys", careless.keys))
    assert not server.requests


def test_a_server_that_is_not_there(office: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.client.http._RETRY_PAUSES_S", (0.0, 0.0))
    words = ("office", "status", "--server", "http://127.0.0.1:1", "--keys", office.keys)
    assert "not reachable at 127.0.0.1:1" in _failed(_invoke(*words))


def test_a_refusal_comes_in_the_servers_words(run: Callable[..., Result], routes: Routes) -> None:
    routes["GET", "/v1/rounds"] = problem("bad-signature", 401, "The key is not approved yet.")
    message = _failed(run("status"))
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
    assert "a file of that name exists already" in _failed(again)
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
        _failed(run("terms", "--round", ROUND, "--out", out))
        assert not out.exists()
    out.write_text(json.dumps(played_terms()), encoding="utf-8")
    _failed(run("sign", "--round", ROUND, "--terms", out))
    assert {request.method for request in server.requests} == {"GET"}


def test_terms_that_do_not_fit_their_own_hash_are_refused(
    run: Callable[..., Result], routes: Routes, tmp_path: Path
) -> None:
    for answer in (played_round(terms_sha256="0" * 64), played_round(id="2026-h1")):
        routes[OPEN] = json_answer(answer)
        message = _failed(run("terms", "--round", ROUND, "--out", tmp_path / "t.json"))
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
    message = _failed(run("sign", "--round", ROUND, "--terms", out))
    assert "not the ones in your file. Nothing was signed." in message
    assert {request.method for request in server.requests} == {"GET"}


def test_terms_that_name_others_only_are_not_signed(
    run: Callable[..., Result], routes: Routes, server: LoopbackServer, tmp_path: Path
) -> None:
    terms = played_terms(members=played_terms()["members"][1:])
    routes[OPEN] = json_answer(played_round(terms=terms))
    out = tmp_path / "terms.json"
    assert "Your office is not among" in run("terms", "--round", ROUND, "--out", out).stdout
    assert "not among those" in _failed(run("sign", "--round", ROUND, "--terms", out))
    other = played_terms(round="2026-h1")
    out.write_text(json.dumps(other), encoding="utf-8")
    assert "another round" in _failed(run("sign", "--round", ROUND, "--terms", out))
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
    assert "give --secret-file" in _failed(_invoke(*words), 2)
    result = _invoke(*words, "--secret-file", secret)
    assert result.exit_code == 0, result.output
    body = server.last.json()
    assert body["key_confirmation"] == SECRET.key_confirmation(f"sichuan-children/{ROUND}")
    sent = b"".join(request.body for request in server.requests).decode()
    assert bytes(range(32)).hex() not in sent


def test_other_offices_give_no_secret(run: Callable[..., Result], tmp_path: Path) -> None:
    terms, secret = tmp_path / "terms.json", save_secret(tmp_path)
    terms.write_text(json.dumps(played_terms()), encoding="utf-8")
    result = run("sign", "--round", ROUND, "--terms", terms, "--secret-file", secret)
    assert "Leave it out" in _failed(result, 2)


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
    assert "counts other records" in _failed(run("upload", "--round", ROUND, encoded))


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
            played_round(signed=(OFFICE,), terms=played_terms(cleaning="cn-2")),
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
    assert words in _failed(run("upload", "--round", ROUND, encoded))
    assert {request.method for request in server.requests} == {"GET"}


def test_a_register_is_not_uploaded_by_mistake(
    run: Callable[..., Result], server: LoopbackServer, tmp_path: Path
) -> None:
    register = tmp_path / "register.csv"
    register.write_text("登记编号,儿童姓名\n1,甲\n", encoding="utf-8")
    message = _failed(run("upload", "--round", ROUND, register))
    assert "甲" not in message
    assert server.requests == []


def test_withdraw(run: Callable[..., Result], routes: Routes, server: LoopbackServer) -> None:
    routes["DELETE", UPLOAD] = Answer(204)
    result = run("withdraw", "--round", ROUND)
    assert result.exit_code == 0
    assert server.last.method == "DELETE"


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
    assert _mode(out) == 0o600
    _failed(run("fetch-secret", "--project", "p", "--out", out))
    blob.write_bytes(b"x" * (64 * 1024 + 1))
    n_requests = len(server.requests)
    assert "no sealed secret" in _failed(run(*words))
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
        _failed(run("identity", COORDINATOR, "--out", tmp_path / "other.json"))
    assert not (tmp_path / "other.json").exists()


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
    assert _mode(out) == 0o600
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


def test_results_before_the_release(
    run: Callable[..., Result], routes: Routes, tmp_path: Path
) -> None:
    routes[RESULTS] = problem("wrong-state", 409, "The round is not released yet.")
    message = _failed_after_progress(run("results", "--round", ROUND, "--out", tmp_path / "l.csv"))
    assert "not released yet" in message
    assert not list(tmp_path.iterdir())


def _failed_after_progress(result: Result) -> str:
    return _failed(result).partition("Error: ")[2]


REGISTER = """登记编号,儿童姓名,身份证号
A-1,甲,510104201503070014
A-2,=乙,
A-3,丙,510104201503070022
"""
COLUMNS = '[columns]\nrecord_id = "登记编号"\nname = "儿童姓名"\nid_number = "身份证号"\n'


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The files of an office that has its results."""
    (tmp_path / "register.csv").write_text(REGISTER, encoding="gb18030")
    (tmp_path / "map.toml").write_text(COLUMNS, encoding="utf-8")
    (tmp_path / "x.map.csv").write_text(
        "pseudonym,record_id\n" + "".join(f"{n:032x},A-{n}\n" for n in (1, 2, 3)), encoding="utf-8"
    )
    (tmp_path / "links.csv").write_text(
        f"link,record,counterpart,score,band\na1,{1:032x},health,0.99,certain\n"
        f"a2,{1:032x},education,0.91,probable\n",
        encoding="utf-8",
    )
    return tmp_path


def _join(desk: Path, out: str, *more: str | Path) -> Result:
    return _invoke(
        "office", "join", "--links", desk / "links.csv", "--map", desk / "x.map.csv",
        "--records", desk / "register.csv", "--columns", desk / "map.toml",
        "--out", desk / out, *more,
    )  # fmt: skip


def test_join_needs_no_server(desk: Path) -> None:
    result = _join(desk, "joined.xlsx")
    assert result.exit_code == 0, result.output
    assert "3 own records: 1 found at another office" in result.stdout
    out = desk / "joined.xlsx"
    assert _mode(out) == 0o600
    workbook = openpyxl.load_workbook(out)
    listed = list(workbook[layout.SHEET_LINKS].iter_rows(values_only=True))
    assert listed[0][:3] == ("登记编号", "儿童姓名", "身份证号")
    assert [row[:5] for row in listed[1:]] == [
        ("A-1", "甲", "510104201503070014", "health", 0.99),
        ("A-1", "甲", "510104201503070014", "education", 0.91),
    ]
    missing = list(workbook[layout.SHEET_NOT_FOUND].iter_rows(values_only=True))
    assert [row[:2] for row in missing[1:]] == [("A-2", "=乙"), ("A-3", "丙")]
    assert not list(desk.glob(".*"))


def test_join_says_what_changed(desk: Path) -> None:
    assert _join(desk, "old.xlsx").exit_code == 0
    (desk / "links.csv").write_text(
        f"link,record,counterpart,score,band\nb1,{1:032x},health,0.98,probable\n"
        f"b2,{3:032x},education,0.91,probable\n",
        encoding="utf-8",
    )
    result = _join(desk, "new.xlsx", "--previous", desk / "old.xlsx")
    assert result.exit_code == 0, result.output
    assert "1 new, 1 unchanged, 1 ended" in result.stdout
    ended = openpyxl.load_workbook(desk / "new.xlsx")[layout.SHEET_ENDED]
    assert [row[0].value for row in ended.iter_rows(min_row=2)] == ["A-1"]


def test_join_never_loses_a_list(desk: Path) -> None:
    out = desk / "joined.xlsx"
    out.write_bytes(b"the list of last time")
    assert "exists already" in _failed(_join(desk, "joined.xlsx"))
    assert out.read_bytes() == b"the list of last time"
    (desk / "links.csv").write_text("nonsense", encoding="utf-8")
    assert "no file of links" in _failed(_join(desk, "joined.xlsx", "--overwrite"))
    assert out.read_bytes() == b"the list of last time"
    assert not list(desk.glob(".*"))


def test_a_failed_join_names_no_child(desk: Path) -> None:
    (desk / "x.map.csv").write_text("pseudonym,record_id\n", encoding="utf-8")
    message = _failed(_join(desk, "joined.xlsx"))
    assert "2 of 2 links" in message
    for private in ("A-1", "甲", f"{1:032x}", str(desk)):
        assert private not in message
    assert not (desk / "joined.xlsx").exists()


def test_join_writes_xlsx_only(desk: Path) -> None:
    result = _join(desk, "joined.csv")
    assert result.exit_code == 2
    assert "must end in .xlsx" in result.stderr
