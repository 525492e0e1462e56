"""How fast every page of console and workbench is, in a real browser, on a server full of data.

``python -m benchmarks.pages --json FILE``: 100 offices, 50 rounds, a log of 5 million entries on
SQLite, a list of links with a million rows.  Each page is asked for over HTTP by Chromium, which
says when the first byte came and when the page stood; printed is the median of some visits.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyotp
from playwright.sync_api import Page, expect, sync_playwright

from api.office.workbench.joined_rows import store_lines
from api.server.models import LOG_TABLES, Round, RoundOffice, Signature, StateChange, Upload
from api.server.services import log, people
from api.server.services.audit_tasks import TaskKind, ask_for
from api.server.services.installation import Installation, create_installation
from api.server.services.members import add_member
from api.server.services.projects import NewProject, create_project
from api.server.services.work import own_caller
from api.server.worker import Worker
from benchmarks.audit_figures import empty_log
from benchmarks.audit_logs import fill_database
from keys.canonical import canonical_json
from keys.storage import save_identity
from tests import factories

FIRST_BYTE_MS: Final = 100.0
DRAWN_MS: Final = 1000.0

_PROJECT: Final = "sichuan-children"
_STATES: Final = ("draft", "open", "frozen", "review", "released", "expired", "cancelled")
_OWN: Final = "office-00"
_PASSWORD: Final = "four words that are long"  # noqa: S105 - of an invented person
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_TIMING: Final = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  const paints = performance.getEntriesByType("paint").map((one) => one.startTime);
  return [page.responseStart - page.startTime, Math.max(page.loadEventEnd, ...paints)];
}"""


@dataclass(frozen=True)
class Sizes:
    """How much there is."""

    n_offices: int
    n_rounds: int
    n_entries: int
    n_rows: int


FULL: Final = Sizes(100, 50, 5_000_000, 1_000_000)
QUICK: Final = Sizes(12, 7, 20_000, 5_000)


@dataclass(frozen=True)
class Visit:
    """A page and who asks for it."""

    who: str
    path: str


