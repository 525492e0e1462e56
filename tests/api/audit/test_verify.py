"""Attacks on a fetched folder: each is found, and told by its own name."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.audit.directory import VerifiedState, note_digest
from api.audit.errors import DirectoryError
from api.audit.events import entry_bytes
from api.audit.fetch import fetch_log
from api.audit.findings import Kind
from api.audit.merkle import leaf_hash, tree_root
from api.audit.verify import verify_directory
from tests.api.audit.simulated_log import (
    KEY,
    OTHER_KEY,
    ForgedLog,
    SimulatedLog,
    changed,
    example_event,
    renumber,
    signed_note,
)

SIZES = (9, 17, 30)
"""The log was fetched when it had so many entries."""

FILES = ("entries.jsonl", "checkpoint", "log.vkey", "verified.json", "verified.leaves")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An auditor's folder after three fetches."""
    directory = tmp_path_factory.mktemp("auditor") / "log"
    log = SimulatedLog()
    for size in SIZES:
        log.append(size - log.n_entries)
        assert fetch_log(log, directory).verification.is_intact
    return directory


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    directory = tmp_path / "log"
    shutil.copytree(original, directory)
    return directory


def kinds(directory: Path) -> set[Kind]:
    return {finding.kind for finding in verify_directory(directory).findings}


def read_lines(directory: Path) -> list[bytes]:
    return (directory / "entries.jsonl").read_bytes().splitlines()


