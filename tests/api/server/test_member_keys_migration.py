"""Members from before keys had epochs keep their key as the first one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from api.server.services.database import Database
from api.server.services.member_keys import load_history
from api.server.services.schema import migrate
from keys.identity import PublicIdentity
from tests import databases, factories

ENROLLED, REVOKED = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, database_kind: str) -> Iterator[Database]:
    address = databases.new_address()
    url = f"sqlite:///{tmp_path / 'test.db'}" if address == "sqlite" else address
    made = Database(url, busy_timeout_s=1, connections=2)
    yield made
    made.close()


def test_keys_of_members_become_their_first(database: Database) -> None:
    migrate(database, "witnesses")
    people: list[tuple[PublicIdentity, datetime | None]] = [
        (factories.identity("jinjiang-civil").public, None),
        (factories.identity("zhongjiang-civil").public, REVOKED),
    ]
    with database.migrating() as connection:
        for identity, revoked_at in people:
            connection.execute(
                text(
                    "INSERT INTO members (id, kind, name, state, key_id, signing_key, identity,"
                    " fingerprint, enrolled_at, revoked_at) VALUES (:id, 'office', :name, :state,"
                    " :key_id, :key, :identity, :fingerprint, :enrolled, :revoked)"
                ),
                {
                    "id": identity.holder,
                    "name": identity.name,
                    "state": "approved" if revoked_at is None else "revoked",
                    "key_id": identity.key_id,
                    "key": identity.signing_key,
                    "identity": identity.to_json().decode(),
                    "fingerprint": identity.fingerprint,
                    "enrolled": ENROLLED,
                    "revoked": revoked_at,
                },
            )
    migrate(database)
    with database.reading() as session:
        for identity, revoked_at in people:
            (epoch,) = load_history(session, identity.holder).epochs
            assert epoch.identity == identity
            assert (epoch.number, epoch.valid_from) == (1, ENROLLED)
            assert epoch.valid_until == revoked_at
            assert epoch.end == (None if revoked_at is None else "revoked")
