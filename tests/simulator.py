"""A whole linkage server in one process, and the people who use it: a tutorial by example.

The server is the real one: the real application over a real database and real files, asked
through Flask's test client with real signatures.  Only time is simulated, so that 180 days pass at
once.  People are small objects whose methods read like sentences::

    with simulated_server(tmp_path) as server:
        chen, luo = server.operator("chen"), server.operator("luo")
        he = server.auditor("he")

        # Offices enrol; an operator approves each after comparing the fingerprint by voice.
        jinjiang = server.office("jinjiang-civil")
        granted(jinjiang.enrols())
        granted(chen.approves(jinjiang))

        # Or all of that at once, up to a round that is open and signed by everybody:
        round_ = server.open_round()

        # Encoded files go up, one an office.  What is refused leaves everything as it was.
        granted(round_.offices[0].uploads(ROUND, file))
        refused(round_.offices[1].uploads(ROUND, tampered), "bad-upload")

        # The round goes its way; the worker is called, not waited for.
        granted(chen.takes_step(ROUND, "freeze"))
        granted(chen.takes_step(ROUND, "run"))
        server.worker().work_once()
        refused(chen.takes_step(ROUND, "release"), "second-person")
        granted(luo.takes_step(ROUND, "release"))
        links = round_.offices[0].reads_results(ROUND)["links"]

:func:`granted` and :func:`refused` look at more than the status: that the answer has the form of
``docs/http-api.md``, that the access log has an entry about this very request, and, of a refusal,
that no row and no file has changed.
"""

import atexit
import base64
import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pyotp
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from api.audit.append import log_size, read_entries
from api.audit.cosignature import cosign, witness_name
from api.audit.note import parse_checkpoint, parse_note
from api.server.app import bind_installation, make_unbound_app
from api.server.config import load_config
from api.server.models import LOG_TABLES, Base
from api.server.refusals import PROBLEMS
from api.server.services.data_keys import data_key_of, encoding_context
from api.server.services.encodings import StorageAwayError
from api.server.services.installation import Installation, create_installation, open_installation
from api.server.services.members import add_member
from api.server.services.people import add_person
from api.server.services.results import link_line
from api.server.services.work import own_caller
from api.server.worker import Worker
from keys import labels
from keys.at_rest import decrypt_stream
from keys.canonical import canonical_json
from keys.cipher_suites import CIPHER_SUITES
from keys.epochs import rotate_identity
from keys.identity import Kind, PrivateIdentity
from keys.linkage_secret import LinkageSecret
from keys.request_signing import content_digest, sign_request
from keys.signing import sign_document
from tests import databases, factories, postgresql
from tests.factories import COORDINATOR, PROJECT, ROLES, ROUND, SECRET
from tests.logged_writes import watch_writes

_IDLE_APPS: list[Flask] = []
_SCENES: dict[tuple[str, str], tuple[Any, datetime]] = {}
"""Databases after scenes that were played (a SQLite file's bytes, the name of a PostgreSQL
database), and when that was; keys of people stay the same."""

BASE_URL = "https://linkage.example"
START = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)
_UNWATCHED = {"log_entries", "log_head", "log_checkpoints", "nonces", "login_attempts"}


class SimulatedClock:
    """A clock that goes a little at every look, and further when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, **by: float) -> None:
        """Let time pass, as in ``advance(days=180)``."""
        self.now += timedelta(**by)


@dataclass
class Answer:
    """What the server answered, and what that did to it.

    Attributes:
        changed: whether a row (but for the log's and the nonces') or a file is another now.
        entries: what the access log says of this request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    changed: bool
    entries: Sequence[Mapping[str, Any]]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]

    @property
    def slug(self) -> str | None:
        """Last part of the problem's type; ``None`` where nothing was refused."""
        if self.headers.get("Content-Type") != "application/problem+json":
            return None
        return str(self.json["type"]).removeprefix("urn:tongqiao:problem:")


