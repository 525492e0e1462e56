"""How fast every page of console and workbench is, in a real browser, on a server full of data.

``python -m benchmarks.pages --json FILE``: 100 offices, 50 rounds, a log of 5 million entries with
10,000 witnessed checkpoints on SQLite, and a list of a million own rows joined with their links.
Each page is asked for over HTTP by Chromium, which says when the first byte came and when the page
stood; printed is the median of some visits.  ``--folder`` builds once and measures again.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.pages_data import FULL, OWN, PASSWORD, PROJECT, QUICK, Sizes, build

FIRST_BYTE_MS: Final = 100.0
DRAWN_MS: Final = 1000.0

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_TIMING: Final = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  const paints = performance.getEntriesByType("paint").map((one) => one.startTime);
  return [page.responseStart - page.startTime, Math.max(page.loadEventEnd, ...paints)];
}"""

_FETCHING: Final = """async (address) => {
  const began = performance.now();
  const answer = await fetch(address);
  const first = performance.now() - began;
  await answer.arrayBuffer();
  return [first, performance.now() - began, answer.status];
}"""


@dataclass(frozen=True)
class Visit:
    """A page and who asks for it."""

    who: str
    path: str


def console_pages(about: Mapping[str, Any], sizes: Sizes) -> list[Visit]:
    """Every page of the console that is read."""
    middle = sizes.n_entries // 2
    log_pages = (
        "", "?actor=office-7", "?office=office-7&outcome=refused", "?action=upload:put",
        "?outcome=refused", "?round=2026-h2&action=terms:sign",
        "?since=2026-01-06&until=2026-01-06",
        "?actor=office-7&action=log:seal", "?actor=office-7&action=upload:put",
        f"?below={middle}", "?above=1000", f"entries/{middle}", "checkpoints",
        f"checkpoints?below={middle}", "checkpoints?witnessed=yes", "verification", "reports",
        "exports", *(f"tasks/{task}" for task in about["tasks"].values()),
    )  # fmt: skip
    auditor = [
        *(Visit("auditor", f"/console/log/{path}") for path in log_pages),
        Visit("auditor", "/console/rounds/round-04"),
        Visit("auditor", f"/console/projects/{PROJECT}"),
        Visit("auditor", "/console/people/"),
    ]
    operator = [
        Visit("operator", f"/console/{path}")
        for path in (
            "rounds/", "rounds/new", "rounds/round-00", "rounds/round-01", "rounds/round-03",
            "rounds/round-03/review", "rounds/round-03/review?office=office-07",
            "rounds/round-04", "rounds/round-01/terms", "projects/",
            "projects/new", f"projects/{PROJECT}", "offices/",
        )
    ]  # fmt: skip
    nobody = [Visit("nobody", f"/console/{path}") for path in ("login", "enrol")]
    return [*nobody, *auditor, *operator, Visit("administrator", "/console/people/")]


WORKBENCH_PAGES: Final = tuple(
    Visit("office", path)
    for path in (
        "/", "/list/", "/list/columns", "/list/problems", "/rounds/", "/rounds/round-01",
        "/rounds/round-01/send", "/rounds/round-01/secret", "/rounds/round-04/links",
        "/rounds/round-04/links?page=900", "/rounds/round-04/links?counterpart=office-07",
        "/rounds/round-04/links?change=new", "/rounds/round-04/links?kind=missing",
        "/rounds/round-04/links?text=R0900001", "/rounds/round-04/links?text=2015-03",
        "/rounds/round-04/links?counterpart=office-07&change=new&band=certain&text=王",
        "/rounds/round-04/links?page=20000", "/rounds/round-04", "/list/problems?page=3",
    )
)  # fmt: skip


