"""Logging in at a real OpenID provider, over HTTP: who comes in, and what a second factor is."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.server.provider_logins.desk import SUBJECT, Desk, asks, is_in, running_desk, shut_out
from tests.openid_provider import RunningProvider
from tests.simulator import BASE_URL, Person, granted, refused

pytestmark = pytest.mark.process


class TestTheWayIn:
    def test_an_invited_person_enrols_and_logs_in_again(self, desk: Desk) -> None:
        browser = desk.server.browser()
        answer = desk.comes_back(browser, person="wu", invitation=desk.invitation())
        assert (answer.status, answer.headers["Location"]) == (303, "/console/")
        assert [
            (e["action"], e["actor"], e["role"], e["details"].get("via")) for e in answer.entries
        ] == [
            ("person:enrol", "wu", "operator", "provider"),
            ("session:begin", "wu", "operator", "provider"),
        ]
        assert is_in(browser)
        again = desk.server.browser()
        answer = desk.comes_back(again, after="rounds.2026-h2")
        assert answer.headers["Location"] == "/console/rounds/2026-h2"
        assert [e["action"] for e in answer.entries] == ["session:begin"]
        assert is_in(again)

    def test_whose_subject_the_administrator_knew_needs_no_invitation(self, desk: Desk) -> None:
        desk.invitation(subject=SUBJECT)
        browser = desk.server.browser()
        assert desk.comes_back(browser).status == 303
        assert is_in(browser)

    def test_the_request_has_all_that_protects_it(self, desk: Desk) -> None:
        first, second = (
            parse_qs(urlsplit(desk.leaves(desk.server.browser())).query) for _ in range(2)
        )
        assert first["redirect_uri"] == [f"{BASE_URL}/console/login/return"]
        assert (first["response_type"], first["scope"]) == (["code"], ["openid"])
        assert first["code_challenge_method"] == ["S256"]
        for name in ("state", "nonce", "code_challenge"):
            assert len(first[name][0]) >= 43
            assert first[name] != second[name]

    def test_without_a_second_factor_there_the_code_is_asked_here(self, desk: Desk) -> None:
        desk.provider.says_of(SUBJECT, amr=["pwd"])
        browser, invitation = desk.server.browser(), desk.invitation()
        begun = granted(browser.posts("/v1/enrolments", {"person": "wu", "invitation": invitation}))
        device = Person(desk.server, "wu", "", begun["secret"], ())
        answer = desk.comes_back(browser, person="wu", invitation=invitation)
        assert answer.headers["Location"] == "/console/login/code"
        assert not is_in(browser)
        shut_out(asks(browser, "POST", "/console/login/code", {"code": "000000"}), "bad-login")
        answer = asks(browser, "POST", "/console/login/code", {"code": device.code()})
        codes = re.findall(r"<li>([A-Z2-7-]{19})</li>", answer.body.decode())
        assert (answer.status, len(codes)) == (200, 10)
        assert is_in(browser)

        desk.server.clock.advance(seconds=31)
        again = desk.server.browser()
        assert desk.comes_back(again).headers["Location"] == "/console/login/code"
        answer = asks(again, "POST", "/console/login/code", {"code": device.code()})
        assert answer.headers["Location"] == "/console/"
        assert is_in(again)

    @pytest.mark.parametrize(
        ("values", "enough", "not_enough"),
        [
            (
                ["mfa", "urn:level:2"],
                [{"amr": ["pwd", "mfa"]}, {"acr": "urn:level:2"}],
                [{}, {"amr": ["pwd"]}, {"acr": "mfa2"}, {"amr": [{"mfa": 1}]}, {"amr": "MFA"}],
            ),
            ([], [], [{"amr": ["mfa"]}, {"acr": ""}]),
        ],
    )
    def test_what_counts_as_a_second_factor(
        self,
        tmp_path: Path,
        provider: RunningProvider,
        values: list[str],
        enough: list[dict[str, Any]],
        not_enough: list[dict[str, Any]],
    ) -> None:
        with running_desk(tmp_path, provider, oidc_mfa_values=values) as desk:
            desk.invitation(subject=SUBJECT)
            for said in not_enough + enough:
                provider.says_of(SUBJECT, **said)
                browser = desk.server.browser()
                desk.comes_back(browser)
                assert is_in(browser) is (said in enough), said

    def test_a_person_of_the_provider_has_no_password(self, desk: Desk) -> None:
        desk.enrolled()
        body = {"person": "wu", "password": "correct horse battery", "code": "000000"}
        refused(desk.server.browser().posts("/v1/session", body), "bad-login")

    def test_passwords_work_beside_it(self, desk: Desk) -> None:
        zhao = desk.server.person("zhao")
        granted(desk.server.browser().logs_in(zhao), 201)

    def test_the_role_is_the_one_given_here(self, desk: Desk) -> None:
        desk.provider.says_of(SUBJECT, amr=["mfa"], role="administrator", groups=["administrators"])
        browser = desk.server.browser()
        desk.comes_back(browser, person="wu", invitation=desk.invitation())
        assert asks(browser, "GET", "/v1/session").json["role"] == "operator"
        assert asks(browser, "GET", "/console/people/").status == 403
