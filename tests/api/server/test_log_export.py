"""The server's exports verify by the log's key alone, and each is an entry."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

import api.server.services.log_export as log_export
from api.audit.entry_filter import EntryFilter
from api.audit.errors import ExportError
from api.audit.export_check import verify_export
from api.audit.export_manifest import ExportManifest, manifest_path
from api.audit.folder_export import export_from_server
from api.audit.server_log import ServerLog
from tests.factories import ROUND
from tests.simulator import Auditor, SimulatedServer, granted, refused


@pytest.fixture
def he(server: SimulatedServer) -> Auditor:
    """An auditor of a server with a round, and something refused."""
    party = server.open_round()
    refused(party.office("jinjiang-civil").gets("/v1/log/entries"), "forbidden")
    return party.auditor


def unpack(data: bytes, folder: Path, form: str) -> Path:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"log.{form}", f"log.{form}.manifest"]
        archive.extractall(folder)
    return folder / f"log.{form}"


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_an_export_verifies_alone(
    server: SimulatedServer, he: Auditor, tmp_path: Path, form: str
) -> None:
    key = server.installation.log_key.verifier_key
    size = server.log_size()
    entries = server.log()
    times = {"since": entries[5]["time"]}
    bodies: list[tuple[dict[str, Any], str]] = [
        ({}, "times"),
        ({"office": "jinjiang-civil"}, "signature"),
        ({"outcome": "refused", "round": ROUND}, "signature"),
        (times, "times"),
        ({"last": 3}, "times"),
    ]
    for number, (body, completeness) in enumerate(bodies):
        answer = granted(he.posts("/v1/log/exports", {"form": form, **body}))
        (entry,) = answer.entries
        assert (entry["action"], entry["actor"]) == ("log:export", "he")
        assert entry["details"]["form"] == form
        folder = tmp_path / str(number)
        path = unpack(answer.body, folder, form)
        found = verify_export(path, manifest_path(path), key)
        assert (found.faults, found.is_same_file) == ((), True)
        assert found.completeness == completeness
        # The export's own entry is the last that it is over.
        assert found.checkpoint.size == size + number + 1
        wanted = EntryFilter(**{k: v for k, v in body.items() if k != "last"})
        claimed = ExportManifest.parse(manifest_path(path).read_bytes())
        assert claimed.wanted == wanted


def test_too_many_for_one_export_are_refused(
    server: SimulatedServer, he: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_export, "MAX_EXPORT_ENTRIES", 5)
    refused(he.posts("/v1/log/exports", {"form": "csv"}), "too-large")
    granted(he.posts("/v1/log/exports", {"form": "csv", "last": 5}))
    refused(he.posts("/v1/log/exports", {"form": "pdf"}), "invalid")
    refused(he.posts("/v1/log/exports", {}), "invalid")


class Asking:
    """Stands for the HTTP client: asks the simulated server."""

    def __init__(self, he: Auditor) -> None:
        self._he = he
        self.alter = False

    def get_json(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._he.server.stranger().gets(path).json
        return answer

    def post_for_bytes(self, path: str, body: dict[str, Any]) -> bytes:
        if self.alter:
            body = {**body, "outcome": "failed"}
        return granted(self._he.posts(path, body)).body


def test_the_command_line_keeps_only_what_verifies(
    server: SimulatedServer, he: Auditor, tmp_path: Path
) -> None:
    asking = Asking(he)
    log = ServerLog(asking)  # type: ignore[arg-type]
    folder = tmp_path / "exports"
    folder.mkdir()
    path = folder / "refused.csv"
    wanted = EntryFilter(outcome="refused")
    assert export_from_server(log, wanted, None, path, "csv") == 1
    assert manifest_path(path).is_file()
    with pytest.raises(FileExistsError):
        export_from_server(log, wanted, None, path, "csv")
    asking.alter = True
    with pytest.raises(ExportError):
        export_from_server(log, wanted, None, folder / "other.csv", "csv")
    assert {one.name for one in folder.iterdir()} == {"refused.csv", "refused.csv.manifest"}
