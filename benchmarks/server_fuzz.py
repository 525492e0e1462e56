"""Bad input: thousands of requests that are wrong in every way that comes to mind.

Most are properly signed by members, since what a stranger sends is refused at the door.
"""

import gzip
import json
import random
import socket
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.server_setup import (
    Processes,
    encoded_shares,
    new_server,
    open_round,
    verify_log,
)
from keys.request_signing import content_digest, sign_request
from linkage.errors import TqeFormatError
from linkage.tqe import open_tqe
from tests import factories
from tests.factories import PROJECT

ROUND = "2026-h2"
OFFICES = ("office-a", "office-b", "office-c")
_WATCHED = (
    "members", "projects", "rounds", "uploads", "signatures", "links", "round_keys", "people",
)  # fmt: skip


def fuzz(folder: Path, n_requests: int) -> dict[str, Any]:
    """Send bad requests to a real server; nothing may change, nothing may be a 5xx."""
    directory = new_server(folder, OFFICES, max_json_bytes=65_536, max_upload_bytes=2**22)
    files = encoded_shares(folder, ROUND, OFFICES, 200)
    processes = Processes(directory)
    processes.start("server")
    source = random.Random(5)  # noqa: S311 - variety, not secrets
    statuses: Counter[int] = Counter()
    try:
        open_round(processes, ROUND, OFFICES, 10_000)
        for office, path in files.items():
            processes.client(office).put_file(f"/v1/rounds/{ROUND}/uploads/{office}", path)
        before = _state(directory)
        before_memory = peak = processes.memory("server")
        good = files["office-a"].read_bytes()
        for number in range(n_requests):
            status = _send(processes.port, _bad_request(source, processes.port, good))
            statuses[status] += 1
            if status >= 500 or status in (200, 201):
                raise AssertionError(f"request {number} was answered with {status}")
            if number % 100 == 0:
                peak = peak.peak(processes.memory("server"))
        if _state(directory) != before:
            raise AssertionError("a bad request changed something")
    finally:
        processes.stop()
    return {
        "n_requests": n_requests,
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "serving_mib_before": round(before_memory.serving),
        "serving_mib_peak": round(peak.serving),
        "log_entries_verified": verify_log(directory),
    }


def _state(directory: Path) -> object:
    with sqlite3.connect(f"file:{directory / 'tongqiao.db'}?mode=ro", uri=True) as database:
        rows = {
            table: sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608
            for table in _WATCHED
        }
    stored = {str(path): path.stat().st_size for path in (directory / "encodings").rglob("*")}
    return rows, stored, sorted((directory / "incoming").iterdir())


def _bad_request(source: random.Random, port: int, good: bytes) -> bytes:
    kind = source.choice((_bad_upload, _bad_upload, _bad_json, _bad_address, _bad_http))
    return kind(source, port, good)


def _bad_upload(source: random.Random, port: int, good: bytes) -> bytes:
    data = bytearray(good)
    match source.randrange(8):
        case 0:
            data = data[: source.randrange(len(data))]
        case 1:
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        case 2:
            data += source.randbytes(source.randrange(1, 5000))
        case 3:
            data = bytearray(source.randbytes(source.randrange(100_000)))
        case 4:
            data = bytearray(gzip.compress(bytes(2**24)))
        case 5:
            at = source.randrange(len(data) - 8)
            data[at : at + 8] = source.choice((b"\xff" * 8, b"\x00" * 8, b"\x7f" * 8))
        case 6:
            data = bytearray(2**22 + 1 + source.randrange(1000))
        case 7:
            half = len(data) // 2
            data = data[half:] + data[:half]
    if _is_whole(bytes(data)):
        # A bit of the padding, which means nothing: the file is as good as before.
        data += b"\n"
    # The true file of another office, or a broken one of one's own.
    asker, target = source.choice(
        (("office-a", "office-a"), ("office-a", "office-b"), ("office-b", "office-b"))
    )
    path = f"/v1/rounds/{ROUND}/uploads/{target}"
    return _signed(asker, "office", "PUT", path, bytes(data), port, "application/octet-stream")


