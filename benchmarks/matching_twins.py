"""What two cores of this machine can do at best: two processes that share nothing but it.

Each does the same scan in one thread.  Together they are held to two threads of one process: what
the two processes lose, memory and the processor's shared parts take; what threads lose beyond that
is the program's own fault.
"""

import multiprocessing
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from linkage.matching.dice_pairs import dice_pairs
from linkage.matching.pair_scan import Method, ScanOptions
from linkage.types import U64


class Twins:
    """Two processes with the same filters.  A context manager: leaving it ends them."""

    def __init__(self, left: U64, right: U64) -> None:
        # Not forked: what the first process has compiled, and its threads, stay its own.
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes: list[Any] = []
        for _ in range(2):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, left, right), daemon=True)
            process.start()
            self._ends.append(ours)
            self._processes.append(process)

    def __enter__(self) -> "Twins":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in self._ends:
            end.send(None)
        for process in self._processes:
            process.join()

    def seconds(self, n: int, method: Method, tile: str, threshold: float) -> tuple[float, int]:
        """Wall time until ``n`` of them have compared everything; pairs that each found.

        Raises:
            AssertionError: they found different numbers of pairs.
        """
        start = time.perf_counter()
        for end in self._ends[:n]:
            end.send((method, tile, threshold))
        found = {int(end.recv()) for end in self._ends[:n]}
        seconds = time.perf_counter() - start
        if len(found) != 1:
            raise AssertionError("Two processes found different pairs.")
        return seconds, found.pop()


def _serve(end: Connection, left: U64, right: U64) -> None:
    while (asked := end.recv()) is not None:
        method, tile, threshold = asked
        end.send(len(dice_pairs(left, right, threshold, ScanOptions(method, tile=tile))))
