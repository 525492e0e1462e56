"""Signing: the key's file, the note's bytes, and what the server must never sign."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from api.audit.checkpoint import (
    LogKey,
    load_log_key,
    make_checkpoint,
    new_log_key,
    parse_log_key,
    save_log_key,
)
from api.audit.errors import LogStoreError, NoteError
from api.audit.merkle import leaf_hash, tree_root
from api.audit.note import Checkpoint, open_checkpoint
from keys.errors import KeyFileError
from tests.api.audit.simulated_log import (
    KEY,
    ORIGIN,
    OTHER_KEY,
    TABLES,
    SimulatedLog,
    new_engine,
)

VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors/audit/signed_note.json").read_text()
)


def test_a_published_key_gives_its_published_public_key() -> None:
    key = parse_log_key(VECTOR["signer_key"].encode())
    assert key.verifier_key.to_text() == VECTOR["verifier_key"]
    assert key.serialise().decode() == VECTOR["signer_key"] + "\n"


def test_a_checkpoint_names_log_size_and_root() -> None:
    log = SimulatedLog(11)
    note = log.checkpoint()
    checkpoint = open_checkpoint(note, KEY.verifier_key)
    assert checkpoint == Checkpoint(ORIGIN, 11, tree_root(map(leaf_hash, log.lines())))
    assert note.decode().startswith(f"{ORIGIN}\n11\n")


def test_the_same_log_gives_the_same_checkpoint() -> None:
    log = SimulatedLog(4)
    first = log.checkpoint()
    assert log.checkpoint() == first
    log.append(1)
    assert log.checkpoint() != first


def test_an_empty_log_can_be_signed() -> None:
    checkpoint = open_checkpoint(SimulatedLog().checkpoint(), KEY.verifier_key)
    assert (checkpoint.size, checkpoint.root) == (0, tree_root([]))


def test_a_new_key_signs_the_same_size_too() -> None:
    log = SimulatedLog(4)
    log.checkpoint()
    with Session(log.engine) as session, session.begin():
        note = make_checkpoint(session, TABLES, OTHER_KEY)
    assert open_checkpoint(note.encode(), OTHER_KEY.verifier_key).size == 4


def test_what_contradicts_an_earlier_checkpoint_is_not_signed() -> None:
    engine = new_engine(guards=False)
    log = SimulatedLog(4, engine)
    log.checkpoint()
    with engine.begin() as connection:
        connection.execute(update(TABLES.head).values(compact_range=bytes(32)))
    with pytest.raises(LogStoreError):
        log.checkpoint()


def test_a_log_whose_end_was_cut_off_is_not_signed() -> None:
    engine = new_engine(guards=False)
    log = SimulatedLog(4, engine)
    log.checkpoint()
    with engine.begin() as connection:
        connection.execute(delete(TABLES.entries).where(TABLES.entries.c.entry_index == 3))
    with pytest.raises(LogStoreError):
        log.checkpoint()
    with engine.begin() as connection:
        # With the head set back to fit the entries that are left.
        short = SimulatedLog(3)
        with short.engine.connect() as other:
            row = other.execute(TABLES.head.select()).one()
        connection.execute(update(TABLES.head).values(**row._asdict()))
    with pytest.raises(LogStoreError):
        log.checkpoint()


def test_a_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    key = new_log_key(ORIGIN)
    save_log_key(key, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_log_key(path).verifier_key == key.verifier_key
    with pytest.raises(KeyFileError):
        save_log_key(new_log_key(ORIGIN), path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError):
        load_log_key(path)


def test_a_key_shows_nothing_private() -> None:
    seed = KEY.serialise().decode().rpartition("+")[2].strip()
    assert seed not in repr(KEY)
    assert "hidden" in f"{KEY}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PRIVATE+KEY+x",
        VECTOR["verifier_key"].encode(),
        VECTOR["signer_key"].replace("c74f20a3", "c74f20a4").encode(),
        VECTOR["signer_key"].replace("AYEK", "AoEK").encode(),
        VECTOR["signer_key"][:-4].encode(),
        VECTOR["signer_key"].replace("PeterNeumann", "Peter Neumann").encode(),
        b"\xff" + VECTOR["signer_key"].encode(),
    ],
)
def test_a_damaged_key_file_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(NoteError) as caught:
        parse_log_key(data)
    assert "AYEK" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "童", "a" * 128, "-a"])
def test_the_name_of_a_log_is_plain(origin: str) -> None:
    with pytest.raises(NoteError):
        new_log_key(origin)


def test_a_key_signs_no_other_log() -> None:
    with pytest.raises(NoteError):
        KEY.sign(Checkpoint("another.example/log", 0, tree_root([])))


def test_signing_needs_no_more_than_the_key() -> None:
    assert isinstance(KEY, LogKey)
    assert KEY.public_key == KEY.verifier_key.public_key
