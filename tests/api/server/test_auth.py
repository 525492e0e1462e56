"""Who is let in: default deny, and the attacks on signed requests."""

from pathlib import Path

import pytest
from flask import Flask

from api.server.app import create_app
from api.server.auth import PUBLIC, PUBLIC_PAGES, access_of
from api.server.config import load_config
from api.server.services.installation import create_installation
from tests import factories
from tests.factories import PROJECT, ROUND
from tests.simulator import Office, SimulatedServer, granted, refused, simulated_server


def make_app(tmp_path: Path) -> Flask:
    create_installation(tmp_path / "server", "Test").close()
    return create_app(load_config(tmp_path / "server"))


def test_every_address_says_who_may_call_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    open_to_all = set()
    for rule in app.url_map.iter_rules():
        access = access_of(app.view_functions[rule.endpoint])
        if access is None or access.anyone:
            open_to_all |= {
                f"{method} {rule.rule}" for method in (rule.methods or set()) - {"HEAD"}
            }
    assert open_to_all == PUBLIC | PUBLIC_PAGES
    app.extensions["tongqiao"].close()


def test_the_list_of_public_addresses() -> None:
    assert {
        "GET /health",
        "GET /ready",
        "GET /openapi.json",
        "GET /v1/server",
        # These ask for a proof by themselves.
        "POST /v1/session",
        "POST /v1/enrolments",
        "POST /v1/enrolments/completion",
    } == PUBLIC
    assert {
        "GET /console/login",
        "GET /console/enrol",
        # These ask for a proof by themselves.
        "POST /console/login",
        "POST /console/login/provider",
        "GET /console/login/return",
        "GET /console/login/code",
        "POST /console/login/code",
        "POST /console/enrol",
        # Stylesheets, scripts and pictures.
        "GET /pages/<path:filename>",
        "GET /bootstrap/static/<path:filename>",
    } == PUBLIC_PAGES


