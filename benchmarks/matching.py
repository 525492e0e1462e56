"""How fast all pairs of filters are compared, beside anonlink and beside the processor's limit.

    python -m benchmarks.matching [--quick] [--json FILE] [--encodings FILE] [--threads 1|2]

One process; everything is compiled before the first timing.  Each repetition runs anonlink, the
limit and every method back to back, so that ratios hold on a machine whose speed varies; a figure
is the median of the ratios, with their range.  With one thread, time is the thread's processor
time: what else runs on the machine does not count.  Two threads are compared by the clock on the
wall, and with two processes that share nothing but the machine, which is what it can give.  That
all find the same pairs is asserted in the same run.

Where the processor has a matrix unit, every method is measured with the vector tile and with the
unit.  The whole match of large registers is measured by ``benchmarks.matching_scale``.
"""

import argparse
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.matching_corpus import Encodings, encodings
from benchmarks.matching_limit import limit_kernel
from benchmarks.matching_twins import Twins
from linkage.matching.dice_pairs import dice_pairs
from linkage.matching.pair_scan import Method, ScanOptions
from linkage.matching.scan import FoundPairs
from linkage.matching.tile import TileVariant, usable_variants
from linkage.types import U64

_T = TypeVar("_T")

N_CHILDREN, N_CHILDREN_QUICK = 36_000, 6_000
N_REPETITIONS = 5
THRESHOLDS = (0.80, 0.85, 0.90)
MISS_PROBABILITY = 1e-4
_PACKAGES = ("numpy", "numba", "llvmlite", "anonlink", "clkhash")
_ANONLINK_PAIRS = 2.6e8
_TIMED_PAIRS, _QUICK_PAIRS = 6e8, 3e8
_PAIRS_FOR_TWO = 2.4e9
_LIMIT_WORDS = 20_000_000
_METHODS: tuple[Method, ...] = ("full", "abandon", "sketch")

TARGETS = {
    "full tile / limit": 0.75,
    "full tile / anonlink, Dice 0.80": 7.0,
    "abandonment / anonlink, Dice 0.80": 14.0,
    "abandonment / anonlink, Dice 0.85": 17.0,
    "abandonment / anonlink, Dice 0.90": 19.0,
    "sketch / full tile, Dice 0.80": 3.0,
    "sketch / full tile, Dice 0.90": 5.0,
    "two threads / one, full tile": 1.8,
    "two threads / one, abandonment, Dice 0.80": 1.8,
}
"""What the vector tile is held to; the matrix unit has no aims of its own."""


@dataclass(frozen=True)
class Figure:
    """A ratio, over the repetitions."""

    name: str
    median: float
    low: float
    high: float
    target: float | None

    def line(self) -> str:
        """As a line of the report."""
        aim = "" if self.target is None else f"   (aim: {self.target:g})"
        return f"{self.name:52} {self.median:6.2f}   {self.low:.2f} to {self.high:.2f}{aim}"


class Rates:
    """Pairs a second of each contender, one number for each repetition."""

    def __init__(self) -> None:
        self._rates: dict[str, list[float]] = {}

    def add(self, contender: str, n_pairs: float, seconds: float) -> None:
        """Note one timing."""
        self._rates.setdefault(contender, []).append(n_pairs / seconds)

    def ratio(self, name: str, contender: str, to: str) -> Figure:
        """One contender's rates over another's, repetition by repetition."""
        ratios = [a / b for a, b in zip(self._rates[contender], self._rates[to], strict=True)]
        median = statistics.median(ratios)
        return Figure(name, median, min(ratios), max(ratios), TARGETS.get(name))

    def medians(self) -> dict[str, float]:
        """Million pairs a second of each contender."""
        return {
            name: round(statistics.median(rates) / 1e6, 1) for name, rates in self._rates.items()
        }