def _is_whole(data: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.tqe"
        path.write_bytes(data)
        try:
            open_tqe(path)
        except TqeFormatError:
            return False
    return True


def _bad_json(source: random.Random, port: int, _good: bytes) -> bytes:
    path = source.choice(
        (
            "/v1/projects", "/v1/rounds", f"/v1/rounds/{ROUND}/transitions",
            "/v1/members/office-a/approval", "/v1/members/office-a/revocation",
        )
    )  # fmt: skip
    body = source.choice(
        (
            b"[" * 30_000, b'{"a":' * 10_000, b"{", b"", b"null", b"[]", b'"x"', b"1e999",
            b"\xff\xfe",
            b'{"action": "fly"}', b'{"action": ["open"]}', b'{"action": {"a": 1}}',
            b'{"fingerprint": 1}', b'{"reason": ""}', b'{"reason": "\\ud800"}',
            b'{"action": "open", "action": "freeze"}', b'{"id": NaN}', b" " * 70_000,
            json.dumps({"id": "x" * 60_000}).encode(), json.dumps({"terms": [[]] * 5000}).encode(),
            json.dumps({"id": -1, "name": None, "members": {"a": {}}}).encode(),
            gzip.compress(b"[" + b"0," * 10**6 + b"0]"), source.randbytes(200),
        )
    )  # fmt: skip
    return _signed("chen", "operator", "POST", path, body, port, "application/json")


def _bad_address(source: random.Random, port: int, _good: bytes) -> bytes:
    path = source.choice(
        (
            f"/v1/rounds/{ROUND}/uploads/office-b", f"/v1/rounds/{ROUND}/results/office-b",
            f"/v1/projects/{PROJECT}/secrets/1/office-b", "/v1/rounds/none", "/v1/log/entries",
            f"/v1/rounds/{ROUND}/results/office-a?limit=99999999", "/v1/log/tile/0/..",
            f"/v1/rounds/{ROUND}/../{ROUND}", "/v1/rounds/%2e%2e", "//v1/rounds",
            "/v1/rounds?x=%00",
            "/v1/rounds/" + "a" * 900, "/v1/people", "/v1/session", "/../../etc/passwd",
        )
    )  # fmt: skip
    return _signed("office-a", "office", "GET", path, b"", port, "")


def _bad_http(source: random.Random, port: int, _good: bytes) -> bytes:
    host = f"Host: 127.0.0.1:{port}\r\n".encode()
    return source.choice(
        (
            b"GET /v1/rounds HTTP/1.1\r\n" + host + b"\r\n",
            b"GET /v1/rounds HTTP/9.9\r\n" + host + b"\r\n",
            b"BREW /v1/rounds HTTP/1.1\r\n" + host + b"\r\n",
            b"POST /v1/session HTTP/1.1\r\n" + host + b"Content-Length: 5\r\n\r\n{}",
            b"POST /v1/session HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
            b"POST /v1/rounds HTTP/1.1\r\n" + host
            + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n",
            b"GET /v1/rounds HTTP/1.1\r\n" + host + b"X: " + b"a" * 9000 + b"\r\n\r\n",
            b"GET /v1/rounds HTTP/1.1\r\n" + host + b"Signature: tq=:AAAA:\r\n"
            b'Signature-Input: tq=("@method");alg="none"\r\n\r\n',
            b"GET /v1/rounds HTTP/1.1\r\n" + host + b"Cookie: tongqiao=\xff\xfe; a=b;;=\r\n\r\n",
            source.randbytes(source.randrange(1, 300)) + b"\r\n\r\n",
        )
    )  # fmt: skip


def _signed(
    holder: str, kind: Any, method: str, path: str, body: bytes, port: int, content_type: str
) -> bytes:
    url = f"http://127.0.0.1:{port}{path}"
    headers = sign_request(factories.identity(holder, kind), method, url, content_digest(body))
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _send(port: int, data: bytes) -> int:
    """Send bytes; the status of the answer, 0 where the server just hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        received = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
    first = received.split(b"\r\n", 1)[0].split()
    return int(first[1]) if len(first) > 1 and first[1].isdigit() else 0
