"""Every address, asked by everybody: one table, compared with what the server does.

Columns: an office of the round (`own`), an office of the same round asking about another's things
(`peer`), an approved office that has no part (`other`), the coordinating office, an operator, an
auditor, someone who signs nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.server.app import create_app
from api.server.auth import PUBLIC
from api.server.config import load_config
from api.server.services.installation import create_installation
from tests.factories import COORDINATOR, PROFILE_TEXT, PROJECT, ROUND, terms
from tests.simulator import (
    Answer,
    Office,
    OpenRound,
    Party,
    SimulatedServer,
    granted,
    refused,
)

OWN, PEER, OTHER = "jinjiang-civil", "zhongjiang-civil", "outside-office"
SLUGS = {"no": "forbidden", "unknown": "not-found", "sign": "unsigned"}
"""What the words of the table say; ``unknown`` is what the caller may not even know of."""

COLUMNS = ("own", "peer", "other", "coordinator", "operator", "auditor", "unsigned")

TABLE = """
                                                   own     peer    other   coord   operator auditor none  op-web  aud-web admin
GET    /v1/members                                 yes     yes     yes     yes     yes      yes     sign  yes     yes     no
POST   /v1/members                                 yes     yes     yes     yes     no       no      sign  no      no      no
GET    /v1/members/OWN                             yes     yes     yes     yes     yes      yes     sign  yes     yes     no
POST   /v1/members/OWN/approval                    no      no      no      no      yes      no      sign  yes     no      no
POST   /v1/members/OWN/revocation                  no      no      no      no      yes      no      sign  yes     no      no
POST   /v1/projects                                no      no      no      no      yes      no      sign  yes     no      no
GET    /v1/projects                                yes     yes     yes     yes     yes      yes     sign  yes     yes     no
GET    /v1/projects/P                              yes     yes     unknown yes     yes      yes     sign  yes     yes     no
PUT    /v1/projects/P/secrets/1/OWN                no      no      unknown yes     no       no      sign  no      no      no
GET    /v1/projects/P/secrets/1/OWN                yes     no      unknown no      no       no      sign  no      no      no
POST   /v1/rounds                                  no      no      no      no      yes      no      sign  yes     no      no
GET    /v1/rounds                                  yes     yes     yes     yes     yes      yes     sign  yes     yes     no
GET    /v1/rounds/R                                yes     yes     unknown yes     yes      yes     sign  yes     yes     no
GET    /v1/rounds/R/profile                        yes     yes     unknown yes     yes      yes     sign  yes     yes     no
PUT    /v1/rounds/R/signatures/OWN                 yes     no      unknown no      no       no      sign  no      no      no
PUT    /v1/rounds/R/uploads/OWN                    yes     no      unknown no      no       no      sign  no      no      no
GET    /v1/rounds/R/uploads/OWN                    yes     no      unknown no      no       no      sign  no      no      no
DELETE /v1/rounds/R/uploads/OWN                    yes     no      unknown no      no       no      sign  no      no      no
POST   /v1/rounds/R/uploads/OWN/part               yes     no      unknown no      no       no      sign  no      no      no
GET    /v1/rounds/R/uploads/OWN/part               yes     no      unknown no      no       no      sign  no      no      no
PATCH  /v1/rounds/R/uploads/OWN/part               yes     no      unknown no      no       no      sign  no      no      no
POST   /v1/rounds/R/uploads/OWN/part/completion    yes     no      unknown no      no       no      sign  no      no      no
DELETE /v1/rounds/R/uploads/OWN/part               yes     no      unknown no      no       no      sign  no      no      no
POST   /v1/rounds/R/transitions                    no      no      no      no      yes      no      sign  yes     no      no
GET    /v1/rounds/R/review                         no      no      no      no      yes      no      sign  yes     no      no
GET    /v1/rounds/R/results/OWN                    yes     no      unknown no      no       no      sign  no      no      no
GET    /v1/log/checkpoint                          yes     yes     yes     yes     yes      yes     sign  yes     yes     no
GET    /v1/log/entries                             no      no      no      no      no       yes     sign  no      yes     no
GET    /v1/log/own-entries                         yes     yes     yes     yes     no       no      sign  no      no      no
GET    /v1/log/entries/0/proof                     unknown unknown unknown unknown no       yes     sign  no      yes     no
GET    /v1/log/consistency/1/2                     yes     yes     yes     yes     yes      yes     sign  yes     yes     no
GET    /v1/log/tile/0/000.p/1                      no      no      no      no      no       yes     sign  no      yes     no
POST   /v1/log/cosignatures                        yes     yes     yes     yes     no       yes     sign  no      yes     no
GET    /v1/log/cosignatures                        yes     yes     yes     yes     yes      yes     sign  yes     yes     no
GET    /v1/session                                 login   login   login   login   login    login   login yes     yes     yes
DELETE /v1/session                                 login   login   login   login   login    login   login yes     yes     yes
POST   /v1/account/password                        login   login   login   login   login    login   login yes     yes     yes
POST   /v1/account/recovery-codes                  login   login   login   login   login    login   login yes     yes     yes
GET    /v1/people                                  login   login   login   login   login    login   login no      yes     yes
POST   /v1/people                                  login   login   login   login   login    login   login no      no      yes
POST   /v1/people/PERSON/invitation                login   login   login   login   login    login   login no      no      yes
POST   /v1/people/PERSON/disablement               login   login   login   login   login    login   login no      no      yes
"""

LINES = [line.split() for line in TABLE.strip().splitlines()[1:]]
AFTER_RELEASE = {"GET /v1/rounds/R/review", "GET /v1/rounds/R/results/OWN"}


def ask(asker: Party, method: str, line: str, party: OpenRound) -> Answer:
    """One request of the table, as well made as the asker can make it."""
    own = party.office(OWN)
    assert own.identity is not None
    path = (
        f"{line}/".replace("OWN", OWN).replace("/R/", f"/{ROUND}/").replace("/P/", f"/{PROJECT}/")
    )
    path = path.removesuffix("/")
    if method in ("GET", "DELETE"):
        return asker.sends(method, path)
    if line == "/v1/members":
        identity = asker.identity or own.identity
        return asker.sends(method, path, identity.public.to_json())
    if line.endswith("/signatures/OWN"):
        return Office(asker.server, asker.identity).signs(
            ROUND, office=OWN, signer=asker.identity or own.identity
        )
    if method == "PATCH":
        return asker.sends(method, f"{path}?offset=0", party.files[OWN].data)
    if line.endswith("/uploads/OWN"):
        return asker.puts_bytes(path, party.files[OWN].data)
    if line == "/v1/log/cosignatures":
        return asker.cosigns() if asker.identity else asker.posts(path, {"size": 1, "line": "-"})
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
        "/v1/rounds/R/transitions": {"action": "freeze"},
    }
    return asker.posts(path, bodies[line])


def askers(server: SimulatedServer, party: OpenRound) -> dict[str, Party]:
    return {
        "own": party.office(OWN),
        "peer": party.office(PEER),
        "other": server.enrolled_office(OTHER),
        "coordinator": party.coordinator,
        "operator": party.first,
        "auditor": party.auditor,
        "unsigned": server.stranger(),
    }


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
    people = askers(server, party)
    cells = dict(zip(COLUMNS, expected, strict=True))
    # What is refused changes nothing, so all of that first.
    for column, word in sorted(cells.items(), key=lambda cell: cell[1] == "yes"):
        answer = ask(people[column], method, path, party)
        if word == "yes":
            granted(answer)
        else:
            refused(answer, SLUGS[word])


def test_the_table_has_every_address(tmp_path: Path) -> None:
    create_installation(tmp_path / "server", "Test").close()
    app = create_app(load_config(tmp_path / "server"))
    placeholders = {
        "<id:member_id>": "OWN",
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
        if rule.rule not in PUBLIC:
            path = rule.rule
            for converter, word in placeholders.items():
                path = path.replace(converter, word)
            served |= {(method, path) for method in (rule.methods or set()) - {"HEAD"}}
    assert served == {(line[0], line[1]) for line in LINES}
    app.extensions["tongqiao"].close()


@pytest.mark.parametrize("column", ["own", "operator", "auditor"])
def test_head_is_get_without_a_body(server: SimulatedServer, column: str) -> None:
    asker = askers(server, server.draft_round())[column]
    answer = granted(asker.sends("HEAD", f"/v1/rounds/{ROUND}"))
    assert answer.body == b""
