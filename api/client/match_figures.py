"""How far a matching is, in words and figures for a terminal."""

from dataclasses import dataclass

from api.client.errors import printable

_STAGES = {
    "queued": "Waiting for a worker",
    "starting": "Starting",
    "reading": "Reading encodings",
    "candidates": "Learning from a sample",
    "compare": "Comparing records",
    "score": "Scoring pairs",
    "solve": "Choosing links",
    "writing": "Writing links",
    "done": "Done",
}


@dataclass(frozen=True, slots=True)
class MatchFigures:
    """How far a matching is; ``None`` stands for what is not known, or not shown.

    Attributes:
        stage: as the server names it; ``None`` before the matching.
        done, total: in the stage's own unit; ``total`` is 0 or 1 where nothing is counted.
        n_pairs: pairs compared so far.
        n_candidates: pairs kept so far.
        pairs_per_s: compared a second, of late.
        seconds_left: of this stage.
    """

    stage: str | None
    done: int
    total: int
    n_pairs: int | None = None
    n_candidates: int | None = None
    pairs_per_s: float | None = None
    seconds_left: float | None = None

    @property
    def stage_name(self) -> str:
        """The stage in words."""
        stage = self.stage or ""
        return _STAGES.get(stage, printable(stage, 40))

    @property
    def is_counted(self) -> bool:
        """Whether the stage is long enough for a share to mean something."""
        return self.total > 1

    def line(self) -> str:
        """Pairs, rate, candidates and time left, as far as they are known."""
        parts = []
        if self.n_pairs:
            parts.append(f"{short(self.n_pairs)} pairs")
        if self.pairs_per_s:
            parts.append(f"{short(self.pairs_per_s)}/s")
        if self.n_candidates:
            parts.append(f"{short(self.n_candidates)} kept")
        if self.seconds_left:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)

    def sentence(self) -> str:
        """All of it in one line, as for a list."""
        share = f" {self.done / self.total:.0%}" if self.is_counted else ""
        return ": ".join(part for part in (f"{self.stage_name}{share}", self.line()) if part)


def short(number: float) -> str:
    """A count in a few characters: 950, 12.3 k, 4.56 M, 17.0 G."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """A time in a few characters, no more exact than an estimate is: 40 s, 3 min, 2 h 10 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
