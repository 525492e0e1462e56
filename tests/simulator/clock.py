"""The time that the server is told."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)


class SimulatedClock:
    """A clock that goes a little at every look, and further when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, **by: float) -> None:
        """Let time pass, as in ``advance(days=180)``."""
        self.now += timedelta(**by)