def write_lines(directory: Path, lines: list[bytes]) -> None:
    (directory / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def forget(directory: Path) -> None:
    """As if entries and checkpoints had come from elsewhere, without a verification before."""
    (directory / "verified.json").unlink()
    (directory / "verified.leaves").unlink()


def who_else(line: bytes) -> bytes:
    return changed(line, lambda value: value.update(actor="somebody-else"))


LineTampering = Callable[[list[bytes]], list[bytes]]
ATTACKS: dict[str, tuple[LineTampering, Kind]] = {
    "changed": (lambda x: [*x[:12], who_else(x[12]), *x[13:]], Kind.ENTRY_CHANGED),
    "first changed": (lambda x: [who_else(x[0]), *x[1:]], Kind.ENTRY_CHANGED),
    "last changed": (lambda x: [*x[:-1], who_else(x[-1])], Kind.ENTRY_CHANGED),
    "removed": (lambda x: [*x[:12], *x[13:]], Kind.ENTRY_REMOVED),
    "inserted": (lambda x: [*x[:12], who_else(x[12]), *x[12:]], Kind.ENTRY_INSERTED),
    "swapped": (lambda x: [*x[:12], x[13], x[12], *x[14:]], Kind.ENTRY_REORDERED),
    "tail cut": (lambda x: x[:25], Kind.TAIL_CUT),
    "all gone": (lambda x: [], Kind.TAIL_CUT),
    "appended": (lambda x: [*x, entry_bytes(example_event(1), len(x), "2026-09-02T08:00:00.000Z")],
                 Kind.ENTRY_INSERTED),
}  # fmt: skip


def test_an_untouched_folder_is_intact(folder: Path) -> None:
    found = verify_directory(folder)
    assert found.is_intact
    assert found.is_as_fetched
    assert (found.size, found.n_checkpoints) == (30, 3)
    assert found.root == tree_root(leaf_hash(line) for line in read_lines(folder))
    assert (found.first_time, found.last_time) == (
        "2026-09-01T08:00:00.000Z",
        "2026-09-01T08:00:29.000Z",
    )
    assert found.to_json()["intact"] is True


def test_verifying_writes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    verify_directory(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("careful", [False, True])
def test_each_attack_on_entries_is_named(folder: Path, name: str, careful: bool) -> None:
    attack, kind = ATTACKS[name]
    lines = attack(read_lines(folder))
    write_lines(folder, renumber(lines) if careful else lines)
    found = kinds(folder)
    assert kind in found
    assert found <= {kind, Kind.TIME_BACKWARDS}


@pytest.mark.parametrize("name", ATTACKS)
def test_careless_attacks_are_named_without_an_earlier_verification(
    folder: Path, name: str
) -> None:
    attack, kind = ATTACKS[name]
    write_lines(folder, attack(read_lines(folder)))
    forget(folder)
    assert kinds(folder) - {Kind.STATE_MISSING, Kind.TIME_BACKWARDS} == {kind}


@pytest.mark.parametrize("name", ["changed", "removed", "inserted", "swapped"])
def test_careful_attacks_are_placed_between_checkpoints(folder: Path, name: str) -> None:
    write_lines(folder, renumber(ATTACKS[name][0](read_lines(folder))))
    forget(folder)
    (change,) = [
        finding
        for finding in verify_directory(folder).findings
        if finding.kind is Kind.ENTRY_CHANGED
    ]
    assert change.index == 9
    assert "up to 16" in change.message


def test_the_attacked_entry_is_named(folder: Path) -> None:
    write_lines(folder, renumber(ATTACKS["removed"][0](read_lines(folder))))
    (finding,) = verify_directory(folder).findings
    assert finding.index == 12
    assert finding.message == "Entry 12 was removed after the log had been verified."


def test_times_that_run_backwards_are_named(tmp_path: Path) -> None:
    times = ["2026-09-01T08:00:00.000Z", "2026-09-01T09:00:00.000Z", "2026-09-01T08:59:59.999Z"]
    lines = [entry_bytes(example_event(i), i, time) for i, time in enumerate(times)]
    # The server itself signed this, so it can be fetched, and is told every time.
    fetched = fetch_log(ForgedLog(lines), tmp_path / "log")
    assert [finding.kind for finding in fetched.verification.findings] == [Kind.TIME_BACKWARDS]
    assert fetched.verification.is_as_fetched
    assert kinds(tmp_path / "log") == {Kind.TIME_BACKWARDS}


@pytest.mark.parametrize("bad", [b"no entry", b"{}", who_else(b'{"index":1}')])
def test_lines_that_are_no_entries_are_named_though_they_were_signed(
    tmp_path: Path, bad: bytes
) -> None:
    lines = [*SimulatedLog(3).lines(), bad]
    fetched = fetch_log(ForgedLog(lines), tmp_path / "log")
    assert [finding.kind for finding in fetched.verification.findings] == [Kind.ENTRY_MALFORMED]


def test_wrong_numbers_are_named_though_they_were_signed(tmp_path: Path) -> None:
    lines = SimulatedLog(4).lines()
    fetched = fetch_log(ForgedLog([lines[1], lines[0], *lines[2:]]), tmp_path / "log")
    assert {finding.kind for finding in fetched.verification.findings} == {
        Kind.ENTRY_MALFORMED,
        Kind.TIME_BACKWARDS,
    }


def plant_fork(folder: Path, lines: list[bytes]) -> None:
    """What somebody with the log's key would do who also controls the auditor's folder."""
    note = signed_note(lines)
    write_lines(folder, lines)
    (folder / "checkpoint").write_bytes(note)
    (folder / "checkpoints" / "forged").write_bytes(note)


@pytest.mark.parametrize("n_more", [0, 5])
def test_a_history_signed_twice_is_a_fork(folder: Path, n_more: int) -> None:
    lines = read_lines(folder)
    more = SimulatedLog(30 + n_more).lines()[30:]
    plant_fork(folder, [*lines[:12], who_else(lines[12]), *lines[13:], *more])
    assert Kind.HISTORY_FORKED in kinds(folder)
    forget(folder)
    assert Kind.HISTORY_FORKED in kinds(folder)


def test_a_fork_is_found_though_the_last_verification_was_forged_too(folder: Path) -> None:
    lines = read_lines(folder)
    forged = [*lines[:12], who_else(lines[12]), *lines[13:]]
    plant_fork(folder, forged)
    rewrite_state(folder, forged)
    assert kinds(folder) == {Kind.HISTORY_FORKED}


def test_a_checkpoint_that_somebody_else_was_shown_reveals_a_fork(folder: Path) -> None:
    lines = read_lines(folder)
    shown = signed_note([*lines[:10], who_else(lines[10])])
    (folder / "checkpoints" / "from-another-auditor").write_bytes(shown)
    assert kinds(folder) == {Kind.HISTORY_FORKED}


def test_a_true_checkpoint_that_somebody_else_was_shown_is_welcome(folder: Path) -> None:
    shown = signed_note(read_lines(folder)[:11])
    (folder / "checkpoints" / "from-another-auditor").write_bytes(shown)
    found = verify_directory(folder)
    assert found.is_intact
    assert found.n_checkpoints == 4


def test_a_checkpoint_over_more_entries_than_are_here_shows_a_cut(folder: Path) -> None:
    shown = signed_note(SimulatedLog(33).lines())
    (folder / "checkpoints" / "from-another-auditor").write_bytes(shown)
    assert kinds(folder) == {Kind.TAIL_CUT, Kind.CHECKPOINT_REPLAYED}


def rewrite_state(folder: Path, lines: list[bytes]) -> None:
    """Forge what the last fetch noted, in all its parts."""
    notes = [path.read_bytes() for path in (folder / "checkpoints").iterdir()]
    leaves = [leaf_hash(line) for line in lines]
    (folder / "verified.leaves").write_bytes(b"".join(leaves))
    state = VerifiedState(
        len(lines),
        tree_root(leaves),
        (folder / "log.vkey").read_text().strip(),
        tuple(sorted(note_digest(note) for note in notes)),
    )
    (folder / "verified.json").write_bytes(state.to_bytes())


@pytest.mark.parametrize("name", ["changed", "removed", "swapped", "tail cut", "appended"])
def test_without_the_logs_key_a_forged_verification_does_not_help(folder: Path, name: str) -> None:
    lines = renumber(ATTACKS[name][0](read_lines(folder)))
    write_lines(folder, lines)
    rewrite_state(folder, lines)
    assert not verify_directory(folder).is_as_fetched


def test_a_forged_verification_alone_is_told(folder: Path) -> None:
    lines = read_lines(folder)
    rewrite_state(folder, [*lines[:5], who_else(lines[5]), *lines[6:]])
    assert kinds(folder) == {Kind.STATE_CHANGED}


def test_a_wrong_signature_is_named(folder: Path) -> None:
    for path in (folder / "checkpoint", next((folder / "checkpoints").glob("*17-*"))):
        note = path.read_bytes()
        path.write_bytes(note.replace(b"log\n", b"log\n1", 1))
    found = verify_directory(folder).findings
    wrong = [finding for finding in found if finding.kind is Kind.CHECKPOINT_SIGNATURE]
    assert len(wrong) == 2


def test_another_key_is_named(folder: Path) -> None:
    lines = read_lines(folder)
    (folder / "checkpoint").write_bytes(signed_note(lines, OTHER_KEY))
    assert Kind.CHECKPOINT_KEY_CHANGED in kinds(folder)


def test_another_key_in_every_place_is_named(folder: Path) -> None:
    lines = read_lines(folder)
    (folder / "log.vkey").write_text(OTHER_KEY.verifier_key.to_text() + "\n")
    for path in (folder / "checkpoints").iterdir():
        size = int(path.name[:12])
        path.write_bytes(signed_note(lines[:size], OTHER_KEY))
    (folder / "checkpoint").write_bytes(signed_note(lines, OTHER_KEY))
    found = kinds(folder)
    assert Kind.CHECKPOINT_KEY_CHANGED in found


def test_an_old_checkpoint_in_place_of_the_latest_is_named(folder: Path) -> None:
    old = next((folder / "checkpoints").glob("*17-*"))
    (folder / "checkpoint").write_bytes(old.read_bytes())
    assert kinds(folder) == {Kind.CHECKPOINT_REPLAYED}


def test_an_old_state_of_the_log_put_back_is_named(folder: Path) -> None:
    old = next((folder / "checkpoints").glob("*17-*"))
    newest = next((folder / "checkpoints").glob("*30-*"))
    (folder / "checkpoint").write_bytes(old.read_bytes())
    newest.unlink()
    write_lines(folder, read_lines(folder)[:17])
    found = kinds(folder)
    assert found == {Kind.TAIL_CUT, Kind.CHECKPOINT_REPLAYED, Kind.CHECKPOINT_MISSING}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("entries.jsonl", Kind.TAIL_CUT),
        ("checkpoint", Kind.CHECKPOINT_MISSING),
        ("log.vkey", Kind.KEY_MISSING),
        ("verified.json", Kind.STATE_MISSING),
        ("verified.leaves", Kind.STATE_CHANGED),
    ],
)
def test_each_missing_file_is_named(folder: Path, name: str, kind: Kind) -> None:
    (folder / name).unlink()
    assert kind in kinds(folder)


