"""Sealed entries: in an archive that verifies by itself, out of the database, still provable."""

import base64
import gzip
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.audit.archive import (
    ArchiveHead,
    archive_name,
    read_archive_entries,
    verify_archive,
    verify_sequence,
    write_archive,
)
from api.audit.errors import ArchiveError, LogStoreError, NoteKeyError
from api.audit.fetch import fetch_log
from api.audit.merkle import CompactRange, leaf_hash, tree_root, verify_inclusion
from api.audit.sealing import remove_sealed, sealable, write_sealed
from api.audit.sources import ArchivedLog, TilesLog
from api.audit.stored_check import check_database, check_tiles
from api.audit.stored_tiles import StoredTiles, export_tiles
from api.audit.tiles import TileTree, prove_inclusion
from tests.api.audit.simulated_log import (
    KEY,
    OTHER_KEY,
    START,
    TABLES,
    SimulatedLog,
    signed_note,
)


def seal(log: SimulatedLog, folder: Path, seconds: int) -> Path:
    """Seal what is older than so many seconds after the log's beginning."""
    with Session(log.engine) as session, session.begin():
        span = sealable(session, TABLES, START + timedelta(seconds=seconds))
        assert span is not None
        path = write_sealed(session, TABLES, KEY, folder, *span)
        remove_sealed(session, TABLES, *span)
    return path


def test_the_form_is_that_of_the_specification(tmp_path: Path) -> None:
    log = SimulatedLog(3)
    lines = log.lines()
    note = log.checkpoint()
    tree = CompactRange()
    tree.append(leaf_hash(lines[0]))
    path = tmp_path / "a"
    write_archive(path, ArchiveHead(1, 3, tree, note), lines[1:])
    text = gzip.decompress(path.read_bytes()).decode()

    assert text == (
        "tongqiao-log-archive-v1\nentries 1 3\n"
        + base64.b64encode(leaf_hash(lines[0])).decode()
        + "\n\n"
        + note.decode()
        + "\n"
        + "".join(f"{line.decode()}\n" for line in lines[1:])
    )
    found = verify_archive(path, KEY.verifier_key)
    assert (found.start, found.stop, found.root_before) == (1, 3, tree_root([leaf_hash(lines[0])]))
    assert list(read_archive_entries(path)) == lines[1:]


def test_sealing_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    log = SimulatedLog(700)
    lines = log.lines()
    root = tree_root(leaf_hash(line) for line in lines)
    first = seal(log, tmp_path, 300)
    assert first.name == archive_name(0, 256)
    second = seal(log, tmp_path, 600)
    assert second.name == archive_name(256, 512)
    found = [verify_archive(path, KEY.verifier_key) for path in (first, second)]
    verify_sequence(found)
    assert [*read_archive_entries(first), *read_archive_entries(second)] == lines[:512]
    assert log.entries(0, 1000) == [line.decode() for line in lines[512:]]
    log.checkpoint()
    log.append(100)
    with Session(log.engine) as session:
        assert sealable(session, TABLES, START) is None
        assert check_database(session, TABLES, KEY.verifier_key, {}) == []
        tree = TileTree(StoredTiles(session, TABLES), 700)
        assert tree.root() == root
        proof = prove_inclusion(tree, 5)
    verify_inclusion(leaf_hash(lines[5]), 5, 700, proof, root)


def test_only_sealed_entries_can_be_deleted(tmp_path: Path) -> None:
    log = SimulatedLog(300)
    seal(log, tmp_path, 290)
    with pytest.raises(DBAPIError, match="sealed"), log.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_entries")
    with pytest.raises(DBAPIError), log.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE log_head SET sealed_size = 0")
    with pytest.raises(DBAPIError), log.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_sealed_tiles")


def test_nothing_is_removed_twice(tmp_path: Path) -> None:
    log = SimulatedLog(600)
    seal(log, tmp_path, 300)
    with Session(log.engine) as session, session.begin(), pytest.raises(LogStoreError):
        remove_sealed(session, TABLES, 0, 256)
    (tmp_path / archive_name(256, 512)).touch()
    with Session(log.engine) as session, pytest.raises(FileExistsError):
        write_sealed(session, TABLES, KEY, tmp_path, 256, 512)


