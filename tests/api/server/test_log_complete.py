"""The access log is complete: every address and every job leaves an entry, or the test fails.

Three nets, one behind the other:

- the server holds back every answer that left no entry (tested here with an address that tries);
- every address of the application is asked here, wrongly in several ways, and each refusal is
  looked for in the log; ``test_who_may_what.py`` asks each rightly;
- every transaction of every simulated server is watched (``tests/logged_writes.py``): one that
  changes data and appends nothing fails whichever test made it.
"""

import os
import re
from pathlib import Path

import pytest
from flask import Flask

from api.audit.errors import LogStoreError
from api.audit.events import Action
from api.server.app import create_app, make_app
from api.server.auth import access_of, is_public_address, may_call
from api.server.config import load_config
from api.server.round_states import Actor
from api.server.services.backup import make_backup
from api.server.services.chunks import sweep_chunks
from api.server.services.retention import sweep
from api.server.services.work import own_caller
from tests.factories import PROJECT, ROUND
from tests.logged_writes import UnloggedChangeError, changed_table
from tests.simulator import Party, SimulatedServer, granted

_PLACEHOLDER = re.compile(r"<(?:(?P<converter>[a-z_]+)(?:\([^)]*\))?:)?(?P<name>[a-z_]+)>")
_EXAMPLES = {"round_id": ROUND, "project_id": PROJECT}
_BY_CONVERTER = {"id": "nobody", "epoch": "1", "int": "1", "count": "1", "path": "tile/0/000"}


def example_address(rule: str) -> str:
    """An address that the rule takes."""
    return _PLACEHOLDER.sub(
        lambda match: (
            _EXAMPLES.get(match["name"]) or _BY_CONVERTER.get(match["converter"] or "", "nobody")
        ),
        rule,
    )


def endpoints(app: Flask) -> list[tuple[str, str, str]]:
    """Method, address and name of every endpoint that is not public."""
    return sorted(
        (method, example_address(rule.rule), rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not is_public_address(method, rule.rule)
    )


def test_every_address_says_how_the_log_calls_it(server: SimulatedServer) -> None:
    app = server.client.application
    found = endpoints(app)
    assert len(found) > 20
    for method, address, endpoint in found:
        access = access_of(app.view_functions[endpoint])
        assert access is not None, f"{method} {address} declares no action for the access log"
        assert access.action in Action


def test_every_address_logs_what_it_refuses(server: SimulatedServer) -> None:
    party = server.open_round()
    strangers = server.stranger()
    people: list[Party] = [party.office("jinjiang-civil"), party.first, party.auditor]
    for method, address, endpoint in endpoints(server.client.application):
        access = access_of(server.client.application.view_functions[endpoint])
        assert access is not None
        (entry,) = strangers.sends(method, address, b"{").entries
        assert entry["outcome"] == "refused", (method, address)
        assert entry["actor"] is None
        assert entry["reason"]
        assert entry["origin"] == "127.0.0.1"
        for person in people:
            # What it makes of a body that is none is its own affair; that it is told is not.
            answer = person.sends(method, address, b"{", content_type="application/json")
            assert answer.entries, f"{method} {address} left no entry for {person.id}"
            assert {entry["actor"] for entry in answer.entries} <= {person.id, None}
            if answer.status == 403:
                assert answer.entries[0]["reason"] in ("forbidden", "second-person")
                assert answer.entries[0]["actor"] == person.id
                assert answer.entries[0]["role"] in ("office", "operator", "auditor")


def test_an_answer_without_an_entry_never_leaves(server: SimulatedServer) -> None:
    app = make_app(server.installation)

    @may_call(Actor.AUDITOR, action=Action.MEMBER_LIST)
    def leak() -> dict[str, str]:
        return {"secret": "told to nobody"}

    app.add_url_rule("/v1/leak", "leak", leak, methods=["GET"])
    he = server.auditor()
    server.client = app.test_client()
    answer = he.gets("/v1/leak")
    assert answer.status == 500
    assert b"told to nobody" not in answer.body
    (entry,) = answer.entries
    assert (entry["outcome"], entry["reason"], entry["actor"]) == ("failed", "internal", "he")


def test_a_change_past_the_log_is_caught(server: SimulatedServer) -> None:
    from sqlalchemy import text

    server.open_round()
    database = server.installation.database
    with pytest.raises(UnloggedChangeError, match="rounds"), database.writing() as session:
        session.execute(text("UPDATE rounds SET state = 'open'"))
    with server.installation.work(own_caller("server")) as work:
        work.session.execute(text("UPDATE rounds SET failure = NULL"))
        work.record(Action.SERVER_START)


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("INSERT INTO uploads (round_id) VALUES (?)", "uploads"),
        ("INSERT INTO links (id) VALUES (?)", None),
        ("UPDATE links SET link_a=?", "links"),
        ("DELETE FROM links WHERE links.round_id = ?", "links"),
        ("DELETE FROM uploads WHERE uploads.round_id = ?", "uploads"),
        ('UPDATE "rounds" SET stage=?, done=? WHERE rounds.id = ?', None),
        ("UPDATE rounds SET stage=?, state=? WHERE rounds.id = ?", "rounds"),
        ("UPDATE rounds SET lease_expires_at=?", None),
        ("INSERT INTO nonces (nonce) VALUES (?)", None),
        ("SELECT 1", None),
        ("PRAGMA wal_checkpoint(TRUNCATE)", None),
    ],
)
def test_what_counts_as_a_change(statement: str, table: str | None) -> None:
    assert changed_table(statement) == table