def test_a_line_taken_out_of_the_notes_is_named(folder: Path) -> None:
    path = folder / "verified.json"
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(len(lines)):
        path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
        assert Kind.STATE_CHANGED in kinds(folder)
        path.write_bytes(b"".join([*lines[:at], *lines[at : at + 2][::-1], *lines[at + 2 :]]))
        assert Kind.STATE_CHANGED in kinds(folder) or at == len(lines) - 1


def test_a_missing_checkpoint_is_named(folder: Path) -> None:
    next((folder / "checkpoints").glob("*17-*")).unlink()
    assert kinds(folder) == {Kind.CHECKPOINT_MISSING}
    shutil.rmtree(folder / "checkpoints")
    assert kinds(folder) == {Kind.CHECKPOINT_MISSING}


def test_folders_in_place_of_files_are_findings(folder: Path) -> None:
    (folder / "checkpoints" / "x").mkdir()
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").mkdir()
    (folder / "verified.json").unlink()
    (folder / "verified.json").mkdir()
    found = kinds(folder)
    assert {Kind.CHECKPOINT_MALFORMED, Kind.STATE_CHANGED} <= found


def test_findings_without_end_are_counted(folder: Path) -> None:
    write_lines(folder, [b"x"] * 5000)
    found = verify_directory(folder).findings
    assert len(found) < 100
    assert any(finding.message == "There is more of this kind." for finding in found)


