"""Every page of the console, asked by everybody: docs/who-may-what.md holds, and nothing leaks."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from api.server.app import create_app
from api.server.auth import is_public_address
from api.server.config import load_config
from api.server.services import log, passwords
from api.server.services.audit_tasks import Task, TaskKind, ask_for, read_task
from api.server.services.installation import create_installation
from api.server.services.jobs import JobProgress, claim_job, extend_lease
from api.server.services.work import own_caller
from tests.factories import PROJECT, ROUND
from tests.simulator import (
    Answer,
    Browser,
    OpenRound,
    SimulatedServer,
    granted,
    simulated_server,
)

OWN = "jinjiang-civil"
POLICY = Path(__file__).resolve().parents[3] / "docs" / "who-may-what.md"
HEADINGS, *LINES = (
    line.split() for line in POLICY.read_text(encoding="utf-8").split("```")[3].strip().splitlines()
)
ROLES = {"op-web": "operator", "aud-web": "auditor", "admin": "administrator"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 64)


@pytest.fixture
def server(tmp_path: Path):  # type: ignore[no-untyped-def]
    with simulated_server(tmp_path) as running:
        yield running


def asks(
    browser: Browser, method: str, path: str, form: dict[str, str] | None = None, token: bool = True
) -> Answer:
    given = dict(form or {})
    if token and browser.csrf_token is not None:
        given["csrf_token"] = browser.csrf_token
    body = urlencode(given).encode() if method == "POST" else b""
    headers = {"Content-Type": FORM} if method == "POST" else {}
    return browser.server.ask(
        method, path, body, headers, {"REMOTE_ADDR": browser.origin}, browser.client
    )


def address(line: str, scene: Mapping[str, str]) -> str:
    path = line.replace("OWN", OWN).replace("PERSON", "zhao")
    for word, value in scene.items():
        path = path.replace(word, value)
    return path.replace("/R", f"/{ROUND}", 1) if "/R" in path else path.replace("/P", f"/{PROJECT}")


def scene_for(path: str, server: SimulatedServer) -> dict[str, str]:
    """What the pages of the auditor's desk are about."""
    if "TASK" in path:
        task = reported(server)
        assert task.result is not None
        return {"TASK": task.id, "FINDING": task.result["unusual"][0]["id"]}
    return {"SIZE": signed_size(server)} if "SIZE" in path else {}


def reported(server: SimulatedServer) -> Task:
    """A report, in which something is unusual, is done: somebody acted in two roles."""
    for role in ("operator", "auditor"):
        owl = replace(own_caller(role), member="night-owl")
        period = {"since": "2026-01-01T00:00:00.000Z", "until": "2126-01-01T00:00:00.000Z"}
        task_id = ask_for(server.installation, owl, TaskKind.REPORT, period, {})
    assert server.worker().work_once()
    return read_task(server.installation, owl, task_id)


def signed_size(server: SimulatedServer) -> str:
    """Size of a checkpoint that was signed just now."""
    text = log.read_checkpoint(server.installation, own_caller("server"))
    return text.split("\n")[1]


