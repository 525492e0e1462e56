"""A clerk's whole way, from an empty workbench to the list with links, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import expect

from api.office.workbench.app import create_workbench
from api.office.workbench.desk import make_desk
from api.office.workbench.folder import OfficeFolder
from linkage.profile import load_profile
from tests.browser.clerk import Clerk
from tests.browser.conftest import was_run_whole
from tests.browser.round_under_way import RoundUnderWay
from tests.browser.watched import WatchedBrowser

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", autouse=True)
def every_page_is_looked_at(
    request: pytest.FixtureRequest,
    browser: WatchedBrowser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """At the end: each page of the workbench stood the test in both languages."""
    yield
    folder = OfficeFolder(tmp_path_factory.mktemp("desk") / "bench")
    app = create_workbench(make_desk(folder, load_profile("cn-child-v1"), None), "key")
    rules = {
        rule.rule.replace("<round_id>", "[a-z0-9-]+")
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
    }
    pages = {rule for rule in rules if not re.search(r"static|pages/|\.xlsx|/jobs/", rule)}
    assert len(pages) >= 9
    if was_run_whole(request):
        assert browser.unseen(sorted(pages)) == []


def test_a_clerks_whole_way(browser: WatchedBrowser, played: RoundUnderWay, tmp_path: Path) -> None:
    with browser.tab() as tab:
        clerk = Clerk(tab, played.workbench_url)
        clerk.opens_the_workbench()
        tab.in_both_languages("workbench-overview")

        clerk.goes_to("我的名册")
        tab.in_both_languages("workbench-list-empty")
        clerk.takes_in(played.desk.register)
        clerk.sees("请逐行核对")
        clerk.goes_to("我的名册")
        tab.in_both_languages("workbench-list")
        tab.on_a_phone("workbench-list")

        clerk.follows("下一步：核对列")
        tab.in_both_languages("workbench-columns")
        clerk.chooses_column("儿童姓名", "监护人姓名")
        clerk.presses("各列正确")
        clerk.sees("被选了两次")
        tab.look("workbench-columns-refused.zh")
        clerk.confirms_the_columns()
        tab.in_both_languages("workbench-problems")
        tab.on_a_phone("workbench-problems")
        report = openpyxl.load_workbook(clerk.saves("将全部问题保存为 Excel", tmp_path))
        assert report.worksheets[0].max_row > 5

        clerk.goes_to("轮次")
        tab.in_both_languages("workbench-rounds")
        clerk.follows("2026-h2")
        tab.in_both_languages("workbench-terms")
        tab.on_a_phone("workbench-terms")
        tab.in_print("workbench-terms")
        clerk.signs()
        clerk.sees("已签署")
        tab.in_both_languages("workbench-send")
        clerk.follows("不是这一个？")
        tab.in_both_languages("workbench-secret")
        tab.on_a_phone("workbench-secret")
        tab.expected_status |= {422}
        clerk.opens_the_secret("00000 " * 6)
        clerk.sees("签名不符")
        tab.look("workbench-secret-refused.zh")
        clerk.opens_the_secret(played.fingerprint_of_the_coordinator())
        clerk.sees("密钥已打开")
        clerk.sends(look="workbench-sending")
        clerk.sees("名册已发送")
        clerk.sees("发送前检查的结果")
        tab.in_both_languages("workbench-sent")

        clerk.follows("本单位记录的匹配")
        clerk.sees("还没有匹配结果")
        tab.in_both_languages("workbench-links-waiting")
        played.match_and_release()
        tab.page.reload()
        tab.in_both_languages("workbench-links-ready")
        clerk.fetches()
        expect(clerk.rows()).not_to_have_count(0)
        tab.in_both_languages("workbench-links")
        tab.on_a_phone("workbench-links")
        saved = openpyxl.load_workbook(clerk.saves("保存为 Excel", tmp_path), read_only=True)
        assert any(sheet.title.startswith("名单") for sheet in saved)

        tab.page.get_by_label("包含文字").fill("没有这样的内容")
        clerk.presses("显示")
        clerk.sees("没有可显示的内容")
        tab.look("workbench-links-nothing.zh")


def test_a_stranger_on_the_same_machine_sees_nothing(
    browser: WatchedBrowser, played: RoundUnderWay
) -> None:
    with browser.tab() as tab:
        tab.expected_status |= {403}
        tab.page.goto(played.workbench_url.partition("?")[0] + "list/")
        expect(tab.page.locator("h1")).to_have_text("未能完成")
        tab.look("workbench-refused.zh")


def test_the_keyboard_alone_reaches_every_control(
    browser: WatchedBrowser, played: RoundUnderWay
) -> None:
    with browser.tab() as tab:
        clerk = Clerk(tab, played.workbench_url)
        clerk.opens_the_workbench()
        clerk.goes_to("轮次")
        # A key that is pressed while one page gives way to the next reaches neither.
        expect(tab.page.locator("h1")).to_have_text("轮次")
        tab.page.wait_for_load_state("load")
        reached: list[str] = []
        for _ in range(40):
            tab.page.keyboard.press("Tab")
            name = tab.page.evaluate(
                "(() => { const e = document.activeElement; return e === document.body ? '' :"
                " (e.innerText || e.getAttribute('aria-label') || e.id).trim(); })()"
            )
            if name in reached or not name:
                break
            reached.append(name)
        assert reached[0] == "跳到正文"
        for wanted in ("总览", "我的名册", "轮次", "中文", "English", "2026-h2"):
            assert wanted in reached
        tab.page.locator("tbody a").focus()
        tab.page.keyboard.press("Enter")
        expect(tab.page.locator("h1")).to_contain_text("2026-h2")
