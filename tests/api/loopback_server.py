"""A real HTTP server on this machine for tests of the client: checks signatures, records requests.

It answers with what a test puts into it, so that a test can play any server, a hostile one too.
"""

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from keys.identity import PublicIdentity
from keys.request_signing import VerifiedRequest, verify_request


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    verified: VerifiedRequest

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What the server says back."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode())


def problem(slug: str, status: int, detail: str) -> Answer:
    """A refusal as ``docs/http-api.md`` describes it."""
    body = {
        "type": f"urn:tongqiao:problem:{slug}",
        "title": slug,
        "status": status,
        "detail": detail,
        "instance": "urn:tongqiao:request:0123abcd",
    }
    return Answer(status, json.dumps(body).encode(), "application/problem+json")


Handler = Callable[[Request], Answer]


@dataclass
class LoopbackServer:
    """A running server; ``handler`` may be replaced at any time."""

    handler: Handler
    identity: PublicIdentity
    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        """The latest request."""
        return self.requests[-1]


@contextmanager
def running(
    identity: PublicIdentity, handler: Handler, tls: ssl.SSLContext | None = None
) -> Iterator[LoopbackServer]:
    """Serve on a free port of this machine; every request must be signed by ``identity``."""
    server = LoopbackServer(handler, identity, scheme="http" if tls is None else "https")
    with _QuietServer(("127.0.0.1", 0), _handler_class(server)) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(
                http.socket, server_side=True, do_handshake_on_connect=False
            )
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
    assert not server.errors, server.errors


class _QuietServer(ThreadingHTTPServer):
    """Does not print what it thinks of a client that breaks off."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _CutOffError(Exception):
    """The client went away in the middle of a request."""


def _handler_class(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class _Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            try:
                request = self._read()
            except _CutOffError:
                self.close_connection = True
                return
            except BaseException as error:  # a test must see what went wrong in this thread
                server.errors.append(error)
                raise
            server.requests.append(request)
            answer = server.handler(request)
            self.send_response(answer.status)
            headers = {
                "Content-Type": answer.content_type,
                "Content-Length": str(len(answer.body)),
                "Set-Cookie": "session=1",
            }
            for name, value in (headers | dict(answer.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def _read(self) -> Request:
            assert "Transfer-Encoding" not in self.headers
            assert "Cookie" not in self.headers
            assert "Authorization" not in self.headers
            n_bytes = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(n_bytes)
            if len(body) < n_bytes:
                raise _CutOffError
            verified = verify_request(
                self.command,
                f"{server.scheme}://{self.headers['Host']}{self.path}",
                dict(self.headers.items()),
                lambda key_id: {server.identity.key_id: server.identity.signing_key}.get(key_id),
                time.time(),
            )
            assert verified.sha256 == hashlib.sha256(body).digest()
            return Request(self.command, self.path, dict(self.headers.items()), body, verified)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server wants

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return _Handler
