"""How far a matching is, on the terminal: stage, pairs and candidates so far, rate, time left."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from api.client.match_figures import MatchFigures
from api.client.terminal import progress_console

if TYPE_CHECKING:
    from linkage.progress import MatchProgress


@contextlib.contextmanager
def showing_progress() -> Iterator[Callable[["MatchProgress"], None]]:
    """A line on stderr for each stage; gives what is to be told of a match that runs here."""
    from linkage.progress import Pace

    pace = Pace()
    with showing_figures() as show:

        def told(now: "MatchProgress") -> None:
            pace.note(now)
            show(
                MatchFigures(
                    stage=now.stage,
                    done=now.done,
                    total=now.total,
                    n_pairs=now.n_pairs if now.stage == "compare" else None,
                    n_candidates=now.n_candidates,
                    pairs_per_s=pace.pairs_per_s(),
                    seconds_left=pace.seconds_left(),
                )
            )

        yield told


@contextlib.contextmanager
def showing_figures() -> Iterator[Callable[[MatchFigures], None]]:
    """A line on stderr for each stage; gives what is to be told of a matching."""
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True)),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=progress_console()) as progress:
        stages: dict[str, TaskID] = {}

        def show(now: MatchFigures) -> None:
            name = now.stage_name
            if name not in stages:
                _complete(progress)
                stages[name] = progress.add_task(name, total=None, figures="", settled="")
            progress.update(
                stages[name],
                completed=now.done,
                total=now.total if now.is_counted else None,
                figures=now.line(),
                settled=replace(now, seconds_left=None).line(),
            )

        yield show
        _complete(progress)


def _complete(progress: Progress) -> None:
    """A stage is over when the next begins; nothing of it is left."""
    for task in progress.tasks:
        if not task.finished:
            total = task.total or 1
            progress.update(task.id, completed=total, total=total, figures=task.fields["settled"])
