"""Fetching from honest servers, from others, and through interruptions."""

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import api.audit.fetch as fetch_module
from api.audit.errors import DirectoryError, FetchError
from api.audit.fetch import fetch_log
from api.audit.findings import Kind
from api.audit.note import Checkpoint
from api.audit.verify import verify_directory
from tests.api.audit.simulated_log import (
    KEY,
    OTHER_KEY,
    ForgedLog,
    SimulatedLog,
    changed,
    renumber,
)


def who_else(line: bytes) -> bytes:
    return changed(line, lambda value: value.update(actor="somebody-else"))


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def log() -> SimulatedLog:
    return SimulatedLog(20)


@pytest.fixture
def folder(log: SimulatedLog, tmp_path: Path) -> Path:
    """A folder into which the log of 20 entries was fetched."""
    directory = tmp_path / "log"
    fetch_log(log, directory)
    return directory


def test_the_first_fetch_takes_the_key_on_trust_and_says_so(tmp_path: Path) -> None:
    fetched = fetch_log(SimulatedLog(20), tmp_path / "new" / "log")
    assert (fetched.n_new, fetched.pinned) == (20, True)
    assert fetched.verification.is_intact
    assert (tmp_path / "new/log/log.vkey").read_text() == KEY.verifier_key.to_text() + "\n"
    assert stat.S_IMODE((tmp_path / "new/log").stat().st_mode) == 0o700


def test_later_fetches_ask_for_what_is_new_only(log: SimulatedLog, folder: Path) -> None:
    asked: list[int] = []
    honest = log.entries

    def entries(start: int, limit: int) -> list[str]:
        asked.append(start)
        return honest(start, limit)

    log.append(13)
    log.entries = entries  # type: ignore[method-assign]
    fetched = fetch_log(log, folder)
    assert (fetched.n_new, fetched.pinned) == (13, False)
    assert fetched.verification.is_intact
    assert asked == [20]
    assert (folder / "entries.jsonl").read_bytes().splitlines() == SimulatedLog(33).lines()
    assert len(list((folder / "checkpoints").iterdir())) == 2


def test_fetching_again_changes_nothing(log: SimulatedLog, folder: Path) -> None:
    before = content(folder)
    fetched = fetch_log(log, folder)
    assert fetched.n_new == 0
    assert fetched.verification.is_intact
    assert content(folder) == before


def test_an_empty_log_can_be_fetched_and_grows(tmp_path: Path) -> None:
    log = SimulatedLog()
    assert fetch_log(log, tmp_path / "log").verification.is_intact
    log.append(3)
    assert fetch_log(log, tmp_path / "log").verification.size == 3


def test_long_logs_come_in_pages(
    log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "PAGE_ENTRIES", 7)
    progress: list[tuple[int, int]] = []
    fetched = fetch_log(log, tmp_path / "log", lambda done, total: progress.append((done, total)))
    assert fetched.verification.is_intact
    assert progress == [(7, 20), (14, 20), (20, 20)]


def test_a_key_put_there_beforehand_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "log.vkey").write_text(KEY.verifier_key.to_text() + "\n")
    assert not fetch_log(SimulatedLog(2), tmp_path).pinned
    other = tmp_path / "other"
    other.mkdir()
    (other / "log.vkey").write_text(OTHER_KEY.verifier_key.to_text() + "\n")
    with pytest.raises(FetchError, match="another key"):
        fetch_log(SimulatedLog(2), other)


def test_a_key_given_is_the_one_that_counts(tmp_path: Path) -> None:
    log = SimulatedLog(2)
    assert not fetch_log(log, tmp_path / "log", expected_key=KEY.verifier_key).pinned
    assert (tmp_path / "log" / "log.vkey").exists()
    with pytest.raises(FetchError, match="another key"):
        fetch_log(log, tmp_path / "other", expected_key=OTHER_KEY.verifier_key)
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(DirectoryError, match=r"not the one in log\.vkey"):
        fetch_log(log, tmp_path / "log", expected_key=OTHER_KEY.verifier_key)


def assert_refused(source: Any, folder: Path, words: str) -> None:
    """The fetch fails, and everything that was in the folder is as it was."""
    before = content(folder)
    with pytest.raises(FetchError, match=words):
        fetch_log(source, folder)
    after = content(folder)
    assert {name: after.get(name) for name in before} == before


