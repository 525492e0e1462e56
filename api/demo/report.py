"""What the demo shows at its end, and ``summary.json`` with the same figures."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from api.demo.judge import Verdict
from api.demo.play import Play
from linkage.quality.evaluate import Figures

_MIB = 1 << 20


def show(console: Console, play: Play, verdict: Verdict, *, kept_in: Path | None) -> None:
    """Print the tables of links, lists, times, and the auditor's verdict."""
    for table in (_pair_table(verdict), _list_table(verdict), _step_table(play)):
        console.print(table)
        console.print()
    console.print(
        f"The auditor's verdict: {play.log_verdict}", markup=False, highlight=False, soft_wrap=True
    )
    if kept_in is not None:
        console.print(
            f"Everything is below {kept_in}", markup=False, highlight=False, soft_wrap=True
        )


def write_summary(path: Path, play: Play, verdict: Verdict, *, children: int, seed: int) -> None:
    """Write every figure of the tables as JSON."""
    summary: dict[str, Any] = {
        "children": children,
        "seed": seed,
        "version": version("tongqiao"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "finished_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "records": dict(verdict.n_records),
        "pairs": {
            f"{a} - {b}": _figures(figures)
            for (a, b), figures in sorted(verdict.pairs.by_pair.items())
        },
        "overall": _figures(verdict.pairs.overall),
        "lists": {office: _figures(figures) for office, figures in verdict.lists.items()},
        "steps": [
            {
                "step": step.name,
                "seconds": round(step.seconds, 3),
                "bytes": step.n_bytes,
                "commands": step.n_commands,
            }
            for step in play.stage.steps
        ],
        "log": {"ok": play.log_is_good, "verdict": play.log_verdict},
    }
    path.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _figures(figures: Figures) -> dict[str, float | int]:
    return {
        "links": figures.n_links,
        "true": figures.n_true,
        "right": figures.n_correct,
        "precision": round(figures.precision, 5),
        "recall": round(figures.recall, 5),
        "f1": round(figures.f1, 5),
    }


def _cells(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.n_links:,}",
        f"{figures.n_true:,}",
        f"{figures.precision:.4f}",
        f"{figures.recall:.4f}",
        f"{figures.f1:.4f}",
    )


def _table(title: str, *left: str, numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in left:
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def _pair_table(verdict: Verdict) -> Table:
    # Two lines a row: a terminal of 80 columns must show whole office ids.
    table = _table(
        "Links between records, against the truth",
        "offices",
        numbers=("records", "links", "true", "precision", "recall", "F1"),
    )
    for (a, b), figures in sorted(verdict.pairs.by_pair.items()):
        records = f"{verdict.n_records[a]:,}\n{verdict.n_records[b]:,}"
        table.add_row(f"{a}\n{b}", records, *_cells(figures), end_section=True)
    table.add_row("all", f"{sum(verdict.n_records.values()):,}", *_cells(verdict.pairs.overall))
    return table


def _list_table(verdict: Verdict) -> Table:
    table = _table(
        "Each office's joined list: which of its records another office holds too",
        "office",
        numbers=("records", "listed", "true", "precision", "recall", "F1"),
    )
    for office, figures in sorted(verdict.lists.items()):
        table.add_row(office, f"{verdict.n_records[office]:,}", *_cells(figures))
    return table


def _step_table(play: Play) -> Table:
    table = _table("Time and bytes", "step", numbers=("commands", "seconds", "MiB"))
    for step in play.stage.steps:
        table.add_row(
            step.name,
            str(step.n_commands),
            f"{step.seconds:.1f}",
            f"{step.n_bytes / _MIB:.2f}" if step.n_bytes else "",
        )
    total = sum(step.seconds for step in play.stage.steps)
    table.add_section()
    table.add_row("all", "", f"{total:.1f}", "")
    return table
