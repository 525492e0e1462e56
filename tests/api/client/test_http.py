import gzip
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import http
from api.client.http import ApiError, ServerClient
from keys.identity import PrivateIdentity, new_identity
from keys.request_signing import content_digest_of_sha256
from tests.api.loopback_server import Answer, LoopbackServer, json_answer, problem, running
from tests.certificates import certificate_for_loopback


@pytest.fixture(scope="module")
def identity() -> PrivateIdentity:
    return new_identity("jinjiang-civil", "office")


@pytest.fixture
def server(identity: PrivateIdentity) -> Iterator[LoopbackServer]:
    with running(identity.public, lambda request: json_answer({"ok": True})) as started:
        yield started


@pytest.fixture
def client(server: LoopbackServer, identity: PrivateIdentity) -> ServerClient:
    return ServerClient(server.url, identity, timeout_s=5)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_RETRY_PAUSES_S", (0.0, 0.0))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_signature_covers_the_address_as_it_is_sent(
    client: ServerClient, server: LoopbackServer
) -> None:
    # The server checks every signature over the target that it received.
    client.get_json("/v1/rounds/2026-h2/results/a", after="x y&z=ü/?", limit=3, missing=None)
    assert server.last.target == "/v1/rounds/2026-h2/results/a?after=x+y%26z%3D%C3%BC%2F%3F&limit=3"
    client.get_json("/v1/rounds")
    assert server.last.target == "/v1/rounds"
    client.get_json("/v1/a/../b")
    assert server.last.target == "/v1/b"


def test_every_kind_of_request(
    client: ServerClient, server: LoopbackServer, tmp_path: Path
) -> None:
    path = tmp_path / "x.tqe"
    path.write_bytes(b"encodings")
    assert client.post_json("/v1/x", {"名": "值"}) == {"ok": True}
    assert (server.last.method, server.last.json()) == ("POST", {"名": "值"})
    client.put_json("/v1/x", {"a": 1})
    assert (server.last.method, server.last.headers["Content-Type"]) == ("PUT", "application/json")
    client.put_bytes("/v1/x", b"\x00\x01")
    assert server.last.body == b"\x00\x01"
    assert server.last.headers["Content-Type"] == "application/octet-stream"
    client.delete("/v1/x")
    assert (server.last.method, server.last.body) == ("DELETE", b"")
    client.put_file("/v1/x", path)
    assert (server.last.method, server.last.body) == ("PUT", b"encodings")
    assert client.get_bytes("/v1/x") == b'{"ok": true}'
    nonces = {request.verified.nonce for request in server.requests}
    assert len(nonces) == len(server.requests) == 6


def test_a_file_is_streamed_and_its_progress_told(
    client: ServerClient, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_CHUNK_BYTES", 1000)
    path = tmp_path / "x.tqe"
    path.write_bytes(bytes(range(256)) * 10)
    told: list[tuple[int, int]] = []
    client.put_file("/v1/x", path, on_progress=lambda done, total: told.append((done, total)))
    assert server.last.body == path.read_bytes()
    assert told == [(1000, 2560), (2000, 2560), (2560, 2560)]


def test_an_empty_file_is_sent_too(
    client: ServerClient, server: LoopbackServer, tmp_path: Path
) -> None:
    path = tmp_path / "x.tqe"
    path.touch()
    client.put_file("/v1/x", path)
    assert (server.last.body, server.last.headers["Content-Length"]) == (b"", "0")


@pytest.mark.parametrize("now", [b"shorter", b"longer than before"])
def test_a_file_that_changes_while_it_is_sent(
    client: ServerClient,
    server: LoopbackServer,
    tmp_path: Path,
    now: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "x.tqe"
    path.write_bytes(b"original")

    def change_then_sign(digest: bytes) -> str:
        path.write_bytes(now)
        return content_digest_of_sha256(digest)

    monkeypatch.setattr(http, "content_digest_of_sha256", change_then_sign)
    with pytest.raises(ApiError, match="changed while it was being sent"):
        client.put_file("/v1/x", path)
    assert not server.requests


def test_a_refusal_is_told_in_the_servers_words(
    client: ServerClient, server: LoopbackServer
) -> None:
    server.handler = lambda request: problem("not-signed", 409, "Sign the terms first.\x1b[2J")
    with pytest.raises(ApiError) as caught:
        client.post_json("/v1/x", {})
    assert (caught.value.slug, caught.value.status) == ("not-signed", 409)
    assert str(caught.value) == "Sign the terms first. [2J (request 0123abcd)"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>proxy login</html>", "text/html"),
        Answer(200, b"<html>", "application/json"),
        Answer(200, b"[1]", "application/json"),
        Answer(200, b"\xff\xfe", "application/json"),
        Answer(200, b"[" * 100_000, "application/json"),
        Answer(500, b"<html>oops", "text/html"),
        Answer(404, b"[1]", "application/problem+json"),
        Answer(404, b'{"type": 7}', "application/problem+json"),
        Answer(401, b"", ""),
        Answer(302, b"", "", {"Location": "https://evil.example/"}),
        Answer(308, b"", "", {"Location": "/v1/elsewhere"}),
    ],
)
def test_an_answer_that_is_none(
    client: ServerClient, server: LoopbackServer, answer: Answer
) -> None:
    server.handler = lambda request: answer
    with pytest.raises(ApiError) as caught:
        client.get_json("/v1/rounds")
    assert caught.value.slug == "bad-answer"
    assert caught.value.status == answer.status
    assert "html" not in str(caught.value)
    assert {request.path for request in server.requests} == {"/v1/rounds"}


