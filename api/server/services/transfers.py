"""Uploads leave threads to everybody else: so many at a time, and no more."""

import contextlib
import threading
from collections.abc import Iterator

from api.server.refusals import RefusalError


class Transfers:
    """Uploads that are under way in one serving process.

    Args:
        most: of them at a time; each keeps a thread for as long as its sender takes.
    """

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)

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