def granted(answer: Answer, status: int | None = None) -> Answer:
    """The request was carried out, and the log says so."""
    assert answer.status in ((200, 201) if status is None else (status,)), answer.body
    assert [entry["outcome"] for entry in answer.entries if entry["outcome"] != "granted"] == []
    assert answer.entries, "what is not logged did not happen"
    return answer


def refused(answer: Answer, slug: str) -> Answer:
    """The request was refused for this reason, clearly; it is in the log and changed nothing."""
    assert answer.slug == slug, (answer.status, answer.body)
    problem = answer.json
    assert answer.status == problem["status"] == PROBLEMS[slug].status
    assert problem["title"] == PROBLEMS[slug].title
    assert problem["detail"].endswith((".", "`."))
    assert problem["instance"] == f"urn:tongqiao:request:{answer.headers['X-Request-Id']}"
    assert [(entry["outcome"], entry["reason"]) for entry in answer.entries] == [("refused", slug)]
    assert not answer.changed, "a refused request changed something"
    return answer


@dataclass
class Party:
    """Someone who sends signed requests; ``None`` for someone without keys."""

    server: "SimulatedServer"
    identity: PrivateIdentity | None

    @property
    def id(self) -> str:
        """Id of the office or person."""
        assert self.identity is not None
        return self.identity.public.holder

    def sends(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        arriving: bytes | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request.

        Args:
            headers: instead of signing: the headers of a request signed before.
            arriving: what arrives instead of the body that was signed.
            environ: variables of the WSGI environment to set.
        """
        if headers is None:
            headers = self.signs_request(method, path, body)
        return self.server.ask(
            method,
            path,
            body if arriving is None else arriving,
            dict(headers) | ({} if content_type is None else {"Content-Type": content_type}),
            environ,
        )

    def signs_request(
        self, method: str, path: str, body: bytes = b"", *, nonce: str | None = None
    ) -> dict[str, str]:
        """Headers of a signed request."""
        if self.identity is None:
            return {}
        return sign_request(
            self.identity,
            method,
            BASE_URL + path,
            content_digest(body),
            created=int(self.server.clock().timestamp()),
            nonce=nonce,
        )

    def gets(self, path: str) -> Answer:
        """GET."""
        return self.sends("GET", path)

    def posts(self, path: str, value: Any) -> Answer:
        """POST JSON."""
        return self.sends("POST", path, _json(value), content_type="application/json")

    def puts(self, path: str, value: Any) -> Answer:
        """PUT JSON."""
        return self.sends("PUT", path, _json(value), content_type="application/json")

    def puts_bytes(self, path: str, data: bytes, *, arriving: bytes | None = None) -> Answer:
        """PUT bytes."""
        return self.sends(
            "PUT", path, data, content_type="application/octet-stream", arriving=arriving
        )

    def cosigns(self, checkpoint: bytes | None = None, *, name: str | None = None) -> Answer:
        """Witness the log: cosign a checkpoint, the present one if none is given."""
        assert self.identity is not None
        note = parse_note(checkpoint or self.gets("/v1/log/checkpoint").body)
        size = parse_checkpoint(note.text).size
        witness = witness_name(self.server.installation.log_key.origin, name or self.id)
        now = int(self.server.clock().timestamp())
        line = cosign(self.identity.signing_private, witness, note.text, now)
        return self.posts("/v1/log/cosignatures", {"size": size, "line": line.to_text()})

    def reads_round(self, round_id: str) -> Answer:
        """Read a round."""
        return self.gets(f"/v1/rounds/{round_id}")


P = TypeVar("P", bound=Party)


class Office(Party):
    """An office: signs terms, uploads, fetches its links."""

    def enrols(self) -> Answer:
        """Send the public identity."""
        assert self.identity is not None
        body = self.identity.public.to_json()
        return self.sends("POST", "/v1/members", body, content_type="application/json")

    def signs(
        self,
        round_id: str,
        *,
        terms: Mapping[str, Any] | None = None,
        secret: LinkageSecret | None = None,
        office: str | None = None,
        signer: PrivateIdentity | None = None,
    ) -> Answer:
        """Sign the terms of a round, with ``secret`` as the coordinating office does."""
        document = terms or self.server.terms_of(round_id)
        data = canonical_json(dict(document))
        private = signer or self.identity
        assert private is not None
        signature = sign_document(private.signing_private, labels.TERMS, data)
        body = {
            "terms_sha256": hashlib.sha256(data).hexdigest(),
            "signature": base64.b64encode(signature).decode(),
        }
        if secret is not None:
            context = f"{document['project']}/{document['round']}"
            suite = CIPHER_SUITES[document.get("cipher_suite", "default")]
            body["key_confirmation"] = secret.key_confirmation(context, suite)
        return self.puts(f"/v1/rounds/{round_id}/signatures/{office or self.id}", body)

    def uploads(
        self,
        round_id: str,
        data: bytes,
        *,
        office: str | None = None,
        arriving: bytes | None = None,
    ) -> Answer:
        """Upload an encoded file."""
        return self.puts_bytes(
            f"/v1/rounds/{round_id}/uploads/{office or self.id}", data, arriving=arriving
        )

    def begins(self, round_id: str, data: bytes) -> Answer:
        """Begin an upload in pieces."""
        body = {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
        return self.posts(f"/v1/rounds/{round_id}/uploads/{self.id}/part", body)

    def appends(
        self, round_id: str, offset: int, data: bytes, *, arriving: bytes | None = None
    ) -> Answer:
        """Send a piece of an upload; ``arriving`` is what arrives of it before a break."""
        cut = arriving is not None and data.startswith(arriving) and arriving != data
        return self.sends(
            "PATCH",
            f"/v1/rounds/{round_id}/uploads/{self.id}/part?offset={offset}",
            data,
            content_type="application/octet-stream",
            arriving=arriving,
            environ={"CONTENT_LENGTH": str(len(data))} if cut else None,
        )

    def completes(self, round_id: str, data: bytes) -> Answer:
        """Have an upload in pieces stored."""
        body = {"sha256": hashlib.sha256(data).hexdigest()}
        return self.posts(f"/v1/rounds/{round_id}/uploads/{self.id}/part/completion", body)

    def reads_part(self, round_id: str) -> Answer:
        """Ask where an upload in pieces stands."""
        return self.gets(f"/v1/rounds/{round_id}/uploads/{self.id}/part")

    def drops(self, round_id: str) -> Answer:
        """Give up an upload in pieces."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/uploads/{self.id}/part")

    def reads_upload(self, round_id: str, office: str | None = None) -> Answer:
        """Read the status of an upload."""
        return self.gets(f"/v1/rounds/{round_id}/uploads/{office or self.id}")

    def withdraws(self, round_id: str, office: str | None = None) -> Answer:
        """Withdraw an upload."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/uploads/{office or self.id}")

    def reads_results(self, round_id: str, office: str | None = None, query: str = "") -> Answer:
        """Read a page of results."""
        return self.gets(f"/v1/rounds/{round_id}/results/{office or self.id}{query}")

    def rotates_to(self, new: "Office") -> Answer:
        """Name new keys, with the present ones."""
        assert self.identity is not None
        assert new.identity is not None
        rotation = rotate_identity(self.identity, new.identity)
        return self.sends(
            "PUT", f"/v1/members/{self.id}/key", rotation.to_json(),
            content_type="application/json",
        )  # fmt: skip

    @staticmethod
    def receipt_of(links: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What an office says that has these links."""
        lines = b"".join(link_line(link) for link in links)
        return {"links_sha256": hashlib.sha256(lines).hexdigest(), "n_links": len(links)}

    def acknowledges(self, round_id: str, links: Sequence[Mapping[str, Any]]) -> Answer:
        """Say that these links have arrived."""
        path = f"/v1/rounds/{round_id}/results/{self.id}/receipt"
        return self.puts(path, self.receipt_of(links))

    def leaves(self, round_id: str, office: str | None = None) -> Answer:
        """Withdraw from a released round."""
        return self.sends("PUT", f"/v1/rounds/{round_id}/withdrawals/{office or self.id}")


