"""What a clerk does in the workbench, in sentences."""

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.watched import WatchedPage

_JOB_TIMEOUT_MS = 120_000


@dataclass
class Clerk:
    """A clerk at the workbench, reading Chinese unless she switches."""

    tab: WatchedPage
    address: str

    @property
    def _page(self) -> Page:
        return self.tab.page

    def opens_the_workbench(self) -> None:
        self._page.goto(self.address)
        expect(self._page.get_by_role("heading", level=1)).to_have_text("总览")

    def goes_to(self, place: str) -> None:
        self.tab.open_navigation()
        self._page.get_by_role("navigation", name="主导航").get_by_role("link", name=place).click()

    def takes_in(self, file: Path) -> None:
        self._page.set_input_files("#file", file)
        self._waits_for_the_job()

    def presses(self, name: str) -> None:
        self._page.get_by_role("button", name=name, exact=True).click()

    def follows(self, name: str) -> None:
        self._page.get_by_role("link", name=name, exact=True).click()

    def chooses_column(self, field: str, heading: str) -> None:
        self._page.get_by_label(field).select_option(heading)

    def confirms_the_columns(self) -> None:
        self.presses("各列正确")
        self._waits_for_the_job()

    def saves(self, name: str, folder: Path) -> Path:
        with self._page.expect_download() as download:
            self.follows(name)
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def signs(self) -> None:
        self._page.get_by_role("checkbox").check()
        self.presses("签署约定")

    def opens_the_secret(self, heard: str) -> None:
        self._page.get_by_label("您听到的 30 位数字").fill(heard)
        self.presses("领取并打开密钥")

    def sends(self, look: str) -> None:
        with self.tab.while_it_waits("**/jobs/*"):
            self.presses("编码并发送")
            expect(self._page.locator("[data-job] progress")).to_be_visible()
            self.tab.look(f"{look}.zh")
            self.tab.on_a_phone(look)
        self._waits_for_the_job()

    def fetches(self) -> None:
        self.presses("获取匹配结果")
        self._waits_for_the_job()

    def sees(self, text: str) -> None:
        expect(self._page.locator("main")).to_contain_text(text)

    def rows(self) -> Locator:
        return self._page.locator("main table.wide-table tbody tr")

    def _waits_for_the_job(self) -> None:
        self._page.wait_for_load_state("domcontentloaded")
        expect(self._page.locator("[data-job]")).to_have_count(0, timeout=_JOB_TIMEOUT_MS)
        self._page.wait_for_load_state("load")
