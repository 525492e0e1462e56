"""Unusual access, and the page that reports on it."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.events import (
    Action,
    AuditEvent,
    Entry,
    Outcome,
    entry_bytes,
    format_time,
    parse_entry,
)
from api.audit.export import safe_cell, write_export
from api.audit.fetch import fetch_log
from api.audit.report import count_entries, render_report
from api.audit.unusual import (
    BURST_DOWNLOADS,
    BURST_REFUSALS,
    KINDS,
    UnusualAccess,
    find_unusual,
    marks_in,
)
from api.audit.verify import verify_directory
from tests.api.audit.simulated_log import SimulatedLog

DAY = datetime(2026, 9, 1, 2, 0, tzinfo=UTC)  # ten in the morning in Chengdu


class Story:
    """Entries, one after the other."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now = DAY

    def tell(
        self,
        action: Action = Action.ROUND_READ,
        actor: str | None = "jinjiang",
        *,
        after: timedelta = timedelta(minutes=1),
        outcome: Outcome = Outcome.GRANTED,
        **fields: Any,
    ) -> None:
        self.now += after
        values: dict[str, Any] = {"role": "office", "origin": "192.0.2.1"}
        reason = None if outcome is Outcome.GRANTED else "forbidden"
        event = AuditEvent(action, outcome, actor=actor, reason=reason, **(values | fields))
        line = entry_bytes(event, len(self.entries), format_time(self.now))
        self.entries.append(parse_entry(line))

    def found(self, since: str = "2026-09-01", until: str = "2027") -> list[UnusualAccess]:
        return find_unusual(self.entries, since, until)

    def kinds(self) -> list[str]:
        return [one.kind for one in self.found()]


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_usual_day_is_not_unusual(story: Story) -> None:
    for _ in range(30):
        story.tell(after=timedelta(minutes=10))
    assert story.kinds() == []


def test_an_address_is_new_once(story: Story) -> None:
    for origin in ("192.0.2.1", "192.0.2.1", "198.51.100.7", "198.51.100.7", "192.0.2.1"):
        story.tell(origin=origin)
    (one,) = story.found()
    assert (one.kind, one.who, one.entry, one.detail) == (
        "first-address", "jinjiang", 2, "198.51.100.7",
    )  # fmt: skip


def test_what_was_usual_before_the_period_is_usual(story: Story) -> None:
    story.tell(origin="198.51.100.7")
    story.tell(origin="192.0.2.1", after=timedelta(days=3))
    story.tell(origin="198.51.100.7")
    assert [one.kind for one in story.found(since="2026-09-04")] == ["first-address"]
    assert story.found(since="2026-09-05") == []


def test_a_night_is_one_finding_a_person(story: Story) -> None:
    story.tell(after=timedelta(hours=13))  # 23:01 in Chengdu
    story.tell(after=timedelta(hours=3))  # 02:01, the same night
    story.tell(actor="peer")
    story.tell(outcome=Outcome.REFUSED)
    story.tell(after=timedelta(hours=4))  # 06:03: morning
    assert [(one.kind, one.who, one.n_entries) for one in story.found()] == [
        ("night", "jinjiang", 2),
        ("night", "peer", 1),
    ]


def test_a_night_across_midnight_is_the_same_finding_in_both_months_reports(story: Story) -> None:
    """Else what one report calls it nobody can mark, and a mark does not show in the other."""
    story.tell(after=timedelta(hours=13))  # 23:01 on the first
    story.tell(after=timedelta(hours=3))  # 02:01 on the second
    midnight = "2026-09-01T16:00:00.000Z"
    (before,) = story.found(until=midnight)
    (after,) = story.found(since=midnight)
    (whole,) = story.found(since="")
    assert before.id == after.id == whole.id
    assert (before.n_entries, after.n_entries, whole.n_entries) == (1, 1, 2)


