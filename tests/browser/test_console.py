"""Operators, an auditor and an administrator at the console, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import was_run_whole
from tests.browser.person import Person
from tests.browser.round_under_way import RoundUnderWay, round_with_all_lists
from tests.browser.watched import WatchedBrowser

pytestmark = pytest.mark.process
POLICY = Path(__file__).resolve().parents[2] / "docs" / "who-may-what.md"


@pytest.fixture(scope="module")
def ready(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundUnderWay]:
    """A round to which every office has sent its list."""
    with round_with_all_lists(tmp_path_factory.mktemp("ready") / "round") as ready:
        yield ready


@pytest.fixture(scope="module", autouse=True)
def every_page_is_looked_at(
    request: pytest.FixtureRequest, browser: WatchedBrowser
) -> Iterator[None]:
    """At the end: each page of the console stood the test in both languages."""
    yield
    lines = POLICY.read_text(encoding="utf-8").split("```")[3].splitlines()
    pages = {line.split()[1] for line in lines if line.startswith("GET")}
    # What is no page, but leads to one, or is a file or what a script asks for.
    pages -= {"/console/"} | {
        page for page in pages if re.search("/(proof|SIZE|progress|file)$", page)
    }
    pages |= {"/console/login", "/console/enrol"}
    assert len(pages) >= 15
    if was_run_whole(request):
        ids = [re.sub(r"(?<=/)(R|P|TASK|0)(?=/|$)", "[a-z0-9-]+", page) for page in sorted(pages)]
        assert browser.unseen(ids) == []


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
        desk.on_a_phone("console-people")
        wu = Person(first, url, "wu")
        administrator.writes("登录用户名", "wu")
        administrator.writes("姓名", "吴芸")
        administrator.presses("邀请")
        administrator.sees("邀请码")
        first.page.goto(f"{url}/console/enrol")
        first.in_both_languages("console-enrol-invitation")
        wu.enrols(desk.page.locator("main p.code").first.inner_text(), look="console-enrol")
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
        first.on_a_phone("console-project")
        first.expected_status |= {422}
        wu.writes("发布前至少需要的见证人数", "1")
        wu.ticks("我已确认")
        wu.presses("设定见证人数")
        wu.sees("须有 1 个成员见证")
        wu.writes("发布前至少需要的见证人数", "0")
        wu.ticks("我已确认")
        wu.presses("设定见证人数")
        wu.sees("无需任何见证人")
        wu.opens("projects/new")
        first.in_both_languages("console-new-project")
        wu.opens("rounds/new")
        first.in_both_languages("console-new-round")
        first.switch_to("English", "en")
        wu.chooses_by_role_with_the_keyboard()
        first.look("console-new-round-roles.en")
        first.switch_to("中文", "zh")
        wu.chooses_by_role_with_the_keyboard()
        first.look("console-new-round-roles.zh")
        first.on_a_phone("console-new-round-roles")
        wu.writes("轮次编号，如 2027-h1", "2027-h1")
        wu.presses("创建草案")
        wu.sees("2027-h1")
        # One box was unticked: that role does not see its links with the other.
        expect(first.page.locator("main td", has_text="否")).not_to_have_count(0)
        first.in_both_languages("console-round-draft")
        wu.follows("修订约定")
        first.in_both_languages("console-amend")
        wu.writes("多少天后全部删除", "90")
        wu.presses("下一步：查看变化")
        wu.sees("所有签名作废")
        first.look("console-amend-changes.zh")
        first.on_a_phone("console-amend-changes")
        wu.ticks("我已确认")
        wu.presses("修订约定")
        wu.sees("90 天")

        wu.opens("rounds/2026-h2")
        first.in_both_languages("console-round")
        first.on_a_phone("console-round")
        wu.takes_step("停止接收")
        with first.while_it_waits("**/progress"):
            wu.takes_step("开始匹配")
            expect(first.page.locator("[data-job] progress")).to_be_visible()
            first.look("console-matching.zh")
        wu.waits_until_matched()
        first.expected_status |= {409}
        wu.follows("前往复核")
        first.in_both_languages("console-review")
        first.in_print("console-review")
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
        zheng.unfolds("提前结束该轮次")
        zheng.takes_step("请求立即结束该轮次")
        zheng.sees("zheng 请求立即结束该轮次")
        second.in_both_languages("console-asked")
        wu.opens("rounds/2026-h2")
        first.look("console-agree.zh")
        first.on_a_phone("console-agree")
        wu.presses("撤回此请求")
        wu.unfolds("将一个单位移出该轮次")
        wu.chooses("要移出的单位", "chengdu-health (卫生健康 health)")
        first.look("console-take-out.zh")
        wu.takes_step("请求移出该单位")
        zheng.opens("rounds/2026-h2")
        zheng.takes_step("同意：移出 chengdu-health")
        zheng.sees("已移出")
        second.in_both_languages("console-taken-out")
        zheng.presses("退出")
        zheng.opens("rounds/")
        expect(second.page).to_have_url(f"{url}/console/login?after=rounds")


def test_an_auditor_sees_and_changes_nothing(browser: WatchedBrowser, ready: RoundUnderWay) -> None:
    with browser.tab() as tab:
        auditor = Person(tab, ready.play.server_url, "qian")
        auditor.enrols(ready.invite("qian", "auditor"))
        auditor.logs_in()
        auditor.goes_to("轮次")
        auditor.follows("2026-h2")
        expect(tab.page.locator("main form")).to_have_count(0)
        auditor.goes_to("人员")
        expect(tab.page.locator("main form")).to_have_count(0)
        tab.expected_status |= {403}
        auditor.opens("rounds/new")
        auditor.sees("您的角色不能")


def test_an_auditor_at_the_desk(
    browser: WatchedBrowser, ready: RoundUnderWay, tmp_path: Path
) -> None:
    with browser.tab() as tab:
        he = Person(tab, ready.play.server_url, "shen")
        he.enrols(ready.invite("shen", "auditor"))
        he.logs_in()
        tab.in_both_languages("console-log")
        tab.on_a_phone("console-log")
        he.chooses("操作", "签署轮次约定")
        he.presses("显示")
        expect(tab.page.locator("main tbody tr")).to_have_count(len(ready.play.desks) + 1)
        he.writes("单位", "nobody-here")
        he.presses("显示")
        he.sees("没有符合条件的记录")
        tab.look("console-log-empty.zh")
        tab.expected_status |= {422}
        he.writes("单位", "Not An Id")
        he.presses("显示")
        he.sees("只能")
        tab.look("console-log-refused.zh")

        he.opens("log/entries/3")
        he.sees("证明刚刚生成并核验")
        tab.in_both_languages("console-entry")
        tab.on_a_phone("console-entry")

        he.follows("检查点与见证")
        tab.in_both_languages("console-checkpoints")
        kept = he.saves("保存", tmp_path)
        he.opens("log/")
        he.opens("log/checkpoints")
        tab.page.get_by_label("或选择其文件").set_input_files(kept)
        he.presses("比对")
        he.sees("一脉相承")
        tab.look("console-compared.zh")
        tab.on_a_phone("console-compared")
        he.writes("粘贴检查点", kept.read_text(encoding="utf-8").replace("tongqiao/", "other/"))
        he.presses("比对")
        he.sees("不是用本日志的密钥签署的")
        tab.look("console-compared-refused.zh")

        he.follows("核验")
        tab.in_both_languages("console-verification")
        he.presses("核验整个日志")
        he.sees("日志完整")
        tab.in_both_languages("console-verified")
        tab.on_a_phone("console-verified")

        he.follows("报告与异常")
        tab.look("console-reports-empty.zh")
        he.writes("第一天", "2026-01-01")
        he.writes("最后一天", "2126-01-01")
        he.presses("生成报告")
        he.sees("概要")
        tab.in_both_languages("console-report")
        tab.in_print("console-report")
        tab.on_a_phone("console-report")
        he.follows("报告与异常")
        tab.in_both_languages("console-reports")

        he.follows("导出")
        tab.in_both_languages("console-exports")
        tab.page.get_by_label("CSV").check()
        he.presses("导出")
        he.sees("保存文件")
        tab.look("console-export.zh")
        assert he.saves("保存文件", tmp_path).read_text("utf-8-sig").startswith("index,time,")


def test_the_desk_is_for_auditors_alone(browser: WatchedBrowser, ready: RoundUnderWay) -> None:
    with browser.tab() as tab:
        operator = Person(tab, ready.play.server_url, "qu")
        operator.enrols(ready.invite("qu", "operator"))
        operator.logs_in()
        expect(tab.page.get_by_role("link", name="访问日志")).to_have_count(0)
        tab.expected_status |= {403}
        operator.opens("log/")
        operator.sees("您的角色不能")
