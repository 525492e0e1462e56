"""Whom the provider vouches for and nobody here has invited stays outside."""

from pathlib import Path
from typing import Any

import pytest

from api.server.services.openid import subject_digest
from tests.api.server.provider_logins.desk import SUBJECT, Desk, asks, is_in, running_desk, shut_out
from tests.openid_provider import RunningProvider
from tests.simulator import BASE_URL, Person, granted

pytestmark = pytest.mark.process


class TestWhoIsNotInvited:
    def test_a_stranger(self, desk: Desk) -> None:
        shut_out(desk.comes_back(desk.server.browser(), "stranger"), "not-invited", check="subject")
        assert desk.server.rows("people") == []

    def test_a_disabled_person(self, desk: Desk) -> None:
        desk.enrolled()
        admin = desk.server.logged_in("sun", "administrator")
        granted(admin.posts("/v1/people/wu/disablement", {"reason": "left"}))
        shut_out(
            desk.comes_back(desk.server.browser()), "not-invited", check="disabled", person="wu"
        )

    def test_a_person_disabled_while_the_code_is_owed(self, desk: Desk) -> None:
        desk.provider.says_of(SUBJECT, amr=["pwd"])
        invitation, browser = desk.invitation(), desk.server.browser()
        begun = granted(browser.posts("/v1/enrolments", {"person": "wu", "invitation": invitation}))
        device = Person(desk.server, "wu", "", begun["secret"], ())
        desk.comes_back(browser, person="wu", invitation=invitation)
        admin = desk.server.logged_in("sun", "administrator")
        granted(admin.posts("/v1/people/wu/disablement", {"reason": "left"}))
        answer = asks(browser, "POST", "/console/login/code", {"code": device.code()})
        shut_out(answer, "not-invited")

    def test_a_new_invitation_voids_the_account_there(self, desk: Desk) -> None:
        desk.enrolled()
        admin = desk.server.logged_in("sun", "administrator")
        invitation = granted(admin.posts("/v1/people/wu/invitation"), 201)["invitation"]
        shut_out(desk.comes_back(desk.server.browser()), "not-invited")
        desk.provider.says_of("another", amr=["mfa"])
        browser = desk.server.browser()
        desk.comes_back(browser, "another", person="wu", invitation=invitation)
        assert is_in(browser)

    def test_an_invitation_that_ended_meanwhile(self, desk: Desk) -> None:
        invitation, browser = desk.invitation(), desk.server.browser()
        desk.server.clock.advance(days=3, seconds=-30)
        url = desk.leaves(browser, person="wu", invitation=invitation)
        desk.server.clock.advance(seconds=31)
        back = desk.provider.logs_in(url, SUBJECT).removeprefix(BASE_URL)
        # The token is of another day by then, too: both are reasons enough.
        assert asks(browser, "GET", back).status == 401
        assert desk.server.rows("people")[0]["state"] == "invited"

    def test_an_account_that_belongs_to_another_person(self, desk: Desk) -> None:
        desk.enrolled()
        answer = desk.comes_back(
            desk.server.browser(), person="zhao", invitation=desk.invitation("zhao")
        )
        shut_out(answer, "not-invited", check="invitation", person="zhao")
        with pytest.raises(Exception, match="subject"):
            desk.invitation("qian", subject=SUBJECT)

    def test_another_account_than_the_administrator_named(self, desk: Desk) -> None:
        invitation = desk.invitation(subject="someone-else")
        answer = desk.comes_back(desk.server.browser(), person="wu", invitation=invitation)
        shut_out(answer, "not-invited", check="invitation")

    def test_an_invited_person_without_any_second_factor(self, desk: Desk) -> None:
        desk.provider.says_of(SUBJECT)
        desk.invitation(subject=SUBJECT)
        shut_out(desk.comes_back(desk.server.browser()), "not-invited", check="second-factor")

    @pytest.mark.parametrize("person", ["wu", "nobody", "", "\ud800".encode("utf-8", "replace")])
    def test_a_guessed_invitation(self, desk: Desk, person: Any) -> None:
        desk.invitation()
        form = {"person": person, "invitation": "0" * 32}
        answer = asks(desk.server.browser(), "POST", "/console/login/provider", form)
        shut_out(answer, "bad-login")
        assert desk.server.rows("pending_logins") == []

    def test_who_has_not_the_claim(self, tmp_path: Path, provider: RunningProvider) -> None:
        with running_desk(tmp_path, provider, oidc_required_claim="groups=tongqiao") as desk:
            desk.invitation(subject=SUBJECT)
            for said in ({}, {"groups": ["tongqiao2"]}, {"groups": {"tongqiao": True}}):
                provider.says_of(SUBJECT, amr=["mfa"], **said)
                answer = desk.comes_back(desk.server.browser())
                shut_out(answer, "not-invited", check="required-claim")
            for given in ("tongqiao", ["x", "tongqiao"]):
                provider.says_of(SUBJECT, amr=["mfa"], groups=given)
                browser = desk.server.browser()
                desk.comes_back(browser)
                assert is_in(browser)

    def test_the_same_subject_at_another_provider(self, desk: Desk) -> None:
        """After a change of provider nobody is taken for somebody else by chance."""
        assert subject_digest(desk.provider.issuer, SUBJECT) != subject_digest("https://b", SUBJECT)
        desk.enrolled()
        (row,) = desk.server.rows("people")
        assert row["subject"] == subject_digest(desk.provider.issuer, SUBJECT)
