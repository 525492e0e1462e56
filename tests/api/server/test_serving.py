"""The server as a process: real sockets, raw requests, a whole round, a clean end."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.client import upload
from api.client.errors import ApiError
from api.client.http import ServerClient
from api.server.config import ConfigError, load_config
from api.server.services.installation import open_installation
from api.server.services.members import add_member
from api.server.services.work import own_caller
from api.server.serving import Listening
from keys.request_signing import content_digest, sign_request
from linkage.loopback import is_loopback
from tests import databases, factories
from tests.api.server.cutting_proxy import CuttingProxy, cutting_proxy
from tests.api.server.running_server import RunningServer, server_process
from tests.factories import COORDINATOR, PROJECT, ROLES, ROUND, SECRET
from tests.simulator import SimulatedClock, SimulatedServer, encoded_files


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_what_is_this_machine(host: str) -> None:
    assert is_loopback(host)
    Listening(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "linkage.example"])  # noqa: S104
def test_without_tls_only_this_machine(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match="TLS"):
        Listening(host=host).check()
    Listening(host=host, behind_proxy=True).check()
    Listening(host=host, tls_cert=Path("c.pem"), tls_key=Path("k.pem")).check()
    with pytest.raises(ConfigError, match="both"):
        Listening(host=host, tls_cert=Path("c.pem")).check()


@pytest.fixture
def directory(tmp_path: Path, database_kind: str) -> Path:
    installation = databases.new_installation(tmp_path / "server", "Process")
    for person, kind in (("chen", "operator"), ("luo", "operator"), ("he", "auditor")):
        add_member(
            installation,
            own_caller("administrator"),
            factories.identity(person, kind).public,  # type: ignore[arg-type]
        )
    for office in (COORDINATOR, *ROLES):
        add_member(installation, own_caller("administrator"), factories.identity(office).public)
    installation.close()
    return tmp_path / "server"


def log_of(directory: Path) -> list[dict[str, Any]]:
    installation = open_installation(load_config(directory))
    seen = SimulatedServer(directory, SimulatedClock(), installation, None)  # type: ignore[arg-type]
    entries = seen.log()
    installation.close()
    return entries


def raw(server: RunningServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and read the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def signed_get(server: RunningServer, path: str, *, sent_as: str, more: str = "") -> bytes:
    """A request signed for one address and sent to another."""
    chen = factories.identity("chen", "operator")
    headers = sign_request(chen, "GET", server.url + path, content_digest(b""))
    lines = [
        f"GET {sent_as} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n" + more + "\r\n").encode()


@pytest.mark.process
def test_a_server_from_start_to_stop(directory: Path) -> None:
    with server_process(directory) as server:
        assert raw(server, b"GET /health HTTP/1.0\r\nHost: x\r\n\r\n")[0] == 200
        members = "/v1/members"
        assert raw(server, signed_get(server, members, sent_as=members))[0] == 200
        for sent_as in (
            "/v1/%6dembers",
            "/v1//members",
            "/./v1/members",
            "/v1/projects/%2e%2e/members",
            f"http://127.0.0.1:{server.port}/v1/members",
            "/v1/members?",
            "/v1/members#x",
        ):
            status, _, body = raw(server, signed_get(server, members, sent_as=sent_as))
            # "?" alone is an empty query, which is what was signed.
            assert (status == 200) == (sent_as == "/v1/members?"), (sent_as, body)
        # No header may make another address of the signed one.
        for more in (
            "PATH_INFO: /v1/projects\r\n",
            "SCRIPT_NAME: /v1\r\n",
            "SCRIPT-NAME: /v1\r\n",
            "X-Original-URL: /v1/projects\r\n",
            "X-HTTP-Method-Override: DELETE\r\n",
            "X-Forwarded-Host: other\r\n",
        ):
            status, _, body = raw(server, signed_get(server, members, sent_as=members, more=more))
            assert status != 200 or "members" in json.loads(body), more
        two_hosts = "Host: other.example\r\n"
        assert raw(server, signed_get(server, members, sent_as=members, more=two_hosts))[0] != 200
        assert server.stop() == 0
        text = server.log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert "chen" not in text
    actions = [entry["action"] for entry in log_of(directory)]
    assert actions.count("server:start") == actions.count("server:stop") == 1
    assert actions[-1] == "server:stop"


@pytest.mark.process
def test_the_callers_address_is_the_one_that_connected(directory: Path) -> None:
    with server_process(directory) as server:
        spoofed = "X-Forwarded-For: 203.0.113.9\r\n"
        raw(server, signed_get(server, "/v1/members", sent_as="/v1/members", more=spoofed))
        server.stop()
    assert log_of(directory)[-2]["origin"] == "127.0.0.1"
    with server_process(directory, "--behind-proxy") as server:
        raw(server, signed_get(server, "/v1/members", sent_as="/v1/members", more=spoofed))
        server.stop()
    assert log_of(directory)[-2]["origin"] == "203.0.113.9"


def client(server: RunningServer, holder: str, kind: Any = "office") -> ServerClient:
    return ServerClient(server.url, factories.identity(holder, kind))


@pytest.mark.process
def test_a_whole_round_between_processes(directory: Path, tmp_path: Path) -> None:
    files = encoded_files(tmp_path)
    worker = [sys.executable, "-m", "api", "worker", "run", str(directory)]
    with server_process(directory) as server:
        chen, luo = client(server, "chen", "operator"), client(server, "luo", "operator")
        offices = {office: client(server, office) for office in ROLES}
        _open_round(chen, client(server, COORDINATOR), offices)
        for office, speaking in offices.items():
            path = f"/v1/rounds/{ROUND}/uploads/{office}"
            # A refusal reaches a sender that is still sending, and the connection survives it.
            big = tmp_path / "big.tqe"
            big.write_bytes(b"\0" * 20_000_000)
            with pytest.raises(ApiError) as refusal:
                speaking.put_file(path, big)
            assert refusal.value.slug == "bad-upload"
            assert speaking.put_file(path, files[office].path)["sha256"] == files[office].sha256
        for action in ("freeze", "run"):
            chen.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": action})
        subprocess.run([*worker, "--once"], check=True, timeout=120, stderr=subprocess.DEVNULL)
        with pytest.raises(ApiError) as refusal:
            chen.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": "release"})
        assert refusal.value.slug == "second-person"
        assert len(luo.get_json(f"/v1/rounds/{ROUND}/review")["pairs"]) == 3
        luo.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": "release"})
        first = next(iter(ROLES))
        page = offices[first].get_json(f"/v1/rounds/{ROUND}/results/{first}", limit=20)
        assert len(page["links"]) == 20
        rest = offices[first].get_json(f"/v1/rounds/{ROUND}/results/{first}", after=page["next"])
        assert (len(rest["links"]), rest["next"]) == (30, None)
        assert server.stop() == 0


def _open_round(
    chen: ServerClient, coordinator: ServerClient, offices: dict[str, ServerClient]
) -> None:
    import base64
    import hashlib

    from keys import labels
    from keys.canonical import canonical_json
    from keys.signing import sign_document

    chen.post_json(
        "/v1/projects",
        {
            "id": PROJECT,
            "name": "Test",
            "purpose": "Test",
            "coordinating_office": COORDINATOR,
            "members": [{"office": office, "role": role} for office, role in ROLES.items()],
        },
    )
    terms = factories.terms()
    chen.post_json("/v1/rounds", {"terms": terms, "profile": factories.PROFILE_TEXT})
    chen.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": "open"})
    document = canonical_json(terms)
    for speaking in (coordinator, *offices.values()):
        assert speaking.identity is not None
        signature = sign_document(speaking.identity.signing_private, labels.TERMS, document)
        body = {
            "terms_sha256": hashlib.sha256(document).hexdigest(),
            "signature": base64.b64encode(signature).decode(),
        }
        if speaking is coordinator:
            body["key_confirmation"] = SECRET.key_confirmation(f"{PROJECT}/{ROUND}")
        holder = speaking.identity.public.holder
        speaking.put_json(f"/v1/rounds/{ROUND}/signatures/{holder}", body)


@pytest.mark.process
def test_an_upload_goes_on_over_a_network_that_breaks_and_a_server_that_is_killed(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PIECE_BYTES", 200_000)
    office = next(iter(ROLES))
    file = factories.encoded_file(tmp_path / "large.tqe", factories.children(5000))
    n_bytes = len(file.data)
    assert n_bytes > 600_000
    with contextlib.ExitStack() as servers:
        server = servers.enter_context(server_process(directory))
        offices = {name: client(server, name) for name in ROLES}
        _open_round(client(server, "chen", "operator"), client(server, COORDINATOR), offices)

        def kill_and_start_again(proxy: CuttingProxy) -> None:
            if proxy.n_cut == 2:
                server.process.kill()
                server.process.wait()
                proxy.target_port = servers.enter_context(server_process(directory)).port

        budgets = [150_000, 100_000, 199_000]
        proxy = servers.enter_context(cutting_proxy(server.port, budgets))
        proxy.on_cut = kill_and_start_again
        speaking = ServerClient(proxy.url, factories.identity(office), timeout_s=10)
        told: list[int] = []
        receipt = upload.upload_file(
            speaking,
            f"/v1/rounds/{ROUND}/uploads/{office}",
            file.path,
            on_progress=lambda done, _total: told.append(done),
        )
        assert (receipt["sha256"], proxy.n_cut) == (file.sha256, 3)
        # What had arrived was not sent again.
        assert told == sorted(told)
    appended = [
        entry["details"]["offset_bytes"]
        for entry in log_of(directory)
        if entry["action"] == "upload:append" and entry["outcome"] == "granted"
    ]
    assert appended[0] == 0
    assert 0 < appended[1] < 150_000


@pytest.mark.process
def test_a_killed_worker_and_a_killed_server(directory: Path, tmp_path: Path) -> None:
    """Whatever is killed: what was acknowledged is there, and the round ends with its links."""
    with (directory / "server.toml").open("a", encoding="utf-8") as settings:
        settings.write("lease_s = 1\npoll_s = 0.1\nprogress_s = 0.1\n")
    files = encoded_files(tmp_path)
    with server_process(directory) as server:
        offices = {office: client(server, office) for office in ROLES}
        _open_round(client(server, "chen", "operator"), client(server, COORDINATOR), offices)
        for office, speaking in offices.items():
            speaking.put_file(f"/v1/rounds/{ROUND}/uploads/{office}", files[office].path)
        server.process.kill()
        server.process.wait()
    with server_process(directory) as server:
        chen = client(server, "chen", "operator")
        for action in ("freeze", "run"):
            chen.post_json(f"/v1/rounds/{ROUND}/transitions", {"action": action})
        killed = subprocess.Popen([sys.executable, "-c", _WORKER_THAT_HANGS, directory])
        _wait_until(lambda: _progress(chen)["stage"] == "compare")
        killed.kill()
        killed.wait()
        worker = subprocess.Popen(
            [sys.executable, "-m", "api", "worker", "run", str(directory)],
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until(lambda: chen.get_json(f"/v1/rounds/{ROUND}")["state"] == "review")
        finally:
            worker.terminate()
            assert worker.wait(20) == 0
        server.stop()
    installation = open_installation(load_config(directory))
    seen = SimulatedServer(directory, SimulatedClock(), installation, None)  # type: ignore[arg-type]
    assert len(seen.rows("links")) == 70
    actions = [entry["action"] for entry in seen.log() if entry["role"] == "worker"]
    assert actions == [
        "worker:start",
        "job:start",
        "worker:start",
        # What the killed worker had in the clear.
        "data:sweep",
        "job:resume",
        "job:finish",
        "round:review",
        "worker:stop",
    ]
    assert [entry["index"] for entry in seen.log()] == list(range(seen.log_size()))
    installation.close()


_WORKER_THAT_HANGS = """
import sys, time
from pathlib import Path
import api.server.worker as worker
from api.server.config import load_config
from api.server.services.installation import open_installation
from linkage.progress import MatchProgress

def hang(*_, on_progress, **__):
    on_progress(MatchProgress("compare", 1, 2))
    time.sleep(600)

worker.match_datasets = hang
worker.Worker(open_installation(load_config(Path(sys.argv[1])))).run()
"""


def _progress(chen: ServerClient) -> dict[str, Any]:
    progress = chen.get_json(f"/v1/rounds/{ROUND}")["progress"]
    assert isinstance(progress, dict)
    return progress


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)
