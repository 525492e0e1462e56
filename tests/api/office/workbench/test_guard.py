"""Who may open the workbench: whoever tries otherwise is refused, whatever is asked for."""

import pytest
from flask.testing import FlaskClient

from api.office.workbench.app import create_workbench
from api.office.workbench.desk import Desk

KEY = "key-of-this-start"
LOCAL = "http://127.0.0.1:8719"


def _addresses(bench: Desk) -> list[str]:
    rules = create_workbench(bench, KEY).url_map.iter_rules()
    return [
        rule.rule.replace("<round_id>", "2026-h2")
        .replace("<job_id>", "0")
        .replace("<path:filename>", "x")
        for rule in rules
        if rule.endpoint not in ("pages.static", "bootstrap.static")
    ]


def test_without_the_key_no_page_opens(bench: Desk, stranger: FlaskClient) -> None:
    addresses = _addresses(bench)
    assert len(addresses) > 10
    for address in addresses:
        for method in ("GET", "POST"):
            answer = stranger.open(address, method=method, base_url=LOCAL)
            assert answer.status_code == 403, (method, address)


@pytest.mark.parametrize("key", ["", "wrong", "键", KEY + "x", KEY[:-1]])
def test_a_wrong_key_opens_nothing(stranger: FlaskClient, key: str) -> None:
    assert stranger.get("/", query_string={"key": key}, base_url=LOCAL).status_code == 403
    assert stranger.get("/", base_url=LOCAL).status_code == 403


def test_the_key_opens_the_pages_and_leaves_the_address(stranger: FlaskClient) -> None:
    answer = stranger.get("/", query_string={"key": KEY}, base_url=LOCAL)
    assert answer.status_code == 303
    assert KEY not in answer.headers["Location"]
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.get("/", base_url=LOCAL).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "http://evil.example:8719",
        "http://192.168.1.2:8719",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0",
    ],
)
def test_a_foreign_name_of_this_machine_is_refused(stranger: FlaskClient, host: str) -> None:
    stranger.get("/", query_string={"key": KEY}, base_url=LOCAL)
    assert stranger.get("/", query_string={"key": KEY}, base_url=host).status_code == 403
    assert stranger.get("/pages/pages.css", base_url=host).status_code == 403


def test_the_session_of_another_start_opens_nothing(bench: Desk, stranger: FlaskClient) -> None:
    stranger.get("/", query_string={"key": KEY}, base_url=LOCAL)
    cookie = stranger.get_cookie("tongqiao_workbench", domain="127.0.0.1")
    assert cookie is not None
    later = create_workbench(bench, KEY).test_client()
    later.set_cookie("tongqiao_workbench", cookie.value, domain="127.0.0.1")
    assert later.get("/", base_url=LOCAL).status_code == 403


def test_a_form_from_another_page_is_refused(bench: Desk) -> None:
    client = create_workbench(bench, KEY).test_client()
    client.get("/", query_string={"key": KEY}, base_url=LOCAL)
    assert client.post("/list/remove", base_url=LOCAL).status_code == 400
