"""What ``tongqiao encode`` shows: its progress, what was encoded, and the preflight."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from api.client.terminal import progress_console, remark, say, show_table

if TYPE_CHECKING:
    from rich.progress import Progress

    from linkage.encoding.preflight import Finding, PreflightReport
    from linkage.types import Manifest, RecordBatch


class EncodeProgress:
    """A bar on stderr: share of the file that was read, records and records a second, time left."""

    def __init__(self, bar: "Progress", total_bytes: int) -> None:
        self._bar = bar
        self._total = total_bytes
        self._records = 0
        self._task = bar.add_task("Encoding", total=total_bytes or None, records="")
        self._started = time.monotonic()

    def read(self, done: int, total: int) -> None:
        """Bytes (or rows) of the file that were read, and all of them."""
        self._bar.update(self._task, completed=done, total=total)

    def counted(self, batches: Iterable["RecordBatch"]) -> Iterator["RecordBatch"]:
        """Pass batches on and count their records."""
        for batch in batches:
            yield batch
            self._records += len(batch)
            rate = self._records / max(time.monotonic() - self._started, 1e-3)
            self._bar.update(self._task, records=f"{self._records:,} records, {rate:,.0f} a second")

    def enter(self, stage: str) -> None:
        """Show the next stage, whose length is not known."""
        shown = f"{self._records:,} records"
        self._bar.update(self._task, completed=self._total or 1, total=self._total or 1)
        self._task = self._bar.add_task(stage.capitalize(), total=None, records=shown)


@contextlib.contextmanager
def encode_progress(records_file: Path) -> Iterator[EncodeProgress]:
    """A progress bar on stderr for the time of the block."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=progress_console()) as bar:
        yield EncodeProgress(bar, records_file.stat().st_size)


_CHECKS = {
    "diffusion": "hiding of single bits (t x fill)",
    "salt-group": "most records with one salt",
    "view-missing": "records that lack a view",
    "records-without-views": "records that cannot be linked",
    "duplicates": "records that repeat another",
}


def show_preflight(report: "PreflightReport") -> None:
    """The preflight as a table: the worst finding of each check, then what to do."""
    show_table(
        ("preflight", "worst in", "found", "fine", "verdict"),
        [
            (
                _CHECKS[finding.check],
                finding.where or "the whole file",
                _shown(finding.check, finding.value),
                ("from " if finding.check == "diffusion" else "up to ")
                + _shown(finding.check, finding.limit),
                finding.verdict.upper() if finding.verdict != "good" else "good",
            )
            for finding in report.worst()
        ],
        numeric=("found", "fine"),
    )
    worst = sorted(report.worst(), key=lambda finding: finding.verdict != "refused")
    for finding in worst:
        if finding.verdict != "good":
            told = f"{finding.verdict.capitalize()}: {finding.text} {finding.advice}"
            say(told + _elsewhere(report, finding))


def _elsewhere(report: "PreflightReport", worst: "Finding") -> str:
    """Where else a check found the same kind of thing."""
    others = [
        f"{finding.where} ({_shown(finding.check, finding.value)})"
        for finding in report.findings
        if finding.check == worst.check and finding.verdict != "good" and finding is not worst
    ]
    return f" The same, if less, in {', '.join(others)}." if others else ""


def _shown(check: str, value: float) -> str:
    if check == "diffusion":
        return f"{value:.2f}"
    return f"{value:,.0f}" if check == "salt-group" else f"{value:.1%}"


def show_summary(manifest: "Manifest", sha256: str, engine: str, elapsed_s: float) -> None:
    """What was encoded, how fast, and what was wrong with the records."""
    n_records = manifest.n_records
    say(f"{n_records:,} records encoded for {manifest.context} by {manifest.profile_name}.")
    remark(
        f"{elapsed_s:.1f} s, {n_records / max(elapsed_s, 1e-3):,.0f} records a second, with the "
        f"{engine} encoder."
    )
    say(f"SHA-256 of the file: {sha256}")
    fill = manifest.statistics["fill"]
    missing = manifest.statistics["missing"]
    show_table(
        ("view", "records without it", "share", "filters: mean fill before diffusion"),
        [
            (
                view.name,
                f"{missing[view.name]:,}",
                f"{missing[view.name] / n_records:.1%}",
                ", ".join(f"{g.name} {fill[f'{view.name}/{g.name}']:.2f}" for g in view.groups),
            )
            for view in manifest.views
        ],
        numeric=("records without it", "share"),
    )
    problems = manifest.statistics["problems"]
    if not problems:
        say("No problems were found in the records.")
        return
    show_table(
        ("problem", "cells"),
        [(code, f"{n:,}") for code, n in sorted(problems.items(), key=lambda item: -item[1])],
        numeric=("cells",),
    )
    remark("'tongqiao inspect' says row by row what these problems are and what to do.")