def test_entries_that_do_not_fit_the_tree_are_not_sealed(tmp_path: Path) -> None:
    from tests.api.audit.simulated_log import new_engine

    log = SimulatedLog(300, new_engine(guards=False))
    with log.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE log_entries SET body = replace(body, 'xuyong', 'zzyong')"
        )
    with Session(log.engine) as session, pytest.raises(ArchiveError, match="do not lead"):
        write_sealed(session, TABLES, KEY, tmp_path, 0, 256)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: text.replace(b"xuyong", b"zzyong", 1), "do not lead"),
        (lambda text: text + b"x\n", "more in the archive"),
        (lambda text: text[:-5], "damaged"),
        (lambda text: text.replace(b"entries 0 256", b"entries 0 255"), "not over its last"),
        (lambda text: text.replace(b'"index":7,', b'"index":8,'), "another number"),
        (lambda text: text.replace(b"archive-v1", b"archive-v2"), "no archive"),
        (lambda text: b"", "damaged"),
    ],
)
def test_tampering_inside_is_told(
    damage: Callable[[bytes], bytes], told: str, tmp_path: Path
) -> None:
    path = seal(SimulatedLog(300), tmp_path, 290)
    path.write_bytes(gzip.compress(damage(gzip.decompress(path.read_bytes()))))
    with pytest.raises(ArchiveError, match=told):
        verify_archive(path, KEY.verifier_key)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = seal(SimulatedLog(300), tmp_path, 290)
    data = path.read_bytes()
    for changed in (data[:-20], data[:40] + b"\xff\xff" + data[42:], b"PK", b""):
        path.write_bytes(changed)
        with pytest.raises(ArchiveError):
            verify_archive(path, KEY.verifier_key)
    path.write_bytes(data)
    with pytest.raises(NoteKeyError):
        verify_archive(path, OTHER_KEY.verifier_key)


def test_archives_follow_each_other(tmp_path: Path) -> None:
    log = SimulatedLog(600)
    first, second = (seal(log, tmp_path, seconds) for seconds in (300, 590))
    one, other = (verify_archive(path, KEY.verifier_key) for path in (first, second))
    for wrong in ([other], [one, one], [other, one]):
        with pytest.raises(ArchiveError, match="missing"):
            verify_sequence(wrong)


def test_a_new_auditor_reads_archives_first(tmp_path: Path) -> None:
    log = SimulatedLog(700)
    lines = log.lines()
    archives = [seal(log, tmp_path, seconds) for seconds in (300, 600)]
    source = ArchivedLog(log, archives[::-1], KEY.verifier_key)
    fetched = fetch_log(source, tmp_path / "log")
    assert fetched.verification.is_intact
    assert (tmp_path / "log/entries.jsonl").read_bytes().splitlines() == lines


def test_a_log_is_fetched_from_static_tiles(tmp_path: Path) -> None:
    log = SimulatedLog(700)
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    with Session(log.engine) as session:
        export_tiles(session, TABLES, 700, 0, tiles)
    (tiles / "checkpoint").write_bytes(log.checkpoint())
    (tiles / "log.vkey").write_text(KEY.verifier_key.to_text() + "\n")
    assert check_tiles(tiles, KEY.verifier_key) == []
    assert fetch_log(TilesLog(tiles), tmp_path / "log").verification.is_intact
    log.append(60)
    with Session(log.engine) as session:
        export_tiles(session, TABLES, 760, 0, tiles)
    (tiles / "checkpoint").write_bytes(log.checkpoint())
    assert check_tiles(tiles, KEY.verifier_key) == []
    assert fetch_log(TilesLog(tiles), tmp_path / "log").n_new == 60
    left_over = tiles / "tile/0/002.p/188"
    left_over.write_bytes(bytes(188 * 32))
    assert check_tiles(tiles, KEY.verifier_key) != []


def test_tiles_that_do_not_fit_the_checkpoint_are_told(tmp_path: Path) -> None:
    log = SimulatedLog(300)
    with Session(log.engine) as session:
        export_tiles(session, TABLES, 300, 0, tmp_path)
    lines = log.lines()
    (tmp_path / "checkpoint").write_bytes(signed_note([*lines[:-1], b"other"]))
    assert any("do not lead" in fault for fault in check_tiles(tmp_path, KEY.verifier_key))