def form_for(line: str, party: OpenRound, scene: Mapping[str, str]) -> dict[str, str]:
    own = party.office(OWN).identity
    assert own is not None
    forms = {
        "/console/rounds/new": {
            "project": PROJECT, "round": "second-round", "profile": "cn-child-v1",
            "solve": "groups", "retention_days": "30", "max_records": "100", "secret_epoch": "1",
        },
        "/console/rounds/R/steps": {"step": "cancel", "sure": "yes"},
        "/console/projects/new": {
            "id": "second-project", "name": "Second", "purpose": "Test", "coordinator": OWN,
            f"role-{OWN}": "civil", "role-zhongjiang-civil": "origin",
        },
        "/console/projects/P/places": {f"division-{OWN}": "510104", f"side-{OWN}": "residence"},
        "/console/offices/OWN/approval": {"fingerprint": own.public.fingerprint},
        "/console/offices/OWN/revocation": {"reason": "test"},
        "/console/people/": {"id": "sun", "name": "孙", "role": "auditor"},
        "/console/people/PERSON/disablement": {"reason": "test"},
        "/console/log/checkpoints": {"note": "none"},
        "/console/rounds/R/exclusions": {"office": OWN, "sure": "yes"},
        "/console/rounds/R/exclusions/recall": {"office": OWN},
        "/console/rounds/R/expiry": {"sure": "yes"},
        "/console/projects/P/exclusions": {"office": OWN, "sure": "yes"},
        "/console/projects/P/witnesses": {"min_witnesses": "1", "sure": "yes"},
        "/console/rounds/R/terms": {
            "purpose": "Another purpose.", "solve": "groups", "threshold": "", "step": "amend",
            "min_witnesses": "0",
            "retention_days": "31", "max_records": "101", "secret_epoch": "1", "sure": "yes",
        },
        "/console/log/reports": {"first": "2026-08-01", "last": "2026-08-31"},
        "/console/log/exports": {"form": "csv", "office": OWN},
        "/console/log/tasks/TASK/marks": {
            "finding": scene.get("FINDING", ""), "verdict": "explained",
        },
    }  # fmt: skip
    return forms.get(line, {})


def prepare(path: str, party: OpenRound) -> None:
    """What has to be so before an operator may do it."""
    if path.endswith(("/review", "/expiry", "/recall")):
        party.is_released()
    if path.endswith("/exclusions/recall"):
        party.first.excludes(ROUND, OWN)
    if path.endswith("/expiry/recall"):
        party.first.expires(ROUND)
    if path == "/console/projects/P/exclusions":
        granted(party.first.excludes(ROUND, OWN))


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line[0]} {line[1]}")
def test_who_may_see_and_do_what(server: SimulatedServer, line: list[str]) -> None:
    method, path, *expected = line
    party = server.open_round()
    prepare(path, party)
    server.invitation("zhao")
    scene = scene_for(path, server)
    browsers = {column: server.logged_in(f"web-{role}", role) for column, role in ROLES.items()}
    for browser in browsers.values():
        browser.gets("/v1/session")  # notes now that the session is in use
    browsers["none"] = server.browser()
    cells = dict(zip(HEADINGS, expected, strict=True))
    for column, word in sorted(cells.items(), key=lambda cell: cell[1] == "yes"):
        answer = asks(browsers[column], method, address(path, scene), form_for(path, party, scene))
        if word == "yes":
            assert answer.status in (200, 303), answer.body.decode()
            assert {entry["outcome"] for entry in answer.entries} == {"granted"}
        else:
            assert answer.status == (403 if word == "no" else 303)
            assert not answer.changed
            assert {entry["outcome"] for entry in answer.entries} == {"refused"}
        if word == "login":
            assert answer.headers["Location"].startswith("/console/login")


def test_the_table_has_every_page(tmp_path: Path) -> None:
    create_installation(tmp_path / "server", "Test").close()
    app = create_app(load_config(tmp_path / "server"))
    words = {
        "<id:member_id>": "OWN", "<id:person_id>": "PERSON", "<id:project_id>": "P",
        "<id:round_id>": "R", "<count:index>": "0", "<count:size>": "SIZE", "<id:task_id>": "TASK",
    }  # fmt: skip
    served = set()
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for converter, word in words.items():
            path = path.replace(converter, word)
        if path.startswith("/console/"):
            served |= {
                (method, path)
                for method in (rule.methods or set()) - {"HEAD"}
                if not is_public_address(method, rule.rule)
            }
    assert served == {(line[0], line[1]) for line in LINES}
    app.extensions["tongqiao"].close()


