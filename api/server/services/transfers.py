"""Uploads leave threads and processor time to everybody else.

All threads of a serving process share one interpreter.  Twenty uploads that arrive at full speed
would take its lock at every turn, and a question that needs it fifty times would wait fifty times.
So who receives gives way, before each piece, to requests that are being answered; only so long that
uploads always go on.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from api.server.refusals import RefusalError

MOST_WAIT_S: Final = 0.025
"""How long a piece of an upload waits at most: 256 KiB at a time, that is 10 MiB a second left."""


class Transfers:
    """Uploads that are under way in one serving process.

    Args:
        most: of them at a time; each keeps a thread for as long as its sender takes.
        at_work: of them that hash, encrypt and write at the same time. Whatever does not hold the
            interpreter's lock takes a processor each, and there are few: with more at a time, a
            request would wait its turn among all of them.
    """

    def __init__(self, most: int, *, at_work: int = 1) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._at_work = threading.BoundedSemaphore(at_work)
        self._mutex = threading.Lock()
        self._n_answered = 0
        self._nobody_waits = threading.Event()
        self._nobody_waits.set()
        self._own = threading.local()

    @contextlib.contextmanager
    def taking_place(self) -> Iterator[None]:
        """Take one of the places for the block.

        Raises:
            RefusalError: ``unavailable``: there is none; whoever sends waits and tries again.
        """
        if not self._places.acquire(blocking=False):
            raise RefusalError(
                "unavailable",
                "Too many offices are uploading at this moment; nothing was lost. Try again in a "
                "minute: an upload goes on where it stopped.",
            )
        try:
            yield
        finally:
            self._places.release()

    def begin_answer(self) -> None:
        """This thread answers a request from now on, until :meth:`end_answer`."""
        if not self._is_answering:
            self._own.is_answering = True
            self._count(1)

    def end_answer(self) -> None:
        """The request is answered; nothing happens if none was."""
        if self._is_answering:
            self._own.is_answering = False
            self._count(-1)

    @contextlib.contextmanager
    def set_aside(self) -> Iterator[None]:
        """Within the block this thread's request receives, or waits: others go before it."""
        was_answering = self._is_answering
        self.end_answer()
        try:
            yield
        finally:
            if was_answering:
                self.begin_answer()

    @contextlib.contextmanager
    def taking_in(self) -> Iterator[None]:
        """Take in a piece within the block, when it is this upload's turn.

        Waits until no request is being answered, and no longer than :data:`MOST_WAIT_S`.
        """
        self._nobody_waits.wait(MOST_WAIT_S)
        with self._at_work:
            yield

    @property
    def _is_answering(self) -> bool:
        return bool(getattr(self._own, "is_answering", False))

    def _count(self, change: int) -> None:
        with self._mutex:
            self._n_answered += change
            if self._n_answered:
                self._nobody_waits.clear()
            else:
                self._nobody_waits.set()
