"""Every address, asked by everybody: the table of docs/who-may-what.md holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.server.app import create_app
from api.server.auth import PUBLIC, PUBLIC_PAGES, is_public_address
from api.server.config import load_config
from api.server.services.installation import create_installation
from keys.epochs import rotate_identity
from tests import factories
from tests.factories import COORDINATOR, PROFILE_TEXT, PROJECT, ROUND, terms
from tests.simulator import (
    Answer,
    Office,
    OpenRound,
    Party,
    Person,
    SimulatedServer,
    granted,
    refused,
)

JINJIANG = {"division": "510104", "side": "residence"}
OWN, PEER, OTHER = "jinjiang-civil", "zhongjiang-civil", "outside-office"
SLUGS = {"no": "forbidden", "unknown": "not-found", "sign": "unsigned", "login": "no-session"}

POLICY = Path(__file__).resolve().parents[3] / "docs" / "who-may-what.md"
HEADINGS, *LINES = (
    line.split() for line in POLICY.read_text(encoding="utf-8").split("```")[1].strip().splitlines()
)
IN_BROWSERS = {"op-web": "operator", "aud-web": "auditor", "admin": "administrator"}
AFTER_RELEASE = {
    "GET /v1/rounds/R/review",
    "GET /v1/rounds/R/results/OWN",
    "PUT /v1/rounds/R/results/OWN/receipt",
    "PUT /v1/rounds/R/withdrawals/OWN",
    "PUT /v1/rounds/R/exclusions/OWN",
    "DELETE /v1/rounds/R/exclusions/OWN",
    "PUT /v1/rounds/R/expiry",
    "DELETE /v1/rounds/R/expiry",
}


class InBrowser(Office):
    """A person who is logged in, asking like everybody else."""

    def __init__(self, server: SimulatedServer, person: Person) -> None:
        super().__init__(server, None)
        self.person = person
        self.browser = server.browser()
        granted(self.browser.logs_in(person, code=person.recovery_codes[0]), 201)

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
        own = {"X-CSRF-Token": self.browser.csrf_token or ""}
        own |= {} if content_type is None else {"Content-Type": content_type}
        return self.server.ask(method, path, body, own, environ, self.browser.client)


def ask(asker: Party, method: str, line: str, party: OpenRound) -> Answer:
    """One request of the table, as well made as the asker can make it."""
    own = party.office(OWN)
    assert own.identity is not None
    path = (
        f"{line}/".replace("OWN", OWN)
        .replace("PERSON", "zhao")
        .replace("/R/", f"/{ROUND}/")
        .replace("/P/", f"/{PROJECT}/")
    )
    path = path.removesuffix("/")
    if method in ("GET", "DELETE"):
        return asker.sends(method, path)
    if line == "/v1/members":
        identity = asker.identity or own.identity
        return asker.sends(method, path, identity.public.to_json())
    if line.endswith("/signatures/OWN"):
        office = asker if isinstance(asker, Office) else Office(asker.server, asker.identity)
        return office.signs(ROUND, office=OWN, signer=asker.identity or own.identity)
    if method == "PATCH":
        return asker.sends(method, f"{path}?offset=0", party.files[OWN].data)
    if line.endswith("/uploads/OWN"):
        return asker.puts_bytes(path, party.files[OWN].data)
    if line == "/v1/log/cosignatures":
        return asker.cosigns() if asker.identity else asker.posts(path, {"size": 1, "line": "-"})
    if line.endswith("/OWN/key"):
        rotation = rotate_identity(own.identity, factories.identity(OWN, key=9))
        return asker.sends(method, path, rotation.to_json(), content_type="application/json")
    if line.endswith(("/withdrawals/OWN", "/exclusions/OWN", "/expiry")):
        return asker.sends(method, path)
    if line.endswith("/terms"):
        return asker.puts(path, {"terms": terms(purpose="Another."), "profile": PROFILE_TEXT})
    if line.endswith("/receipt"):
        return asker.puts(path, results_receipt(party.office(OWN)))
    if "/secrets/" in line:
        return asker.puts_bytes(path, b"sealed")
    sha256 = party.files[OWN].sha256
    bodies: Mapping[str, Any] = {
        "/v1/rounds/R/uploads/OWN/part": {"sha256": sha256, "n_bytes": len(party.files[OWN].data)},
        "/v1/rounds/R/uploads/OWN/part/completion": {"sha256": sha256},
        "/v1/members/OWN/approval": {"fingerprint": own.identity.public.fingerprint},
        "/v1/members/OWN/revocation": {"reason": "test"},
        "/v1/projects": {
            "id": "second-project",
            "name": "Second",
            "purpose": "Test",
            "coordinating_office": COORDINATOR,
            "members": [{"office": OWN, "role": "education"}],
        },
        "/v1/rounds": {"terms": terms(round="second-round"), "profile": PROFILE_TEXT},
        # The second who may takes another step.
        "/v1/rounds/R/transitions": {
            "action": "cancel" if isinstance(asker, InBrowser) else "freeze"
        },
        "/v1/log/search": {"outcome": "refused"},
        "/v1/log/exports": {"form": "csv"},
        "/v1/log/findings": {
            "finding": "0" * 32,
            "kind": "night",
            "verdict": "explained",
            "entry": 0,
        },
        "/v1/people": {"id": "sun", "name": "孙", "role": "auditor"},
        "/v1/people/PERSON/invitation": {},
        "/v1/people/PERSON/disablement": {"reason": "test"},
        "/v1/account/password": _proof(asker) | {"new_password": "quite another thing"},
        "/v1/account/recovery-codes": _proof(asker),
        "/v1/projects/P/places": {"places": [{"office": OWN, **JINJIANG}]},
    }
    send = asker.puts if method == "PUT" else asker.posts
    return send(path, bodies[line])


def _proof(asker: Party) -> dict[str, str]:
    if isinstance(asker, InBrowser):
        return {"password": asker.person.password, "code": asker.person.recovery_codes[1]}
    return {"password": "x", "code": "000000"}


def results_receipt(office: Office) -> dict[str, Any]:
    """What an office says that has fetched all of its links."""
    return office.receipt_of(granted(office.reads_results(ROUND))["links"])


def askers(server: SimulatedServer, party: OpenRound) -> dict[str, Party]:
    return {
        "own": party.office(OWN),
        "peer": party.office(PEER),
        "other": server.enrolled_office(OTHER),
        "coord": party.coordinator,
        "operator": party.first,
        "auditor": party.auditor,
        "none": server.stranger(),
    }


def people_in_browsers(server: SimulatedServer) -> dict[str, Party]:
    server.invitation("zhao")
    known = {column: server.person(f"web-{role}", role) for column, role in IN_BROWSERS.items()}
    return {column: InBrowser(server, person) for column, person in known.items()}


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line[0]} {line[1]}")
def test_who_may_what(server: SimulatedServer, line: list[str]) -> None:
    method, path, *expected = line
    party = server.open_round()
    granted(party.coordinator.puts_bytes(f"/v1/projects/{PROJECT}/secrets/1/{OWN}", b"sealed"))
    if f"{method} {path}" in AFTER_RELEASE:
        party.is_released()
    else:
        party.everybody_uploads()
        if "/part" in path and method != "POST":
            granted(party.office(OWN).begins(ROUND, party.files[OWN].data))
    if "/exclusions/" in path and path.startswith("/v1/projects"):
        granted(party.first.excludes(ROUND, OWN))
    people = askers(server, party) | people_in_browsers(server)
    cells = dict(zip(HEADINGS, expected, strict=True))
    # What is refused changes nothing, so all of that first.
    for column, word in sorted(cells.items(), key=lambda cell: cell[1] == "yes"):
        if method == "DELETE" and path.endswith(("/exclusions/OWN", "/expiry")) and word == "yes":
            granted(ask(party.first, "PUT", path, party), 202)
        answer = ask(people[column], method, path, party)
        if word == "yes":
            granted(answer, 202 if answer.status == 202 else None)
        else:
            refused(answer, SLUGS[word])


def test_the_table_has_every_address(tmp_path: Path) -> None:
    create_installation(tmp_path / "server", "Test").close()
    app = create_app(load_config(tmp_path / "server"))
    placeholders = {
        "<id:member_id>": "OWN",
        "<id:person_id>": "PERSON",
        "<id:office>": "OWN",
        "<id:project_id>": "P",
        "<id:round_id>": "R",
        "<epoch:epoch>": "1",
        "<count:index>": "0",
        "<count:old_size>": "1",
        "<count:new_size>": "2",
        "<path:tile>": "0/000.p/1",
    }
    served = set()
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for converter, word in placeholders.items():
            path = path.replace(converter, word)
        served |= {
            (method, path)
            for method in (rule.methods or set()) - {"HEAD"}
            if not is_public_address(method, rule.rule) and not path.startswith("/console/")
        }
    assert served == {(line[0], line[1]) for line in LINES}
    app.extensions["tongqiao"].close()


def test_the_list_of_what_anyone_may_call_is_the_programs() -> None:
    listed = POLICY.read_text(encoding="utf-8").split("```")[5].strip().splitlines()
    assert {" ".join(line.split()[:2]) for line in listed} == PUBLIC | PUBLIC_PAGES
    assert all(len(line.split()) > 2 for line in listed)


@pytest.mark.parametrize("column", ["own", "operator", "auditor"])
def test_head_is_get_without_a_body(server: SimulatedServer, column: str) -> None:
    asker = askers(server, server.draft_round())[column]
    answer = granted(asker.sends("HEAD", f"/v1/rounds/{ROUND}"))
    assert answer.body == b""
