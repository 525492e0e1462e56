"""The auditor's desk: what it finds, what it says of a log that was changed, and what it logs."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import load_workbook

import api
from api.audit.events import Action
from api.audit.export_check import verify_export
from api.audit.export_manifest import manifest_path
from api.audit.proof import verify_proof
from api.audit.stored_faults import FaultKind
from api.console import log_words
from api.server.refusals import PROBLEMS
from api.server.services import log, log_desk, passwords
from api.server.services.audit_tasks import TaskKind, TaskState, ask_for, read_task, sweep_files
from api.server.services.work import own_caller
from tests.api.console.test_pages import asks
from tests.simulator import Browser, SimulatedServer, simulated_server

HE = replace(own_caller("auditor"), member="he")


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 64)


@pytest.fixture
def server(tmp_path: Path):  # type: ignore[no-untyped-def]
    with simulated_server(tmp_path) as running:
        running.open_round()
        yield running


@pytest.fixture
def auditor(server: SimulatedServer) -> Browser:
    return server.logged_in("he-web", "auditor")


def english(browser: Browser, path: str, form: dict[str, str] | None = None) -> str:
    browser.client.set_cookie("language", "en", domain="linkage.example")
    answer = asks(browser, "GET" if form is None else "POST", path, form)
    return answer.body.decode()


def test_the_filter_shows_what_fits_and_the_reading_is_an_entry(auditor: Browser) -> None:
    answer = asks(auditor, "GET", "/console/log/?office=jinjiang-civil&action=terms:sign")
    assert answer.status == 200
    (entry,) = answer.entries
    assert (entry["action"], entry["actor"]) == ("log:read", "he-web")
    assert entry["details"]["by_office"] == "jinjiang-civil"
    assert entry["details"]["n_entries"] == 1
    page = english(auditor, "/console/log/?office=jinjiang-civil&action=terms:sign")
    assert page.count("/console/log/entries/") == 1
    assert "Signed the terms of a round" in page


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday", "until=2026-13-01", "since=9999-12-31&until=9999-12-31",
        "since=2026-09-02&until=2026-09-01", "actor=A+B", "office=13912345678", "round=%27--",
        "action=all", "outcome=maybe", "actor=<script>alert(1)</script>",
    ],
)  # fmt: skip
def test_what_cannot_be_searched_for_is_said_and_not_logged(auditor: Browser, query: str) -> None:
    answer = asks(auditor, "GET", f"/console/log/?{query}")
    assert answer.status == 422
    assert b"<script>alert" not in answer.body
    (entry,) = answer.entries
    assert entry["details"].keys() == {"n_entries"}


def test_an_office_does_not_see_that_an_auditor_looked_for_it(
    server: SimulatedServer, auditor: Browser
) -> None:
    asks(auditor, "GET", "/console/log/?office=jinjiang-civil")
    own = log.read_own_entries(
        server.installation, replace(own_caller("office"), member="jinjiang-civil"), 0, 1000
    )
    assert not any("log:read" in text and "he-web" in text for text in own["entries"])


def test_an_entry_comes_with_a_proof_that_verifies_elsewhere(
    server: SimulatedServer, auditor: Browser
) -> None:
    page = english(auditor, "/console/log/entries/3")
    assert "The proof was made and checked just now" in page
    file = asks(auditor, "GET", "/console/log/entries/3/proof")
    assert verify_proof(file.body, server.installation.log_key.verifier_key).entry.index == 3
    assert asks(auditor, "GET", "/console/log/entries/99999").status == 404


def kept(server: SimulatedServer) -> str:
    return log.read_checkpoint(server.installation, HE)


def test_a_kept_checkpoint_is_compared(server: SimulatedServer, auditor: Browser) -> None:
    note = kept(server)
    asks(auditor, "GET", "/console/log/")
    page = english(auditor, "/console/log/checkpoints", {"note": note.replace("\n", "\r\n")})
    assert "The log continues what you kept" in page
    for changed, said in (
        ("", "Paste a checkpoint"),
        ("anything", "This is no checkpoint"),
        (note.replace("\n", "\nx", 1), "A signature does not fit"),
        (note.replace("tongqiao/", "other/"), "not signed by the key of this log"),
    ):
        assert said in english(auditor, "/console/log/checkpoints", {"note": changed})


def test_another_history_and_a_shorter_one_are_told(
    server: SimulatedServer, auditor: Browser
) -> None:
    from api.audit.note import Checkpoint, parse_checkpoint, parse_note

    key, seen = (
        server.installation.log_key,
        parse_checkpoint(parse_note(kept(server).encode()).text),
    )
    forked = key.sign(Checkpoint(seen.origin, seen.size - 5, bytes(32)))
    assert "it has another history" in english(
        auditor, "/console/log/checkpoints", {"note": forked}
    )
    longer = key.sign(Checkpoint(seen.origin, seen.size + 500, seen.root))
    assert "its end was cut off" in english(auditor, "/console/log/checkpoints", {"note": longer})
    (entry,) = [e for e in server.log() if e["details"].get("verdict") == "other-history"]
    assert entry["details"]["old_size"] == seen.size - 5


def task_page(server: SimulatedServer, auditor: Browser, path: str, form: dict[str, str]) -> str:
    """Ask for something, let the worker do it, and give the page's address."""
    answer = asks(auditor, "POST", path, form)
    assert answer.status == 303
    address = answer.headers["Location"]
    assert "data-job=" in asks(auditor, "GET", address).body.decode()
    waiting = asks(auditor, "GET", f"{address}/progress")
    assert json.loads(waiting.body)["state"] == "running"
    assert not waiting.entries
    assert server.worker().work_once()
    done = asks(auditor, "GET", f"{address}/progress")
    assert json.loads(done.body)["state"] == "done"
    assert [entry["action"] for entry in done.entries] == ["log:task"]
    return address


