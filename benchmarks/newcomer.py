"""How long a clerk who has never seen the workbench needs, from a messy Excel file to its upload.

``python -m benchmarks.newcomer --pictures FOLDER``: a whole round is played up to where one office
is missing; then a browser walks through that office's workbench as a person would who reads all of
every page.  Nobody was timed: what is counted is what there is to read (300 Chinese characters a
minute, a Latin word as two characters; of tables the first five rows), every press of the mouse
(3 s), typing (1 s a character), and the waiting that was measured.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import openpyxl
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.pages import find_chromium
from tests.browser.round_under_way import RoundUnderWay, round_under_way

READ_PER_MINUTE: Final = 300
PRESS_S: Final = 3.0
LIMIT_S: Final = 180.0

_TO_READ: Final = """() => {
  const skipped = 'tbody tr:nth-child(n+6), option, script, .visually-hidden, svg, .code';
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (text && !parent.closest(skipped) && parent.checkVisibility()) { found.push(text); }
  }
  return found;
}"""
_HAN: Final = re.compile("[\u4e00-\u9fff]")
_LATIN: Final = re.compile("[A-Za-z0-9][A-Za-z0-9.,:-]*")


@dataclass(frozen=True)
class Step:
    """One thing that the clerk does, and what it costs."""

    what: str
    page: str
    characters: int
    presses: int
    waited_s: float

    @property
    def seconds(self) -> float:
        """As estimated."""
        reading = self.characters / READ_PER_MINUTE * 60
        return reading + self.presses * PRESS_S + self.waited_s


@dataclass
class Trial:
    """Walks, counts, and takes a picture before each press."""

    page: Page
    pictures: Path | None
    steps: list[Step] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def does(
        self,
        what: str,
        act: Callable[[], Any],
        *,
        presses: int = 1,
        until: Callable[[], Any] | None = None,
    ) -> None:
        """Read the page that is shown, then do something and wait for what comes of it."""
        heading = self.page.locator("h1").inner_text()
        # What stood on an earlier page, such as the steps above, is not read again.
        texts = set(self.page.evaluate(_TO_READ)) - self.read
        self.read |= texts
        characters = sum(len(_HAN.findall(t)) + 2 * len(_LATIN.findall(t)) for t in texts)
        if self.pictures is not None:
            name = f"newcomer-{len(self.steps) + 1:02d}.png"
            self.page.screenshot(path=self.pictures / name, full_page=True)
        began = time.perf_counter()
        act()
        if until is not None:
            until()
        self.page.wait_for_load_state("load")
        waited = time.perf_counter() - began
        self.steps.append(Step(what, heading, characters, presses, waited))


def messy_workbook(register: Path, target: Path) -> int:
    """The register as a county office might really keep it; number of records."""
    source = openpyxl.load_workbook(register).worksheets[0]
    rows = [[cell.value for cell in row] for row in source.iter_rows()]
    at = next(n for n, row in enumerate(rows) if sum(cell is not None for cell in row) > 3)
    headings, records = [str(cell or "") for cell in rows[at]], rows[at + 1 :]
    dice = random.Random(7)  # noqa: S311 - untidiness that can be repeated
    book = openpyxl.Workbook()
    notes = book.worksheets[0]
    notes.title = "填表说明"
    notes.append(["1. 本表由各街道填报，每月 5 日前报送。"])
    notes.append(["2. 身份证号请以文本格式填写。"])
    sheet = book.create_sheet("2026年第三季度")
    sheet.append(["锦江区流动儿童登记表（2026年第三季度）"])
    sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(headings) + 2)
    sheet.append(["填报单位：锦江区民政局", None, "填报日期：2026年9月28日"])
    sheet.append(["序号", *(_untidy_heading(heading, dice) for heading in headings), "备 注"])
    for number, row in enumerate(records, 1):
        sheet.append([number, *(_untidy(cell, dice) for cell in row), dice.choice([None, "已核"])])
        if number % 40 == 0:
            sheet.append([])
    sheet.append(["合计", None, f"{len(records)} 人"])
    book.save(target)
    return len(records)


def _untidy_heading(heading: str, dice: random.Random) -> str:
    if len(heading) == 2 and dice.random() < 0.7:
        return f"{heading[0]}  {heading[1]}"
    return heading[:2] + "\n" + heading[2:] if len(heading) > 3 else heading


def _untidy(cell: Any, dice: random.Random) -> Any:
    if isinstance(cell, datetime | date):
        forms = ("%Y年%m月%d日", "%Y.%m.%d", "%Y%m%d", "%Y-%m-%d")
        return cell if dice.random() < 0.5 else cell.strftime(dice.choice(forms))
    text = "" if cell is None else str(cell)
    luck = dice.random()
    if text.isdigit() and len(text) == 18 and luck < 0.05:
        return float(text)  # as Excel keeps a number that was typed: the last digits are gone
    if text.isdigit() and luck < 0.1:
        return f" {text} "
    if 1 < len(text) < 4 and luck < 0.1:
        return f"{text[0]} {text[1:]}"
    return cell


def walk(trial: Trial, played: RoundUnderWay, file: Path) -> None:
    """From the address that the technician's command opened to the uploaded list."""
    page = trial.page

    def button(name: str) -> Callable[[], None]:
        return lambda: page.get_by_role("button", name=name, exact=True).click()

    def link(name: str) -> Callable[[], None]:
        return lambda: page.get_by_role("link", name=name, exact=True).first.click()

    def job_done() -> None:
        page.wait_for_load_state("domcontentloaded")
        expect(page.locator("[data-job]")).to_have_count(0, timeout=120_000)

    page.goto(played.workbench_url)
    trial.does("goes to the list", link("选择名册"))
    # Two presses in the window of the system: the file and "open".
    trial.does(
        "chooses the file", lambda: page.set_input_files("#file", file), presses=3, until=job_done
    )
    trial.does("confirms the columns", button("各列正确"), until=job_done)
    trial.does("goes on to the round", link("继续：签署轮次 2026-h2"))
    trial.does("ticks that the terms were read", lambda: page.get_by_role("checkbox").check())
    trial.does("signs", button("签署约定"))
    trial.does("encodes and sends", button("编码并发送"), until=job_done)
    expect(page.locator("main")).to_contain_text("名册已发送")
    # What the clerk reads then comes after the upload, and is not counted.