def test_an_address_that_says_nothing_is_closed_to_everybody(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.add_url_rule("/v1/forgotten", view_func=lambda: "open to the world")
    answer = app.test_client().get("/v1/forgotten")
    assert answer.status_code == 403
    assert b"open to the world" not in answer.data
    app.extensions["tongqiao"].close()


def test_public_addresses_need_no_signature(server: SimulatedServer) -> None:
    for address in PUBLIC:
        method, path = address.split()
        expected = 200 if method == "GET" else 422
        assert server.stranger().sends(method, path).status == expected


def test_an_unsigned_request(server: SimulatedServer) -> None:
    answer = refused(server.stranger().gets("/v1/members"), "unsigned")
    assert answer.headers["WWW-Authenticate"].startswith("Signature")


def test_a_key_that_nobody_knows(server: SimulatedServer) -> None:
    refused(server.office("unknown-office").gets("/v1/members"), "bad-signature")


def test_a_key_that_waits_for_approval(server: SimulatedServer) -> None:
    office = server.office("jinjiang-civil")
    granted(office.enrols())
    answer = refused(office.gets("/v1/members"), "bad-signature")
    assert "approval" in answer["detail"]


def test_a_revoked_key(server: SimulatedServer) -> None:
    office, chen = server.enrolled_office("jinjiang-civil"), server.operator()
    granted(office.gets("/v1/members"))
    granted(chen.revokes(office))
    refused(office.gets("/v1/members"), "bad-signature")


def test_a_replayed_request_is_not_carried_out_twice(server: SimulatedServer) -> None:
    chen, office = server.operator(), server.office("jinjiang-civil")
    granted(office.enrols())
    assert office.identity is not None
    body = b'{"fingerprint": "' + office.identity.public.fingerprint.encode() + b'"}'
    path = f"/v1/members/{office.id}/approval"
    headers = chen.signs_request("POST", path, body)
    once = chen.sends("POST", path, body, headers=headers, content_type="application/json")
    granted(once)
    again = chen.sends("POST", path, body, headers=headers, content_type="application/json")
    refused(again, "replayed")


def test_a_replay_is_found_after_a_restart_too(tmp_path: Path) -> None:
    with simulated_server(tmp_path) as server:
        chen = server.operator()
        headers = chen.signs_request("GET", "/v1/members")
        granted(chen.sends("GET", "/v1/members", headers=headers))
        app = create_app(load_config(server.directory), clock=server.clock)
        restarted = SimulatedServer(
            server.directory, server.clock, app.extensions["tongqiao"], app.test_client()
        )
        refused(restarted.ask("GET", "/v1/members", b"", headers), "replayed")
        restarted.installation.close()


def test_nonces_are_forgotten_once_their_signatures_have_expired(server: SimulatedServer) -> None:
    chen = server.operator()
    for _ in range(3):
        granted(chen.gets("/v1/members"))
    server.worker().run(once=True)
    assert len(server.rows("nonces")) == 3
    server.clock.advance(seconds=901)
    granted(chen.gets("/v1/members"))
    server.worker().run(once=True)
    assert len(server.rows("nonces")) == 1


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_outside_the_time_window(server: SimulatedServer, seconds: int) -> None:
    chen = server.operator()
    headers = chen.signs_request("GET", "/v1/members")
    server.clock.advance(seconds=seconds)
    refused(chen.sends("GET", "/v1/members", headers=headers), "expired-signature")


def test_a_body_that_is_not_the_signed_one(server: SimulatedServer) -> None:
    chen, office = server.operator(), server.office("jinjiang-civil")
    granted(office.enrols())
    path = f"/v1/members/{office.id}/revocation"
    answer = chen.sends(
        "POST",
        path,
        b'{"reason": "left"}',
        arriving=b'{"reason": "evil"}',
        content_type="application/json",
    )
    refused(answer, "digest-mismatch")


def test_a_get_with_a_body_that_was_not_signed(server: SimulatedServer) -> None:
    chen = server.operator()
    refused(chen.sends("GET", "/v1/members", b"", arriving=b"more"), "digest-mismatch")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/members/zhongjiang-civil"),
        ("GET", "/v1/members?x=1"),
        ("HEAD", "/v1/members/jinjiang-civil"),
    ],
)
def test_a_signature_for_another_request(server: SimulatedServer, method: str, path: str) -> None:
    chen = server.operator()
    server.enrolled_office("jinjiang-civil")
    headers = chen.signs_request("GET", "/v1/members/jinjiang-civil")
    answer = server.ask(method, path, b"", headers)
    assert answer.status == 401
    assert [entry["reason"] for entry in answer.entries] == ["bad-signature"]


def test_a_signature_for_another_server(server: SimulatedServer) -> None:
    chen = server.operator()
    headers = chen.signs_request("GET", "/v1/members") | {"Host": "other.example"}
    refused(server.ask("GET", "/v1/members", b"", headers), "bad-signature")


def test_only_names_of_this_server_are_taken_where_they_are_set(tmp_path: Path) -> None:
    with simulated_server(tmp_path, settings='hosts = ["linkage.example"]\n') as server:
        granted(server.operator().gets("/v1/members"))
    other = tmp_path / "other"
    with simulated_server(other, settings='hosts = ["elsewhere.example"]\n') as server:
        refused(server.operator().gets("/v1/members"), "bad-signature")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/members/jinjiang%2Dcivil",
        "/v1/%6dembers",
        "/v1/members/jinjiang-civil%2Fapproval",
        "/v1//members",
        "/v1/./members",
        "/v1/projects/../members",
        "/v1/members/",
        "/v1/members;x=1",
        "/v1/members/JINJIANG-CIVIL",
        "/v1/members/锦江",
    ],
)
def test_an_address_with_two_readings_is_none(server: SimulatedServer, path: str) -> None:
    server.enrolled_office("jinjiang-civil")
    chen = server.operator()
    headers = chen.signs_request("GET", "/v1/members/jinjiang-civil")
    answer = server.ask("GET", path, b"", headers)
    assert (answer.status, answer.slug) == (404, "not-found")


