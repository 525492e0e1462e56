"""How the time of a whole match grows: read, join, score, solve, write, as the command does it.

    python -m benchmarks.matching_scale --quick
    python -m benchmarks.matching_scale --sizes 10000 31623 100000 316228 1000000 \\
        --json scale.json --svg docs/matching-scale.svg

Two datasets of n invented children each (``benchmarks/matching_registers.py``; two thirds of the
children are in both) are matched one-to-one by ``tongqiao match``, in a process of its own whose
time and memory are taken.  ``--groups`` matches five datasets into groups instead.  Compiled code
is made before anything is measured.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.log_log_plot import log_log_svg
from benchmarks.matching_registers import BenchmarkDataset, write_datasets
from linkage.tqe import open_tqe

_POLL_S = 0.05
_QUICK = (1_000, 3_000, 10_000)
_SIZES = (10_000, 31_623, 100_000, 316_228, 1_000_000)
_WARM_UP = 6_000


@dataclass(frozen=True, slots=True)
class Run:
    """One whole match.

    Attributes:
        n_records: of each dataset.
        wall_s, cpu_s: of the process.
        anonymous_mib: most memory of its own (RssAnon); mapped files come and go with what is free.
        resident_mib: most memory with the pages of mapped files that happened to be in it.
        precision, recall: of the links, by the truth.
    """

    n_datasets: int
    n_records: int
    solve: str
    wall_s: float
    cpu_s: float
    anonymous_mib: float
    resident_mib: float
    n_links: int
    precision: float
    recall: float


def run_match(datasets: Sequence[BenchmarkDataset], solve: str, memory_mib: int) -> Run:
    """Match datasets by the command, and compare the links with the truth."""
    out = datasets[0].path.parent / "links.csv"
    command = [sys.executable, "-m", "api", "match", *(str(each.path) for each in datasets)]
    command += ["--out", str(out), "--force", "--solve", solve, "--memory", str(memory_mib)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    anonymous = resident = 0.0
    while (done := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        anonymous = max(anonymous, _status_mib(process.pid, "RssAnon"))
        resident = max(resident, _status_mib(process.pid, "VmHWM"))
        time.sleep(_POLL_S)
    wall_s = time.perf_counter() - began
    _, status, usage = done
    if status != 0:
        raise RuntimeError(f"the match failed with status {status}")
    n_links, n_right = _judged(out, datasets)
    n_true = sum(len(np.intersect1d(a.child_of, b.child_of)) for a, b in combinations(datasets, 2))
    return Run(
        n_datasets=len(datasets),
        n_records=len(datasets[0].child_of),
        solve=solve,
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        anonymous_mib=anonymous,
        resident_mib=resident,
        n_links=n_links,
        precision=n_right / max(n_links, 1),
        recall=n_right / max(n_true, 1),
    )


def _status_mib(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line for line in lines if line.startswith(f"{field}:")]
    return float(found[0].split()[1]) / 1024 if found else 0.0


def _judged(links: Path, datasets: Sequence[BenchmarkDataset]) -> tuple[int, int]:
    child: dict[tuple[str, str], int] = {}
    for each in datasets:
        text = open_tqe(each.path, verify=False).pseudonyms.tobytes().hex()
        name = each.path.stem
        for place, number in enumerate(each.child_of.tolist()):
            child[name, text[32 * place : 32 * place + 32]] = number
    n_links = n_right = 0
    with links.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            n_links += 1
            a = child[row["dataset_a"], row["record_a"]]
            n_right += a == child[row["dataset_b"], row["record_b"]]
    return n_links, n_right


def exponent_of(runs: Sequence[Run]) -> float:
    """Slope of the least-squares line through (log n, log CPU time).

    CPU time: it is the same on a machine that others use too, and wall time on two cores is never
    longer unless the disk is waited for.
    """
    sizes = np.log([run.n_records for run in runs])
    return float(np.polyfit(sizes, np.log([run.cpu_s for run in runs]), 1)[0])


def show(run: Run) -> None:
    """One line of the table."""
    print(
        f"{run.n_datasets} x {run.n_records:>10,} {run.solve:<11} {run.wall_s:8.1f} s wall "
        f"{run.cpu_s:8.1f} s CPU {run.anonymous_mib:8.0f} MiB own {run.resident_mib:8.0f} MiB "
        f"resident {run.n_links:>10,} links  precision {run.precision:.4f} recall {run.recall:.4f}",
        flush=True,
    )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Small sizes: does it run at all?")
    parser.add_argument("--sizes", type=int, nargs="+", help="Records of each dataset.")
    parser.add_argument("--groups", action="store_true", help="Five datasets into groups.")
    parser.add_argument("--memory", type=int, default=1024, help="MiB, as the command takes it.")
    parser.add_argument("--folder", type=Path, help="Where datasets go (about 1.1 KB a record).")
    parser.add_argument("--json", type=Path, help="Write the figures here.")
    parser.add_argument("--svg", type=Path, help="Draw the figure here.")
    options = parser.parse_args()
    sizes = options.sizes or (_QUICK if options.quick else _SIZES)
    n_datasets, solve = (5, "groups") if options.groups else (2, "one-to-one")
    runs = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        warm = write_datasets(Path(folder) / "warm-up", n_datasets, _WARM_UP)
        run_match(warm, solve, options.memory)
        for size in sizes:
            place = Path(folder) / str(size)
            runs.append(run_match(write_datasets(place, n_datasets, size), solve, options.memory))
            show(runs[-1])
            for path in place.iterdir():
                path.unlink()
    slope = exponent_of(runs) if len(runs) > 1 else None
    if slope is not None:
        print(f"CPU time grows as n ** {slope:.2f}")
    if options.json:
        report = {"runs": [asdict(run) for run in runs], "exponent": slope}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.svg and slope is not None:
        points = [(float(run.n_records), run.cpu_s) for run in runs]
        options.svg.write_text(
            log_log_svg(points, slope, x="records in each of two datasets", y="CPU seconds"),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
