"""Databases of earlier versions, with what their people left in them, brought up to date."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from api.audit.append import append_entry, read_entries, read_head
from api.audit.events import Action, AuditEvent, entry_bytes, format_time
from api.audit.merkle import CompactRange, leaf_hash
from api.server.models import LOG_TABLES, Base, Member, Round
from api.server.services.database import Database
from api.server.services.schema import migrate, newest_revision
from tests import databases, factories

WHEN = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)
HEX = "ab" * 32
OFFICES = ("province-coordination", "jinjiang-civil", "zhongjiang-civil")

ROWS: dict[str, list[dict[str, Any]]] = {
    "members": [
        {
            "id": office,
            "kind": "office",
            "name": "锦江区民政局（测试）",
            "state": "approved",
            "key_id": f"{number:032x}",
            "signing_key": bytes(32),
            "identity": "{}",
            "fingerprint": "1234 5678",
            "enrolled_at": WHEN,
            "approved_at": WHEN,
            "approved_by": "chen",
        }
        for number, office in enumerate(OFFICES)
    ],
    "projects": [
        {
            "id": factories.PROJECT,
            "name": "Test",
            "purpose": "Test",
            "coordinating_office": OFFICES[0],
            "created_at": WHEN,
            "created_by": "chen",
        }
    ],
    "project_offices": [
        {"project_id": factories.PROJECT, "office_id": office, "role": "education"}
        for office in OFFICES[1:]
    ],
    "sealed_secrets": [
        {
            "project_id": factories.PROJECT,
            "epoch": 1,
            "office_id": OFFICES[1],
            "blob": b"\x00\xffsealed",
            "sha256": HEX,
            "stored_at": WHEN,
        }
    ],
    "rounds": [
        {
            "id": factories.ROUND,
            "project_id": factories.PROJECT,
            "state": "released",
            "terms": json.dumps(factories.terms()),
            "terms_sha256": HEX,
            "profile": factories.PROFILE_TEXT,
            "coordinating_office": OFFICES[0],
            "created_at": WHEN,
            "created_by": "chen",
            "retained_until": WHEN,
            "done": 2**40,
            "total": 2**40,
            "attempts": 1,
        }
    ],
    "round_offices": [
        {"round_id": factories.ROUND, "office_id": office, "role": "education"}
        for office in OFFICES[1:]
    ],
    "signatures": [
        {
            "round_id": factories.ROUND,
            "office_id": OFFICES[1],
            "terms_sha256": HEX,
            "signature": "c2ln",
            "signed_at": WHEN,
        }
    ],
    "uploads": [
        {
            "round_id": factories.ROUND,
            "office_id": OFFICES[1],
            "sha256": HEX,
            "n_records": 5,
            "n_bytes": 2**33,
            "received_at": WHEN,
        }
    ],
    "links": [
        {
            "round_id": factories.ROUND,
            "office_a": OFFICES[1],
            "record_a": "a" * 32,
            "link_a": "b" * 32,
            "office_b": OFFICES[2],
            "record_b": "c" * 32,
            "link_b": "d" * 32,
            "score": 0.9876543210123,
            "group_no": 7,
        }
    ],
    "state_changes": [
        {"round_id": factories.ROUND, "state": "released", "at": WHEN, "by": "luo"}
    ],
    "nonces": [{"key_id": "1" * 32, "nonce": "2" * 32, "expires_at": WHEN}],
}  # fmt: skip
"""What the first version could hold, in the order of its foreign keys."""


@pytest.fixture
def database(tmp_path: Path, database_kind: str) -> Iterator[Database]:
    address = databases.new_address()
    url = f"sqlite:///{tmp_path / 'old.db'}" if address == "sqlite" else address
    made = Database(url, busy_timeout_s=5, connections=2)
    migrate(made, "0001")
    yield made
    made.close()


def fill(database: Database, n_entries: int = 300) -> list[str]:
    """Put rows into a database of the first version; returns its log's entries."""
    found = sa.MetaData()
    bodies = []
    with database.writing() as session:
        found.reflect(session.connection())
        for table, rows in ROWS.items():
            session.execute(sa.insert(found.tables[table]), rows)
        tree, time = CompactRange(), format_time(WHEN)
        for index in range(n_entries):
            event = AuditEvent(Action.MEMBER_READ, actor="chen", details={"member": OFFICES[1]})
            body = entry_bytes(event, index, time)
            tree.append(leaf_hash(body))
            bodies.append(body.decode())
            session.execute(
                sa.insert(found.tables["log_entries"]).values(
                    entry_index=index,
                    leaf_hash=leaf_hash(body),
                    body=body.decode(),
                    time=time,
                    action="member:read",
                    outcome="granted",
                    actor="chen",
                )
            )
        session.execute(
            sa.insert(found.tables["log_head"]).values(
                id=1, size=n_entries, compact_range=tree.to_bytes(), last_time=time
            )
        )
    return bodies


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """The columns of the first version, as they are now."""
    found = sa.MetaData()
    with database.reading() as session:
        found.reflect(session.connection())
        return {
            table: [
                {name: _comparable(value) for name, value in row.items() if name in rows[0]}
                for row in session.execute(sa.select(found.tables[table])).mappings()
            ]
            for table, rows in ROWS.items()
        }