@pytest.mark.parametrize(
    ("kind", "most", "fields"),
    [
        ("download-burst", BURST_DOWNLOADS, {"action": Action.RESULTS_READ}),
        ("refusal-burst", BURST_REFUSALS, {"outcome": Outcome.REFUSED}),
    ],
)
def test_bursts(story: Story, kind: str, most: int, fields: dict[str, Any]) -> None:
    for _ in range(most - 1):
        story.tell(after=timedelta(seconds=1), **fields)
    assert story.kinds() == []
    for _ in range(5):
        story.tell(after=timedelta(seconds=1), **fields)
    (one,) = story.found()
    assert (one.kind, one.entry, one.n_entries) == (kind, 0, most + 4)


def test_slow_downloads_are_no_burst(story: Story) -> None:
    for _ in range(3 * BURST_DOWNLOADS):
        story.tell(Action.RESULTS_READ, after=timedelta(seconds=11))
    assert story.kinds() == []


def test_refusals_of_nobody_are_told_by_address(story: Story) -> None:
    for _ in range(BURST_REFUSALS):
        story.tell(actor=None, role=None, outcome=Outcome.REFUSED, after=timedelta(seconds=1))
    (one,) = story.found()
    assert (one.kind, one.who) == ("refusal-burst", "192.0.2.1")


def test_one_person_in_two_roles(story: Story) -> None:
    story.tell(actor="chen", role="operator")
    story.tell(actor="chen", role="auditor")
    (one,) = story.found()
    assert (one.kind, one.detail) == ("two-roles", "auditor, operator")


def test_run_and_release_from_one_address(story: Story) -> None:
    of: dict[str, Any] = {"project": "p", "round": "r", "role": "operator"}
    story.tell(Action.ROUND_RUN, "chen", **of)
    story.tell(Action.ROUND_RELEASE, "luo", outcome=Outcome.REFUSED, **of)
    assert story.kinds() == []
    story.tell(Action.ROUND_RELEASE, "luo", **of)
    assert story.kinds() == ["one-address"]


@pytest.mark.parametrize(
    ("action", "what", "office"),
    [(Action.ROUND_EXCLUDE, "exclude", "jinjiang-civil"), (Action.ROUND_EXPIRE, "expire", None)],
)
def test_what_two_must_ask_for_asked_from_one_address(
    story: Story, action: Action, what: str, office: str | None
) -> None:
    of: dict[str, Any] = {"project": "p", "round": "r", "role": "operator"}
    asked = {"what": what, "office": office}
    story.tell(Action.ROUND_ASK, "chen", details=asked, **of)
    done = {"asked_by": "chen"} | ({} if office is None else {"office": office})
    story.tell(action, "luo", details=done, **of)
    (one,) = story.found()
    assert (one.kind, one.who, one.detail) == ("one-address", "luo", "chen, 192.0.2.1")


def test_what_two_asked_for_at_their_own_machines(story: Story) -> None:
    of: dict[str, Any] = {"project": "p", "round": "r", "role": "operator"}
    story.tell(Action.ROUND_ASK, "chen", details={"what": "expire", "office": None}, **of)
    story.tell(
        Action.ROUND_EXPIRE, "luo", origin="198.51.100.7", details={"asked_by": "chen"}, **of
    )
    assert story.kinds() == []
    # The worker ends a round without anybody asking.
    story.tell(Action.ROUND_EXPIRE, None, **(of | {"role": "worker", "origin": None}))
    assert story.kinds() == []


def test_marks_belong_to_findings_by_their_id(story: Story) -> None:
    story.tell()
    story.tell(origin="198.51.100.7")
    (one,) = story.found()
    mark = {"finding": one.id, "kind": one.kind, "verdict": "explained", "entry": one.entry}
    story.tell(Action.FINDING_MARK, "he", role="auditor", details=mark)
    marks = marks_in(story.entries)
    assert (marks[one.id].by, marks[one.id].verdict) == ("he", "explained")
    # The same finding in a later report over more entries has the same id.
    story.tell(after=timedelta(days=1))
    assert story.found()[0].id == one.id


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


