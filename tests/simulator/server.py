"""The server itself: asked as anybody may ask it, and looked into as nobody may."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from flask.testing import FlaskClient
from sqlalchemy import select

from api.audit.append import log_size, read_entries
from api.server.models import LOG_TABLES, Base
from api.server.services.data_keys import data_key_of, encoding_context
from api.server.services.encodings import StorageAwayError
from api.server.services.installation import Installation
from api.server.services.members import add_member
from api.server.services.people import add_person
from api.server.services.work import own_caller
from api.server.worker import Worker
from keys.at_rest import decrypt_stream
from keys.identity import Kind
from tests import factories, postgresql
from tests.simulator.answers import Answer, granted
from tests.simulator.browser import Browser, Person
from tests.simulator.clock import SimulatedClock
from tests.simulator.office import Office
from tests.simulator.operators import Auditor, Operator
from tests.simulator.party import BASE_URL, Party
from tests.simulator.scenes import OpenRound, draft_round, open_round

_UNWATCHED = {"log_entries", "log_head", "log_checkpoints", "nonces", "login_attempts"}

P = TypeVar("P", bound=Party)


@dataclass
class SimulatedServer:
    """The server, seen from outside (requests) and from inside (rows, files, log)."""

    directory: Path
    clock: SimulatedClock
    installation: Installation
    client: FlaskClient
    _parties: dict[str, Party] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        environ: Mapping[str, Any] | None = None,
        client: FlaskClient | None = None,
    ) -> Answer:
        """Send a request as it is; ``client`` keeps cookies, as a browser does."""
        before, size = self.snapshot(), self.log_size()
        response = (client or self.client).open(
            path,
            method=method,
            base_url=BASE_URL,
            data=body,
            headers=dict(headers),
            environ_overrides=dict(environ or {}),
        )
        return Answer(
            status=response.status_code,
            headers=dict(response.headers),
            body=response.data,
            changed=self.snapshot() != before,
            entries=[
                entry
                for entry in self.log(size)
                if entry["request"] == response.headers["X-Request-Id"]
            ],
        )

    def office(self, office: str) -> Office:
        """An office with keys, not enrolled yet."""
        return self.party(Office, office, "office")

    def enrolled_office(self, office: str) -> Office:
        """An office that is enrolled and approved."""
        party = self.office(office)
        assert party.identity is not None
        add_member(self.installation, own_caller("administrator"), party.identity.public)
        return party

    def operator(self, person: str = "chen") -> Operator:
        """An operator, added on the server itself."""
        return self._added(self.party(Operator, person, "operator"))

    def auditor(self, person: str = "he") -> Auditor:
        """An auditor, added on the server itself."""
        return self._added(self.party(Auditor, person, "auditor"))

    def browser(self, origin: str = "192.0.2.7") -> Browser:
        """A browser in which nobody is logged in."""
        return Browser(self, self.client.application.test_client(), origin)

    def invitation(self, person: str, role: str = "operator") -> str:
        """Invite a person on the server itself."""
        invited = add_person(
            self.installation, own_caller("administrator"), person, name="吴芸", role=role
        )
        return str(invited["invitation"])

    def person(self, person: str = "wu", role: str = "operator") -> Person:
        """A person who was invited and has enrolled, half a minute ago."""
        browser, invitation = self.browser(), self.invitation(person, role)
        typed = {"person": person, "invitation": invitation}
        secret = granted(browser.posts("/v1/enrolments", typed))["secret"]
        known = Person(self, person, f"four words of {person[::-1]} here", secret, ())
        typed |= {"password": known.password, "code": known.code()}
        answer = granted(browser.posts("/v1/enrolments/completion", typed), 201)
        self.clock.advance(seconds=31)
        return replace(known, recovery_codes=answer["recovery_codes"])

    def logged_in(self, person: str = "wu", role: str = "operator") -> Browser:
        """A browser in which such a person has logged in."""
        browser = self.browser()
        granted(browser.logs_in(self.person(person, role)), 201)
        return browser

    def stranger(self) -> Office:
        """Somebody who signs nothing."""
        return Office(self, None)

    def worker(self) -> Worker:
        """A worker process's insides."""
        return Worker(self.installation)

    def draft_round(self, **terms: Any) -> OpenRound:
        """A project of approved offices, and a round that is not open yet."""
        return draft_round(self, terms)

    def open_round(self, **terms: Any) -> OpenRound:
        """A round that everybody has signed, ready for uploads."""
        return open_round(self, terms)

    def terms_of(self, round_id: str) -> Mapping[str, Any]:
        """A round's terms, as stored."""
        (row,) = (row for row in self.rows("rounds") if row["id"] == round_id)
        stored: Mapping[str, Any] = json.loads(row["terms"])
        return stored

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        with self.installation.database.reading() as session:
            found = session.execute(select(Base.metadata.tables[table])).mappings()
            return sorted((dict(row) for row in found), key=repr)

    def files(self) -> dict[str, str]:
        """Every file that the server keeps of its offices, with the hash of its bytes.

        Of objects, which are elsewhere, the name alone, and none while their storage is away.
        """
        found: dict[str, str] = {}
        with contextlib.suppress(StorageAwayError):
            for round_id, sha256 in self.installation.encodings.stored():
                found[f"encodings/{round_id}/{sha256}"] = ""
        for folder in ("encodings", "incoming", "work"):
            for path in sorted((self.directory / folder).rglob("*")):
                if path.is_file():
                    name = str(path.relative_to(self.directory))
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def database_files(self) -> list[Path]:
        """Every file in which the database keeps rows; PostgreSQL's write-ahead log aside."""
        config = self.installation.config
        if config.database == "sqlite":
            return list(self.directory.glob(config.database_file.name + "*"))
        return postgresql.stored_files(str(config.database_url.database))

    def gathers_statistics(self) -> None:
        """What PostgreSQL does by itself from time to time: it keeps samples of columns' values."""
        if self.installation.config.database != "sqlite":
            with self.installation.database.engine.begin() as connection:
                connection.exec_driver_sql("ANALYZE")

    def statistics(self) -> bytes:
        """Those samples; in their file they are compressed, where no search would find them."""
        if self.installation.config.database == "sqlite":
            return b""
        with self.installation.database.engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT most_common_vals, histogram_bounds FROM pg_stats"
                " WHERE schemaname = current_schema()"
            )
            return repr(rows.all()).encode()

    def plaintext(self, round_id: str, sha256: str) -> bytes:
        """A stored encoding in the clear, as whoever has the installation key can read it."""
        data_key = data_key_of(self.installation, round_id)
        context = encoding_context(round_id, sha256)
        with self.installation.encodings.open(round_id, sha256) as stored:
            return b"".join(decrypt_stream(stored, data_key=data_key, context=context))

    def stored_bytes(self, round_id: str, sha256: str) -> bytes:
        """A stored encoding as it lies there, encrypted."""
        with self.installation.encodings.open(round_id, sha256) as stored:
            return b"".join(iter(lambda: stored.read(1024 * 1024), b""))

    def snapshot(self) -> object:
        """Everything that a refused request must leave as it is."""
        with self.installation.database.reading() as session:
            tables = {
                table: sorted(
                    session.connection().exec_driver_sql(f"SELECT * FROM {table}"),  # noqa: S608
                    key=repr,
                )
                for table in sorted(set(Base.metadata.tables) - _UNWATCHED)
            }
        return tables, self.files()

    def log(self, start: int = 0) -> list[dict[str, Any]]:
        """Entries of the access log."""
        with self.installation.database.reading() as session:
            return [json.loads(text) for text in read_entries(session, LOG_TABLES, start, 10_000)]

    def log_size(self) -> int:
        """Number of entries in the access log."""
        with self.installation.database.reading() as session:
            return log_size(session, LOG_TABLES)

    def party(self, kind: type[P], name: str, role: Kind) -> P:
        """Somebody with keys, whom the server need not know."""
        party = self._parties.setdefault(name, kind(self, factories.identity(name, role)))
        assert isinstance(party, kind)
        return party

    def _added(self, party: P) -> P:
        assert party.identity is not None
        add_member(self.installation, own_caller("administrator"), party.identity.public)
        return party
