"""What goes wrong around the server: a full disk, a database that goes away, bad input in bulk."""

import json
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from api.client.errors import ApiError
from api.server.services.database import is_busy
from benchmarks.server_fuzz import fuzz
from benchmarks.server_outage import measure_outage
from benchmarks.server_setup import Processes, encoded_shares, new_server, open_round
from tests import postgresql
from tests.factories import ROUND
from tests.simulator import BASE_URL, SimulatedServer, granted

OFFICES = ("office-a", "office-b", "office-c")


def serving_process(processes: Processes) -> int:
    """Gunicorn's child, which answers."""
    parent = processes.running["server"].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(children[0])


@pytest.mark.process
def test_a_full_disk(tmp_path: Path) -> None:
    """No room for more: a clear error, what was there stays, and it goes on once there is room."""
    directory = new_server(tmp_path, OFFICES)
    files = encoded_shares(tmp_path, ROUND, OFFICES, 400)
    processes = Processes(directory)
    processes.start("server")
    try:
        open_round(processes, ROUND, OFFICES, 1000)
        first, second = (f"/v1/rounds/{ROUND}/uploads/{office}" for office in OFFICES[:2])
        processes.client("office-a").put_file(first, files["office-a"])
        # The process can write no file beyond this size, as on a disk without room.
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        process_id = serving_process(processes)
        # The log of the requests so far is smaller, and stays whole.
        room = (16 * 1024, resource.RLIM_INFINITY)
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, room)
        with pytest.raises(ApiError) as refusal:
            processes.client("office-b").put_file(second, files["office-b"])
        assert refusal.value.slug == "unavailable"
        assert "Try again" in str(refusal.value)
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, unlimited)
        assert processes.client("office-a").get_json(first)["n_records"] == 400
        answer = processes.client("office-b").put_file(second, files["office-b"])
        assert answer["n_records"] == 400
        assert list((directory / "incoming").iterdir()) == []
    finally:
        processes.stop()
    text = (tmp_path / "server.log").read_text()
    assert "Traceback" not in text
    assert all(json.loads(line)["message"] for line in text.splitlines())


def test_a_database_that_goes_away(server: SimulatedServer) -> None:
    """PostgreSQL closes every connection and takes no new one; then it is back."""
    config = server.installation.config
    if config.database == "sqlite":
        pytest.skip("a file does not go away; a locked one is in test_problems.py")
    party = server.open_round()
    headers = [party.first.signs_request("GET", "/v1/members") for _ in range(2)]
    name = str(config.database_url.database)

    def ask(path: str, signed: dict[str, str]) -> Any:
        return server.client.get(path, base_url=BASE_URL, headers=signed)

    postgresql.go_away(name)
    for path in ("/v1/members", "/ready"):
        answer = ask(path, headers[0])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert answer.get_json()["type"] == "urn:tongqiao:problem:unavailable"
    assert ask("/health", {}).status_code == 200
    with pytest.raises(DBAPIError) as error:
        server.worker().work_once()
    assert is_busy(error.value)
    postgresql.come_back(name)
    assert ask("/v1/members", headers[1]).status_code == 200
    assert ask("/ready", {}).status_code == 200


def test_a_worker_waits_for_a_database_that_went_away(server: SimulatedServer) -> None:
    config = server.installation.config
    if config.database == "sqlite":
        pytest.skip("a file does not go away")
    party = server.open_round()
    party.everybody_uploads()
    granted(party.first.takes_step(ROUND, "freeze"))
    name = str(config.database_url.database)
    worker = server.worker()
    thread = threading.Thread(target=worker.run)
    thread.start()
    time.sleep(0.3)
    postgresql.go_away(name)
    time.sleep(1.5)
    postgresql.come_back(name)
    granted(party.first.takes_step(ROUND, "run"))
    deadline = time.monotonic() + 60
    while server.rows("rounds")[0]["state"] != "review" and time.monotonic() < deadline:
        time.sleep(0.1)
    worker.stop()
    thread.join()
    assert server.rows("rounds")[0]["state"] == "review"


@pytest.mark.process
def test_a_database_that_is_locked_for_a_while(tmp_path: Path) -> None:
    """A short run of ``benchmarks/server.py --part outage``, which takes it away for 30 s."""
    found = measure_outage(tmp_path, 2.0)
    assert found["round"] == "review"


@pytest.mark.process
def test_bad_input_in_bulk(tmp_path: Path) -> None:
    """A short run of ``benchmarks/server.py --part fuzz``, which checks that nothing changes."""
    found = fuzz(tmp_path, 150)
    assert sum(found["statuses"].values()) == 150
    assert not any(int(status) >= 500 for status in found["statuses"])