def _comparable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return bytes(value) if isinstance(value, memoryview) else value


def test_nothing_is_lost_on_the_way_from_the_first_version(database: Database) -> None:
    bodies = fill(database)
    before = contents(database)
    assert {table: len(rows) for table, rows in before.items()} == {
        table: len(rows) for table, rows in ROWS.items()
    }
    assert migrate(database) == ("0001", newest_revision())
    assert contents(database) == before
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    with database.reading() as session:
        assert read_entries(session, LOG_TABLES, 0, 1000) == bodies
        assert session.get_one(Member, OFFICES[1]).enrolled_at == WHEN
        assert [u.n_bytes for u in session.get_one(Round, factories.ROUND).uploads] == [2**33]


def test_the_log_goes_on_where_it_was(database: Database) -> None:
    bodies = fill(database)
    tree = CompactRange()
    for body in bodies:
        tree.append(leaf_hash(body.encode()))
    migrate(database)
    with database.reading() as session:
        assert read_head(session, LOG_TABLES).root == tree.root()
    with database.writing() as session:
        index = append_entry(session, LOG_TABLES, AuditEvent(Action.SERVER_START), WHEN)
        (added,) = read_entries(session, LOG_TABLES, index, 10)
    tree.append(leaf_hash(added.encode()))
    with database.reading() as session:
        head = read_head(session, LOG_TABLES)
    assert (index, head.size, head.root) == (len(bodies), len(bodies) + 1, tree.root())


def test_an_entry_is_still_guarded(database: Database) -> None:
    fill(database, 3)
    migrate(database)
    for statement in ("DELETE FROM log_entries", "UPDATE log_entries SET body = ''"):
        with pytest.raises(sa.exc.IntegrityError), database.writing() as session:
            session.connection().exec_driver_sql(statement)


def test_a_round_that_was_being_matched_has_figures_that_are_not_known_yet(
    database: Database,
) -> None:
    fill(database, 1)
    migrate(database, "provider_logins")
    with database.writing() as session:
        session.execute(
            sa.text("UPDATE rounds SET state = 'matching', stage = 'compare', done = 7, total = 9")
        )
    migrate(database)
    with database.writing() as session:
        found = session.get_one(Round, factories.ROUND)
        assert (found.stage, found.done, found.total) == ("compare", 7, 9)
        assert (found.n_pairs, found.n_candidates) == (0, 0)
        assert (found.pairs_per_s, found.seconds_left) == (None, None)
        found.n_pairs, found.seconds_left = 5 * 10**12, 0.5
    with database.reading() as session:
        found = session.get_one(Round, factories.ROUND)
        assert (found.n_pairs, found.seconds_left) == (5 * 10**12, 0.5)


def test_half_a_migration_is_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails on the way leaves the database as it was, so that the old program still runs."""
    from api.audit import guards

    fill(database)
    monkeypatch.setattr(guards, "_GUARDS", _Failing())
    with pytest.raises(RuntimeError):
        migrate(database)
    monkeypatch.undo()
    with database.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0001"
        assert "log_subtrees" not in sa.inspect(connection).get_table_names()
    assert migrate(database)[1] == newest_revision()


class _Failing(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("power cut")