@contextmanager
def _trial(pictures: Path | None) -> Iterator[Trial]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        page.set_default_timeout(60_000)
        yield Trial(page, pictures)
        browser.close()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="The same; there is no larger one.")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="Pictures of each step.")
    parser.add_argument("--json", metavar="FILE", type=Path)
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tongqiao-newcomer-") as name:
        root = Path(name)
        with round_under_way(root / "round") as played, _trial(arguments.pictures) as trial:
            file = root / "锦江区流动儿童登记表 2026Q3 最终版(2).xlsx"
            n_records = messy_workbook(played.desk.register, file)
            walk(trial, played, file)
    print(f"a messy workbook of {n_records} records")
    print(f"{'step':34s} {'page':16s} {'to read':>8s} {'presses':>8s} {'waited':>7s} {'s':>6s}")
    for step in trial.steps:
        print(
            f"{step.what:34s} {step.page[:14]:16s} {step.characters:8d} {step.presses:8d} "
            f"{step.waited_s:7.1f} {step.seconds:6.1f}"
        )
    total = sum(step.seconds for step in trial.steps)
    presses = sum(step.presses for step in trial.steps)
    print(f"{len(trial.steps)} steps, {presses} presses: {total:.0f} s (limit {LIMIT_S:.0f} s)")
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(step) for step in trial.steps], indent=2))
    if total > LIMIT_S:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
