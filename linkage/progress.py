"""How far a match is, and how fast it goes."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_S = 60.0
"""Speed is that of the last minute: views and chunks differ, and other work comes and goes."""

_LEAST_S = 1.0
_LEAST_SHARE = 0.02
"""Of what this match has to do: less says nothing, as chunks begin with reading files."""

_APART_S = 1.0


@dataclass(frozen=True, slots=True)
class MatchProgress:
    """How far a match is.

    Attributes:
        stage: ``candidates``, ``compare``, ``score`` or ``solve``, in this order.
        done, total: of the stage, in its own unit: pairs in ``compare``, ranges of record numbers
            in ``score``, steps elsewhere.
        n_pairs: pairs compared so far.
        n_candidates: pairs kept so far; ``score`` begins to count anew those that it keeps.
        n_resumed: of ``done``, what an earlier match had finished that was interrupted.
    """

    stage: str
    done: int
    total: int
    n_pairs: int = 0
    n_candidates: int = 0
    n_resumed: int = 0


Progress = Callable[[MatchProgress], None]
"""Told of progress, from the thread that called; may raise to stop the match."""


class Pace:
    """The speed of a match's present stage, from what it really did of late.

    What an earlier match had finished does not count as done in no time.  A match that stands still
    becomes slower with every second.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._now: MatchProgress | None = None
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: MatchProgress) -> None:
        """Take a report."""
        at = self._clock()
        if self._now is None or self._now.stage != now.stage:
            self._seen.clear()
        self._now = now
        if not self._seen or at - self._seen[-1][0] >= _APART_S:
            self._seen.append((at, now.done - now.n_resumed))
        while len(self._seen) > 1 and at - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()

    def done_per_s(self) -> float | None:
        """Units of the stage a second; ``None`` while nothing can be said."""
        if self._now is None or not self._seen:
            return None
        since, before = self._seen[0]
        elapsed = self._clock() - since
        gained = self._now.done - self._now.n_resumed - before
        return gained / elapsed if elapsed >= _LEAST_S and gained > 0 else None

    def pairs_per_s(self) -> float | None:
        """Pairs compared a second, while pairs are compared."""
        comparing = self._now is not None and self._now.stage == "compare"
        return self.done_per_s() if comparing else None

    def seconds_left(self) -> float | None:
        """Of this stage, if it goes on as it did; ``None`` while nothing can be said."""
        speed, now = self.done_per_s(), self._now
        if speed is None or now is None:
            return None
        if now.done - now.n_resumed < _LEAST_SHARE * (now.total - now.n_resumed):
            return None
        return max(0, now.total - now.done) / speed