class Benchmark:
    """The contenders on one set of encodings."""

    def __init__(
        self, data: Encodings, variants: Sequence[TileVariant], twins: Twins | None
    ) -> None:
        self._data = data
        self._twins = twins
        self._variants = variants
        self._limit = limit_kernel(variants[0])
        tile_pairs = variants[0].rows * variants[0].columns
        self._limit_pairs = _LIMIT_WORDS * tile_pairs / data.left.shape[1]
        self._rates = Rates()
        self._found: dict[str, FoundPairs] = {}
        self._exact: dict[float, FoundPairs] = {}
        # anonlink takes a slice of the left side, enough for a steady timing.
        self._n_slice = min(len(data.left), int(_ANONLINK_PAIRS / len(data.right)) + 1)
        self._anonlink_sides = _as_anonlink(data.left[: self._n_slice]), _as_anonlink(data.right)

    @property
    def n_pairs(self) -> int:
        """Pairs of one timing."""
        return self._data.n_pairs

    def warm_up(self) -> None:
        """Compile everything."""
        self._limit(1)
        left, right = self._data.left[:512], self._data.right[:512]
        for variant in self._variants:
            for method in _METHODS:
                dice_pairs(left, right, 0.8, ScanOptions(method, tile=variant.name))
                if self._twins is not None and method != "sketch":
                    self._twins.seconds(2, method, variant.name, 0.8)

    def repeat_one_thread(self) -> None:
        """One repetition of all that runs in one thread, one after the other."""
        seconds, _ = _timed(lambda: self._limit(_LIMIT_WORDS))
        self._rates.add("limit", self._limit_pairs, seconds)
        for threshold in THRESHOLDS:
            for variant in self._variants:
                if threshold == THRESHOLDS[0]:  # at others it takes the same time
                    self._compare("full", threshold, variant)
                self._compare("abandon", threshold, variant)
                self._compare("sketch", threshold, variant)
            self._compare_anonlink(threshold)

    def repeat_two_threads(self) -> None:
        """One repetition of one thread and two, by the clock."""
        for n_threads in (1, 2):
            start = time.perf_counter()
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(self._limit, [_LIMIT_WORDS] * n_threads))
            seconds = time.perf_counter() - start
            self._rates.add(f"limit, {n_threads} by clock", n_threads * self._limit_pairs, seconds)
        for variant in self._variants:
            for method in _METHODS[:2]:
                for n_threads in (1, 2):
                    self._compare_by_clock(method, n_threads, variant)
                for n_processes in (1, 2):
                    self._compare_in_processes(method, n_processes, variant)

    def one_thread_figures(self) -> list[Figure]:
        """Ratios of what runs in one thread."""
        tile = self._variants[0].name
        ratio = self._rates.ratio
        figures = [ratio("full tile / limit", f"full 0.80 {tile}", "limit")]
        for variant in self._variants:
            mark = self._mark(variant)
            full = f"full 0.80 {variant.name}"
            if mark:
                figures.append(ratio(f"full{mark} / full tile", full, f"full 0.80 {tile}"))
            label = f"full{mark or ' tile'} / anonlink, Dice 0.80"
            figures.append(ratio(label, full, "anonlink 0.80"))
            for method, name, to, to_name in (
                ("abandon", "abandonment", "anonlink {t}", "anonlink"),
                ("sketch", "sketch", f"full 0.80 {tile}", "full tile"),
            ):
                for threshold in THRESHOLDS:
                    t = f"{threshold:.2f}"
                    label = f"{name}{mark} / {to_name}, Dice {t}"
                    figures.append(ratio(label, f"{method} {t} {variant.name}", to.format(t=t)))
        return figures

    def two_thread_figures(self) -> list[Figure]:
        """Two threads over one, two processes over one, and two threads over two processes."""
        ratio = self._rates.ratio
        most = "two threads / one, register-only work"
        figures = [ratio(most, "limit, 2 by clock", "limit, 1 by clock")]
        for variant in self._variants:
            for method, work in (("full", "full tile"), ("abandon", "abandonment, Dice 0.80")):
                name = f"{work}{self._mark(variant)}"
                one, two = (f"{method}, {n} by clock {variant.name}" for n in (1, 2))
                alone, twins = (f"{method}, {n} processes {variant.name}" for n in (1, 2))
                figures += [
                    ratio(f"two threads / one, {name}", two, one),
                    ratio(f"two processes / one, {name}", twins, alone),
                    ratio(f"two threads / two processes, {name}", two, twins),
                ]
        return figures

    def _mark(self, variant: TileVariant) -> str:
        return ", matrix unit" if variant.counting == "products" else ""

    def rates(self) -> dict[str, float]:
        """Million pairs a second."""
        return self._rates.medians()

    def _compare(self, method: Method, threshold: float, variant: TileVariant) -> None:
        options = ScanOptions(method, MISS_PROBABILITY, variant.name)
        seconds, found = _timed(
            lambda: dice_pairs(self._data.left, self._data.right, threshold, options)
        )
        name = f"{method} {threshold:.2f} {variant.name}"
        self._rates.add(name, self._data.n_pairs, seconds)
        self._found[name] = found
        if method != "sketch":
            _assert_same(found, self._exact.setdefault(threshold, found))

    def _compare_anonlink(self, threshold: float) -> None:
        anonlink = _import_anonlink()
        seconds, (dice, (row, column)) = _timed(
            lambda: anonlink.similarities.dice_coefficient(self._anonlink_sides, threshold)
        )
        n_pairs = self._n_slice * len(self._data.right)
        self._rates.add(f"anonlink {threshold:.2f}", n_pairs, seconds)
        left, right = np.asarray(row, dtype=np.int64), np.asarray(column, dtype=np.int64)
        order = np.lexsort((right, left))
        ours = self._exact[threshold]
        inside = ours.left < self._n_slice
        _assert_same(
            FoundPairs(left[order], right[order], np.asarray(dice)[order]),
            FoundPairs(ours.left[inside], ours.right[inside], ours.dice[inside]),
        )

    def _compare_by_clock(self, method: Method, n_threads: int, variant: TileVariant) -> None:
        options = ScanOptions(method, tile=variant.name, n_threads=n_threads)
        start = time.perf_counter()
        found = dice_pairs(self._data.left, self._data.right, 0.80, options)
        seconds = time.perf_counter() - start
        name = f"{method}, {n_threads} by clock {variant.name}"
        self._rates.add(name, self._data.n_pairs, seconds)
        _assert_same(found, self._exact.setdefault(0.80, found))

    def _compare_in_processes(self, method: Method, n: int, variant: TileVariant) -> None:
        if self._twins is None:
            raise ValueError("two processes are needed")
        seconds, n_found = self._twins.seconds(n, method, variant.name, 0.80)
        self._rates.add(f"{method}, {n} processes {variant.name}", n * self._data.n_pairs, seconds)
        if n_found != len(self._exact[0.80]):
            raise AssertionError("Another process found other pairs.")


