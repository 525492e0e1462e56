"""The program against a small log that a second implementation made."""

import gzip
import hashlib
import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from api.audit.append import append_entry
from api.audit.archive import (
    ArchiveHead,
    read_archive_entries,
    verify_archive,
    write_archive,
)
from api.audit.checkpoint import make_checkpoint, parse_log_key
from api.audit.cosignature import WitnessKey, cosign, find_cosignatures
from api.audit.events import Action, AuditEvent, Outcome, entry_bytes, parse_entry
from api.audit.export_check import verify_export
from api.audit.export_manifest import manifest_path
from api.audit.fetch import fetch_log
from api.audit.merkle import CompactRange, leaf_hash
from api.audit.note import Checkpoint, VerifierKey, open_checkpoint, parse_note
from api.audit.proof import LogProof, verify_proof
from tests.api.audit.simulated_log import TABLES, ForgedLog, new_engine

FOLDER = Path(__file__).parents[2] / "vectors/audit"
VECTORS: dict[str, Any] = json.loads((FOLDER / "log.json").read_text())
KEY = parse_log_key(VECTORS["private_key"].encode())
LINES = [entry["line"].encode() for entry in VECTORS["entries"]]


def to_event(line: bytes) -> AuditEvent:
    entry = parse_entry(line)
    return AuditEvent(
        Action(entry.action),
        Outcome(entry.outcome),
        actor=entry.actor,
        role=entry.role,
        project=entry.project,
        round=entry.round,
        details=entry.details,
        reason=entry.reason,
        request_id=entry.request_id,
        origin=entry.origin,
    )


def test_the_generator_makes_the_same_file() -> None:
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.vectors() == VECTORS


@pytest.mark.parametrize("entry", VECTORS["entries"])
def test_entries_are_written_and_hashed_alike(entry: dict[str, str]) -> None:
    line = entry["line"].encode()
    parsed = parse_entry(line)
    assert entry_bytes(to_event(line), parsed.index, parsed.time) == line
    assert leaf_hash(line).hex() == entry["leaf_hash"]


def test_a_log_that_is_appended_to_signs_the_same_checkpoints() -> None:
    notes = {vector["size"]: vector["note"] for vector in VECTORS["checkpoints"]}
    with Session(new_engine()) as session, session.begin():
        for size in range(len(LINES) + 1):
            if size in notes:
                assert make_checkpoint(session, TABLES, KEY) == notes[size]
            if size < len(LINES):
                now = datetime.fromisoformat(parse_entry(LINES[size]).time).astimezone(UTC)
                append_entry(session, TABLES, to_event(LINES[size]), now)


@pytest.mark.parametrize("vector", VECTORS["checkpoints"])
def test_checkpoints_are_read_alike(vector: dict[str, Any]) -> None:
    key = VerifierKey.parse(VECTORS["log_key"])
    assert key == KEY.verifier_key
    assert open_checkpoint(vector["note"].encode(), key) == Checkpoint(
        key.name, vector["size"], bytes.fromhex(vector["root"])
    )


def test_the_log_verifies_as_a_fetched_folder(tmp_path: Path) -> None:
    source = ForgedLog(LINES, key=KEY, named_key=KEY)
    assert fetch_log(source, tmp_path / "log").verification.is_intact


def test_cosignatures() -> None:
    key = WitnessKey.parse(VECTORS["cosigned"]["witness_key"])
    note = parse_note(VECTORS["cosigned"]["note"].encode())
    (found,) = find_cosignatures(note, [key])
    assert found.time == 1_772_352_060
    private = Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(b"tongqiao test vector: witness key").digest()
    )
    assert cosign(private, key.name, note.text, found.time) == note.signatures[-1]


def test_proofs() -> None:
    data = VECTORS["proof"].encode()
    assert LogProof.parse(data).to_bytes() == data
    witness = WitnessKey.parse(VECTORS["cosigned"]["witness_key"])
    proven = verify_proof(data, VerifierKey.parse(VECTORS["log_key"]), [witness])
    assert proven.entry.index == 3
    assert [one.witness for one in proven.cosignatures] == [witness]


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(VECTORS["archive"].encode()))
    found = verify_archive(path, VerifierKey.parse(VECTORS["log_key"]))
    assert (found.start, found.stop) == (3, 5)
    lines = [entry["line"].encode() for entry in VECTORS["entries"]]
    assert list(read_archive_entries(path)) == lines[3:]
    tree = CompactRange()
    for line in lines[:3]:
        tree.append(leaf_hash(line))
    head = ArchiveHead(3, 5, tree, VECTORS["checkpoints"][-1]["note"].encode())
    write_archive(tmp_path / "again", head, lines[3:])
    assert gzip.decompress((tmp_path / "again").read_bytes()).decode() == VECTORS["archive"]


def test_exports(tmp_path: Path) -> None:
    vector = VECTORS["export"]
    export = tmp_path / "refused.jsonl"
    export.write_text(vector["file"], encoding="ascii")
    manifest_path(export).write_text(vector["manifest"], encoding="utf-8")
    check = verify_export(export, manifest_path(export), VerifierKey.parse(VECTORS["log_key"]))
    assert check.faults == ()
    assert (check.n_rows, check.completeness, check.is_same_file) == (1, "signature", True)
