"""Logging in at an OpenID provider on another site, in a real browser under the pages' policy."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from api.server.services.installation import create_installation
from tests.api.server.running_server import RunningServer, server_process
from tests.browser.person import Person
from tests.browser.watched import WatchedBrowser, WatchedPage
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, RunningProvider, running_provider

pytestmark = pytest.mark.process

NAME = "统一身份认证（示例）"


@dataclass
class Desk:
    server: RunningServer
    provider: RunningProvider

    def invites(self, person: str) -> str:
        told = subprocess.run(
            [
                sys.executable, "-m", "api", "server", "add-person", str(self.server.directory),
                person, "--name", "吴芸", "--role", "operator",
            ],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        found = re.search(r"\b[0-9a-f]{32}\b", told)
        assert found is not None, told
        return found[0]


@pytest.fixture
def desk(chromium: str, tmp_path: Path) -> Iterator[Desk]:
    # To a browser, localhost is another site than 127.0.0.1.
    with running_provider(tmp_path, "localhost") as provider:
        port = free_port()
        (tmp_path / "secret").write_text(CLIENT_SECRET)
        (tmp_path / "secret").chmod(0o600)
        settings = {
            "public_url": f"http://127.0.0.1:{port}",
            "oidc_issuer": provider.issuer,
            "oidc_name": NAME,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret_path": str(tmp_path / "secret"),
        }
        create_installation(tmp_path / "server", "Test", settings).close()
        with server_process(tmp_path / "server", "--port", str(port)) as server:
            yield Desk(server, provider)


def free_port() -> int:
    """The address to come back to is named before the server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def says_who(tab: WatchedPage, subject: str) -> None:
    """What a person does at the provider."""
    tab.page.get_by_label("Who are you?").fill(subject)
    tab.page.get_by_role("button", name="Agree").click()


def test_enrolling_and_logging_in_at_the_provider(browser: WatchedBrowser, desk: Desk) -> None:
    desk.provider.says_of("wu-there", amr=["pwd", "mfa"])
    with browser.tab() as tab:
        tab.expected_status |= {302}
        wu = Person(tab, desk.server.url, "wu")
        wu.opens("enrol")
        wu.writes("您的用户名", "wu")
        wu.writes("管理员给您的邀请码", desk.invites("wu"))
        wu.presses("下一步")
        tab.look("console-enrol-provider.zh")
        wu.presses(f"用 {NAME} 登记")
        says_who(tab, "wu-there")
        expect(tab.page).to_have_url(f"{desk.server.url}/console/rounds/")
        wu.presses("退出")

        wu.opens("rounds/")
        tab.in_both_languages("console-login-provider")
        tab.on_a_phone("console-login-provider")
        wu.presses(f"用 {NAME} 登录")
        says_who(tab, "wu-there")
        expect(tab.page).to_have_url(f"{desk.server.url}/console/rounds/")
        wu.presses("退出")

        tab.expected_status |= {401}
        wu.opens("login")
        wu.presses(f"用 {NAME} 登录")
        says_who(tab, "a-stranger")
        wu.sees("此账号不能在这里登录")
        tab.look("console-login-not-invited.zh")
        desk.provider.stop()
        wu.presses(f"用 {NAME} 登录")
        wu.sees("请用用户名和密码登录")


def test_the_code_of_the_app_where_the_provider_saw_none(
    browser: WatchedBrowser, desk: Desk
) -> None:
    import pyotp

    with browser.tab() as tab:
        tab.expected_status |= {302}
        wu = Person(tab, desk.server.url, "wu")
        wu.opens("enrol")
        wu.writes("您的用户名", "wu")
        wu.writes("管理员给您的邀请码", desk.invites("wu"))
        wu.presses("下一步")
        secret = tab.page.locator("main p.code").inner_text()
        wu.presses(f"用 {NAME} 登记")
        says_who(tab, "wu-there")
        tab.in_both_languages("console-login-code")
        wu.writes("应用的验证码或备用码", pyotp.TOTP(secret).now())
        wu.presses("登录")
        wu.sees("请保存这些备用码")
        wu.follows("回到首页")
        expect(tab.page).to_have_url(f"{desk.server.url}/console/rounds/")
