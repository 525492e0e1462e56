"""Errors and documentation: RFC 9457 everywhere, and an OpenAPI that fits the addresses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from api.server.auth import PUBLIC
from api.server.refusals import PROBLEMS
from api.server.services import members
from tests.simulator import SimulatedServer, granted


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/members", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/members", "GET, HEAD, POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PATCH", "/v1/rounds/2026-h2", "GET, HEAD"),
    ],
)
def test_a_method_that_an_address_does_not_take(
    server: SimulatedServer, method: str, path: str, allow: str
) -> None:
    answer = server.stranger().sends(method, path)
    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/members", "/static/x", "/openapi.json/"])
def test_an_address_that_is_not_there(server: SimulatedServer, path: str) -> None:
    answer = server.stranger().gets(path)
    assert (answer.status, answer.slug) == (404, "not-found")


def test_a_wrong_field_is_named(server: SimulatedServer) -> None:
    answer = server.operator().creates_project(name="", unknown=1)
    assert answer.slug == "invalid"
    assert set(answer["errors"]) == {"name", "unknown"}
    assert "name: " in answer["detail"]


def test_a_database_that_is_away(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    class BusyError(Exception):
        sqlite_errorcode = 5

    def busy(*_: Any) -> None:
        raise OperationalError("SELECT", {}, BusyError("database is locked"))

    chen = server.operator()
    monkeypatch.setattr(members, "list_members", busy)
    answer = chen.gets("/v1/members")
    assert (answer.status, answer.slug) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "30"
    assert not answer.changed


def test_a_refusal_that_cannot_be_logged_is_no_answer_either(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import api.server.problems as problems

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the log is away")

    monkeypatch.setattr(problems, "record_refusal", broken)
    answer = server.stranger().gets("/v1/members")
    assert (answer.status, answer.slug) == (503, "unavailable")


def test_headers_of_every_answer(server: SimulatedServer) -> None:
    for path in ("/health", "/v1/members", "/nothing"):
        headers = server.stranger().gets(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert re.fullmatch("[0-9a-f]{16}", headers["X-Request-Id"])


def test_the_programs_log_names_nobody(
    server: SimulatedServer, caplog: pytest.LogCaptureFixture
) -> None:
    from api.server.logs import JsonFormatter

    with caplog.at_level("INFO", logger="tongqiao"):
        granted(server.operator("chen").gets("/v1/members"))
        server.operator("chen").gets("/v1/members/jinjiang-civil")
    lines = [JsonFormatter().format(record) for record in caplog.records]
    parsed = [json.loads(line) for line in lines]
    assert [line["status"] for line in parsed] == [200, 404]
    assert parsed[1]["route"] == "/v1/members/<id:member_id>"
    assert parsed[0]["role"] == "operator"
    text = "".join(lines)
    assert "chen" not in text
    assert "jinjiang" not in text
    assert "127.0.0.1" not in text


class TestDocumentation:
    @pytest.fixture
    def spec(self, server: SimulatedServer) -> Any:
        return server.stranger().gets("/openapi.json").json

    def test_is_openapi_3_1(self, spec: Any) -> None:
        assert spec["openapi"].startswith("3.1")
        assert spec["info"]["title"] == "Tongqiao"

    def test_has_every_address_and_says_what_it_does(
        self, spec: Any, server: SimulatedServer
    ) -> None:
        operations = [
            (method, path, operation)
            for path, methods in spec["paths"].items()
            for method, operation in methods.items()
            if method in ("get", "put", "post", "patch", "delete")
        ]
        assert len(operations) == sum(
            len((rule.methods or set()) - {"HEAD", "OPTIONS"})
            for rule in server.client.application.url_map.iter_rules()
            if rule.rule.startswith(("/v1/", "/health", "/ready"))
        )
        for method, path, operation in operations:
            assert operation["summary"], (method, path)
            assert "default" in operation["responses"], (method, path)

    def test_only_public_addresses_go_without_a_signature(self, spec: Any) -> None:
        assert spec["security"] == [{"signature": []}, {"session": []}]
        open_addresses = {
            f"{method.upper()} {path}"
            for path, methods in spec["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict) and operation.get("security") == []
        }
        assert open_addresses == PUBLIC - {"GET /openapi.json"}

    def test_errors_are_problem_details(self, spec: Any) -> None:
        for response in spec["components"]["responses"].values():
            assert list(response["content"]) == ["application/problem+json"]
        assert set(spec["components"]["schemas"]["Problem"]["properties"]) >= {
            "type",
            "title",
            "status",
            "detail",
            "instance",
        }

    def test_loads_nothing_from_elsewhere(self, server: SimulatedServer) -> None:
        for path in ("/swagger-ui", "/redoc", "/rapidoc"):
            assert server.stranger().gets(path).status == 404


def test_the_contract_lists_every_problem() -> None:
    path = Path(__file__).resolve().parents[3] / "docs" / "http-api.md"
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", path.read_text("utf-8"), re.MULTILINE)
    assert {(slug, int(status)) for slug, status in rows} == {
        (slug, problem.status) for slug, problem in PROBLEMS.items()
    }
