"""Signed requests to the linkage server (``docs/http-api.md``), the one way that commands use.

The address signed is the address sent: a request is prepared first, and its final form is signed.
Redirects are not followed, cookies not kept, and proxy settings do not apply to this machine.
"""

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import requests
from requests.utils import get_environ_proxies

from api.client.address import parse_server_address
from api.client.errors import ApiError
from keys.identity import PrivateIdentity
from keys.request_signing import content_digest, content_digest_of_sha256, sign_request

__all__ = ["ApiError", "ProgressCallback", "ServerClient"]

ProgressCallback = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_CONNECT_TIMEOUT_S = 10.0
_UPLOAD_TIMEOUT_FACTOR = 10
"""The server checks a whole file before it answers, so an upload is given more time."""

_RETRY_PAUSES_S = (0.5, 2.0)
_RETRY_STATUSES = frozenset({502, 503, 504})
_PROBLEM_PREFIX = "urn:tongqiao:problem:"
_REQUEST_PREFIX = "urn:tongqiao:request:"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    body: bytes


class ServerClient:
    """Speaks to one linkage server in one member's name.

    Args:
        base_url: ``https://HOST[:PORT]``; plain http for this machine only.
        identity: signs every request.
        timeout_s: how long the server may stay silent.
        ca_file: certificates to trust instead of the well-known authorities.

    Raises:
        ApiError: ``bad-address`` when ``base_url`` is no such address.
    """

    def __init__(
        self,
        base_url: str,
        identity: PrivateIdentity,
        *,
        timeout_s: float = 60,
        ca_file: str | None = None,
    ) -> None:
        try:
            self._address = parse_server_address(base_url)
        except ValueError as error:
            raise ApiError("bad-address", 0, str(error)) from error
        self.identity = identity
        self._timeout_s = timeout_s
        self._verify: bool | str = True if ca_file is None else ca_file
        self._session = requests.Session()
        # Off for every server: it would also read passwords from ~/.netrc into the requests.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        self._proxies = {} if self._address.loopback else get_environ_proxies(self._address.origin)

    def get_json(self, path: str, **params: str | int | None) -> dict[str, Any]:
        """GET an object; parameters that are ``None`` are left out.  Raises: ApiError."""
        query = {name: value for name, value in params.items() if value is not None}
        return _parse_object(self._get(path, query, "application/json"))

    def get_bytes(self, path: str, *, max_bytes: int = _MAX_ANSWER_BYTES) -> bytes:
        """GET a body as it is, at most ``max_bytes`` of it.  Raises: ApiError."""
        return self._get(path, {}, "*/*", max_bytes=max_bytes).body

    def post_json(
        self, path: str, body: Mapping[str, Any], *, is_slow: bool = False
    ) -> dict[str, Any]:
        """POST an object and return the answer, ``{}`` where it is empty.

        Args:
            is_slow: whether the server works for long before it answers.

        Raises:
            ApiError: the server refused, or did not answer.
        """
        return self._send_json("POST", path, body, is_slow=is_slow)

    def post_for_bytes(self, path: str, body: Mapping[str, Any]) -> bytes:
        """POST an object and return the answer's body as it is.  Raises: ApiError."""
        data = json.dumps(body).encode()
        answer = self._send("POST", path, data, content_type="application/json", accept="*/*")
        return answer.body

    def patch_bytes(self, path: str, data: bytes, *, offset: int) -> dict[str, Any]:
        """PATCH bytes at an offset and return the answer.  Raises: ApiError."""
        answer = self._send(
            "PATCH", path, data, {"offset": offset}, content_type="application/octet-stream"
        )
        return _parse_object(answer)

    def put_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT an object and return the answer, ``{}`` where it is empty.  Raises: ApiError."""
        return self._send_json("PUT", path, body)

    def put_bytes(self, path: str, data: bytes) -> dict[str, Any]:
        """PUT a small body and return the answer, ``{}`` where it is empty.  Raises: ApiError."""
        return _parse_object(self._send("PUT", path, data, content_type="application/octet-stream"))

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE and return the answer, ``{}`` where it is empty.  Raises: ApiError."""
        return _parse_object(self._send("DELETE", path, b""))

    def put_file(
        self, path: str, file: Path, *, on_progress: ProgressCallback | None = None
    ) -> dict[str, Any]:
        """PUT a file of any size in constant memory: hashed first, then sent as it is read.

        Raises:
            ApiError: the server refused, or the file changed meanwhile.
            OSError: the file cannot be read.
        """
        with file.open("rb") as source:
            body = _FileBody(source, on_progress)
            return _parse_object(
                self._send(
                    "PUT",
                    path,
                    body,
                    content_type="application/octet-stream",
                    timeout_s=self._timeout_s * _UPLOAD_TIMEOUT_FACTOR,
                )
            )

    def _send_json(
        self, method: str, path: str, body: Mapping[str, Any], *, is_slow: bool = False
    ) -> dict[str, Any]:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        timeout_s = self._timeout_s * _UPLOAD_TIMEOUT_FACTOR if is_slow else None
        answer = self._send(
            method, path, data, content_type="application/json", timeout_s=timeout_s
        )
        return _parse_object(answer)

    def _get(
        self,
        path: str,
        query: Mapping[str, str | int],
        accept: str,
        *,
        max_bytes: int = _MAX_ANSWER_BYTES,
    ) -> _Answer:
        """GET, and try again where that can help: reading twice changes nothing."""
        for pause_s in _RETRY_PAUSES_S:
            try:
                return self._send("GET", path, b"", query, accept=accept, max_bytes=max_bytes)
            except ApiError as error:
                if error.slug not in ("unreachable", "timeout") and (
                    error.status not in _RETRY_STATUSES
                ):
                    raise
            time.sleep(pause_s)
        return self._send("GET", path, b"", query, accept=accept, max_bytes=max_bytes)

    def _send(
        self,
        method: str,
        path: str,
        body: "bytes | _FileBody",
        query: Mapping[str, str | int] | None = None,
        *,
        content_type: str | None = None,
        accept: str = "application/json",
        max_bytes: int = _MAX_ANSWER_BYTES,
        timeout_s: float | None = None,
    ) -> _Answer:
        headers = {
            "Accept": accept,
            # No compression: what arrives is as large as what it unfolds to.
            "Accept-Encoding": "identity",
            "User-Agent": f"tongqiao/{version('tongqiao')}",
        }
        if content_type is not None:
            headers["Content-Type"] = content_type
        # An empty file would be sent in chunks, as of unknown length.
        data = None if len(body) == 0 else body
        prepared = self._prepare(
            requests.Request(
                method, self._address.origin + path, headers=headers, data=data, params=query or {}
            )
        )
        digest = (
            content_digest(body)
            if isinstance(body, bytes)
            else content_digest_of_sha256(body.sha256)
        )
        prepared.headers["Content-Digest"] = digest
        prepared.headers.update(sign_request(self.identity, method, str(prepared.url), digest))
        try:
            with self._session.send(
                prepared,
                allow_redirects=False,
                stream=True,
                timeout=(_CONNECT_TIMEOUT_S, timeout_s or self._timeout_s),
                verify=self._verify,
                proxies=self._proxies,
            ) as response:
                return self._read(response, max_bytes)
        except requests.RequestException as error:
            raise self._unanswered(error, sending_file=isinstance(body, _FileBody)) from error

    def _prepare(self, request: requests.Request) -> requests.PreparedRequest:
        try:
            return self._session.prepare_request(request)
        except requests.RequestException as error:
            raise ApiError(
                "bad-address", 0, "The address after --server is not a proper web address."
            ) from error

    def _read(self, response: requests.Response, max_bytes: int) -> _Answer:
        status = response.status_code
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if 300 <= status < 400:
            raise ApiError(
                "bad-answer",
                status,
                "The server points to another address, which is not followed. "
                "Check the address after --server.",
            )
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                raise ApiError(
                    "bad-answer",
                    status,
                    "The server's answer is larger than it may be. "
                    "Check the address after --server, and tell the operator.",
                )
        answer = _Answer(status, content_type, bytes(body))
        if status >= 400:
            raise _parse_problem(answer, self._address.host)
        return answer

    def _unanswered(self, error: requests.RequestException, *, sending_file: bool) -> ApiError:
        host = self._address.host
        if isinstance(error, requests.exceptions.SSLError) and not _is_cut_off(error):
            return ApiError(
                "untrusted-server",
                0,
                f"The server at {host} could not prove who it is (its TLS certificate is not "
                "trusted). Nothing was sent. Ask the operator for the certificate of the "
                "authority and give it with --ca-file.",
            )
        if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
            return self._unreachable()
        if isinstance(error, requests.exceptions.Timeout):
            return ApiError(
                "timeout",
                0,
                f"The server at {host} did not answer in time. Ask for the status before you "
                "repeat the command: it may have done what you asked.",
            )
        if sending_file and isinstance(error, requests.exceptions.ConnectionError):
            return ApiError(
                "unreachable",
                0,
                f"The connection to the server at {host} broke while the file was being sent. "
                "Check the network, ask for the status, and send the file again.",
            )
        if isinstance(error, requests.exceptions.ConnectionError):
            return self._unreachable()
        return ApiError(
            "bad-answer",
            0,
            f"The server at {host} sent something that is no proper answer. "
            "Check the address after --server.",
        )

    def _unreachable(self) -> ApiError:
        return ApiError(
            "unreachable",
            0,
            f"The server is not reachable at {self._address.host}. Check that the address after "
            "--server is right, that the network is up, and that the server is running.",
        )


