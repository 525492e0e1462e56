"""Logging in at a real OpenID provider, over HTTP: the way in, and what must stay shut."""

import contextlib
import html
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
from click.testing import CliRunner

from api.cli import cli
from api.server.app import make_app
from api.server.config import ConfigError, load_config
from api.server.services.openid import subject_digest
from api.server.services.people import add_person
from api.server.services.work import own_caller
from tests.certificates import certificate_for_loopback
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, RunningProvider, running_provider
from tests.simulator import (
    BASE_URL,
    Answer,
    Browser,
    Person,
    SimulatedClock,
    SimulatedServer,
    granted,
    refused,
    simulated_server,
)

pytestmark = pytest.mark.process

SUBJECT = "a7f3-wu"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture
def provider(shared: RunningProvider) -> RunningProvider:
    """The provider, telling the truth, and of second factors."""
    shared.lies()
    shared.says_of(SUBJECT, amr=["pwd", "mfa"])
    return shared


def settings_for(provider: RunningProvider, folder: Path, **changes: Any) -> str:
    secret = folder / "secret"
    secret.write_text(CLIENT_SECRET + "\n")
    secret.chmod(0o600)
    lines = {
        "public_url": BASE_URL,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret_path": str(secret),
    } | changes
    return "".join(
        f"{name} = {value if isinstance(value, list | float) else repr(value)}\n"
        for name, value in lines.items()
    )


@dataclass
class Desk:
    """A server whose people log in at the provider."""

    server: SimulatedServer
    provider: RunningProvider

    def invitation(self, person: str = "wu", *, subject: str | None = None) -> str:
        added = add_person(
            self.server.installation, own_caller("administrator"), person, name="吴",
            role="operator", subject=subject,
        )  # fmt: skip
        return str(added["invitation"])

    def leaves(self, browser: Browser, **form: str) -> str:
        """Where the page leads that the button opens."""
        answer = asks(browser, "POST", "/console/login/provider", form)
        assert answer.status == 200, answer.body.decode()
        assert [entry["action"] for entry in answer.entries] == ["login:begin"]
        found = re.search(r'content="0; url=([^"]+)"', answer.body.decode())
        assert found is not None
        return html.unescape(found[1])

    def comes_back(self, browser: Browser, subject: str = SUBJECT, **form: str) -> Answer:
        """The whole way there and back."""
        back = self.provider.logs_in(self.leaves(browser, **form), subject)
        assert back.startswith(f"{BASE_URL}/console/login/return?")
        return asks(browser, "GET", back.removeprefix(BASE_URL))

    def enrolled(self, subject: str = SUBJECT, person: str = "wu") -> None:
        """An operator whom the provider vouches for with a second factor."""
        answer = self.comes_back(
            self.server.browser(), subject, person=person, invitation=self.invitation(person)
        )
        assert answer.status == 303, answer.body.decode()


@pytest.fixture
def desk(tmp_path: Path, provider: RunningProvider, database_kind: str) -> Iterator[Desk]:
    with running_desk(tmp_path, provider) as running:
        yield running


@contextlib.contextmanager
def running_desk(folder: Path, provider: RunningProvider, **changes: Any) -> Iterator[Desk]:
    """A server with these settings; its clock begins with the provider's, which is real."""
    clock = SimulatedClock()
    clock.now = datetime.now(UTC)
    settings = settings_for(provider, folder, **changes)
    with simulated_server(folder, settings=settings, clock=clock) as server:
        yield Desk(server, provider)


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory: pytest.TempPathFactory, shared: RunningProvider) -> Iterator[Desk]:
    """A server for many attempts in vain: what is refused leaves it as it was."""
    folder = tmp_path_factory.mktemp("unmoved")
    with running_desk(
        folder, shared, max_address_attempts=1000, max_login_attempts=1000
    ) as running:
        running.invitation(subject=SUBJECT)
        yield running


