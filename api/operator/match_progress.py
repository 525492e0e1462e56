"""How far a match is, on the terminal: stage, pairs and candidates so far, rate, time left."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from api.client.terminal import progress_console

if TYPE_CHECKING:
    from linkage.pipeline import MatchProgress

_STAGES = {
    "candidates": "Learning from a sample",
    "compare": "Comparing records",
    "score": "Scoring pairs",
    "solve": "Choosing links",
}


class _PairsColumn(ProgressColumn):
    """Pairs compared so far, how many a second, and how many were kept."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        parts = []
        if n_pairs := task.fields["n_pairs"]:
            parts.append(f"{short(n_pairs)} pairs")
            if task.elapsed:
                parts.append(f"{short(n_pairs / task.elapsed)}/s")
        if n_candidates := task.fields["n_candidates"]:
            parts.append(f"{short(n_candidates)} kept")
        return Text(" ".join(parts))


@contextlib.contextmanager
def showing_progress() -> Iterator[Callable[["MatchProgress"], None]]:
    """A line on stderr for each stage; gives what is to be told of progress."""
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        _PairsColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=progress_console()) as progress:
        stages: dict[str, TaskID] = {}

        def show(now: "MatchProgress") -> None:
            if now.stage not in stages:
                _complete(progress)
                stages[now.stage] = progress.add_task(
                    _STAGES.get(now.stage, now.stage), total=None, n_pairs=0, n_candidates=0
                )
            progress.update(
                stages[now.stage],
                completed=now.done,
                total=max(now.total, 1),
                n_pairs=now.n_pairs if now.stage == "compare" else 0,
                n_candidates=now.n_candidates,
            )

        yield show
        _complete(progress)


def _complete(progress: Progress) -> None:
    """What is left of a stage's estimate when the next begins is no work."""
    for task in progress.tasks:
        progress.update(task.id, completed=task.total)


def short(number: float) -> str:
    """A count in a few characters: 950, 12.3 k, 4.56 M, 17.0 G."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.0f}"