def build_server(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """A server's folder with all of it; what its pages are about."""
    installation = create_installation(folder / "server", "Benchmark")
    offices = [f"office-{number:02d}" for number in range(sizes.n_offices)]
    administrator = own_caller("administrator")
    for office in (factories.COORDINATOR, *offices):
        add_member(installation, administrator, factories.identity(office).public)
    chen = replace(own_caller("operator"), member="chen")
    project = NewProject(
        _PROJECT, "Children", "To find children.", factories.COORDINATOR,
        [(office, "education") for office in offices],
    )  # fmt: skip
    create_project(installation, chen, project)
    for number in range(sizes.n_rounds):
        _add_round(installation, f"round-{number:02d}", _STATES[number % 7], offices)
    report = _report(installation)
    codes = {role: _enrol(installation, role) for role in ("operator", "auditor", "administrator")}
    _fill_log(installation, sizes)
    log.read_checkpoint(installation, chen)
    installation.close()
    return {"codes": codes, "report": report}


def _fill_log(installation: Installation, sizes: Sizes) -> None:
    """Put the long log in the place of the short one that building left."""
    empty_log(installation)
    with installation.database.migrating() as connection:
        for table in (LOG_TABLES.subtrees, LOG_TABLES.checkpoints):
            connection.execute(table.delete())
    fill_database(installation.database, sizes.n_entries)


def _add_round(installation: Installation, round_id: str, state: str, offices: list[str]) -> None:
    members = [{"office": office, "role": "education"} for office in offices]
    terms = canonical_json(factories.terms(project=_PROJECT, round=round_id, members=members))
    now = datetime.now(UTC)
    entry = Round(
        id=round_id, project_id=_PROJECT, state=state, terms=terms.decode(),
        terms_sha256="0" * 64, profile=factories.PROFILE_TEXT,
        coordinating_office=factories.COORDINATOR, key_confirmation="0" * 32, created_at=now,
        created_by="chen", retained_until=now + timedelta(days=100), done=0, total=0, attempts=0,
    )  # fmt: skip
    entry.offices = [RoundOffice(office_id=office, role="education") for office in offices]
    entry.signatures = [
        Signature(office_id=office, terms_sha256="0" * 64, signature="AA==", signed_at=now)
        for office in offices
    ]
    if state not in ("draft", "open", "cancelled", "expired"):
        entry.uploads = [
            Upload(office_id=office, sha256=secrets.token_hex(32), n_records=10_000,
                   n_bytes=10**7, received_at=now)
            for office in offices
        ]  # fmt: skip
    if state in ("review", "released"):
        entry.review = json.dumps(_review(offices))
    entry.history = [StateChange(state=state, at=now, by="chen")]
    from api.audit.events import Action

    with installation.work(own_caller("server")) as work:
        work.session.add(entry)
        work.record(Action.ROUND_CREATE, project=_PROJECT, round_id=round_id)


def _review(offices: list[str]) -> dict[str, Any]:
    pairs = [
        {
            "office_a": a, "office_b": b, "n_records_a": 10_000, "n_records_b": 10_000,
            "n_links": 500, "estimated_precision": 0.99, "estimated_recall": 0.95,
        }
        for number, a in enumerate(offices)
        for b in offices[number + 1 :]
    ]  # fmt: skip
    bins = [{"from": n / 40, "to": (n + 1) / 40, "n": n * n * 10} for n in range(20, 40)]
    duplicates = [{"office": office, "n_groups": 12} for office in offices]
    return {
        "pairs": pairs, "histogram": bins, "duplicates": duplicates, "threshold": 0.8,
        "flows": [],
    }  # fmt: skip


def _report(installation: Installation) -> str:
    """A report that a worker has made; its task."""
    he = replace(own_caller("auditor"), member="he")
    period = {"since": "2026-01-01T00:00:00.000Z", "until": "2100-01-01T00:00:00.000Z"}
    given = {**period, "first": "2026-01-01", "last": "2099-12-31"}
    task_id = ask_for(installation, he, TaskKind.REPORT, given, period)
    Worker(installation).work_once()
    return task_id


def _enrol(installation: Installation, role: str) -> list[str]:
    """Invite and enrol ``a-ROLE``; recovery codes."""
    administrator, person = own_caller("administrator"), f"a-{role}"
    invited = people.add_person(installation, administrator, person, name=person, role=role)
    invitation = str(invited["invitation"])
    started = people.begin_enrolment(installation, administrator, person, invitation)
    code = pyotp.TOTP(str(started["secret"])).now()
    return people.complete_enrolment(
        installation, administrator, person, invitation, password=_PASSWORD, code=code
    )


def build_workbench(folder: Path, sizes: Sizes) -> None:
    """An office's folder with a list taken in, and the links of a round."""
    released = folder / "bench" / "rounds" / "round-04"
    released.mkdir(parents=True)
    save_identity(factories.identity(_OWN), folder)
    store_lines(released / "list.sqlite", ("登记编号", "姓名", "出生日期"), _lines(sizes.n_rows))
    (released / "encoded.map.csv").write_text("pseudonym,record\n", encoding="utf-8")
    register = folder / "register.csv"
    with register.open("w", encoding="utf-8") as file:
        file.write("登记编号,儿童姓名,性别,出生日期,身份证号\n")
        for number in range(min(sizes.n_rows, 20_000)):
            file.write(f"R{number},王小{chr(0x4E00 + number % 5000)},男,2015-03-0{number % 9},\n")


def _lines(n_rows: int) -> Iterator[tuple[str, ...]]:
    for number in range(n_rows):
        own = [f"R{number:07d}", f"王{chr(0x4E00 + number % 20000)}", "2015-03-07"]
        other = f"office-{1 + number % 99:02d}"
        change = ("new", "same", "withdrawn")[number % 3]
        added = {"counterpart": other, "score": "0.93", "band": "sure", "change": change}
        yield (
            "missing" if number % 10 == 0 else "linked", other, change, "sure",
            "\t".join(own).casefold(), json.dumps(own, ensure_ascii=False), json.dumps(added),
        )  # fmt: skip


def console_pages(about: Mapping[str, Any], sizes: Sizes) -> list[Visit]:
    """Every page of the console that is read."""
    middle = sizes.n_entries // 2
    log_pages = (
        "", "?actor=office-7", "?office=office-7&outcome=refused", "?action=upload:put",
        "?outcome=refused", "?round=2026-h2&action=terms:sign",
        "?since=2026-01-06&until=2026-01-06",
        "?actor=office-7&action=log:seal", f"?below={middle}", f"entries/{middle}", "checkpoints",
        "verification", "reports", "exports", f"tasks/{about['report']}",
    )  # fmt: skip
    auditor = [Visit("auditor", f"/console/log/{path}") for path in log_pages]
    operator = [
        Visit("operator", f"/console/{path}")
        for path in (
            "rounds/", "rounds/new", "rounds/round-00", "rounds/round-01", "rounds/round-03",
            "rounds/round-03/review", "rounds/round-04", "rounds/round-01/terms", "projects/",
            "projects/new", f"projects/{_PROJECT}", "offices/",
        )
    ]  # fmt: skip
    return [*auditor, *operator, Visit("administrator", "/console/people/")]


WORKBENCH_PAGES: Final = tuple(
    Visit("office", path)
    for path in (
        "/", "/list/", "/list/columns", "/list/problems", "/rounds/", "/rounds/round-01",
        "/rounds/round-01/send", "/rounds/round-01/secret", "/rounds/round-04/links",
        "/rounds/round-04/links?page=900", "/rounds/round-04/links?counterpart=office-07",
        "/rounds/round-04/links?change=new", "/rounds/round-04/links?kind=missing",
        "/rounds/round-04/links?text=R0900001",
    )
)  # fmt: skip


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


def _log_in(page: Page, url: str, role: str, code: str) -> None:
    page.goto(f"{url}/console/login?language=en")
    page.get_by_label("Your id").fill(f"a-{role}")
    page.get_by_label("Password", exact=True).fill(_PASSWORD)
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


def build(folder: Path, sizes: Sizes) -> None:
    """Build everything into an empty folder."""
    began = time.perf_counter()
    about = build_server(folder, sizes)
    build_workbench(folder, sizes)
    (folder / "about.json").write_text(json.dumps(about))
    print(f"built in {time.perf_counter() - began:.0f} s", flush=True)


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
                "--keys", str(folder / f"{_OWN}.private.json"),
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
    chromium = next(filter(None, map(shutil.which, _NAMES)), None)
    if chromium is None:
        raise RuntimeError("no Chromium is installed (Debian's package: chromium)")
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for role in ("auditor", "operator", "administrator", "office"):
            page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
            page.set_default_timeout(60_000)
            if role == "office":
                page.goto(own)
                page.goto(own.partition("?")[0] + "list/")
                page.set_input_files("#file", folder / "register.csv")
                page.wait_for_load_state("domcontentloaded")
                expect(page.locator("[data-job]")).to_have_count(0, timeout=60_000)
            else:
                _log_in(page, url, role, about["codes"][role].pop())
            base = own.partition("/?")[0] if role == "office" else url
            visits = WORKBENCH_PAGES if role == "office" else console_pages(about, sizes)
            for one in visits:
                if one.who == role:
                    first, drawn, status = visit(page, base + one.path, n_visits)
                    rows.append(
                        {
                            "who": role,
                            "page": one.path.replace(about["report"], "TASK"),
                            "status": status,
                            "first_byte_ms": round(first, 1),
                            "drawn_ms": round(drawn, 1),
                        }
                    )
                    _print(rows[-1])
        browser.close()
    return rows


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