def lines_of(n_entries: int) -> list[bytes]:
    return SimulatedLog(n_entries).lines()


def test_another_key_is_refused(folder: Path) -> None:
    assert_refused(ForgedLog(lines_of(25), named_key=OTHER_KEY, key=OTHER_KEY), folder, "another")
    # Also if the server goes on naming the old one.
    assert_refused(ForgedLog(lines_of(25), key=OTHER_KEY), folder, "not signed by the key")
    assert verify_directory(folder).is_intact


def test_a_wrong_signature_is_refused(folder: Path) -> None:
    source = ForgedLog(lines_of(25))
    note = source.checkpoint().replace(b"\n25\n", b"\n26\n")
    source.checkpoint = lambda: note  # type: ignore[method-assign]
    assert_refused(source, folder, "does not fit its text")
    source.checkpoint = lambda: b"\x00"  # type: ignore[method-assign]
    assert_refused(source, folder, "malformed")
    assert verify_directory(folder).is_intact


def test_a_log_that_became_shorter_is_refused(folder: Path) -> None:
    assert_refused(ForgedLog(lines_of(15)), folder, "cut off")
    assert verify_directory(folder).is_intact


@pytest.mark.parametrize("n_entries", [12, 20])
def test_another_history_of_the_same_entries_is_kept_as_evidence(
    folder: Path, n_entries: int
) -> None:
    lines = lines_of(n_entries)
    forged = [*lines[:4], who_else(lines[4]), *lines[5:]]
    assert_refused(ForgedLog(forged), folder, "two histories")
    assert {finding.kind for finding in verify_directory(folder).findings} == {Kind.HISTORY_FORKED}
    # What was found stays found, whatever the server says afterwards.
    with pytest.raises(DirectoryError, match="does not verify"):
        fetch_log(SimulatedLog(30), folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: [*x[:4], who_else(x[4]), *x[5:]], "Entry 4 was changed"),
        (lambda x: renumber([*x[:4], *x[5:]]), "Entry 4 was removed"),
        (lambda x: renumber([*x[:4], x[2], *x[4:]]), "Line 5 was inserted"),
        (lambda x: renumber([*x[:4], x[5], x[4], *x[6:]]), "Entry 5 was moved"),
    ],
)
def test_a_rewritten_and_signed_history_is_told_apart(
    folder: Path, change: Any, words: str
) -> None:
    assert_refused(ForgedLog(change(lines_of(28))), folder, f"changed its history.*{words}")
    found = verify_directory(folder)
    assert {finding.kind for finding in found.findings} == {Kind.FETCH_REFUSED}
    (evidence,) = (folder / "refused").iterdir()
    assert {path.name for path in evidence.iterdir()} == {
        "checkpoint",
        "entries.jsonl",
        "log.vkey",
    }


def test_entries_that_are_not_those_signed_are_told_apart(folder: Path) -> None:
    signed = lines_of(28)
    sent = [*signed[:4], who_else(signed[4]), *signed[5:24], who_else(signed[24]), *signed[25:]]
    assert_refused(ForgedLog(sent, signed), folder, "other entries.*Entry 4 was changed")


def test_new_entries_that_are_not_those_signed_are_refused(folder: Path) -> None:
    signed = lines_of(28)
    sent = [*signed[:24], who_else(signed[24]), *signed[25:]]
    assert_refused(ForgedLog(sent, signed), folder, "do not lead to the root")


def test_a_first_fetch_of_what_does_not_fit_leaves_no_log(tmp_path: Path) -> None:
    signed = lines_of(8)
    with pytest.raises(FetchError):
        fetch_log(ForgedLog([who_else(signed[0]), *signed[1:]], signed), tmp_path / "log")
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["refused"]


@pytest.mark.parametrize("sent", [[], ["x"] * 9, ["a\nb"], ["x" * 9000]])
def test_what_cannot_be_entries_is_refused(folder: Path, sent: Sequence[str]) -> None:
    source = ForgedLog(lines_of(28))
    source.entries = lambda start, limit: list(sent)  # type: ignore[method-assign]
    assert_refused(source, folder, "Nothing was fetched")
    assert verify_directory(folder).is_intact