@pytest.mark.parametrize("line", [line for line in LINES if line[0] == "POST"], ids=lambda e: e[1])
def test_a_form_of_another_site_changes_nothing(server: SimulatedServer, line: list[str]) -> None:
    party = server.open_round()
    server.invitation("zhao")
    column = next(c for c, word in zip(HEADINGS, line[2:], strict=True) if word == "yes")
    browser = server.logged_in("wu", ROLES[column])
    scene = scene_for(line[1], server)
    form = form_for(line[1], party, scene)
    for token in (None, "", "0" * 64):
        given = form if token is None else {**form, "csrf_token": token}
        answer = asks(browser, "POST", address(line[1], scene), given, token=False)
        assert answer.status == 403
        assert not answer.changed


@pytest.mark.parametrize(
    "after",
    ["//evil.example", "https://evil.example", "..", "a..b", "/", "%2F%2Fevil", "a" * 500, "A.b"],
)
def test_logging_in_leads_nowhere_else(server: SimulatedServer, after: str) -> None:
    person = server.person("wu")
    form = {"person": "wu", "password": person.password, "code": person.code(), "after": after}
    answer = asks(server.browser(), "POST", "/console/login", form)
    assert answer.status == 303
    assert answer.headers["Location"] == "/console/"


def test_after_logging_in_the_page_that_was_asked_for_comes(server: SimulatedServer) -> None:
    server.open_round()
    person, browser = server.person("wu"), server.browser()
    asked = asks(browser, "GET", f"/console/rounds/{ROUND}")
    assert asked.headers["Location"] == f"/console/login?after=rounds.{ROUND}"
    page = asks(browser, "GET", asked.headers["Location"]).body.decode()
    assert f'value="rounds.{ROUND}"' in page
    form = {
        "person": "wu", "password": person.password, "code": person.code(),
        "after": f"rounds.{ROUND}",
    }  # fmt: skip
    assert asks(browser, "POST", "/console/login", form).headers["Location"] == (
        f"/console/rounds/{ROUND}"
    )
    assert asks(browser, "GET", f"/console/rounds/{ROUND}").status == 200


def test_a_wrong_login_is_logged_and_tells_nothing(server: SimulatedServer) -> None:
    person = server.person("wu")
    pages = []
    for changes in ({"password": "x" * 20}, {"code": "000000"}, {"person": "nobody"}):
        form = {"person": "wu", "password": person.password, "code": person.code()} | changes
        answer = asks(server.browser(), "POST", "/console/login", form)
        assert answer.status == 401
        assert [entry["outcome"] for entry in answer.entries] == ["refused"]
        assert person.password not in answer.body.decode()
        pages.append(answer.body)
    assert len(set(pages)) == 1


def test_pages_have_the_headers_of_pages_and_the_api_its_own(server: SimulatedServer) -> None:
    browser = server.browser()
    page = asks(browser, "GET", "/console/login")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    missing = asks(browser, "GET", "/console/no-such-page")
    assert missing.status == 404
    assert missing.headers["Content-Type"].startswith("text/html")
    refused = asks(browser, "GET", "/v1/rounds")
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_an_address_of_the_api_knows_no_language(server: SimulatedServer) -> None:
    browser = server.logged_in("wu")
    assert asks(browser, "GET", "/v1/rounds?language=en").status == 200
    answer = asks(browser, "GET", "/console/rounds/?language=en")
    assert (answer.status, answer.headers["Location"]) == (303, "/console/rounds/")
    assert "There is no round yet" in asks(browser, "GET", "/console/rounds/").body.decode()


