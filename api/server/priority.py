"""Who goes first where there are fewer processors than work: requests, then matching.

A process that matches steps back (``worker_nice``), and with it every thread and process that it
starts from then on.  But who steps back is also slower to give up what others wait for: a matcher
that holds the database's write lock and gets no processor holds up every request.  So the few
transactions of a worker run on threads that were started before it stepped back.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_N_THREADS: Final = 2


def step_back(nice: int) -> None:
    """Let other processes of this session or unit go first, unless this one does so already.

    On Linux that holds for the calling thread and what it starts afterwards.
    """
    if nice > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


class UrgentThreads:
    """Two threads with the priority that the process has now: for a transaction, and the lease."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_N_THREADS, thread_name_prefix="urgent")
        # A pool starts threads when they are needed, which is later.
        barrier = threading.Barrier(_N_THREADS + 1)
        for _ in range(_N_THREADS):
            self._pool.submit(barrier.wait)
        barrier.wait()

    def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function on one of them, and return what it returns or raise what it raises."""
        return self._pool.submit(call, *args, **kwargs).result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
