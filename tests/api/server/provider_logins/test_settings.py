"""Settings of the provider, and the command that checks them."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from api.cli import cli
from api.server.app import make_app
from api.server.config import ConfigError, load_config
from api.server.services.people import add_person
from api.server.services.work import own_caller
from tests.api.server.provider_logins.desk import Desk, asks, running_desk, shut_out
from tests.openid_provider import CLIENT_SECRET, RunningProvider
from tests.simulator import BASE_URL, simulated_server

pytestmark = pytest.mark.process


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