def test_after_a_refused_form_the_language_can_be_switched(server: SimulatedServer) -> None:
    server.open_round().is_released()
    server.invitation("zhao")
    browsers = {role: server.logged_in(f"web-{role}", role) for role in ROLES.values()}
    refused = 0
    for _, path, *words in (line for line in LINES if line[0] == "POST"):
        role = next(ROLES[c] for c, word in zip(HEADINGS, words, strict=True) if word == "yes")
        while server.worker().work_once():
            pass
        asked = address(path, scene_for(path, server))
        answer = asks(browsers[role], "POST", asked, {"min_witnesses": "many", "role-x": "A b"})
        links = re.findall(r'href="([^"]*[?&]language=en)"', answer.body.decode())
        if answer.status != 422 or not links:
            continue
        refused += 1
        switched = asks(browsers[role], "GET", links[0].replace("&amp;", "&"))
        assert switched.status == 303, path
        shown = asks(browsers[role], "GET", switched.headers["Location"])
        assert shown.status == 200, path
        assert asked.startswith(switched.headers["Location"].rstrip("/")), path
        assert '<html lang="en"' in shown.body.decode()
    assert refused >= 5


def test_waiting_for_ones_own_matching_leaves_no_entries(server: SimulatedServer) -> None:
    party = server.open_round()
    party.everybody_uploads()
    own, other = server.logged_in("wu"), server.logged_in("zheng")
    page = f"/console/rounds/{ROUND}"
    for step in ("freeze", "run"):
        assert asks(own, "POST", f"{page}/steps", {"step": step, "sure": "yes"}).status == 303
    assert 'data-job-every="2000"' in asks(own, "GET", page).body.decode()
    assert 'data-job-every="30000"' in asks(other, "GET", page).body.decode()
    job = claim_job(server.installation, own_caller("worker"))
    assert job is not None
    extend_lease(server.installation, job, JobProgress("compare", 1, 4, 1, 0))
    answer = asks(own, "GET", f"{page}/progress")
    assert not answer.entries
    assert json.loads(answer.body) == {
        "state": "running", "stage": "服务器正在匹配。正在比对记录", "share": 0.25,
        "figures": "25% · 已比对 1 对记录",
    }  # fmt: skip
    (entry,) = asks(other, "GET", f"{page}/progress").entries
    assert (entry["action"], entry["actor"]) == ("round:read", "zheng")
    assert server.worker().work_once() is False  # leased
    granted(party.first.takes_step(ROUND, "cancel"))
    after = asks(own, "GET", f"{page}/progress")
    assert json.loads(after.body)["state"] == "done"
    assert [entry["action"] for entry in after.entries] == ["round:read"]


def test_a_round_that_is_being_matched_shows_how_far_it_is(server: SimulatedServer) -> None:
    party = server.open_round()
    party.everybody_uploads()
    for action in ("freeze", "run"):
        granted(party.first.takes_step(ROUND, action))
    browser = server.logged_in("wu")
    page = f"/console/rounds/{ROUND}"
    assert "等待匹配程序接手" in asks(browser, "GET", page).body.decode()
    job = claim_job(server.installation, own_caller("worker"))
    assert job is not None
    now = JobProgress("compare", 12_345_678, 49_382_712, 12_345_678, 4_321, 80_100_000.0, 150.0)
    extend_lease(server.installation, job, now)
    shown = asks(browser, "GET", page).body.decode()
    for text in ("正在比对记录", 'value="0.25"', "25%", "12,345,678", "80,100,000", "4,321"):
        assert text in shown
    assert "约还需 2 分钟" in shown
    asks(browser, "GET", f"{page}?language=en")
    shown = asks(browser, "GET", page).body.decode()
    for text in ("Comparing records", "12,345,678 pairs compared", "80,100,000 pairs a second"):
        assert text in shown
    assert "4,321 pairs kept" in shown
    assert "about 2 min left" in shown
    # A stage that is one step has no share: the bar says that nobody knows.
    extend_lease(server.installation, job, JobProgress("solve", 0, 1, 49_382_712, 3))
    shown = asks(browser, "GET", page).body.decode()
    assert re.search(r'<progress [^>]*max="1"\s+aria-label', shown)
    assert "49,382,712 pairs compared" in shown
    assert "pairs kept" not in shown
