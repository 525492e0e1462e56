"""Witnesses sign what continues, and keep what does not."""

from pathlib import Path

import pytest

from api.audit.cosignature import find_cosignatures
from api.audit.errors import DirectoryError, FetchError
from api.audit.fetch import fetch_log
from api.audit.findings import Kind
from api.audit.note import open_checkpoint, parse_note
from api.audit.verify import verify_directory
from api.audit.witness import WITNESSED, Witnessed, witness_log
from tests.api.audit.simulated_log import (
    KEY,
    OTHER_KEY,
    WITNESS_IDENTITY,
    ForgedLog,
    SimulatedLog,
    changed,
    signed_note,
)

NOW = 1_790_000_000


def witness(log: SimulatedLog | ForgedLog, directory: Path) -> Witnessed:
    return witness_log(log, directory, WITNESS_IDENTITY, NOW)


def who_else(line: bytes) -> bytes:
    return changed(line, lambda value: value.update(actor="somebody-else"))


def test_a_witness_follows_a_log_that_grows(tmp_path: Path) -> None:
    log = SimulatedLog(5)
    first = witness(log, tmp_path)
    assert (first.previous_size, first.checkpoint.size, first.pinned) == (0, 5, True)
    log.append(300)
    second = witness(log, tmp_path)
    assert (second.previous_size, second.checkpoint.size, second.pinned) == (5, 305, False)
    again = witness(log, tmp_path)
    assert again.previous_size == again.checkpoint.size == 305
    notes = log.cosigned(0)
    assert [open_checkpoint(note, KEY.verifier_key).size for note in notes] == [5, 305]
    (found,) = find_cosignatures(parse_note(notes[1]), [second.key])
    assert found.time == NOW
    assert (tmp_path / WITNESSED).read_bytes() == notes[1]


def test_a_history_that_was_changed_is_not_signed_and_kept(tmp_path: Path) -> None:
    log = SimulatedLog(20)
    witness(log, tmp_path)
    log.append(10)
    lines = log.lines()
    forged = ForgedLog([*lines[:7], who_else(lines[7]), *lines[8:]])
    with pytest.raises(FetchError, match="another history"):
        witness(forged, tmp_path)
    (kept,) = (tmp_path / "refused").iterdir()
    assert kept.read_bytes() == forged.checkpoint()
    # The evidence does not make the witness forget what it signed.
    assert witness(log, tmp_path).previous_size == 20


def test_a_log_that_was_cut_or_set_back_is_not_signed(tmp_path: Path) -> None:
    log = SimulatedLog(20)
    witness(log, tmp_path)
    with pytest.raises(FetchError, match="cut off"):
        witness(ForgedLog(log.lines()[:19]), tmp_path)
    fork = [*log.lines()[:19], who_else(log.lines()[19])]
    with pytest.raises(FetchError, match="another history"):
        witness(ForgedLog(fork), tmp_path)


def test_another_key_is_not_signed_for(tmp_path: Path) -> None:
    log = SimulatedLog(3)
    witness(log, tmp_path)
    with pytest.raises(FetchError, match="another key"):
        witness(ForgedLog(log.lines(), key=OTHER_KEY, named_key=OTHER_KEY), tmp_path)
    with pytest.raises(FetchError, match="key of its log"):
        witness(ForgedLog(log.lines(), key=OTHER_KEY), tmp_path)
    with pytest.raises(DirectoryError, match="not the one in"):
        witness_log(log, tmp_path, WITNESS_IDENTITY, NOW, expected_key=OTHER_KEY.verifier_key)


def test_a_witness_whose_memory_was_changed_stops(tmp_path: Path) -> None:
    log = SimulatedLog(3)
    witness(log, tmp_path)
    (tmp_path / WITNESSED).write_bytes(signed_note(log.lines(), OTHER_KEY))
    with pytest.raises(DirectoryError, match="was changed"):
        witness(log, tmp_path)


def test_an_auditor_signs_only_what_continues_what_it_fetched(tmp_path: Path) -> None:
    log = SimulatedLog(9)
    fetch_log(log, tmp_path)
    other = SimulatedLog(9)
    lines = other.lines()
    with pytest.raises(FetchError, match="another history"):
        witness(ForgedLog([*lines[:8], who_else(lines[8])]), tmp_path)


class TestFetching:
    def test_cosigned_checkpoints_come_along_and_are_told(self, tmp_path: Path) -> None:
        log = SimulatedLog(9)
        key = witness(log, tmp_path / "witness").key
        log.append(5)
        fetched = fetch_log(log, tmp_path / "log", witnesses=[key])
        assert fetched.verification.is_intact
        assert fetched.verification.witnessed == ((key.name, 9, NOW),)
        log.append(1)
        witness(log, tmp_path / "witness")
        log.append(1)
        assert fetch_log(log, tmp_path / "log").verification.witnessed == ((key.name, 15, NOW),)

    def test_a_forged_cosignature_is_told(self, tmp_path: Path) -> None:
        log = SimulatedLog(9)
        key = witness(log, tmp_path / "witness").key
        fetch_log(log, tmp_path / "log", witnesses=[key])
        for path in (tmp_path / "log/checkpoints").iterdir():
            data = path.read_bytes()
            if key.name.encode() in data:
                at = data.rindex(b" ") + 20
                flipped = b"B" if data[at : at + 1] == b"A" else b"A"
                path.write_bytes(data[:at] + flipped + data[at + 1 :])
        kinds = {found.kind for found in verify_directory(tmp_path / "log").findings}
        assert Kind.COSIGNATURE in kinds

    def test_what_witnesses_signed_must_be_this_history(self, tmp_path: Path) -> None:
        log = SimulatedLog(9)
        lines = log.lines()
        forged = ForgedLog(lines)
        forged.cosigned_checkpoints = [signed_note([*lines[:4], who_else(lines[4])])]
        with pytest.raises(FetchError, match="two histories"):
            fetch_log(forged, tmp_path / "log")
        assert any((tmp_path / "log/refused").iterdir())

    def test_a_changed_list_of_witnesses_is_told(self, tmp_path: Path) -> None:
        log = SimulatedLog(9)
        key = witness(log, tmp_path / "witness").key
        fetch_log(log, tmp_path / "log", witnesses=[key])
        path = tmp_path / "log/witnesses"
        assert path.read_text() == key.to_text() + "\n"
        path.write_text(key.to_text()[:-8] + "\n")
        kinds = {found.kind for found in verify_directory(tmp_path / "log").findings}
        assert kinds == {Kind.COSIGNATURE}
