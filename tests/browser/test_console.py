"""Operators, an auditor and an administrator at the console, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person
from tests.browser.round_under_way import RoundUnderWay, round_with_all_lists
from tests.browser.watched import WatchedBrowser

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def ready(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundUnderWay]:
    """A round to which every office has sent its list."""
    with round_with_all_lists(tmp_path_factory.mktemp("ready") / "round") as ready:
        yield ready


def test_a_round_from_open_uploads_to_its_release_by_two_people(
    browser: WatchedBrowser, ready: RoundUnderWay
) -> None:
    url = ready.play.server_url
    with browser.tab() as desk, browser.tab() as first, browser.tab() as second:
        administrator = Person(desk, url, "sun")
        administrator.opens("")
        expect(desk.page).to_have_url(f"{url}/console/login")
        desk.in_both_languages("console-login")
        administrator.enrols(ready.invite("sun", "administrator"))
        desk.expected_status |= {401}
        administrator.logs_in(password="not the password")
        administrator.sees("不相符")
        desk.look("console-login-refused.zh")
        administrator.logs_in()
        desk.in_both_languages("console-people")
        wu = Person(first, url, "wu")
        administrator.writes("登录用户名", "wu")
        administrator.writes("姓名", "吴芸")
        administrator.presses("邀请")
        administrator.sees("邀请码")
        wu.enrols(desk.page.locator("main p.code").first.inner_text())
        desk.expected_status |= {403}
        administrator.opens("rounds/")
        administrator.sees("您的角色不能")
        desk.look("console-refused.zh")

        wu.logs_in()
        first.in_both_languages("console-rounds")
        wu.goes_to("单位")
        first.in_both_languages("console-offices")
        wu.goes_to("项目")
        first.in_both_languages("console-projects")
        wu.follows("sichuan-children")
        first.in_both_languages("console-project")
        wu.opens("projects/new")
        first.in_both_languages("console-new-project")
        wu.opens("rounds/new")
        first.in_both_languages("console-new-round")
        wu.writes("轮次编号，如 2027-h1", "2027-h1")
        wu.presses("创建草案")
        wu.sees("2027-h1")
        first.in_both_languages("console-round-draft")

        wu.opens("rounds/2026-h2")
        first.in_both_languages("console-round")
        first.on_a_phone("console-round")
        wu.takes_step("停止接收")
        wu.takes_step("开始匹配")
        wu.waits_until_matched()
        first.expected_status |= {409}
        wu.follows("前往复核")
        first.in_both_languages("console-review")
        wu.takes_step("发布匹配")
        wu.sees("须由另一位操作员发布")
        first.look("console-second-person.zh")

        zheng = Person(second, url, "zheng")
        zheng.enrols(ready.invite("zheng", "operator"))
        zheng.logs_in()
        zheng.opens("rounds/2026-h2/review")
        second.on_a_phone("console-review")
        zheng.takes_step("发布匹配")
        zheng.sees("已发布")
        zheng.presses("退出")
        zheng.opens("rounds/")
        expect(second.page).to_have_url(f"{url}/console/login?after=rounds")


def test_an_auditor_sees_and_changes_nothing(browser: WatchedBrowser, ready: RoundUnderWay) -> None:
    with browser.tab() as tab:
        auditor = Person(tab, ready.play.server_url, "qian")
        auditor.enrols(ready.invite("qian", "auditor"))
        auditor.logs_in()
        auditor.follows("2026-h2")
        expect(tab.page.locator("main form")).to_have_count(0)
        auditor.goes_to("人员")
        expect(tab.page.locator("main form")).to_have_count(0)
        tab.expected_status |= {403}
        auditor.opens("rounds/new")
        auditor.sees("您的角色不能")
