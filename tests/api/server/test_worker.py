"""The worker: leases, death, failure, retention."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import api.server.worker as worker_module
from api.server.services.jobs import (
    JobProgress,
    LeaseLostError,
    claim_job,
    extend_lease,
    finish_job,
)
from api.server.services.work import own_caller
from api.server.worker import Worker
from linkage.pipeline import match_datasets
from linkage.progress import MatchProgress
from tests.factories import ROLES, ROUND, children, encoded_file
from tests.simulator import OpenRound, SimulatedServer, granted, refused, simulated_server

OFFICE = "jinjiang-civil"
Progress = Callable[[str, int, int], None]


@pytest.fixture
def party(server: SimulatedServer) -> OpenRound:
    running = server.open_round()
    running.everybody_uploads()
    granted(running.first.takes_step(ROUND, "freeze"))
    granted(running.first.takes_step(ROUND, "run"))
    return running


def actions(server: SimulatedServer, role: str = "worker") -> list[str]:
    return [entry["action"] for entry in server.log() if entry["role"] == role]


def round_row(server: SimulatedServer) -> dict[str, Any]:
    (row,) = server.rows("rounds")
    return row


def links_of(server: SimulatedServer) -> set[tuple[str, ...]]:
    sides = ("office_a", "record_a", "office_b", "record_b")
    return {tuple(row[side] for side in sides) for row in server.rows("links")}


def test_does_what_waits_and_stops(server: SimulatedServer, party: OpenRound) -> None:
    server.worker().run(once=True)
    assert round_row(server)["state"] == "review"
    assert actions(server) == [
        "worker:start",
        "job:start",
        "job:finish",
        "round:review",
        "worker:stop",
    ]


def test_tells_how_far_it_is(
    server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []

    def watched(
        *arguments: Any, on_progress: Callable[[MatchProgress], None], **options: Any
    ) -> Any:
        def told(now: MatchProgress) -> None:
            stages.append(now.stage)
            on_progress(now)

        return match_datasets(*arguments, on_progress=told, **options)

    monkeypatch.setattr(worker_module, "match_datasets", watched)
    assert granted(party.first.reads_round(ROUND))["progress"]["stage"] == "queued"
    server.worker().work_once()
    assert stages
    progress = granted(party.first.reads_round(ROUND))["progress"]
    assert progress["n_pairs"] > progress["n_candidates"] >= 70
    del progress["n_pairs"], progress["n_candidates"]
    # How many links there are stands in the review alone, which leaves out small numbers.
    assert progress == {
        "stage": "done",
        "done": 1,
        "total": 1,
        "pairs_per_s": None,
        "seconds_left": None,
    }


def test_an_office_sees_how_far_it_is_but_not_how_much_alike_registers_are(
    server: SimulatedServer, party: OpenRound
) -> None:
    job = claim_job(server.installation, own_caller("worker"))
    assert job is not None
    extend_lease(server.installation, job, JobProgress("compare", 500, 1000, 500, 40, 25.0, 20.0))
    for_operators = granted(party.first.reads_round(ROUND))["progress"]
    assert for_operators == {
        "stage": "compare",
        "done": 500,
        "total": 1000,
        "n_pairs": 500,
        "n_candidates": 40,
        "pairs_per_s": 25.0,
        "seconds_left": 20.0,
    }
    hidden = dict.fromkeys(("n_pairs", "n_candidates", "pairs_per_s"))
    assert granted(party.office(OFFICE).reads_round(ROUND))["progress"] == for_operators | hidden
    extend_lease(server.installation, job, JobProgress("compare", 500, 1000, 500, 4))
    assert granted(party.first.reads_round(ROUND))["progress"]["n_candidates"] is None


def test_progress_is_written_once_a_period_however_often_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[JobProgress | None] = []

    def watched(installation: Any, job: Any, progress: JobProgress | None) -> None:
        written.append(progress)
        extend_lease(installation, job, progress)

    with simulated_server(tmp_path, settings="progress_s = 0.05\n") as server:
        party = server.open_round()
        party.everybody_uploads()
        for action in ("freeze", "run"):
            granted(party.first.takes_step(ROUND, action))

        def telling(*arguments: Any, on_progress: Any, **options: Any) -> Any:
            done = 0
            while len(written) < 3:
                for _ in range(1000):
                    done += 1
                    on_progress(MatchProgress("compare", done, 10**9, done))
                threading.Event().wait(0.01)
            assert done >= 3000
            return match_datasets(*arguments, on_progress=on_progress, **options)

        monkeypatch.setattr(worker_module, "extend_lease", watched)
        monkeypatch.setattr(worker_module, "match_datasets", telling)
        assert server.worker().work_once()
    assert 3 <= len(written) < 100


def test_progress_reaches_those_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_server(tmp_path, settings="progress_s = 0.05\n") as server:
        party = server.open_round()
        party.everybody_uploads()
        for action in ("freeze", "run"):
            granted(party.first.takes_step(ROUND, action))
        at_work, go_on = threading.Event(), threading.Event()

        def slow(*arguments: Any, on_progress: Any, **options: Any) -> Any:
            on_progress(MatchProgress("compare", 3, 10))
            at_work.set()
            assert go_on.wait(20)
            return match_datasets(*arguments, on_progress=on_progress, **options)

        monkeypatch.setattr(worker_module, "match_datasets", slow)
        thread = threading.Thread(target=server.worker().work_once)
        thread.start()
        assert at_work.wait(20)
        for _ in range(100):
            progress = granted(party.first.reads_round(ROUND))["progress"]
            if progress["stage"] == "compare":
                break
            threading.Event().wait(0.05)
        go_on.set()
        thread.join(20)
        assert (progress["stage"], progress["done"], progress["total"]) == ("compare", 3, 10)


class TestLease:
    def test_a_round_belongs_to_one_worker(self, server: SimulatedServer, party: OpenRound) -> None:
        assert claim_job(server.installation, own_caller("worker")) is not None
        assert claim_job(server.installation, own_caller("worker")) is None
        assert not server.worker().work_once()

    def test_a_dead_workers_round_is_taken_up_with_the_same_links(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        dead = claim_job(server.installation, own_caller("worker"))
        assert dead is not None
        server.clock.advance(seconds=61)
        assert server.worker().work_once()
        assert actions(server) == ["job:start", "job:resume", "job:finish", "round:review"]
        links, hash_ = links_of(server), round_row(server)["links_sha256"]
        assert len(links) == 70

        # The one thought dead wakes up and wants to write: nothing of it is taken.
        datasets = [_open(server, office) for office in ROLES]
        with pytest.raises(LeaseLostError):
            finish_job(
                server.installation, own_caller("worker"), dead, datasets, match_datasets(datasets)
            )
        with pytest.raises(LeaseLostError):
            extend_lease(server.installation, dead, None)
        assert links_of(server) == links
        assert round_row(server)["links_sha256"] == hash_

    def test_a_living_workers_round_is_not_taken(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        job = claim_job(server.installation, own_caller("worker"))
        assert job is not None
        for _ in range(3):
            server.clock.advance(seconds=50)
            extend_lease(server.installation, job, JobProgress("compare", 1, 2))
            assert not server.worker().work_once()

    def test_a_round_whose_workers_keep_dying_fails(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        for _ in range(3):
            assert claim_job(server.installation, own_caller("worker")) is not None
            server.clock.advance(seconds=61)
        assert not server.worker().work_once()
        answer = granted(party.first.reads_round(ROUND))
        assert answer["state"] == "frozen"
        assert "3 times" in answer["failure"]
        granted(party.first.takes_step(ROUND, "run"))
        assert server.worker().work_once()

    def test_a_worker_that_is_told_to_stop_gives_the_round_back(
        self, server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopping = server.worker()

        def told_to_stop(*arguments: Any, on_progress: Any, **options: Any) -> Any:
            stopping.stop()
            on_progress(MatchProgress("compare", 1, 2))
            raise AssertionError("it went on")

        monkeypatch.setattr(worker_module, "match_datasets", told_to_stop)
        stopping.run()
        row = round_row(server)
        assert (row["state"], row["attempts"]) == ("matching", 0)
        monkeypatch.undo()
        assert server.worker().work_once()
        assert round_row(server)["state"] == "review"

    def test_a_round_cancelled_in_the_middle(
        self, server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cancelled(*arguments: Any, **options: Any) -> Any:
            granted(party.first.takes_step(ROUND, "cancel"))
            return match_datasets(*arguments, **options)

        monkeypatch.setattr(worker_module, "match_datasets", cancelled)
        assert server.worker().work_once()
        assert round_row(server)["state"] == "cancelled"
        assert server.rows("links") == []
        assert server.files() == {}


class TestFailure:
    def test_is_told_and_the_round_can_be_run_again(
        self, server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def faulty(*_: Any, **__: Any) -> Any:
            raise ValueError("锦江区 张三 110101201501010000")

        monkeypatch.setattr(worker_module, "match_datasets", faulty)
        assert server.worker().work_once()
        answer = granted(party.first.reads_round(ROUND))
        assert answer["state"] == "frozen"
        assert "ValueError" in answer["failure"]
        assert "110101" not in answer["failure"]
        assert "110101" not in str(server.log())
        failed = [entry for entry in server.log() if entry["action"] == "job:fail"]
        assert [(entry["outcome"], entry["reason"]) for entry in failed] == [("failed", "internal")]
        monkeypatch.undo()
        granted(party.first.takes_step(ROUND, "run"))
        assert granted(party.first.reads_round(ROUND))["failure"] is None
        assert server.worker().work_once()
        assert len(links_of(server)) == 70

    @pytest.mark.parametrize("how", ["changed", "deleted", "swapped"])
    def test_an_encoding_altered_on_the_server(
        self, server: SimulatedServer, party: OpenRound, how: str, tmp_path: Path
    ) -> None:
        path = server.directory / "encodings" / ROUND / party.files[OFFICE].sha256
        if how == "changed":
            path.write_bytes(path.read_bytes()[:-1] + b"\x55")
        elif how == "deleted":
            path.unlink()
        else:
            path.write_bytes(encoded_file(tmp_path / "other.tqe", children(9)).data)
        assert server.worker().work_once()
        answer = granted(party.first.reads_round(ROUND))
        assert answer["state"] == "frozen"
        assert OFFICE in answer["failure"]
        assert server.rows("links") == []

    def test_nothing_is_half_written(
        self, server: SimulatedServer, party: OpenRound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import api.server.services.jobs as jobs

        def broken(*_: Any, **__: Any) -> Any:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(jobs, "take_step", broken)
        job = claim_job(server.installation, own_caller("worker"))
        assert job is not None
        datasets = [_open(server, office) for office in ROLES]
        with pytest.raises(OSError, match="No space"):
            finish_job(
                server.installation, own_caller("worker"), job, datasets, match_datasets(datasets)
            )
        assert "job:finish" not in actions(server)
        # What was written of them is nobody's: not to be read, and gone when the round is taken up.
        refused(party.office(OFFICE).reads_results(ROUND), "wrong-state")
        monkeypatch.undo()
        server.clock.advance(seconds=61)
        assert server.worker().work_once()
        assert len(server.rows("links")) == 70


class TestRetention:
    def test_a_released_round_expires(self, server: SimulatedServer, party: OpenRound) -> None:
        server.worker().work_once()
        granted(party.second.takes_step(ROUND, "release"))
        hashes = {row["sha256"] for row in server.rows("uploads")}
        server.clock.advance(days=179.9)
        server.worker().run(once=True)
        assert round_row(server)["state"] == "released"
        server.clock.advance(days=0.2)
        server.worker().run(once=True)
        row = round_row(server)
        assert (row["state"], row["review"], row["links_sha256"]) == ("expired", None, None)
        assert server.files() == {}
        assert server.rows("links") == server.rows("uploads") == []
        deleted = [e["details"] for e in server.log() if e["action"] == "data:delete"]
        assert {d["sha256"] for d in deleted if "sha256" in d} == hashes
        assert len([d for d in deleted if "links" in d]) == 1
        assert server.log()[-3]["action"] == "data:delete"
        refused(party.office(OFFICE).reads_results(ROUND), "wrong-state")
        refused(party.second.reads_review(ROUND), "wrong-state")

    def test_what_is_overdue_is_not_given_out_while_the_worker_is_away(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        server.worker().work_once()
        granted(party.second.takes_step(ROUND, "release"))
        office = party.office(OFFICE)
        links = granted(office.reads_results(ROUND))["links"]
        server.clock.advance(days=181)
        refused(office.reads_results(ROUND), "wrong-state")
        refused(office.acknowledges(ROUND, links), "wrong-state")
        refused(party.second.reads_review(ROUND), "wrong-state")
        granted(office.leaves(ROUND))
        server.worker().run(once=True)
        assert round_row(server)["state"] == "expired"

    def test_what_is_overdue_is_not_gone_on_with_while_the_worker_is_away(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        """A release would let it be kept as long again."""
        server.worker().work_once()
        server.clock.advance(days=181)
        refused(party.second.reads_review(ROUND), "wrong-state")
        refused(party.second.takes_step(ROUND, "release"), "wrong-state")
        granted(party.second.takes_step(ROUND, "cancel"))

    def test_an_overdue_round_takes_nothing_more(self, server: SimulatedServer) -> None:
        party = server.open_round()
        office = party.office(OFFICE)
        granted(office.uploads(ROUND, party.files[OFFICE].data))
        server.clock.advance(days=181)
        refused(office.uploads(ROUND, party.files[OFFICE].data), "wrong-state")
        refused(party.first.takes_step(ROUND, "freeze"), "wrong-state")
        granted(office.withdraws(ROUND))

    @pytest.mark.usefixtures("patient")
    def test_what_expired_is_nowhere_on_the_disk(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        server.worker().work_once()
        granted(party.second.takes_step(ROUND, "release"))
        row = server.rows("links")[0]
        traces = [row[side].encode() for side in ("record_a", "record_b", "link_a", "link_b")]

        def found() -> bool:
            files = [path for path in server.directory.rglob("*") if path.is_file()]
            files += server.database_files()
            return any(trace in path.read_bytes() for path in files for trace in traces)

        assert found()
        server.clock.advance(days=181)
        server.worker().run(once=True)
        assert not found()

    @pytest.mark.parametrize("state", ["open", "frozen", "review"])
    def test_a_round_that_nobody_ends_lapses(self, server: SimulatedServer, state: str) -> None:
        party = server.open_round()
        party.everybody_uploads()
        if state != "open":
            granted(party.first.takes_step(ROUND, "freeze"))
        if state == "review":
            granted(party.first.takes_step(ROUND, "run"))
            server.worker().work_once()
        server.clock.advance(days=181)
        server.worker().run(once=True)
        assert round_row(server)["state"] == "cancelled"
        assert server.files() == {}
        assert granted(party.first.reads_round(ROUND))["history"][-1]["by"] == "worker"

    def test_litter_of_interrupted_requests_is_swept(
        self, server: SimulatedServer, party: OpenRound
    ) -> None:
        kept = server.files()
        orphan = server.directory / "encodings" / ROUND / ("0" * 64)
        orphan.write_bytes(b"left by a crash")
        arriving = server.directory / "incoming" / f"{'a' * 32}.part"
        arriving.write_bytes(b"half")
        old = server.directory / "incoming" / f"{'b' * 32}.part"
        old.write_bytes(b"half")
        import os

        now = server.clock().timestamp()
        os.utime(arriving, (now, now))
        os.utime(old, (now - 25 * 3600, now - 25 * 3600))
        Worker(server.installation)._keep_house()
        assert not orphan.exists()
        assert not old.exists()
        assert arriving.exists()
        arriving.unlink()
        assert server.files() == kept


def _open(server: SimulatedServer, office: str) -> Any:
    from linkage.tqe import open_tqe

    (row,) = (row for row in server.rows("uploads") if row["office_id"] == office)
    plain = server.directory.parent / f"{office}-{row['sha256'][:8]}.tqe"
    plain.write_bytes(server.plaintext(ROUND, row["sha256"]))
    return open_tqe(plain, name=office)
