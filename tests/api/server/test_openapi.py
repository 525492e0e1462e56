"""schemathesis attacks the server with its own description: no fault, and nothing undocumented.

Every operation is asked, over HTTP, by somebody who may ask it, with data made from its schema.
``TONGQIAO_EXAMPLES=1000`` asks more.
"""

import os
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.serving import make_server

from api.server.auth import access_of
from api.server.problems import TYPE_PREFIX
from api.server.refusals import PROBLEMS
from keys.request_signing import content_digest, sign_request
from tests.factories import PROJECT, ROLES, ROUND
from tests.simulator import Browser, Party, SimulatedServer

OFFICE = next(iter(ROLES))
N_EXAMPLES = int(os.environ.get("TONGQIAO_EXAMPLES", "8"))
KNOWN = {"round_id": ROUND, "project_id": PROJECT, "office": OFFICE, "member_id": OFFICE}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    allow_header_conformance,
]


class Signed(requests.auth.AuthBase):
    """Signs each request as it leaves."""

    def __init__(self, party: Party) -> None:
        self.party = party

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        data = body.encode() if isinstance(body, str) else bytes(body)
        assert self.party.identity is not None
        assert request.method is not None
        assert request.url is not None
        request.headers.update(
            sign_request(
                self.party.identity,
                request.method,
                request.url,
                content_digest(data),
                created=int(self.party.server.clock().timestamp()),
            )
        )
        return request


class LoggedIn(requests.auth.AuthBase):
    """Sends what a browser sends."""

    def __init__(self, browser: Browser) -> None:
        cookie = browser.client.get_cookie("__Host-tongqiao", "linkage.example", "/")
        assert cookie is not None
        # Over plain HTTP on this machine the cookie has no prefix.
        self.headers = {
            "Cookie": f"tongqiao={cookie.value}",
            "X-CSRF-Token": str(browser.csrf_token),
        }

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.headers)
        return request


@pytest.fixture
def address(server: SimulatedServer) -> Iterator[str]:
    listening = make_server("127.0.0.1", 0, server.client.application, threaded=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_no_operation_has_a_fault(server: SimulatedServer, address: str) -> None:
    app = server.client.application
    party = server.open_round()
    party.everybody_uploads()
    browser = server.logged_in("admin", "administrator")
    askers: dict[str, Party] = {
        "office": party.offices[0],
        "operator": party.first,
        "auditor": party.auditor,
    }
    views = {
        (method, _as_documented(rule.rule)): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in rule.methods or set()
    }
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    asked = 0
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # an error fails the test here
        access = access_of(views[operation.method.upper(), operation.path])
        auth: requests.auth.AuthBase | None = None
        if access is not None and not access.anyone:
            role = next((role for role in askers if role in access.roles), "office")
            auth = Signed(askers[role]) if access.signed else LoggedIn(browser)
        if operation.path == "/v1/session" and operation.method.upper() == "DELETE":
            continue
        _attack(operation, address, auth)
        asked += 1
    assert asked > 40


def _attack(operation: Any, address: str, auth: requests.auth.AuthBase | None) -> None:
    @settings(
        max_examples=N_EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), is_known=st.booleans())
    def attack(case: Any, is_known: bool) -> None:
        if is_known:
            # Else most of what is asked for does not exist.
            case.path_parameters.update(
                {name: KNOWN[name] for name in case.path_parameters if name in KNOWN}
            )
        answer = case.call(base_url=address, auth=auth, timeout=30)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400 and "problem" in answer.headers.get("Content-Type", ""):
            slug = answer.json()["type"].removeprefix(TYPE_PREFIX)
            assert PROBLEMS[slug].status == answer.status_code

    attack()


def _as_documented(rule: str) -> str:
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule)