class Operator(Party):
    """A linkage operator: approves offices, runs rounds, sees aggregates."""

    def approves(self, office: Office, fingerprint: str | None = None) -> Answer:
        """Approve an office, with the fingerprint that it read out."""
        assert office.identity is not None
        heard = fingerprint or office.identity.public.fingerprint
        return self.posts(f"/v1/members/{office.id}/approval", {"fingerprint": heard})

    def revokes(self, member: Party, *, compromised_since: datetime | None = None) -> Answer:
        """Revoke a member."""
        body = {"reason": "its key was lost"}
        if compromised_since is not None:
            body["compromised_since"] = compromised_since.isoformat()
        return self.posts(f"/v1/members/{member.id}/revocation", body)

    def creates_project(self, **changes: Any) -> Answer:
        """Create the project of the factories, with changes."""
        project = {
            "id": PROJECT,
            "name": "流动儿童和留守儿童（测试）",
            "purpose": "Find children that two offices know.",
            "coordinating_office": COORDINATOR,
            "members": [{"office": office, "role": role} for office, role in ROLES.items()],
        }
        return self.posts("/v1/projects", project | changes)

    def creates_round(self, *, profile: str = factories.PROFILE_TEXT, **changes: Any) -> Answer:
        """Create a round with the terms of the factories, with changes."""
        return self.posts("/v1/rounds", {"terms": factories.terms(**changes), "profile": profile})

    def amends(
        self, round_id: str, *, profile: str = factories.PROFILE_TEXT, **changes: Any
    ) -> Answer:
        """Change the terms of a round to those of the factories, with changes."""
        body = {"terms": factories.terms(**changes), "profile": profile}
        return self.puts(f"/v1/rounds/{round_id}/terms", body)

    def takes_step(self, round_id: str, action: str) -> Answer:
        """Open, freeze, run, release or cancel a round."""
        return self.posts(f"/v1/rounds/{round_id}/transitions", {"action": action})

    def excludes(self, round_id: str, office: str) -> Answer:
        """Ask to take an office out of a round."""
        return self.sends("PUT", f"/v1/rounds/{round_id}/exclusions/{office}")

    def recalls(self, round_id: str, office: str = next(iter(ROLES))) -> Answer:
        """Take back a request to take an office out."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/exclusions/{office}")

    def expires(self, round_id: str) -> Answer:
        """Ask to end a released round early."""
        return self.sends("PUT", f"/v1/rounds/{round_id}/expiry")

    def recalls_expiry(self, round_id: str) -> Answer:
        """Take back a request to end a round early."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/expiry")

    def excludes_from_project(self, office: str) -> Answer:
        """Take an office out of the project."""
        return self.sends("PUT", f"/v1/projects/{PROJECT}/exclusions/{office}")

    def reads_review(self, round_id: str) -> Answer:
        """Read the aggregates of a matched round."""
        return self.gets(f"/v1/rounds/{round_id}/review")


