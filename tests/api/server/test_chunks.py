"""Chunks of a round: kept while it is matched, found by the next worker, gone afterwards."""

from pathlib import Path
from typing import Any

import pytest

import api.server.worker as worker_module
from api.server.services.chunks import ChunkFolders, sweep_chunks
from api.server.services.work import own_caller
from linkage.matching.chunk_store import ChunkStore
from linkage.pipeline import match_datasets
from linkage.progress import MatchProgress
from tests.factories import ROUND
from tests.simulator import OpenRound, SimulatedServer, granted


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    running = server.open_round()
    running.everybody_uploads()
    granted(running.first.takes_step(ROUND, "freeze"))
    granted(running.first.takes_step(ROUND, "run"))
    return running


def chunks_of(server: SimulatedServer) -> list[Path]:
    return sorted(server.installation.config.chunks_directory.glob("*/*/*.json"))


@pytest.mark.usefixtures("party")
def test_the_next_worker_goes_on_from_finished_chunks(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = server.worker()

    def stop_in_the_middle(*arguments: Any, on_progress: Any, **options: Any) -> Any:
        def told(now: MatchProgress) -> None:
            if now.stage == "compare" and chunks_of(server):
                stopped.stop()
            on_progress(now)

        return match_datasets(*arguments, on_progress=told, **options)

    monkeypatch.setattr(worker_module, "match_datasets", stop_in_the_middle)
    stopped.run()
    monkeypatch.undo()
    finished = chunks_of(server)
    assert len(finished) == 1

    written = []
    put = ChunkStore.put

    def watched(self: ChunkStore, name: str, *arguments: Any) -> Any:
        written.append(name)
        return put(self, name, *arguments)

    monkeypatch.setattr(ChunkStore, "put", watched)
    assert server.worker().work_once()
    (row,) = server.rows("rounds")
    assert row["state"] == "review"
    assert written
    assert finished[0].stem not in written
    assert not server.installation.chunks.round_ids()


@pytest.mark.usefixtures("party")
def test_chunks_of_a_round_that_is_not_being_matched_are_swept(
    server: SimulatedServer, party: OpenRound
) -> None:
    folder = server.installation.chunks.folder(ROUND)
    folder.mkdir(parents=True)
    server.installation.chunks.folder("2020-h1").mkdir()
    assert sweep_chunks(server.installation, own_caller("worker")) == 1
    assert server.installation.chunks.round_ids() == [ROUND]
    granted(party.first.takes_step(ROUND, "cancel"))
    assert sweep_chunks(server.installation, own_caller("worker")) == 1
    assert not folder.exists()


def test_nothing_to_sweep_where_nothing_was(tmp_path: Path) -> None:
    assert ChunkFolders(tmp_path / "chunks").round_ids() == []
    ChunkFolders(tmp_path / "chunks").delete("2026-h2")
