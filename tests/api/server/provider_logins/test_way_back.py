"""The way back from the provider: whose it is, how often and how long it is good."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from tests.api.server.provider_logins.desk import SUBJECT, Desk, asks, running_desk, shut_out
from tests.openid_provider import RunningProvider
from tests.simulator import BASE_URL, granted

pytestmark = pytest.mark.process


class TestTheWayBack:
    def test_is_good_once(self, desk: Desk) -> None:
        desk.invitation(subject=SUBJECT)
        browser = desk.server.browser()
        back = desk.provider.logs_in(desk.leaves(browser), SUBJECT).removeprefix(BASE_URL)
        kept = browser.client.get_cookie("__Host-tongqiao-login", "linkage.example", "/")
        assert kept is not None
        assert asks(browser, "GET", back).status == 303
        browser.client.set_cookie(kept.key, kept.value, domain="linkage.example", secure=True)
        shut_out(asks(browser, "GET", back), "bad-return", check="browser")

    def test_is_for_the_browser_that_went(self, desk: Desk) -> None:
        """Login CSRF: an attacker's own way back, opened in somebody else's browser."""
        desk.invitation(subject=SUBJECT)
        back = desk.provider.logs_in(desk.leaves(desk.server.browser()), SUBJECT)
        victim = desk.server.browser()
        shut_out(asks(victim, "GET", back.removeprefix(BASE_URL)), "bad-return", check="browser")
        desk.leaves(victim)
        shut_out(asks(victim, "GET", back.removeprefix(BASE_URL)), "bad-return", check="state")

    def test_a_code_of_another_login_is_not_taken(self, desk: Desk) -> None:
        """Code injection: a stolen code under one's own state; PKCE and nonce tell."""
        desk.invitation(subject=SUBJECT)
        stolen = parts_of(desk.provider.logs_in(desk.leaves(desk.server.browser()), SUBJECT))
        attacker = desk.server.browser()
        own = parts_of(desk.provider.logs_in(desk.leaves(attacker), "attacker"))
        shut_out(asks(attacker, "GET", with_parts(own | {"code": stolen["code"]})), "bad-return")

    @pytest.mark.parametrize(
        ("change", "check"),
        [
            (lambda parts: parts | {"state": "x" * 43}, "state"),
            (lambda parts: {k: v for k, v in parts.items() if k != "state"}, "state"),
            (lambda parts: parts | {"code": "guessed"}, "code"),
            (lambda parts: {k: v for k, v in parts.items() if k != "code"}, "code"),
            (lambda parts: parts | {"error": "access_denied"}, "declined"),
            (lambda parts: parts | {"code": "x" * 5000}, "code"),
        ],
    )
    def test_with_something_changed(
        self,
        unmoved: Desk,
        provider: RunningProvider,
        change: Callable[[dict[str, str]], dict[str, str]],
        check: str,
    ) -> None:
        browser = unmoved.server.browser()
        back = parts_of(provider.logs_in(unmoved.leaves(browser), SUBJECT))
        shut_out(asks(browser, "GET", with_parts(change(back))), "bad-return", check=check)

    def test_with_two_states(self, unmoved: Desk, provider: RunningProvider) -> None:
        browser = unmoved.server.browser()
        back = provider.logs_in(unmoved.leaves(browser), SUBJECT).removeprefix(BASE_URL)
        shut_out(asks(browser, "GET", back + "&state=x"), "bad-return", check="state")

    def test_of_who_did_not_agree(self, desk: Desk) -> None:
        shut_out(desk.comes_back(desk.server.browser(), "nobody"), "bad-return", check="declined")

    def test_may_take_ten_minutes(self, desk: Desk) -> None:
        desk.invitation(subject=SUBJECT)
        browser = desk.server.browser()
        back = desk.provider.logs_in(desk.leaves(browser), SUBJECT).removeprefix(BASE_URL)
        desk.server.clock.advance(seconds=590)
        assert asks(browser, "GET", back).status == 303

    def test_after_too_long(self, desk: Desk) -> None:
        desk.invitation(subject=SUBJECT)
        browser = desk.server.browser()
        back = desk.provider.logs_in(desk.leaves(browser), SUBJECT).removeprefix(BASE_URL)
        desk.server.clock.advance(seconds=601)
        shut_out(asks(browser, "GET", back), "bad-return", check="time")

    def test_a_session_that_was_there_before_is_not_taken_over(self, desk: Desk) -> None:
        """Session fixation: what a browser held before is worth nothing after."""
        desk.invitation(subject=SUBJECT)
        browser = desk.server.browser()
        for name in ("__Host-tongqiao", "__Host-tongqiao-login"):
            browser.client.set_cookie(name, "planted", domain="linkage.example")
        desk.comes_back(browser)
        cookie = browser.client.get_cookie("__Host-tongqiao", "linkage.example", "/")
        assert cookie is not None
        assert cookie.value != "planted"
        assert browser.client.get_cookie("__Host-tongqiao-login", "linkage.example", "/") is None

    def test_the_cookie_is_out_of_reach(self, desk: Desk) -> None:
        answer = asks(desk.server.browser(), "POST", "/console/login/provider", {})
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-tongqiao-login=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=600"} <= set(
            cookie.split("; ")
        )

    @pytest.mark.parametrize("after", ["//evil.example", "https://evil.example", "..", "x" * 999])
    def test_leads_nowhere_else(self, desk: Desk, after: str) -> None:
        desk.invitation(subject=SUBJECT)
        answer = desk.comes_back(desk.server.browser(), after=after)
        assert answer.headers["Location"] == "/console/"

    def test_is_not_led_by_the_host_of_the_request(self, desk: Desk) -> None:
        browser = desk.server.browser()
        answer = desk.server.ask(
            "POST", "/console/login/provider", b"", {"Host": "evil.example"}, {}, browser.client
        )
        assert b"evil.example" not in answer.body

    def test_a_code_is_owed_by_one_browser_and_guessed_ten_times(self, desk: Desk) -> None:
        desk.provider.says_of(SUBJECT, amr=["pwd"])
        invitation, browser = desk.invitation(), desk.server.browser()
        granted(browser.posts("/v1/enrolments", {"person": "wu", "invitation": invitation}))
        desk.comes_back(browser, person="wu", invitation=invitation)
        elsewhere = asks(desk.server.browser(), "POST", "/console/login/code", {"code": "000000"})
        shut_out(elsewhere, "bad-return", check="browser")
        reasons = [
            asks(browser, "POST", "/console/login/code", {"code": "000000"}).entries[0]["reason"]
            for _ in range(11)
        ]
        assert reasons == ["bad-login"] * 10 + ["too-many"]

    def test_begun_by_another_site(self, desk: Desk) -> None:
        answer = desk.server.ask(
            "POST", "/console/login/provider", b"", {"Sec-Fetch-Site": "cross-site"}, {}, None
        )
        assert answer.status == 403
        assert [entry["reason"] for entry in answer.entries] == ["forged"]

    def test_an_address_that_begins_too_often_has_to_wait(
        self, tmp_path: Path, provider: RunningProvider
    ) -> None:
        with running_desk(tmp_path, provider, max_address_attempts=3) as desk:
            provider.lies(status=500)
            browser = desk.server.browser()
            reasons = [
                asks(browser, "POST", "/console/login/provider", {}).entries[0]["reason"]
                for _ in range(4)
            ]
            assert reasons == ["provider-away"] * 3 + ["too-many"]


def parts_of(back: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(back).query))


def with_parts(parts: dict[str, str]) -> str:
    return urlunsplit(("", "", "/console/login/return", urlencode(parts), ""))