def find_chromium() -> str:
    """The browser's program.  Raises: RuntimeError: there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise RuntimeError("no Chromium is installed (Debian's package: chromium)")
    return found


def visit(page: Page, address: str, n_visits: int) -> tuple[float, float, int]:
    """Median milliseconds to the first byte and to the drawn page, and its status."""
    found = []
    status = 0
    for _ in range(n_visits + 1):
        answer = page.goto(address, wait_until="load")
        status = 0 if answer is None else answer.status
        page.wait_for_timeout(30)
        found.append(page.evaluate(_TIMING))
    first, drawn = zip(*found[1:], strict=True)
    return statistics.median(first), statistics.median(drawn), status


def press_verification(page: Page, url: str, n_visits: int) -> tuple[float, float, int]:
    """The same for the press that begins a verification, up to the page that shows progress."""
    found = []
    for _ in range(n_visits):
        page.goto(f"{url}/console/log/verification?language=en")
        page.get_by_role("button", name="Verify the whole log").click()
        page.wait_for_url("**/tasks/**")
        page.wait_for_load_state("load")
        page.wait_for_timeout(30)
        found.append(page.evaluate(_TIMING))
    first, drawn = zip(*found, strict=True)
    return statistics.median(first), statistics.median(drawn), 200


def fetch_export(page: Page, address: str, n_visits: int) -> tuple[float, float, int]:
    """Median milliseconds to the first byte of the list for Excel, and to its last."""
    found = [page.evaluate(_FETCHING, f"{address}?{number}") for number in range(n_visits)]
    first, whole, status = zip(*found, strict=True)
    return statistics.median(first), statistics.median(whole), max(status)


def _log_in(page: Page, url: str, role: str, code: str) -> None:
    page.goto(f"{url}/console/login?language=en")
    page.get_by_label("Your id").fill(f"a-{role}")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Code of the app, or a recovery code").fill(code)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/console/**")


def _start(folder: Path, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "api", *arguments], stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


def _wait_for(path: Path, word: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if word in text:
            return text
        time.sleep(0.05)
    raise RuntimeError(f"{path.name} did not start: {text[-2000:]}")


def measure(folder: Path, sizes: Sizes, n_visits: int) -> list[dict[str, Any]]:
    """Start server and workbench, and visit every page."""
    about = json.loads((folder / "about.json").read_text())
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    server = _start(
        folder, "server", "server", "run", str(folder / "server"), "--port", "0",
        "--port-file", str(port_file),
    )  # fmt: skip
    running = [server]
    try:
        url = f"http://127.0.0.1:{_wait_for(port_file, chr(10)).strip()}"
        running.append(
            _start(
                folder, "workbench", "office", "workbench", "--dir", str(folder / "bench"),
                "--port", "0", "--no-browser", "--server", url,
                "--keys", str(folder / f"{OWN}.private.json"),
            )
        )  # fmt: skip
        told = _wait_for(folder / "workbench.log", "key=")
        own = next(word for word in told.split() if word.startswith("http://127.0.0.1"))
        return _visit_all(url, own, about, sizes, n_visits, folder)
    finally:
        (folder / "about.json").write_text(json.dumps(about))
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _visit_all(
    url: str, own: str, about: Mapping[str, Any], sizes: Sizes, n_visits: int, folder: Path
) -> list[dict[str, Any]]:
    chromium = find_chromium()
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for role in ("nobody", "auditor", "operator", "administrator", "office"):
            page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
            page.set_default_timeout(60_000)
            if role == "office":
                page.goto(own)
                page.goto(own.partition("?")[0] + "list/")
                page.set_input_files("#file", folder / "register.csv")
                page.wait_for_load_state("domcontentloaded")
                expect(page.locator("[data-job]")).to_have_count(0, timeout=60_000)
            elif role != "nobody":
                _log_in(page, url, role, about["codes"][role].pop())
            base = own.partition("/?")[0] if role == "office" else url
            visits = WORKBENCH_PAGES if role == "office" else console_pages(about, sizes)
            rows += [
                _row(role, one.path, about, visit(page, base + one.path, n_visits))
                for one in visits
                if one.who == role
            ]
            if role == "auditor":
                found = press_verification(page, url, n_visits)
                rows.append(_row(role, "(verification pressed)", about, found))
            if role == "office":
                export = f"{base}/rounds/round-04/links.xlsx"
                rows.append(_row(role, "(export)", about, fetch_export(page, export, n_visits)))
        browser.close()
    return rows


def _row(
    role: str, path: str, about: Mapping[str, Any], found: tuple[float, float, int]
) -> dict[str, Any]:
    for kind, task in about["tasks"].items():
        path = path.replace(task, kind.upper())
    first, drawn, status = found
    row = {
        "who": role,
        "page": path,
        "status": status,
        "first_byte_ms": round(first, 1),
        "drawn_ms": round(drawn, 1),
    }
    _print(row)
    return row


def _print(row: Mapping[str, Any]) -> None:
    slow = row["first_byte_ms"] >= FIRST_BYTE_MS or row["drawn_ms"] >= DRAWN_MS
    print(
        f"{row['who']:14s} {row['page']:55s} {row['status']} {row['first_byte_ms']:8.1f} "
        f"{row['drawn_ms']:8.1f}{'  TOO SLOW' if slow else ''}",
        flush=True,
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="A small installation.")
    parser.add_argument("--folder", type=Path, help="Build here, or use what was built here.")
    parser.add_argument("--only-build", action="store_true", help="Visit nothing yet.")
    parser.add_argument("--json", metavar="FILE", type=Path)
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tongqiao-pages-"))
        )
        if not (folder / "about.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            build(folder, sizes)
        rows = [] if arguments.only_build else measure(folder, sizes, 1 if arguments.quick else 5)
    if arguments.json:
        arguments.json.write_text(json.dumps({"sizes": vars(sizes), "pages": rows}, indent=2))
    bad = [row for row in rows if row["status"] != 200]
    slow = [
        row for row in rows
        if row["first_byte_ms"] >= FIRST_BYTE_MS or row["drawn_ms"] >= DRAWN_MS
    ]  # fmt: skip
    print(f"{len(rows)} pages; {len(slow)} too slow; {len(bad)} failed")
    if bad or (slow and not arguments.quick):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