def test_waiting_for_what_somebody_else_asked_for_is_logged(
    server: SimulatedServer, auditor: Browser
) -> None:
    address = asks(auditor, "POST", "/console/log/verification").headers["Location"]
    other = server.logged_in("shen", "auditor")
    assert 'data-job-every="30000"' in asks(other, "GET", address).body.decode()
    (entry,) = asks(other, "GET", f"{address}/progress").entries
    assert (entry["action"], entry["actor"]) == ("log:task", "shen")


def test_verification_in_one_press(server: SimulatedServer, auditor: Browser) -> None:
    address = task_page(server, auditor, "/console/log/verification", {})
    page = english(auditor, address)
    assert "The log is intact, as far as this server says of itself" in page
    assert "tongqiao audit verify log" in page


def test_a_changed_entry_is_named(server: SimulatedServer, auditor: Browser) -> None:
    with server.installation.database.migrating() as connection:
        connection.exec_driver_sql("DROP TRIGGER log_entries_never_change")
        connection.exec_driver_sql(
            "UPDATE log_entries SET body = replace(body, 'granted', 'refused')"
            " WHERE entry_index = 4"
        )
    page = english(auditor, task_page(server, auditor, "/console/log/verification", {}))
    assert "The log is NOT as it was written" in page
    assert "Entry 4 was changed after it was logged." in page
    assert asks(auditor, "GET", "/console/log/entries/4").status == 503


def test_very_many_faults_are_told_in_part(server: SimulatedServer, auditor: Browser) -> None:
    from api.server.services.audit_tasks import claim_task, finish_task

    task_id = ask_for(server.installation, HE, TaskKind.CHECK, {}, {})
    claimed = claim_task(server.installation, own_caller("worker"))
    assert claimed is not None
    faults = [{"kind": "entry-changed", "place": n} for n in range(150)]
    result = {
        "faults": faults, "n_entries": 150, "n_checkpoints": 1, "root": "00", "witnesses": [],
    }  # fmt: skip
    finish_task(server.installation, own_caller("worker"), claimed, result, {})
    page = english(auditor, f"/console/log/tasks/{task_id}")
    assert "150 faults" in page
    assert "50 more; the command below tells them all" in page
    assert page.partition("<ul>")[2].partition("</ul>")[0].count("<li>") == 101


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_exports(server: SimulatedServer, auditor: Browser, form: str, tmp_path: Path) -> None:
    given = {"form": form, "action": "terms:sign"}
    address = task_page(server, auditor, "/console/log/exports", given)
    answer = asks(auditor, "GET", f"{address}/file")
    assert "attachment" in answer.headers["Content-Disposition"]
    wanted = [entry["index"] for entry in server.log() if entry["action"] == "terms:sign"]
    if form == "jsonl":
        found = [json.loads(line)["index"] for line in answer.body.decode().splitlines()]
    elif form == "csv":
        lines = answer.body.decode("utf-8-sig").splitlines()
        found = [int(line.split(",")[0]) for line in lines[1:]]
    else:
        path = tmp_path / "log.xlsx"
        path.write_bytes(answer.body)
        found = [row[0].value for row in load_workbook(path)["log"].iter_rows(min_row=2)]
    assert found == wanted
    export = tmp_path / f"saved.{form}"
    export.write_bytes(answer.body)
    beside = asks(auditor, "GET", f"{address}/file?part=manifest")
    assert ".manifest" in beside.headers["Content-Disposition"]
    manifest_path(export).write_bytes(beside.body)
    key = server.installation.log_key.verifier_key
    check = verify_export(export, manifest_path(export), key)
    assert (check.faults, check.n_rows, check.is_same_file) == ((), len(wanted), True)
    assert check.completeness == "signature"
    assert sweep_files(server.installation, own_caller("worker")) == 0
    server.clock.advance(days=400)
    assert sweep_files(server.installation, own_caller("worker")) == 2
    assert server.log()[-1]["action"] == "data:sweep"