def test_a_folder_that_was_tampered_with_is_left_alone(log: SimulatedLog, folder: Path) -> None:
    path = folder / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b"xuyong", b"jianyang"))
    log.append(3)
    before = content(folder)
    with pytest.raises(DirectoryError, match="does not verify"):
        fetch_log(log, folder)
    assert content(folder) == before


@pytest.mark.parametrize("name", ["verified.json", "log.vkey"])
def test_damaged_notes_of_the_last_fetch_are_not_overwritten(
    log: SimulatedLog, folder: Path, name: str
) -> None:
    (folder / name).write_bytes(b"x")
    with pytest.raises(DirectoryError, match="new folder"):
        fetch_log(log, folder)
    assert (folder / name).read_bytes() == b"x"


def test_a_log_without_its_notes_is_not_taken_for_a_new_folder(
    log: SimulatedLog, folder: Path
) -> None:
    (folder / "verified.json").unlink()
    with pytest.raises(DirectoryError, match="missing"):
        fetch_log(log, folder)


class Interrupted(BaseException):
    """Stands for a power cut."""


@pytest.mark.parametrize("first", [True, False])
def test_an_interruption_at_any_step_is_made_good_by_the_next_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Stops before, and in the middle of, each write in turn."""
    log = SimulatedLog(20)
    start = tmp_path / "start"
    start.mkdir()
    if not first:
        fetch_log(log, start)
        log.append(7)
    honest_replace, honest_append = fetch_module._replace, fetch_module._append
    for stop_at in range(20):
        folder = tmp_path / str(stop_at)
        shutil.copytree(start, folder)
        n_writes = 0

        def replace(path: Path, data: bytes, stop: int = stop_at) -> None:
            nonlocal n_writes
            if n_writes == stop:
                raise Interrupted
            n_writes += 1
            honest_replace(path, data)

        def append(path: Path, pieces: Any, stop: int = stop_at) -> None:
            nonlocal n_writes
            if n_writes == stop:
                whole = b"".join(pieces)
                honest_append(path, [whole[: len(whole) // 2]])
                raise Interrupted
            n_writes += 1
            honest_append(path, pieces)

        monkeypatch.setattr(fetch_module, "_replace", replace)
        monkeypatch.setattr(fetch_module, "_append", append)
        try:
            fetch_log(log, folder)
        except Interrupted:
            interrupted = True
        else:
            interrupted = False
        monkeypatch.undo()
        fetched = fetch_log(log, folder)
        assert fetched.verification.is_intact, stop_at
        assert (folder / "entries.jsonl").read_bytes().splitlines() == log.lines()
        if not interrupted:
            break
    assert stop_at > 5
    assert not interrupted


def test_an_interrupted_fetch_is_told_as_such(log: SimulatedLog, folder: Path) -> None:
    (folder / "fetching").write_bytes(b"")
    (finding,) = verify_directory(folder).findings
    assert finding.kind is Kind.FETCH_INTERRUPTED
    assert fetch_log(log, folder).verification.is_intact


def test_a_planted_interruption_cannot_hide_tampering(log: SimulatedLog, folder: Path) -> None:
    path = folder / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b"xuyong", b"jianyang"))
    (folder / "fetching").write_bytes(b"")
    with pytest.raises(DirectoryError, match="does not verify"):
        fetch_log(log, folder)


def test_a_checkpoint_signed_once_more_by_a_witness_is_kept_too(
    log: SimulatedLog, folder: Path
) -> None:
    note = log.checkpoint() + "\u2014 witness.example AAAAAAAA\n".encode()
    log.checkpoint = lambda: note  # type: ignore[method-assign]
    fetched = fetch_log(log, folder)
    assert fetched.verification.is_intact
    assert (folder / "checkpoint").read_bytes() == note
    assert len(list((folder / "checkpoints").iterdir())) == 2


def test_a_checkpoint_over_nothing_after_entries_were_seen_is_refused(folder: Path) -> None:
    source = ForgedLog([])
    note = KEY.sign(Checkpoint(KEY.origin, 0, bytes(32))).encode()
    source.checkpoint = lambda: note  # type: ignore[method-assign]
    assert_refused(source, folder, "two histories")