class Auditor(Party):
    """An auditor: reads the access log."""

    def reads_log(self, start: int = 0, limit: int = 1000) -> Answer:
        """Read entries."""
        return self.gets(f"/v1/log/entries?start={start}&limit={limit}")

    def marks_finding(self, finding: str, *, entry: int = 0, verdict: str = "explained") -> Answer:
        """Note that a finding of a report was looked at."""
        mark = {"finding": finding, "kind": "night", "verdict": verdict, "entry": entry}
        return self.posts("/v1/log/findings", mark)

    def reads_checkpoint(self) -> Answer:
        """Read a signed checkpoint."""
        return self.gets("/v1/log/checkpoint")


@dataclass
class Browser:
    """Somebody's browser: it keeps a cookie, and sends what pages of the server tell it to.

    Attributes:
        csrf_token: what the server's pages know since the login.
    """

    server: "SimulatedServer"
    client: FlaskClient
    origin: str = "192.0.2.7"
    csrf_token: str | None = None

    def sends(
        self,
        method: str,
        path: str,
        value: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, with JSON where there is a value."""
        own = {} if self.csrf_token is None else {"X-CSRF-Token": self.csrf_token}
        own |= {} if value is None else {"Content-Type": "application/json"}
        return self.server.ask(
            method,
            path,
            b"" if value is None else _json(value),
            own | dict(headers or {}),
            {"REMOTE_ADDR": self.origin},
            self.client,
        )

    def gets(self, path: str) -> Answer:
        """GET."""
        return self.sends("GET", path)

    def posts(self, path: str, value: Any = None) -> Answer:
        """POST JSON."""
        return self.sends("POST", path, value)

    def logs_in(self, person: "Person", **changes: str) -> Answer:
        """Log in as a person, with changes to what the person would type."""
        typed = {"person": person.id, "password": person.password, "code": person.code()}
        answer = self.posts("/v1/session", typed | changes)
        if answer.status == 201:
            self.csrf_token = answer["csrf_token"]
        return answer


@dataclass
class Person:
    """Somebody who was invited and enrolled, with a device that shows one-time codes."""

    server: "SimulatedServer"
    id: str
    password: str
    secret: str
    recovery_codes: Sequence[str]

    def code(self, later_s: float = 0) -> str:
        """What the device shows."""
        return pyotp.TOTP(self.secret).at(int(self.server.clock().timestamp() + later_s))


@dataclass
class OpenRound:
    """A round with everybody who has a part in it.

    Attributes:
        files: office -> its encoded file.
    """

    coordinator: Office
    offices: Sequence[Office]
    files: Mapping[str, factories.EncodedTestFile]
    first: Operator
    second: Operator
    auditor: Auditor

    def office(self, office: str) -> Office:
        """One of the offices that bring records."""
        return next(entry for entry in self.offices if entry.id == office)

    def everybody_uploads(self) -> None:
        """Each office uploads its file."""
        for office in self.offices:
            granted(office.uploads(ROUND, self.files[office.id].data))

    def is_matched(self) -> None:
        """Everybody uploads; the first operator freezes and runs; the worker matches."""
        self.everybody_uploads()
        granted(self.first.takes_step(ROUND, "freeze"))
        granted(self.first.takes_step(ROUND, "run"))
        assert self.first.server.worker().work_once()

    def is_released(self) -> None:
        """All the way to the release by the second operator."""
        self.is_matched()
        granted(self.second.takes_step(ROUND, "release"))


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
        return self._party(Office, office, "office")

    def enrolled_office(self, office: str) -> Office:
        """An office that is enrolled and approved."""
        party = self.office(office)
        assert party.identity is not None
        add_member(self.installation, own_caller("administrator"), party.identity.public)
        return party

    def operator(self, person: str = "chen") -> Operator:
        """An operator, added on the server itself."""
        return self._added(self._party(Operator, person, "operator"))

    def auditor(self, person: str = "he") -> Auditor:
        """An auditor, added on the server itself."""
        return self._added(self._party(Auditor, person, "auditor"))

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
        return self._played(f"draft {terms}", lambda: self._play_draft(terms))

    def open_round(self, **terms: Any) -> OpenRound:
        """A round that everybody has signed, ready for uploads."""
        return self._played(f"open {terms}", lambda: self._play_open(terms))

    def _play_draft(self, terms: Mapping[str, Any]) -> OpenRound:
        first, second, auditor = self.operator("chen"), self.operator("luo"), self.auditor("he")
        coordinator = self.enrolled_office(COORDINATOR)
        offices = [self.enrolled_office(office) for office in ROLES]
        granted(first.creates_project())
        granted(first.creates_round(**terms), 201)
        return OpenRound(
            coordinator, offices, encoded_files(self.directory.parent), first, second, auditor
        )

    def _play_open(self, terms: Mapping[str, Any]) -> OpenRound:
        party = self._play_draft(terms)
        granted(party.first.takes_step(ROUND, "open"))
        granted(party.coordinator.signs(ROUND, secret=SECRET))
        for office in party.offices:
            granted(office.signs(ROUND))
        return party

    def _played(self, scene: str, play: Callable[[], OpenRound]) -> OpenRound:
        """Play a scene on a new server; once played, the next new server gets its database."""
        if self.log_size() > 1:
            return play()
        key = (databases.kind(), scene)
        if key not in _SCENES:
            party = play()
            _SCENES[key] = (self._copy_database(), self.clock.now)
            return party
        database, self.clock.now = _SCENES[key]
        self._restore_database(database)
        return OpenRound(
            self.office(COORDINATOR),
            [self.office(office) for office in ROLES],
            encoded_files(self.directory.parent),
            self._party(Operator, "chen", "operator"),
            self._party(Operator, "luo", "operator"),
            self._party(Auditor, "he", "auditor"),
        )

    def _copy_database(self) -> Any:
        config = self.installation.config
        if config.database == "sqlite":
            # All of it is in the one file when the log before it is emptied.
            assert self.installation.database.scrub(["members"], patience_s=5)
            return config.database_file.read_bytes()
        self.installation.close()
        return postgresql.new_database(template=str(config.database_url.database))

    def _restore_database(self, copy: Any) -> None:
        config = self.installation.config
        self.installation.close()
        if config.database == "sqlite":
            config.database_file.write_bytes(copy)
        else:
            name = str(config.database_url.database)
            postgresql.drop_database(name)
            postgresql.new_database(template=copy, name=name)

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

    def _party(self, kind: type[P], name: str, role: Kind) -> P:
        party = self._parties.setdefault(name, kind(self, factories.identity(name, role)))
        assert isinstance(party, kind)
        return party

    def _added(self, party: P) -> P:
        assert party.identity is not None
        add_member(self.installation, own_caller("administrator"), party.identity.public)
        return party


@contextlib.contextmanager
def simulated_server(
    folder: Path, *, settings: str = "", clock: SimulatedClock | None = None
) -> Iterator[SimulatedServer]:
    """A new server below ``folder``; ``settings`` are lines of its ``server.toml``."""
    directory = folder / "server"
    template = _new_installation(databases.kind())
    shutil.copytree(template.directory, directory)
    directory.chmod(0o700)
    if databases.kind() == "sqlite":
        settings += 'database = "sqlite"\n'
    else:
        settings += f'database = "{databases.new_address(template.database)}"\n'
    with (directory / "server.toml").open("a", encoding="utf-8") as file:
        file.write(settings)
    time = clock or SimulatedClock()
    installation = open_installation(load_config(directory), time)
    # Making all addresses takes a tenth of a second or two, and every test has a server of its own.
    app = _IDLE_APPS.pop() if _IDLE_APPS else make_unbound_app()
    watch_writes(installation.database.engine)
    try:
        bind_installation(app, installation)
        yield SimulatedServer(directory, time, installation, app.test_client())
    finally:
        installation.close()
        _IDLE_APPS.append(app)


@dataclass(frozen=True)
class _Template:
    directory: Path
    database: str | None


@cache
def _new_installation(kind: str) -> _Template:
    """A server's folder and database as `tongqiao server init` makes them, to copy."""
    folder = Path(tempfile.mkdtemp(prefix="tongqiao-simulated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = None if kind == "sqlite" else postgresql.new_database()
    address = "sqlite" if database is None else postgresql.url_of(database)
    create_installation(folder / "server", "Simulated", {"database": address}).close()
    settings = folder / "server" / "server.toml"
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("database")))
    return _Template(folder / "server", database)


def encoded_files(folder: Path) -> dict[str, factories.EncodedTestFile]:
    """An encoded file of each office; any two know some of the same 60 children."""
    target = folder / "encoded"
    target.mkdir(exist_ok=True)
    files = {}
    for office, (data, number_of) in _encoded_shares().items():
        path = target / f"{office}.tqe"
        path.write_bytes(data)
        files[office] = factories.EncodedTestFile(path, number_of)
    return files


@cache
def _encoded_shares() -> dict[str, tuple[bytes, Mapping[str, str]]]:
    known = factories.children(60)
    shares = zip(ROLES, (known[:45], known[15:], known[20:40]), strict=True)
    with tempfile.TemporaryDirectory() as folder:
        made = {
            office: factories.encoded_file(Path(folder) / f"{office}.tqe", share)
            for office, share in shares
        }
        return {office: (file.data, file.number_of) for office, file in made.items()}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
