"""Figures and log lines for who runs the server: useful, and without any identifier."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from api.server.logs import JsonFormatter
from api.server.metrics import Metrics
from tests.factories import COORDINATOR, PROJECT, ROUND
from tests.simulator import SimulatedServer, granted

PLANTED = ("51010719990101234X", "13800138000", "王小明", "secret-value")
"""A child's number, a telephone number, a name: they come in wherever something can come in."""


def figures(server: SimulatedServer) -> dict[str, float]:
    metrics: Metrics = server.client.application.extensions["tongqiao-metrics"]
    text = generate_latest(metrics.registry).decode()
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_monitoring_sees(server: SimulatedServer) -> None:
    party = server.open_round()
    party.everybody_uploads()
    server.logged_in()
    found = figures(server)
    assert found["tongqiao_database_up{}"] == 1
    assert found['tongqiao_rounds{"state": "open"}'] == 1
    assert found['tongqiao_rounds{"state": "released"}'] == 0
    assert found["tongqiao_sessions{}"] == 1
    assert found["tongqiao_log_entries{}"] == server.log_size()
    assert found["tongqiao_upload_bytes{}"] == sum(row["n_bytes"] for row in server.rows("uploads"))
    route = "/v1/rounds/<id:round_id>/uploads/<id:office>"
    labels = json.dumps({"method": "PUT", "route": route, "status": "201"})
    assert found[f"tongqiao_requests_total{labels}"] == 3
    granted(party.first.takes_step(ROUND, "freeze"))
    granted(party.first.takes_step(ROUND, "run"))
    assert figures(server)["tongqiao_rounds_without_worker{}"] == 1


def test_a_database_that_is_away_is_seen(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def away() -> None:
        raise OperationalError("SELECT", {}, Exception())

    # A frozen object's own class, since its fields cannot be replaced.
    monkeypatch.setattr(type(server.installation.database), "reading", lambda self: away())
    assert figures(server)["tongqiao_database_up{}"] == 0
    assert not any(name.startswith("tongqiao_rounds") for name in figures(server))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_identifier_reaches_log_or_figures(server: SimulatedServer, log: io.StringIO) -> None:
    """Planted in addresses, queries, headers, bodies, names, reasons, passwords, uploads."""
    party = server.open_round()
    office = party.offices[0]
    browser = server.logged_in("wu", "administrator")
    for planted in PLANTED:
        raw = planted.encode()
        plain = planted.lower() if planted.isascii() else "x" * 8
        for method in (
            "GET",
            "POST",
            "PUT",
            "DELETE",
            planted if planted.isalnum() and planted.isascii() else "PATCH",
        ):
            server.ask(method, f"/v1/{plain}", raw, {"X-Name": plain})
            server.ask(method, f"/v1/rounds/{plain}?after={plain}", raw, {})
            party.first.sends(method, f"/v1/rounds/{plain}", raw, content_type="application/json")
        office.uploads(ROUND, raw)
        office.puts_bytes(f"/v1/projects/{PROJECT}/secrets/1/{plain}", raw)
        party.first.posts(f"/v1/members/{COORDINATOR}/revocation", {"reason": planted, planted: 1})
        party.first.creates_project(id=plain, name=planted, purpose=planted)
        browser.posts("/v1/session", {"person": plain, "password": planted, "code": plain[:6]})
        browser.posts("/v1/people", {"id": plain, "name": planted, "role": "operator"})
        browser.posts("/v1/people/zhao/disablement", {"reason": planted})
    lines = log.getvalue()
    shown = lines + json.dumps(list(figures(server)), ensure_ascii=False)
    assert lines.count("\n") > 50
    known = [planted.lower() for planted in PLANTED]
    known += [office.id, "chen", "wu", ROUND, PROJECT]
    for word in known:
        assert not re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", shown.lower()), word


def test_every_line_is_json_with_known_fields(server: SimulatedServer, log: io.StringIO) -> None:
    granted(server.operator().gets("/v1/members"))
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = (line for line in lines if line["message"] == "request")
    assert set(line) == {
        "time", "level", "logger", "message", "request", "method", "route", "status",
        "duration_ms", "role",
    }  # fmt: skip
    assert (line["route"], line["status"], line["role"]) == ("/v1/members", 200, "operator")
