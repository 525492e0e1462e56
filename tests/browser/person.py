"""What operators, auditors and administrators do in the console, in sentences."""

from dataclasses import dataclass, field
from pathlib import Path

import pyotp
from playwright.sync_api import Page, expect

from tests.browser.watched import WatchedPage

_MATCHED_TIMEOUT_MS = 120_000


@dataclass
class Person:
    """Somebody at the console of a server, reading Chinese unless they switch."""

    tab: WatchedPage
    server_url: str
    id: str
    password: str = "four words that are long"
    secret: str = ""
    recovery_codes: list[str] = field(default_factory=list)

    @property
    def _page(self) -> Page:
        return self.tab.page

    def opens(self, path: str) -> None:
        self._page.goto(f"{self.server_url}/console/{path}")

    def follows(self, name: str) -> None:
        self._page.get_by_role("link", name=name, exact=True).first.click()

    def goes_to(self, place: str) -> None:
        self.tab.open_navigation()
        self._page.get_by_role("navigation", name="主导航").get_by_role("link", name=place).click()

    def presses(self, name: str) -> None:
        self._page.get_by_role("button", name=name).first.click()

    def writes(self, label: str, text: str) -> None:
        self._page.get_by_label(label, exact=True).fill(text)

    def ticks(self, label: str) -> None:
        self._page.get_by_label(label).first.check()

    def chooses(self, label: str, option: str) -> None:
        self._page.get_by_label(label, exact=True).select_option(option)

    def saves(self, name: str, folder: Path) -> Path:
        with self._page.expect_download() as download:
            self._page.get_by_role("link", name=name).first.click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def sees(self, text: str) -> None:
        expect(self._page.locator("main")).to_contain_text(text)

    def enrols(self, invitation: str, look: str = "") -> None:
        self.opens("enrol")
        self.writes("您的用户名", self.id)
        self.writes("管理员给您的邀请码", invitation)
        self.presses("下一步")
        self.secret = self._page.locator("main p.code").inner_text()
        self.writes("应用当前显示的验证码", pyotp.TOTP(self.secret).now())
        self.writes("新密码，至少 12 个字符", self.password)
        self.writes("再次输入同一密码", self.password)
        if look:
            self.tab.look(f"{look}.zh")
        self.presses("下一步")
        self.sees("请保存这些备用码")
        self.recovery_codes = self._page.locator("main li").all_inner_texts()

    def logs_in(self, password: str | None = None) -> None:
        """A recovery code stands in for the app, whose codes are good once in half a minute."""
        self.opens("login")
        self.writes("您的用户名", self.id)
        self.writes("密码", self.password if password is None else password)
        self.writes("应用的验证码或备用码", self.recovery_codes.pop())
        self.presses("登录")

    def unfolds(self, summary: str) -> None:
        self._page.locator("summary", has_text=summary).click()

    def chooses_by_role_with_the_keyboard(self) -> None:
        """The second of two ways to say who sees links, and one box of it unticked."""
        page = self._page
        page.locator("#visibility-all").focus()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#visibility-roles")).to_be_checked()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.locator(".by-role input").first).not_to_be_checked()
        expect(page.locator(".by-role input").nth(1)).to_be_checked()

    def takes_step(self, button: str) -> None:
        form = self._page.locator("form", has=self._page.get_by_role("button", name=button))
        form.get_by_role("checkbox").check()
        form.get_by_role("button", name=button).click()

    def waits_until_matched(self) -> None:
        """The page asks by itself, and is loaded again when the matching has ended."""
        expect(self._page.locator("h1")).to_contain_text("等待发布", timeout=_MATCHED_TIMEOUT_MS)