def _is_cut_off(error: BaseException) -> bool:
    """Whether a TLS connection just ended, which says nothing about who the server is."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return False


class _FileBody:
    """An open file as the body of a request, with its hash."""

    def __init__(self, source: BinaryIO, on_progress: ProgressCallback | None) -> None:
        digest = hashlib.sha256()
        self._size_bytes = 0
        for chunk in iter(lambda: source.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
            self._size_bytes += len(chunk)
        self.sha256 = digest.digest()
        self._source = source
        self._on_progress = on_progress

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        self._source.seek(0)
        done_bytes = 0
        for chunk in iter(lambda: self._source.read(_CHUNK_BYTES), b""):
            done_bytes += len(chunk)
            if done_bytes > self._size_bytes:
                break
            yield chunk
            if self._on_progress is not None:
                self._on_progress(done_bytes, self._size_bytes)
        if done_bytes != self._size_bytes:
            raise ApiError(
                "bad-answer",
                0,
                "The file changed while it was being sent. Wait until it is complete, and send "
                "it again.",
            )


def _parse_object(answer: _Answer) -> dict[str, Any]:
    if not answer.body and answer.status in (200, 201, 202, 204):
        return {}
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        value = None
    if answer.content_type != "application/json" or not isinstance(value, dict):
        raise ApiError(
            "bad-answer",
            answer.status,
            "What answered is no linkage server, or another version of it. "
            "Check the address after --server.",
        )
    return value


def _parse_problem(answer: _Answer, host: str) -> ApiError:
    """What the server refused, as RFC 9457 puts it; any other answer is described by its status."""
    if answer.content_type == "application/problem+json":
        try:
            problem = json.loads(answer.body)
        except (ValueError, RecursionError):
            problem = None
        if isinstance(problem, dict):
            kind, detail = problem.get("type"), problem.get("detail") or problem.get("title")
            instance = problem.get("instance")
            if isinstance(kind, str) and isinstance(detail, str):
                return ApiError(
                    kind.removeprefix(_PROBLEM_PREFIX),
                    answer.status,
                    detail,
                    instance.removeprefix(_REQUEST_PREFIX) if isinstance(instance, str) else None,
                )
    return ApiError(
        "bad-answer",
        answer.status,
        f"The server at {host} answered with HTTP status {answer.status} and no explanation. "
        + (
            "Try again in a few minutes, then tell the operator."
            if answer.status >= 500
            else "Check the address after --server."
        ),
    )
