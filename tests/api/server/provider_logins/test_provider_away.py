"""A provider that is away, or does not answer as it should: said, and passwords work."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.server.provider_logins.desk import SUBJECT, Desk, asks, is_in, running_desk, shut_out
from tests.certificates import certificate_for_loopback
from tests.openid_provider import RunningProvider, running_provider
from tests.simulator import BASE_URL, granted

pytestmark = pytest.mark.process


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