def test_a_huge_line_does_not_fill_the_memory(folder: Path) -> None:
    with (folder / "entries.jsonl").open("ab") as file:
        file.write(b"x" * 200_000)
    assert Kind.ENTRY_MALFORMED in kinds(folder)


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError):
        verify_directory(tmp_path)
    with pytest.raises(DirectoryError):
        verify_directory(tmp_path / "nowhere")


def tamper(folder: Path, chance: random.Random) -> None:
    """One random attack on one random file."""
    paths = [folder / name for name in FILES] + sorted((folder / "checkpoints").iterdir())
    path = chance.choice([*paths, *[folder / "entries.jsonl"] * len(paths)])
    data = path.read_bytes()
    at = chance.randrange(len(data))
    lines = data.splitlines(keepends=True)
    one, other = chance.sample(range(len(lines)), 2) if len(lines) > 1 else (0, 0)
    choices: list[Callable[[], bytes | None]] = [
        lambda: data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
        lambda: data[:at] + chance.randbytes(1) + data[at:],
        lambda: data[:at] + data[at + chance.randint(1, 200) :],
        lambda: data[:at],
        lambda: b"".join(lines[:one] + lines[one + 1 :]),
        lambda: b"".join([*lines[:one], lines[other], *lines[one:]]),
        lambda: b"".join([lines[other] if n == one else lines[one] if n == other else line
                          for n, line in enumerate(lines)]),
        lambda: None,
    ]  # fmt: skip
    result = chance.choice(choices)()
    if result is None:
        path.unlink()
    else:
        path.write_bytes(result)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("seed", range(8))
def test_random_tampering_is_always_found(original: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    untouched = content(original)
    for number in range(50):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        tamper(folder, chance)
        same = content(folder) == untouched
        assert verify_directory(folder).is_intact is same, (seed, number)


def test_random_forks_and_careful_rewritings_are_always_found(
    original: Path, tmp_path: Path
) -> None:
    chance = random.Random(99)
    lines = read_lines(original)
    for number in range(60):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        at = chance.randrange(len(lines))
        forged = chance.choice(
            [
                [*lines[:at], *lines[at + 1 :]],
                [*lines[:at], who_else(lines[at]), *lines[at + 1 :]],
                [*lines[:at], who_else(lines[at]), *lines[at:]],
                lines[:at],
            ]
        )
        forged = renumber(forged)
        if chance.random() < 0.5:
            plant_fork(folder, forged)
        else:
            write_lines(folder, forged)
        if chance.random() < 0.5:
            rewrite_state(folder, forged)
        assert not verify_directory(folder).is_as_fetched, number


def test_a_verification_can_be_told_to_programs(folder: Path) -> None:
    write_lines(folder, ATTACKS["removed"][0](read_lines(folder)))
    told = json.loads(json.dumps(verify_directory(folder).to_json()))
    assert told["intact"] is False
    assert told["findings"][0]["kind"] == "entry-removed"
    assert told["findings"][0]["index"] == 12
    assert told["n_entries"] == 29
    assert told["log_key"] == KEY.verifier_key.to_text()


@pytest.mark.process
def test_an_auditors_machine_needs_no_server_and_no_database() -> None:
    program = (
        "import sys, api.audit.verify\n"
        "unwanted = {'flask', 'sqlalchemy', 'requests', 'click', 'rich', 'marshmallow',\n"
        "            'rfc8785', 'numpy', 'linkage', 'alembic', 'http_message_signatures'}\n"
        "print(sorted(unwanted & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == "[]\n"