def asks(browser: Browser, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    return browser.server.ask(
        method, path, urlencode(form or {}).encode(), headers,
        {"REMOTE_ADDR": browser.origin}, browser.client,
    )  # fmt: skip


def shut_out(answer: Answer, slug: str, **details: Any) -> None:
    """Refused on a page, for this reason, with an entry that says so, and no session."""
    assert answer.status == 401, answer.body.decode()
    (entry,) = answer.entries
    assert (entry["outcome"], entry["reason"]) == ("refused", slug)
    for name, value in details.items():
        assert entry["details"].get(name) == value, entry
    assert "__Host-tongqiao=" not in str(answer.headers.get("Set-Cookie", ""))


def is_in(browser: Browser) -> bool:
    return asks(browser, "GET", "/v1/session").status == 200


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


class TestForgedTokens:
    @pytest.mark.parametrize(
        ("lies", "check"),
        [
            ({"sign": "none"}, "signature"),
            ({"sign": "cut-off"}, "signature"),
            ({"sign": "public-key-as-secret"}, "signature"),
            ({"sign": "client-secret"}, "signature"),
            ({"sign": "other-key"}, "signature"),
            ({"sign": "unknown-key"}, "signature"),
            ({"id_token": False}, "id-token"),
            ({"claims": {"iss": "http://127.0.0.1:1"}}, "claims"),
            ({"claims": {"iss": None}}, "claims"),
            ({"claims": {"aud": "another-server"}}, "claims"),
            ({"claims": {"aud": [CLIENT_ID, "another-server"]}}, "claims"),
            ({"claims": {"aud": [CLIENT_ID], "azp": "another-server"}}, "claims"),
            ({"claims": {"aud": ["another-server"], "azp": CLIENT_ID}}, "claims"),
            ({"claims": {"aud": None}}, "claims"),
            ({"claims": {"exp": 1_000_000_000}}, "claims"),
            ({"claims": {"exp": None}}, "claims"),
            ({"claims": {"exp": "never"}}, "claims"),
            ({"claims": {"iat": 9_000_000_000}}, "claims"),
            ({"claims": {"iat": None}}, "claims"),
            ({"claims": {"nbf": 9_000_000_000}}, "claims"),
            ({"claims": {"nonce": "of another login"}}, "claims"),
            ({"claims": {"nonce": None}}, "claims"),
            ({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, "claims"),
            ({"claims": {"sub": None}}, "claims"),
            ({"claims": {"sub": ""}}, "claims"),
            ({"claims": {"sub": 5}}, "claims"),
            ({"claims": {"sub": "x" * 256}}, "claims"),
            ({"issuer": "http://127.0.0.1:1"}, "issuer"),
            ({"issuer": "-"}, "issuer"),
        ],
        ids=lambda value: repr(value)[:60],
    )
    def test_are_not_believed(
        self, unmoved: Desk, provider: RunningProvider, lies: dict[str, Any], check: str
    ) -> None:
        provider.lies(**lies)
        browser = unmoved.server.browser()
        shut_out(unmoved.comes_back(browser), "bad-return", check=check)
        assert unmoved.server.rows("sessions") == []


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


class TestProviderAway:
    @pytest.mark.parametrize(
        ("lies", "check"),
        [
            ({"status": 500}, "metadata"),
            ({"status": 302}, "metadata"),
            ({"body": "<html>busy</html>"}, "metadata"),
            ({"body": "[]"}, "metadata"),
            ({"body": "[" * 100_000}, "metadata"),
            ({"body": '"' + "x" * 1_100_000 + '"'}, "metadata"),
            ({"metadata": {"issuer": "http://127.0.0.1:1"}}, "issuer"),
            ({"metadata": {"issuer": None}}, "issuer"),
            (
                {"metadata": {"authorization_endpoint": "http://evil.example/a"}},
                "authorization-endpoint",
            ),
            ({"metadata": {"authorization_endpoint": "javascript:x"}}, "authorization-endpoint"),
            ({"metadata": {"token_endpoint": "http://evil.example/t"}}, "token-endpoint"),
            ({"metadata": {"jwks_uri": "file:///etc/passwd"}}, "jwks-uri"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_is_said_and_passwords_work(
        self, unmoved: Desk, provider: RunningProvider, lies: dict[str, Any], check: str
    ) -> None:
        provider.lies(**lies)
        browser = unmoved.server.browser()
        answer = asks(browser, "POST", "/console/login/provider", {})
        shut_out(answer, "provider-away", check=check)
        assert "外部登录服务没有正常响应" in answer.body.decode()
        assert asks(browser, "GET", "/console/login").status == 200

    def test_that_says_nothing(self, tmp_path: Path, provider: RunningProvider) -> None:
        with running_desk(tmp_path, provider, oidc_timeout_s=0.2) as desk:
            provider.lies(silent_s=1.0)
            answer = asks(desk.server.browser(), "POST", "/console/login/provider", {})
            shut_out(answer, "provider-away", check="metadata")

    def test_that_leads_elsewhere(self, unmoved: Desk, provider: RunningProvider) -> None:
        """A redirect is not followed, although what lies there would be right."""
        provider.lies(status=302, body=" ")
        answer = asks(unmoved.server.browser(), "POST", "/console/login/provider", {})
        shut_out(answer, "provider-away", check="metadata")

    def test_whose_certificate_nobody_vouches_for(self, tmp_path: Path) -> None:
        certificate, key = certificate_for_loopback(tmp_path)
        with running_provider(tmp_path, tls=(certificate, key)) as provider:
            provider.says_of(SUBJECT, amr=["mfa"])
            for name, is_trusted in (("", False), (str(certificate), True)):
                folder = tmp_path / f"trusted-{is_trusted}"
                folder.mkdir()
                with running_desk(folder, provider, oidc_ca_path=name) as desk:
                    desk.invitation(subject=SUBJECT)
                    browser = desk.server.browser()
                    if is_trusted:
                        desk.comes_back(browser)
                    else:
                        answer = asks(browser, "POST", "/console/login/provider", {})
                        shut_out(answer, "provider-away", check="metadata")
                    assert is_in(browser) is is_trusted

    def test_between_there_and_back(self, desk: Desk) -> None:
        desk.invitation(subject=SUBJECT)
        for lies, check in (
            ({"status": 503}, "metadata"),
            ({"metadata": {"token_endpoint": f"{desk.provider.issuer}/none"}}, "token-endpoint"),
            ({"metadata": {"jwks_uri": f"{desk.provider.issuer}/none"}}, "keys"),
        ):
            desk.provider.lies()
            browser = desk.server.browser()
            back = desk.provider.logs_in(desk.leaves(browser), SUBJECT)
            desk.provider.lies(**lies)
            answer = asks(browser, "GET", back.removeprefix(BASE_URL))
            shut_out(answer, "provider-away", check=check)

    def test_a_wrong_secret_of_this_server(self, tmp_path: Path, provider: RunningProvider) -> None:
        secret = tmp_path / "wrong"
        secret.write_text("wrong")
        secret.chmod(0o600)
        with running_desk(tmp_path, provider, oidc_client_secret_path=str(secret)) as desk:
            desk.invitation(subject=SUBJECT)
            shut_out(
                desk.comes_back(desk.server.browser()), "provider-away", check="token-endpoint"
            )

    def test_that_does_not_run(self, tmp_path: Path, provider: RunningProvider) -> None:
        with running_desk(tmp_path, provider, oidc_issuer="http://127.0.0.1:9") as desk:
            answer = asks(desk.server.browser(), "POST", "/console/login/provider", {})
            shut_out(answer, "provider-away", check="metadata")
            zhao = desk.server.person("zhao")
            granted(desk.server.browser().logs_in(zhao), 201)


class TestSettings:
    def test_without_a_provider_nothing_of_it_is_there(self, tmp_path: Path) -> None:
        with simulated_server(tmp_path) as server:
            browser = server.browser()
            assert b"/console/login/provider" not in asks(browser, "GET", "/console/login").body
            for method, path in (
                ("POST", "/console/login/provider"),
                ("GET", "/console/login/return?code=x&state=y"),
                ("POST", "/console/login/code"),
                ("GET", "/console/login/code"),
            ):
                answer = asks(browser, method, path, {} if method == "POST" else None)
                assert answer.status in (401, 404)
                assert [entry["reason"] for entry in answer.entries] == ["not-found"]
            with pytest.raises(Exception, match="no OpenID provider"):
                add_person(
                    server.installation, own_caller("administrator"), "wu", name="x",
                    role="operator", subject="x",
                )  # fmt: skip

    @pytest.mark.parametrize(
        "lines",
        [
            'oidc_issuer = "http://sso.example"',
            'oidc_issuer = "https://sso.example?x"',
            'oidc_issuer = "https://user@sso.example"',
            'oidc_issuer = "https://sso.example"',
            'oidc_issuer = "https://sso.example"\noidc_client_id = "x"',
            'public_url = "http://linkage.example"',
            'public_url = "https://linkage.example/"',
            'oidc_required_claim = "groups"',
            "oidc_mfa_values = 'mfa'",
        ],
    )
    def test_that_make_no_sense(self, tmp_path: Path, lines: str) -> None:
        (tmp_path / "server.toml").write_text(lines)
        with pytest.raises(ConfigError):
            load_config(tmp_path)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda file: file.unlink(), "oidc_client_secret_path"),
            (lambda file: file.chmod(0o644), "chmod 600"),
            (lambda file: file.write_text(""), "one line"),
            (lambda file: file.write_text("a\nb"), "one line"),
        ],
    )
    def test_a_secret_that_is_none(
        self, desk: Desk, tmp_path: Path, change: Callable[[Path], object], said: str
    ) -> None:
        change(tmp_path / "secret")
        with pytest.raises(ConfigError, match=said):
            make_app(desk.server.installation)
        # Who takes it away from a running server stops logins there, and nothing else.
        answer = asks(desk.server.browser(), "POST", "/console/login/provider", {})
        shut_out(answer, "provider-away", check="secret")

    def test_certificates_that_are_not_there(
        self, tmp_path: Path, provider: RunningProvider
    ) -> None:
        with (
            pytest.raises(ConfigError, match="oidc_ca_path"),
            running_desk(tmp_path, provider, oidc_ca_path="nowhere.pem"),
        ):
            pass

    def test_the_command_that_checks_them(self, desk: Desk) -> None:
        def said() -> str:
            arguments = ["server", "check-provider", str(desk.server.directory)]
            before = os.umask(0o022)
            try:
                return CliRunner().invoke(cli, arguments).output
            finally:
                os.umask(before)

        assert f"log in at {desk.provider.issuer}/authorize" in said()
        assert f"{BASE_URL}/console/login/return" in said()
        desk.provider.lies(metadata={"issuer": "http://127.0.0.1:1"})
        assert "does not answer as it should, at: issuer" in said()

    def test_nothing_of_it_is_stored_in_the_clear(self, desk: Desk) -> None:
        browser = desk.server.browser()
        url = desk.leaves(browser)
        cookie = browser.client.get_cookie("__Host-tongqiao-login", "linkage.example", "/")
        assert cookie is not None
        state = parse_qs(urlsplit(url).query)["state"][0]
        rows = repr(desk.server.rows("pending_logins")) + repr(desk.server.log())
        assert state not in rows
        assert cookie.value not in rows
        assert CLIENT_SECRET not in rows


def parts_of(back: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(back).query))


def with_parts(parts: dict[str, str]) -> str:
    return urlunsplit(("", "", "/console/login/return", urlencode(parts), ""))