@pytest.mark.parametrize(
    "environ",
    [
        {"PATH_INFO": "/v1/members"},
        {"SCRIPT_NAME": "/v1"},
        {"QUERY_STRING": "limit=1"},
        {"RAW_URI": "/v1/members"},
        {"RAW_URI": "http://linkage.example/v1/server"},
        {"RAW_URI": "/v1/server#/v1/projects"},
    ],
)
def test_what_is_routed_is_what_arrived(server: SimulatedServer, environ: dict[str, str]) -> None:
    chen = server.operator()
    answer = chen.sends("GET", "/v1/projects", environ=environ)
    refused(answer, "not-found")


def test_a_body_over_the_limit_is_not_read(tmp_path: Path) -> None:
    with simulated_server(tmp_path, settings="max_json_bytes = 4096\n") as server:
        chen = server.operator()
        refused(chen.posts("/v1/projects", {"id": "x" * 5000}), "too-large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"reason": "a", "reason": "b"}',
        b'{"reason": NaN}',
        b'\xff\xfe{"reason": "a"}',
        b"[" * 100_000,
        b'{"reason": "a", "more": 1}',
        b'{"reason": ""}',
        b'{"reason": "a\\u0007"}',
        b'{"reason": 5}',
    ],
)
def test_a_body_that_is_not_what_it_should_be(server: SimulatedServer, body: bytes) -> None:
    chen, office = server.operator(), server.enrolled_office("jinjiang-civil")
    path = f"/v1/members/{office.id}/revocation"
    refused(chen.sends("POST", path, body, content_type="application/json"), "invalid")


def test_json_says_that_it_is_json(server: SimulatedServer) -> None:
    chen, office = server.operator(), server.enrolled_office("jinjiang-civil")
    path = f"/v1/members/{office.id}/revocation"
    refused(chen.sends("POST", path, b'{"reason": "a"}', content_type="text/plain"), "invalid")


def test_a_query_that_nobody_knows(server: SimulatedServer) -> None:
    refused(server.auditor().gets("/v1/log/entries?from=1"), "invalid")


class TestEnrolment:
    def test_is_signed_by_the_key_that_it_brings(self, server: SimulatedServer) -> None:
        granted(server.office("jinjiang-civil").enrols(), 201)

    def test_unsigned(self, server: SimulatedServer) -> None:
        body = factories.identity("jinjiang-civil").public.to_json()
        refused(
            server.stranger().sends("POST", "/v1/members", body, content_type="application/json"),
            "unsigned",
        )

    def test_signed_by_another_key(self, server: SimulatedServer) -> None:
        other = Office(server, factories.identity("zhongjiang-civil"))
        body = factories.identity("jinjiang-civil").public.to_json()
        refused(
            other.sends("POST", "/v1/members", body, content_type="application/json"),
            "bad-signature",
        )

    def test_with_another_identity_than_the_signed_one(self, server: SimulatedServer) -> None:
        office = server.office("jinjiang-civil")
        mine = factories.identity("jinjiang-civil").public.to_json()
        other = factories.identity("jinjiang-civil", key=1).public.to_json()
        answer = office.sends(
            "POST", "/v1/members", mine, arriving=other, content_type="application/json"
        )
        refused(answer, "bad-signature")

    def test_replayed(self, server: SimulatedServer) -> None:
        office = server.office("jinjiang-civil")
        body = factories.identity("jinjiang-civil").public.to_json()
        headers = office.signs_request("POST", "/v1/members", body)
        granted(office.sends("POST", "/v1/members", body, headers=headers))
        refused(office.sends("POST", "/v1/members", body, headers=headers), "replayed")

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"format": 1}'])
    def test_with_something_else(self, server: SimulatedServer, body: bytes) -> None:
        refused(
            server.office("jinjiang-civil").sends(
                "POST", "/v1/members", body, content_type="application/json"
            ),
            "invalid",
        )


def test_the_role_is_not_the_callers_to_choose(server: SimulatedServer) -> None:
    party = server.draft_round()
    for office in party.offices:
        refused(office.posts(f"/v1/rounds/{ROUND}/transitions", {"action": "open"}), "forbidden")
        refused(office.posts("/v1/projects", {"id": PROJECT}), "forbidden")
