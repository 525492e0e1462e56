"""All pairs of CLKs over a Dice threshold, in chunks that any engine can compute.

A chunk is some rows of one dataset against some of another: a pure function of the files, the
threshold and its numbers.  Its pairs are a run that is spilled to disk, in ascending order, so that
memory holds the chunks under way and no more, whatever the threshold.  How it is cut has no
influence on the pairs.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isqrt

import numpy as np
import numpy.typing as npt

from linkage.matching.chunk_store import ChunkStore
from linkage.matching.crew import Crew
from linkage.matching.engines import Engine
from linkage.matching.finish import Rule
from linkage.matching.head_test import HeadTest, full_head, pass_rates, samples
from linkage.matching.pair_scan import ScanOptions, choose_test, chosen_variant, join_parts
from linkage.matching.scan import CELL_ROWS, Scanner, in_order
from linkage.types import U64

_log = logging.getLogger(__name__)

DICE_PAIR = np.dtype([("left", "<u4"), ("right", "<u4"), ("dice", "<f8")])
"""Rows in their datasets, and the Dice coefficient."""

DicePairs = npt.NDArray[np.void]
"""``(m,)`` of :data:`DICE_PAIR`, ascending by (left, right)."""

CHUNKS_WANTED = 64
_LEAST_ROWS, _LEAST_ROWS_OF_MANY_PAIRS = 16_384, 1024
_PAIRS_OF_A_RUN = 20_000_000

Tell = Callable[[int, int, int], None]
"""Told of pairs compared so far, those of them by an earlier match, and pairs found."""


@dataclass(frozen=True, slots=True, order=True)
class DiceChunk:
    """One task: rows of dataset ``left`` against rows of dataset ``right``, from start to stop."""

    left: int
    right: int
    left_start: int
    left_stop: int
    right_start: int
    right_stop: int

    @property
    def name(self) -> str:
        """Tells it from all other chunks of a match."""
        return (
            f"dice-{self.left}-{self.left_start}-{self.left_stop}"
            f"-{self.right}-{self.right_start}-{self.right_stop}"
        )

    @property
    def n_pairs(self) -> int:
        """Pairs that it compares."""
        return (self.left_stop - self.left_start) * (self.right_stop - self.right_start)


@dataclass(frozen=True, slots=True)
class DiceTask:
    """What a chunk is computed from; the same on every machine.

    Attributes:
        filters: gives those of each dataset, ``(n, n_words) uint64``; on another machine they are
            opened there.
        threshold: least Dice coefficient.
        tests: for each pair of datasets how its pairs are tested; a matter of time only.
        tile: variant of the tile; ``None`` for the one that fits the processor that computes.
    """

    filters: Callable[[], Sequence[U64]]
    threshold: float
    tests: Mapping[tuple[int, int], HeadTest]
    tile: str | None

    def __call__(self, chunk: DiceChunk) -> DicePairs:
        """Compute a chunk."""
        sides = self.filters()
        variant = chosen_variant(ScanOptions(tile=self.tile))
        scanner = Scanner(self.tests[chunk.left, chunk.right], Rule(self.threshold), variant)
        alone = Crew(1)
        left = sides[chunk.left][chunk.left_start : chunk.left_stop]
        right = sides[chunk.right][chunk.right_start : chunk.right_stop]
        rows = scanner.lay_out_rows(left, chunk.left_start, alone)
        columns = scanner.lay_out_columns(right, chunk.right_start, alone)
        found = in_order(join_parts(list(scanner.scan(rows, columns, alone, within=False))))
        pairs = np.empty(len(found), dtype=DICE_PAIR)
        pairs["left"], pairs["right"], pairs["dice"] = found.left, found.right, found.dice
        return pairs


def choose_tests(
    filters: Sequence[U64], threshold: float, options: ScanOptions
) -> dict[tuple[int, int], HeadTest]:
    """For each pair of datasets the test that should take the least time, by a trial."""
    variant = chosen_variant(options)
    tests = {
        (a, b): choose_test(filters[a], filters[b], Rule(threshold), options, variant)
        for a, b in combinations(range(len(filters)), 2)
    }
    _log.info(
        "Comparing CLKs with tile %s: %s.",
        variant.name,
        ", ".join(sorted({test.name for test in tests.values()})),
    )
    return tests


def plan_dice_join(
    filters: Sequence[U64], threshold: float, *, chunks_wanted: int = CHUNKS_WANTED
) -> tuple[DiceChunk, ...]:
    """Chunks of all pairs of datasets.

    Enough of them for many cores, large enough that laying them out takes little of the time, and
    so small that their pairs fit memory, as far as a sample tells.
    """
    n_all = sum(len(a) * len(b) for a, b in combinations(filters, 2))
    usual = min(CELL_ROWS, max(_LEAST_ROWS, isqrt(n_all // chunks_wanted)))
    chunks = []
    for a, b in combinations(range(len(filters)), 2):
        rate = _share_over(filters[a], filters[b], threshold)
        fitting = isqrt(int(_PAIRS_OF_A_RUN / rate)) if rate else usual
        height = min(usual, max(_LEAST_ROWS_OF_MANY_PAIRS, fitting))
        n_left, n_right = len(filters[a]), len(filters[b])
        chunks += [
            DiceChunk(a, b, i, min(i + height, n_left), j, min(j + height, n_right))
            for i in range(0, n_left, height)
            for j in range(0, n_right, height)
        ]
    return tuple(chunks)


def _share_over(left: U64, right: U64, threshold: float) -> float:
    if not len(left) or not len(right):
        return 0.0
    return float(pass_rates([full_head(Rule(threshold), left.shape[1])], *samples(left, right))[0])


def join_dice(
    task: DiceTask, chunks: Sequence[DiceChunk], engine: Engine, store: ChunkStore, tell: Tell
) -> list[tuple[DiceChunk, DicePairs]]:
    """Runs of all chunks, in their order; those that the store has are not computed again."""
    runs: dict[DiceChunk, DicePairs] = {}
    finished = store.names()
    for chunk in chunks:
        found = store.get(chunk.name) if chunk.name in finished else None
        if found is not None:
            runs[chunk] = found[0]
    resumed = compared = sum(chunk.n_pairs for chunk in runs)
    n_found = sum(len(run) for run in runs.values())

    def report() -> None:
        tell(compared, resumed, n_found)

    report()
    missing = [chunk for chunk in chunks if chunk not in runs]
    for chunk, pairs in engine.results(task, missing, report):
        runs[chunk] = store.put(chunk.name, pairs, {})
        compared += chunk.n_pairs
        n_found += len(pairs)
        report()
    return [(chunk, runs[chunk]) for chunk in chunks]