SINCE, UNTIL = "2026-09-01T00:00:00Z", "2027-01-01T00:00:00Z"


def page_of(story: Story, directory: Path, since: str = SINCE) -> str:
    log = SimulatedLog(5)
    fetch_log(log, directory)
    unusual = find_unusual(story.entries, since, UNTIL)
    return render_report(
        count_entries(story.entries, since, UNTIL),
        unusual,
        marks_in(story.entries),
        verify_directory(directory),
        since=since,
        until=UNTIL,
        made_at="2026-12-01",
    )


def test_the_page_stands_alone_and_is_well_formed(story: Story, tmp_path: Path) -> None:
    for number in range(80):
        story.tell(
            after=timedelta(hours=5),
            origin=f"192.0.2.{number % 3}",
            outcome=Outcome.REFUSED if number % 9 == 0 else Outcome.GRANTED,
        )
    text = page_of(story, tmp_path / "log")
    page = Page(text)
    assert page.open == []
    for tag, name, value in page.attributes:
        assert name not in ("src", "href", "srcset", "action", "onload", "onclick"), (tag, value)
        assert "http:" not in value
        assert "https:" not in value
    assert "@import" not in text
    assert "<script" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "default-src 'none'" in text
    words = " ".join(page.words)
    for chinese, english in KINDS.values():
        assert (chinese in words) == (english in words)
    for needed in (
        "从未用过的地址",
        "The log is intact",
        "尚未查看",
        "Entries by day",
        "192.0.2.1",
    ):
        assert needed in words


def test_every_plotted_number_stands_in_a_table(story: Story, tmp_path: Path) -> None:
    for number in range(40):
        story.tell(after=timedelta(hours=7), actor=f"office-{number % 4}")
    text = page_of(story, tmp_path / "log")
    titles = re.findall(r"<title>(\d{4}-\d\d-\d\d): (\d+) granted</title>", text)
    assert len(titles) > 5
    for day, n in titles:
        assert f'<td>{day}</td><td class="n">{n}</td>' in text


def test_a_log_that_does_not_verify_is_reported_so(story: Story, tmp_path: Path) -> None:
    fetch_log(SimulatedLog(5), tmp_path / "log")
    path = tmp_path / "log/entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b"xuyong", b"zzyong"))
    text = render_report(
        count_entries([], "", "~"), [], {}, verify_directory(tmp_path / "log"),
        since=SINCE, until=UNTIL, made_at="<b>",
    )  # fmt: skip
    assert "does NOT verify" in text
    assert "&lt;b&gt;" in text


class TestExport:
    @given(st.text(max_size=20))
    def test_no_cell_begins_like_a_formula(self, text: str) -> None:
        cell = safe_cell(text)
        assert isinstance(cell, str)
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert cell.removeprefix("'") == text.removeprefix("'")

    @pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
    def test_files_hold_what_was_logged(self, form: str, tmp_path: Path, story: Story) -> None:
        for _ in range(5):
            story.tell(details={"office": "jinjiang", "n_records": 7})
        pairs = [(entry, f"line {entry.index}") for entry in story.entries]
        path = tmp_path / f"log.{form}"
        assert write_export(pairs, path, form) == 5
        with pytest.raises(FileExistsError):
            write_export(pairs, path, form)
        if form == "jsonl":
            assert path.read_text().splitlines() == [text for _, text in pairs]
            return
        if form == "csv":
            rows = path.read_text(encoding="utf-8-sig").splitlines()
            assert len(rows) == 6
            assert rows[1].startswith(
                "0,2026-09-01T02:01:00.000Z,round:read,granted,jinjiang,office"
            )
            return
        book = openpyxl.load_workbook(path)
        sheet = book["log"]
        rows_ = list(sheet.iter_rows(values_only=True))
        assert len(rows_) == 6
        assert rows_[1][:5] == (0, "2026-09-01T02:01:00.000Z", "round:read", "granted", "jinjiang")
        types = {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row}
        assert types <= {"s", "n"}
        book.close()
