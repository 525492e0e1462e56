"""Uploads that break, against a server that keeps what it got and can be told to fail."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from api.client import upload
from api.client.errors import ApiError
from api.client.http import ServerClient
from api.client.upload import Pause, upload_file
from keys.identity import PrivateIdentity, new_identity
from tests.api.loopback_server import Answer, Request, json_answer, problem, running

PATH = "/v1/rounds/r/uploads/jinjiang-civil"
CHUNK = 1000


@dataclass
class FailingServer:
    """Keeps whole chunks of a file that arrives, and fails where a test says so.

    Attributes:
        failures: what to answer instead, request by request; ``None`` for no failure.
        keeps: bytes of a failing piece that are kept nevertheless.
    """

    data: bytearray = field(default_factory=bytearray)
    announced: dict[str, Any] = field(default_factory=dict)
    failures: list[Answer | None] = field(default_factory=list)
    keeps: int = 0
    methods: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        self.methods.append(request.method)
        failure = self.failures.pop(0) if self.failures else None
        if request.method == "PATCH":
            offset = int(request.target.partition("offset=")[2])
            if offset != len(self.data):
                return problem("wrong-offset", 409, "Somewhere else.")
            self.data += request.body if failure is None else request.body[: self.keeps]
        elif failure is None and request.path == f"{PATH}/part":
            self.announced = request.json()
        elif failure is None:
            sha256 = hashlib.sha256(self.data).hexdigest()
            return json_answer({"sha256": sha256, "n_records": 1})
        return failure or json_answer({"offset": len(self.data)})


@pytest.fixture(scope="module")
def identity() -> PrivateIdentity:
    return new_identity("jinjiang-civil", "office")


@pytest.fixture
def server() -> FailingServer:
    return FailingServer()


@pytest.fixture
def client(identity: PrivateIdentity, server: FailingServer) -> Iterator[ServerClient]:
    with running(identity.public, server) as started:
        yield ServerClient(started.url, identity, timeout_s=5)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(upload, "PIECE_BYTES", 3 * CHUNK)
    path = tmp_path / "x.tqe"
    path.write_bytes(bytes(index % 251 for index in range(10 * CHUNK + 7)))
    return path


UNAVAILABLE = problem("unavailable", 503, "Later.")


def test_goes_in_pieces_with_progress(
    client: ServerClient, server: FailingServer, file: Path
) -> None:
    told: list[tuple[int, int]] = []
    receipt = upload_file(
        client, PATH, file, on_progress=lambda done, total: told.append((done, total))
    )
    data = file.read_bytes()
    assert receipt["sha256"] == hashlib.sha256(data).hexdigest()
    assert server.announced == {"sha256": receipt["sha256"], "n_bytes": len(data)}
    assert bytes(server.data) == data
    assert server.methods == ["POST", "PATCH", "PATCH", "PATCH", "PATCH", "POST"]
    assert told == [(at, len(data)) for at in (0, 3000, 6000, 9000, len(data))]


def test_goes_on_where_the_server_stands(
    client: ServerClient, server: FailingServer, file: Path
) -> None:
    server.keeps = CHUNK
    server.failures = [None, None, UNAVAILABLE, None, None, problem("cut-off", 400, "Broken.")]
    pauses: list[Pause] = []
    slept: list[float] = []
    upload_file(client, PATH, file, on_pause=pauses.append, sleep=slept.append)
    assert bytes(server.data) == file.read_bytes()
    assert [pause.offset for pause in pauses] == [3 * CHUNK, 7 * CHUNK]
    # After some progress, the waits begin anew.
    assert slept == [0.5, 0.5]


def test_goes_on_after_the_program_was_started_again(
    client: ServerClient, server: FailingServer, file: Path
) -> None:
    server.data += file.read_bytes()[: 4 * CHUNK]
    told: list[int] = []
    upload_file(client, PATH, file, on_progress=lambda done, _: told.append(done))
    assert bytes(server.data) == file.read_bytes()
    assert told[0] == 4 * CHUNK


def test_a_lost_receipt_is_asked_for_again(
    client: ServerClient, server: FailingServer, file: Path
) -> None:
    server.failures = [None, None, None, None, None, UNAVAILABLE]
    assert upload_file(client, PATH, file, sleep=lambda _: None)["n_records"] == 1


def test_gives_up_after_a_while_and_says_what_is_kept(
    client: ServerClient, server: FailingServer, file: Path
) -> None:
    server.failures = [None, None] + [UNAVAILABLE] * 100
    slept: list[float] = []
    with pytest.raises(ApiError) as caught:
        upload_file(client, PATH, file, sleep=slept.append)
    assert caught.value.slug == "unavailable"
    assert "keeps the 3,000 of 10,007 bytes" in caught.value.detail
    assert sum(slept) > 120
    assert slept == sorted(slept)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_refusal_is_told_at_once(
    client: ServerClient, server: FailingServer, file: Path, after: int
) -> None:
    server.failures = [None] * after + [problem("wrong-secret", 422, "Another secret.")]

    def never(_pause_s: float) -> None:
        raise AssertionError("waiting does not help against a refusal")

    with pytest.raises(ApiError, match="Another secret"):
        upload_file(client, PATH, file, sleep=never)


def test_another_file_than_ours_is_no_success(
    client: ServerClient, server: FailingServer, file: Path
) -> None:
    server.failures = [None] * 5 + [json_answer({"sha256": "0" * 64})]
    with pytest.raises(ApiError, match="another file"):
        upload_file(client, PATH, file)


@pytest.mark.parametrize("offset", [-1, 10**9, "3", None, 1.5])
def test_an_offset_that_makes_no_sense(
    client: ServerClient, server: FailingServer, file: Path, offset: Any
) -> None:
    server.failures = [json_answer({"offset": offset})]
    with pytest.raises(ApiError, match="makes no sense"):
        upload_file(client, PATH, file)
