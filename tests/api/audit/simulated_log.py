"""A whole log in memory or in a file: real tables, real appends, a real key.

``SimulatedLog`` plays an honest server. ``ForgedLog`` plays one that sends and signs whatever a
test gives it, as somebody inside with the log's key could.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from api.audit.append import append_entry, read_entries
from api.audit.checkpoint import LogKey, make_checkpoint
from api.audit.cosignature import WitnessKey
from api.audit.events import Action, AuditEvent, Outcome, renumbered
from api.audit.guards import create_guards
from api.audit.merkle import consistency_proof, leaf_hash, tree_root
from api.audit.note import Checkpoint, VerifierKey, parse_signature_line
from api.audit.tables import LogTables, define_log_tables
from api.audit.witnessing import cosigned_notes, keep_cosignature
from keys.identity import PrivateIdentity, new_identity

ORIGIN = "linkage.example/log"
KEY = LogKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = LogKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
WITNESS_IDENTITY: PrivateIdentity = new_identity("he", "auditor")
WITNESS_PRIVATE = WITNESS_IDENTITY.signing_private
START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)

METADATA = MetaData()
TABLES: LogTables = define_log_tables(METADATA)

_OFFICES = ("jinjiang-civil", "xuyong-civil", "chengdu-education")
_ACTIONS = (Action.UPLOAD_PUT, Action.ROUND_READ, Action.RESULTS_READ, Action.TERMS_SIGN)


def example_event(number: int) -> AuditEvent:
    """One of many different events."""
    refused = number % 7 == 3
    return AuditEvent(
        _ACTIONS[number % len(_ACTIONS)],
        Outcome.REFUSED if refused else Outcome.GRANTED,
        actor=_OFFICES[number % len(_OFFICES)],
        role="office",
        project="sichuan-children",
        round="2026-h2",
        details={"n_records": number, "sha256": f"{number:064x}"},
        reason="wrong-state" if refused else None,
        request_id=f"{number:032x}",
        origin="192.0.2.1",
    )


def immediate_engine(url: str, **options: Any) -> Engine:
    """An SQLite engine that begins its transactions as the server must."""
    engine = create_engine(url, **options)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 30000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def new_engine(path: Path | None = None, *, guards: bool = True) -> Engine:
    """An engine with the log's empty tables, in memory or in a file."""
    if path is None:
        engine = immediate_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
    else:
        engine = immediate_engine(f"sqlite:///{path}")
    METADATA.create_all(engine)
    if guards:
        with engine.begin() as connection:
            create_guards(connection)
    return engine


class SimulatedLog:
    """An honest server's log."""

    def __init__(self, n_entries: int = 0, engine: Engine | None = None) -> None:
        self.engine = engine or new_engine()
        self.n_entries = 0
        self.append(n_entries)

    def append(self, n_entries: int) -> None:
        """Append so many different events, a second apart."""
        with Session(self.engine) as session, session.begin():
            for number in range(self.n_entries, self.n_entries + n_entries):
                append_entry(
                    session, TABLES, example_event(number), START + timedelta(seconds=number)
                )
        self.n_entries += n_entries

    def lines(self) -> list[bytes]:
        """All entries."""
        return [text.encode() for text in self.entries(0, 1_000_000)]

    def log_key(self) -> VerifierKey:
        return KEY.verifier_key

    def checkpoint(self) -> bytes:
        with Session(self.engine) as session, session.begin():
            return make_checkpoint(session, TABLES, KEY).encode()

    def cosigned(self, after: int) -> list[bytes]:
        with Session(self.engine) as session:
            return [note.encode() for note in cosigned_notes(session, TABLES, after)]

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        leaves = [leaf_hash(line) for line in self.lines()]
        return consistency_proof(leaves[:new_size], old_size)

    def cosign(self, size: int, line: str) -> None:
        witness = parse_signature_line(line)
        key = WitnessKey(witness.name, WITNESS_PRIVATE.public_key().public_bytes_raw())
        with Session(self.engine) as session, session.begin():
            keep_cosignature(session, TABLES, size, witness.name.split("/")[-1], key, line)

    def entries(self, start: int, limit: int) -> list[str]:
        with Session(self.engine) as session:
            return read_entries(session, TABLES, start, limit)


class ForgedLog:
    """A server that signs the root of ``signed`` and sends ``lines``."""

    def __init__(
        self,
        lines: Sequence[bytes],
        signed: Sequence[bytes] | None = None,
        key: LogKey = KEY,
        named_key: LogKey = KEY,
    ) -> None:
        self.lines = list(lines)
        self.signed = self.lines if signed is None else list(signed)
        self.key = key
        self.named_key = named_key
        self.cosigned_checkpoints: list[bytes] = []

    def log_key(self) -> VerifierKey:
        return self.named_key.verifier_key

    def checkpoint(self) -> bytes:
        return signed_note(self.signed, self.key)

    def cosigned(self, after: int) -> list[bytes]:
        return self.cosigned_checkpoints

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        leaves = [leaf_hash(line) for line in self.signed]
        return consistency_proof(leaves[:new_size], min(old_size, new_size))

    def cosign(self, size: int, line: str) -> None:
        raise AssertionError("a forged log must not be cosigned")

    def entries(self, start: int, limit: int) -> list[str]:
        return [line.decode() for line in self.lines[start : start + limit]]


def signed_note(lines: Sequence[bytes], key: LogKey = KEY) -> bytes:
    """A checkpoint over these entries."""
    root = tree_root(leaf_hash(line) for line in lines)
    return key.sign(Checkpoint(key.origin, len(lines), root)).encode()


def changed(line: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """An entry that was changed by somebody who knows its form."""
    value = json.loads(line)
    change(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def renumber(lines: Sequence[bytes]) -> list[bytes]:
    """The entries, each numbered after its place."""
    result = [renumbered(line, index) for index, line in enumerate(lines)]
    assert None not in result
    return [line for line in result if line is not None]