def test_an_answer_without_content_is_an_empty_object(
    client: ServerClient, server: LoopbackServer
) -> None:
    server.handler = lambda request: Answer(204)
    assert client.delete("/v1/x") == {}


def test_an_answer_is_read_only_up_to_a_limit(client: ServerClient, server: LoopbackServer) -> None:
    server.handler = lambda request: Answer(200, b"x" * 1000)
    assert len(client.get_bytes("/v1/x", max_bytes=1000)) == 1000
    with pytest.raises(ApiError, match="larger than it may be"):
        client.get_bytes("/v1/x", max_bytes=999)


def test_a_compressed_bomb_is_stopped(client: ServerClient, server: LoopbackServer) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    server.handler = lambda request: Answer(200, bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ApiError, match="larger than it may be"):
        client.get_bytes("/v1/x", max_bytes=1_000_000)
    assert server.last.headers["Accept-Encoding"] == "identity"


def test_a_truncated_answer_is_no_answer(client: ServerClient, server: LoopbackServer) -> None:
    server.handler = lambda request: Answer(200, b'{"ok"', headers={"Content-Length": "100"})
    with pytest.raises(ApiError):
        client.get_json("/v1/rounds")


def test_reading_is_tried_again_each_time_with_a_new_signature(
    client: ServerClient, server: LoopbackServer
) -> None:
    answers = [problem("x", 503, "Busy."), problem("x", 503, "Busy."), json_answer({"n": 3})]
    server.handler = lambda request: answers[len(server.requests) - 1]
    assert client.get_json("/v1/rounds") == {"n": 3}
    assert len({request.verified.nonce for request in server.requests}) == 3


def test_reading_is_given_up_in_the_end(client: ServerClient, server: LoopbackServer) -> None:
    server.handler = lambda request: problem("x", 503, "Busy.")
    with pytest.raises(ApiError, match="Busy"):
        client.get_json("/v1/rounds")
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 500])
def test_a_refusal_is_not_asked_for_twice(
    client: ServerClient, server: LoopbackServer, status: int
) -> None:
    server.handler = lambda request: problem("x", status, "No.")
    with pytest.raises(ApiError):
        client.get_json("/v1/rounds")
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["post_json", "put_json", "delete"])
def test_what_changes_something_is_never_sent_twice(
    client: ServerClient, server: LoopbackServer, method: str
) -> None:
    server.handler = lambda request: problem("x", 503, "Busy.")
    arguments: tuple[object, ...] = ("/v1/x",) if method == "delete" else ("/v1/x", {})
    with pytest.raises(ApiError):
        getattr(client, method)(*arguments)
    assert len(server.requests) == 1


def test_nobody_listens(identity: PrivateIdentity) -> None:
    port = _free_port()
    with pytest.raises(ApiError) as caught:
        ServerClient(f"http://127.0.0.1:{port}", identity).get_json("/v1/rounds")
    assert caught.value.slug == "unreachable"
    assert f"not reachable at 127.0.0.1:{port}" in str(caught.value)
    assert "Check that the address" in str(caught.value)


def test_a_server_that_stays_silent(identity: PrivateIdentity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = ServerClient(
            f"http://127.0.0.1:{listener.getsockname()[1]}", identity, timeout_s=0.05
        )
        with pytest.raises(ApiError) as caught:
            client.post_json("/v1/x", {})
    assert caught.value.slug == "timeout"
    assert "did not answer in time" in str(caught.value)


def test_a_server_that_speaks_no_tls(server: LoopbackServer, identity: PrivateIdentity) -> None:
    client = ServerClient(server.url.replace("http:", "https:"), identity, timeout_s=5)
    with pytest.raises(ApiError) as caught:
        client.post_json("/v1/x", {})
    assert caught.value.slug == "untrusted-server"
    assert not server.requests


def test_tls_is_checked_against_the_authority_that_was_named(
    identity: PrivateIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = certificate_for_loopback(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with running(identity.public, lambda request: json_answer({"ok": True}), context) as server:
        with pytest.raises(ApiError) as caught:
            ServerClient(server.url, identity, timeout_s=5).get_json("/v1/rounds")
        assert caught.value.slug == "untrusted-server"
        # What the environment says of certificates does not count: a program's user would not
        # know that it does.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with pytest.raises(ApiError):
            ServerClient(server.url, identity, timeout_s=5).get_json("/v1/rounds")
        assert not server.requests
        trusting = ServerClient(server.url, identity, timeout_s=5, ca_file=str(certificate))
        assert trusting.get_json("/v1/rounds") == {"ok": True}


def test_this_machine_is_never_asked_through_a_proxy(
    client: ServerClient,
    server: LoopbackServer,
    identity: PrivateIdentity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_free_port()}")
    ServerClient(server.url, identity).get_json("/v1/rounds")
    client.get_json("/v1/rounds")
    assert len(server.requests) == 2


def test_passwords_of_netrc_are_not_sent(
    server: LoopbackServer,
    identity: PrivateIdentity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ServerClient(server.url, identity).get_json("/v1/rounds")  # the server refuses Authorization
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://linkage.example.org", "linkage.example.org", "https://a/b"]
)
def test_a_bad_address(url: str, identity: PrivateIdentity) -> None:
    with pytest.raises(ApiError) as caught:
        ServerClient(url, identity)
    assert caught.value.slug == "bad-address"


def test_no_private_key_is_ever_sent(
    client: ServerClient, server: LoopbackServer, identity: PrivateIdentity
) -> None:
    client.post_json("/v1/members", identity.public.to_document())
    private = json.loads(identity.to_json())
    sent = server.last.body.decode() + str(server.last.headers)
    assert private["signing_private"] not in sent
    assert private["sealing_private"] not in sent