def test_every_job_of_the_worker_leaves_entries(server: SimulatedServer) -> None:
    """Started, given back, died, taken up again, failed, finished, expired."""
    party = server.open_round()
    party.everybody_uploads()
    granted(party.first.takes_step(ROUND, "freeze"))
    granted(party.first.takes_step(ROUND, "run"))

    def actions_since(size: int) -> list[str]:
        return [entry["action"] for entry in server.log(size) if entry["role"] == "worker"]

    size = server.log_size()
    worker = server.worker()
    worker.stop()
    worker.work_once()
    assert actions_since(size) == ["job:start", "job:release"]
    size = server.log_size()
    server.worker().work_once()
    assert actions_since(size) == ["job:resume", "job:finish", "round:review"]
    granted(party.second.takes_step(ROUND, "release"))
    server.clock.advance(days=181)
    size = server.log_size()
    server.worker().run(once=True)
    found = actions_since(size)
    assert found[0] == "worker:start"
    assert "round:expire" in found
    assert "data:delete" in found
    assert found[-1] == "worker:stop"


def test_files_that_nothing_refers_to_are_swept_with_an_entry(server: SimulatedServer) -> None:
    server.open_round()
    path = server.directory / "encodings" / ROUND / ("0" * 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"litter")
    size = server.log_size()
    server.worker().run(once=True)
    assert not path.exists()
    (entry,) = (entry for entry in server.log(size) if entry["action"] == "data:sweep")
    assert entry["details"] == {"n_files": 1}
    size = server.log_size()
    server.worker().run(once=True)
    assert "data:sweep" not in [entry["action"] for entry in server.log(size)]


def test_nothing_that_is_deleted_goes_without_an_entry(server: SimulatedServer) -> None:
    """Whatever a crash may leave in any folder of the server: each deletion has its entry."""
    party = server.open_round()
    party.is_released()
    config = server.installation.config
    stale = server.clock.now.timestamp() - 2 * config.abandoned_after_s
    left = {
        "chunks of a round that is over": config.chunks_directory / ROUND / "0.npz",
        "chunks of no round": config.chunks_directory / "unknown" / "0.npz",
        "an encoding in the clear": config.work_directory / ("a" * 32) / "office.tqe",
        "a file of no upload": config.encodings_directory / ROUND / ("0" * 64),
        "an upload cut off": config.incoming_directory / f"{'b' * 32}.part",
    }
    for what, path in left.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left over")
        (path.parent / ".lock").touch()
        os.utime(path, (stale, stale))
        size = server.log_size()
        server.worker().run(once=True)
        assert not path.exists(), what
        swept = [one for one in server.log(size) if one["action"] == "data:sweep"]
        assert len(swept) == 1, what
        assert swept[0]["role"] == "worker"


def test_what_cannot_be_logged_is_not_deleted(server: SimulatedServer) -> None:
    party = server.open_round()
    party.is_released()
    config = server.installation.config
    left = [
        config.chunks_directory / ROUND / "0.npz",
        config.work_directory / ("a" * 32) / "office.tqe",
        config.encodings_directory / ROUND / ("0" * 64),
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left over")
        (path.parent / ".lock").touch()

    def refuse(*_arguments: object) -> None:
        raise LogStoreError("no room")

    commits = server.installation.database._group_commit
    append = commits._append
    commits._append = refuse
    for sweeping in (sweep, sweep_chunks):
        with pytest.raises(LogStoreError):
            sweeping(server.installation, own_caller("worker"))
    commits._append = append
    assert all(path.exists() for path in left)


def test_a_backup_that_fails_has_its_entry(server: SimulatedServer, tmp_path: Path) -> None:
    size = server.log_size()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.server.services.backup._copy_encodings", _no_room)
        with pytest.raises(OSError, match="No space"):
            make_backup(server.installation, own_caller("administrator"), tmp_path / "backup")
    assert [one["action"] for one in server.log(size)] == ["server:backup"]


def _no_room(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")


def test_every_action_in_use_is_in_the_closed_set_and_the_other_way_round() -> None:
    """An action that nothing logs is a promise that nobody keeps."""
    root = Path(__file__).resolve().parents[3] / "api"
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*.py"))
        if path.name != "events.py"
    )
    unused = [action.name for action in Action if f"Action.{action.name}" not in source]
    assert unused == []


def test_an_app_can_be_walked_without_a_request(tmp_path: Path) -> None:
    from api.server.services.installation import create_installation

    create_installation(tmp_path / "server", "Test").close()
    app = create_app(load_config(tmp_path / "server"))
    assert all(address.startswith(("/v1/", "/console/")) for _, address, _ in endpoints(app))
    app.extensions["tongqiao"].close()