def sketch_misses(data: Encodings) -> dict[str, dict[str, int]]:
    """For each threshold: matches, and those that a sketch missed."""
    counts = {}
    for threshold in THRESHOLDS:
        keys = []
        for method in _METHODS[1:]:
            options = ScanOptions(method, MISS_PROBABILITY, n_threads=2)
            found = dice_pairs(data.left, data.right, threshold, options)
            keys.append(found.left * len(data.right) + found.right)
        exact, sketched = keys
        if not np.isin(sketched, exact).all():
            raise AssertionError("The sketch found a pair that is none.")
        counts[f"{threshold:.2f}"] = {"matches": len(exact), "missed": len(exact) - len(sketched)}
    return counts


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    start = time.thread_time()
    result = work()
    return time.thread_time() - start, result


def _assert_same(found: FoundPairs, expected: FoundPairs) -> None:
    for ours, theirs in (
        (found.left, expected.left),
        (found.right, expected.right),
        (found.dice, expected.dice),
    ):
        np.testing.assert_array_equal(ours, theirs)


def _import_anonlink() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks setuptools for its version
        import anonlink
    return anonlink


def _as_anonlink(filters: U64) -> list[Any]:
    from bitarray import bitarray

    rows = []
    for row in filters:
        rows.append(bitarray())
        rows[-1].frombytes(row.tobytes())
    return rows


def main() -> int:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small registers, some seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--encodings", type=Path, metavar="FILE.npz", help="keep encodings here")
    parser.add_argument("--threads", choices=("1", "2"), help="only one thread, or only two to one")
    arguments = parser.parse_args()
    n_children = N_CHILDREN_QUICK if arguments.quick else N_CHILDREN
    data = encodings(n_children, arguments.encodings)
    usable = usable_variants()
    vector = next(variant for variant in usable if variant.counting != "products")
    variants = [vector, *(variant for variant in usable if variant.counting == "products")]
    # Small registers are compared several times over: else what is done once would be most of it.
    n_pairs = _QUICK_PAIRS if arguments.quick else _TIMED_PAIRS
    if arguments.threads == "2" and not arguments.quick:
        # Fewer take two threads a fifth of a second, and what is done once would be a tenth of it.
        n_pairs = _PAIRS_FOR_TWO
    n_left = int(n_pairs / len(data.right)) + 1
    over = np.resize(np.arange(len(data.left)), n_left)
    timed = Encodings(data.left[over], data.right)
    figures: list[Figure] = []
    with ExitStack() as stack:
        twins = None
        if arguments.threads != "1":
            twins = stack.enter_context(Twins(timed.left, timed.right))
        benchmark = Benchmark(timed, variants, twins)
        benchmark.warm_up()
        for threads, repeat, ratios in (
            ("1", benchmark.repeat_one_thread, benchmark.one_thread_figures),
            ("2", benchmark.repeat_two_threads, benchmark.two_thread_figures),
        ):
            if arguments.threads in (None, threads):
                for _ in range(N_REPETITIONS):
                    repeat()
                figures += ratios()
    report = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "tiles": [v.name for v in variants],
        },
        "versions": {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}},
        "encodings": data.described(),
        "timed_pairs": benchmark.n_pairs,
        "repetitions": N_REPETITIONS,
        "figures": [asdict(figure) for figure in figures],
        "million_pairs_per_s": benchmark.rates(),
        "sketch_misses": {} if arguments.threads == "2" else sketch_misses(data),
    }
    _print(report, figures)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _print(report: dict[str, Any], figures: list[Figure]) -> None:
    about = report["encodings"]
    print(
        f"{about['n_left']:,} x {about['n_right']:,} filters of {about['filter_bits']} bits, "
        f"{about['fill']:.0%} set; Dice of random pairs {about['dice_of_random_pairs_mean']:.2f} "
        f"+- {about['dice_of_random_pairs_deviation']:.2f}"
    )
    print(f"Tiles: {', '.join(report['machine']['tiles'])}")
    print(
        f"Ratios: median and range of {report['repetitions']} repetitions, "
        f"{report['timed_pairs']:,} pairs a timing"
    )
    for figure in figures:
        print(figure.line())
    for threshold, counts in report["sketch_misses"].items():
        print(f"sketch, Dice {threshold}: {counts['missed']} missed of {counts['matches']:,}")
    print("Million pairs a second:")
    for name, rate in report["million_pairs_per_s"].items():
        print(f"  {name:40} {rate:8.0f}")


if __name__ == "__main__":
    sys.exit(main())
