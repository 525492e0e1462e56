"""Who sees links with whom: what a form says is what terms hold, and back."""

import re
from typing import Any

import pytest
from flask import Flask
from flask_babel import Babel
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from api.console.visibility import (
    form_as_sent,
    form_of_terms,
    same_links,
    visibility_in_words,
)
from api.server.schemas.terms import visibility_matrix
from tests.api.console.test_pages import asks, cheap_passwords, server  # noqa: F401 - fixtures
from tests.factories import PROJECT, ROUND
from tests.simulator import SimulatedServer, granted

MEMBERS = [
    {"office": "a", "role": "civil"},
    {"office": "b", "role": "education"},
    {"office": "c", "role": "education"},
    {"office": "d", "role": "police"},
]
ROLES = ("civil", "education", "police")


def sent(**rows: list[str]) -> "MultiDict[str, str]":
    pairs = [(f"sees-{role}", other) for role, others in rows.items() for other in others]
    return MultiDict([("visibility", "roles"), *pairs])


@pytest.fixture
def words() -> Any:
    app = Flask("words")
    Babel(app, default_locale="en")
    with app.test_request_context():
        yield


def test_boxes_are_offered_for_links_that_there_can_be() -> None:
    form = form_as_sent(MEMBERS, MultiDict())
    offered = {row.role: [(box.role, box.n_offices) for box in row.seen] for row in form.rows}
    assert offered == {
        "civil": [("education", 2), ("police", 1)],
        "education": [("civil", 1), ("education", 1), ("police", 1)],
        "police": [("civil", 1), ("education", 2)],
    }
    assert form.value() == "all"


def test_a_matrix_may_show_links_to_one_side_only() -> None:
    form = form_as_sent(MEMBERS, sent(police=["education"]))
    assert form.value() == {"civil": [], "education": [], "police": ["education"]}


@pytest.mark.usefixtures("words")
def test_nobody_seeing_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="Tick at least one role"):
        form_as_sent(MEMBERS, sent(police=["stranger"], stranger=["police"])).value()


@given(st.fixed_dictionaries({r: st.lists(st.sampled_from(ROLES), unique=True) for r in ROLES}))
def test_what_is_ticked_is_what_the_server_gives(rows: dict[str, list[str]]) -> None:
    form = form_as_sent(MEMBERS, sent(**rows))
    if not any(box.ticked for row in form.rows for box in row.seen):
        return
    value = form.value()
    matrix = visibility_matrix({"members": MEMBERS, "visibility": value})
    for row in form.rows:
        for box in row.seen:
            assert (box.role in matrix[row.role]) is (box.role in rows[row.role])
    again = form_as_sent(MEMBERS, MultiDict(form.hidden()))
    assert again.value() == value
    assert same_links(MEMBERS, form_of_terms(MEMBERS, value).value(), value)


@pytest.mark.usefixtures("words")
def test_in_words() -> None:
    assert visibility_in_words(MEMBERS, "all") == "every office with every other office"
    pairs = [["civil", "police"]]
    assert visibility_in_words(MEMBERS, pairs) == "civil → police; education → –; police → civil"


def test_a_round_with_a_matrix_is_made_and_amended(server: SimulatedServer) -> None:  # noqa: F811
    party = server.open_round()
    browser = server.logged_in("wu")
    project = granted(party.first.gets(f"/v1/projects/{PROJECT}"))
    one, other = sorted({member["role"] for member in project["members"]})[:2]
    page = asks(browser, "GET", "/console/rounds/new").body.decode()
    assert f'name="sees-{one}" value="{other}"' in page
    form = {
        "project": PROJECT, "round": "second-round", "profile": "cn-child-v1", "solve": "groups",
        "retention_days": "30", "max_records": "100", "secret_epoch": "1", "visibility": "roles",
    }  # fmt: skip
    nobody = asks(browser, "POST", "/console/rounds/new", form)
    assert nobody.status == 422
    assert "请至少勾选一个角色" in nobody.body.decode()
    assert 'id="visibility-roles" name="visibility" value="roles" checked' in nobody.body.decode()
    made = asks(browser, "POST", "/console/rounds/new", {**form, f"sees-{one}": other})
    assert made.status == 303, made.body.decode()
    terms = granted(party.first.reads_round("second-round"))["terms"]
    assert terms["visibility"][one] == [other]
    assert not any(seen for role, seen in terms["visibility"].items() if role != one)

    address = "/console/rounds/second-round/terms"
    asks(browser, "GET", f"{address}?language=en")
    shown = asks(browser, "GET", address).body.decode()
    ticked = re.findall(r'name="sees-([a-z-]+)" value="([a-z-]+)" checked', shown)
    assert ticked == [(one, other)]
    changed = {
        "purpose": terms["purpose"], "solve": "groups", "threshold": "", "min_witnesses": "0",
        "retention_days": "30", "max_records": "100", "secret_epoch": "1", "step": "look",
        "visibility": "roles", f"sees-{other}": one,
    }  # fmt: skip
    told = asks(browser, "POST", address, changed).body.decode()
    assert f"{one} → {other}" in told
    assert f"{other} → {one}" in told
    amended = asks(browser, "POST", address, {**changed, "step": "amend", "sure": "yes"})
    assert amended.status == 303, amended.body.decode()
    assert granted(party.first.reads_round("second-round"))["terms"]["visibility"][other] == [one]
    assert granted(party.first.reads_round(ROUND))["terms"]["visibility"] == "all"