def test_a_report_and_marking_what_is_unusual(server: SimulatedServer, auditor: Browser) -> None:
    for role in ("operator", "auditor"):
        with server.installation.work(replace(own_caller(role), member="owl")) as work:
            work.record(Action.PROJECT_LIST)
    period = {"first": "2026-01-01", "last": "2126-01-01"}
    address = task_page(server, auditor, "/console/log/reports", period)
    page = english(auditor, address)
    assert "One person in two roles" in page
    assert "1 not looked at yet" in page or "not looked at yet" in page
    task = read_task(server.installation, HE, address.rsplit("/", 1)[1])
    assert task.result is not None
    finding = next(one for one in task.result["unusual"] if one["kind"] == "two-roles")
    answer = asks(auditor, "POST", f"{address}/marks", {
        "finding": finding["id"], "verdict": "followed-up",
    })  # fmt: skip
    assert answer.status == 303
    assert "finding:mark" in [entry["action"] for entry in answer.entries]
    page = english(auditor, address)
    assert "being followed up" in page
    assert "he-web" in page
    wrong = asks(auditor, "POST", f"{address}/marks", {"finding": "0" * 32, "verdict": "explained"})
    assert wrong.status == 422
    file = asks(auditor, "GET", f"{address}/file").body.decode()
    assert "by the server itself" in file


def test_a_worker_that_dies_loses_the_task_and_one_that_stops_gives_it_back(
    server: SimulatedServer,
) -> None:
    from api.server.services.audit_tasks import TaskLostError, claim_task, finish_task
    from api.server.services.audit_work import work_on_task

    worker = own_caller("worker")
    task_id = ask_for(server.installation, HE, TaskKind.CHECK, {}, {})
    assert ask_for(server.installation, HE, TaskKind.CHECK, {}, {}) == task_id
    lost = claim_task(server.installation, worker)
    assert lost is not None
    assert claim_task(server.installation, worker) is None
    server.clock.advance(seconds=61)
    assert work_on_task(server.installation, worker, lambda: False)
    with pytest.raises(TaskLostError):
        finish_task(server.installation, worker, lost, {}, {})
    assert read_task(server.installation, HE, task_id).state is TaskState.DONE


def test_every_action_reason_and_detail_has_words() -> None:
    assert set(log_words._ACTIONS) == set(map(str, Action))
    assert set(PROBLEMS) <= set(log_words._REASONS)
    assert set(log_words._FAULTS) == set(FaultKind)
    assert set(log_words._COMPARED) == set(log_desk.Verdict)


def detail_names(node: ast.AST) -> set[str]:
    """Keys of dictionaries below a node."""
    return {
        str(key.value)
        for found in ast.walk(node)
        if isinstance(found, ast.Dict)
        for key in found.keys
        if isinstance(key, ast.Constant)
    }


def test_every_detail_that_the_server_logs_has_words() -> None:
    names: set[str] = set()
    for path in (Path(api.__file__).parent / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "details":
                names |= detail_names(node.value)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                names |= detail_names(node) if "details" in ast.unparse(target) else set()
            elif isinstance(node, ast.FunctionDef) and "details" in node.name:
                names |= detail_names(node)
    assert len(names) > 50
    assert names <= set(log_words._DETAILS)
