"""All cores of this machine, one copy of the data: threads, as compiled loops run free."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from linkage.matching.engines import WAKE_S, Chunk, Result


class LocalEngine:
    """Threads of this process.

    Args:
        n_workers: threads; all cores that this process may use if ``None``.
    """

    is_remote = False

    def __init__(self, n_workers: int | None = None) -> None:
        self._n_workers = n_workers or len(os.sched_getaffinity(0))

    @property
    def n_workers(self) -> int:
        """How many chunks are computed at a time."""
        return self._n_workers

    def results(
        self,
        task: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        while_waiting: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Chunk, Result]]:
        """Each chunk with its result, as they are done.  Results not yet taken are few."""
        waiting = iter(chunks)
        running: dict[Future[Result], Chunk] = {}
        pool = ThreadPoolExecutor(self._n_workers, thread_name_prefix="match")
        try:
            while True:
                while len(running) < self._n_workers and (chunk := next(waiting, None)) is not None:
                    running[pool.submit(task, chunk)] = chunk
                if not running:
                    return
                wake_s = None if while_waiting is None else WAKE_S
                done, _ = wait(running, wake_s, FIRST_COMPLETED)
                if not done and while_waiting is not None:
                    while_waiting()
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)
