"""Threads that share out the work of a scan."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Part = TypeVar("_Part", covariant=True)


class Computation(Protocol[_Part]):
    """A computation that gives its result in parts."""

    finished: bool

    def next_part(self) -> _Part:
        """Go on until the end of a part."""


class Crew:
    """Some threads; with one, the thread that asks does everything itself.

    Args:
        n_threads: 1 or more.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, "scan") if n_threads > 1 else None

    def each(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Results of all items, in their order."""
        if self._pool is None:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def in_turn(self, computations: Iterable[Computation[_Result]]) -> Iterator[_Result]:
        """Results of computations, one computation after the other, some computed ahead."""
        if self._pool is None:
            for computation in computations:
                while not computation.finished:
                    yield computation.next_part()
            return
        waiting = iter(computations)
        ahead: deque[tuple[Computation[_Result], Future[_Result]]] = deque()
        while True:
            while len(ahead) < 2 * self.n_threads:
                for computation in waiting:
                    ahead.append((computation, self._pool.submit(computation.next_part)))
                    break
                else:
                    break
            if not ahead:
                return
            computation, part = ahead.popleft()
            found = part.result()
            if not computation.finished:
                ahead.appendleft((computation, self._pool.submit(computation.next_part)))
            yield found

    def close(self) -> None:
        """End the threads; what has not begun is given up."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
