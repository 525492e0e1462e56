"""``tongqiao demo``: a whole round on invented data, and what came of it."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_SMALLEST, _LARGEST = 50, 1_000_000


@click.command(name="demo")
@click.option(
    "--children",
    type=click.IntRange(_SMALLEST, _LARGEST),
    default=5000,
    show_default=True,
    help="Number of invented children.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Another seed, other children."
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for everything, empty or new.  Default: a temporary folder.",
)
@click.option("--keep", is_flag=True, help="Leave everything below the folder to look at.")
def demo_command(children: int, seed: int, directory: Path | None, keep: bool) -> None:
    """Play one whole round on invented data.

    Five offices, a coordinating office, two operators and an auditor each act in processes of their
    own, through the same commands that people use, against a real server on this machine.  Ends
    with a table of links against the known truth, times and bytes, and the auditor's verdict.

    Example:

        tongqiao demo --children 2000 --dir demo-out --keep
    """
    root = _prepare(directory, keep)
    try:
        _play(root, children, seed, keep)
    finally:
        if not keep:
            _clean(root, directory)


def _prepare(directory: Path | None, keep: bool) -> Path:
    if directory is None:
        if keep:
            raise click.UsageError("--keep needs --dir: say where everything shall stay.")
        return Path(tempfile.mkdtemp(prefix="tongqiao-demo-")).resolve()
    if directory.exists() and any(directory.iterdir()):
        raise click.BadParameter(
            "The folder is not empty. Name a new one, so that nothing of yours is overwritten.",
            param_hint="--dir",
        )
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


def _clean(root: Path, directory: Path | None) -> None:
    if directory is None:
        shutil.rmtree(root, ignore_errors=True)
        return
    for entry in root.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()


def _play(root: Path, children: int, seed: int, keep: bool) -> None:
    # Imported here, so that `tongqiao --help` need not load what draws children and tables.
    from api.demo.judge import judge
    from api.demo.play import Play
    from api.demo.processes import DemoError, Stage
    from api.demo.report import show, write_summary

    console, progress_console = Console(), Console(stderr=True)
    stage = Stage(root)
    play = Play(root, stage)
    scenes: list[tuple[str, Callable[[], None]]] = [
        ("inventing children and registers", lambda: play.invent_registers(children, seed)),
        ("making keys", play.make_keys),
        ("starting server and worker", play.start_server),
        ("enrolling offices", play.enrol),
        ("sharing the secret", play.share_secret),
        ("opening the round", play.open_round),
        ("encoding and uploading", play.encode),
        ("matching", play.match),
        ("delivering results", play.deliver),
        ("verifying the log", play.audit),
    ]
    try:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=progress_console,
        ) as progress:
            task = progress.add_task("", total=len(scenes))
            for description, scene in scenes:
                progress.update(task, description=description)
                if not progress_console.is_terminal:
                    progress_console.print(f"- {description}")
                scene()
                progress.advance(task)
    except DemoError as error:
        hint = "" if keep else " Run again with --dir and --keep to look at the files."
        raise click.ClickException(f"{error}{hint}") from None
    finally:
        stage.stop_all()
    verdict = judge(play)
    if keep:
        write_summary(root / "summary.json", play, verdict, children=children, seed=seed)
    show(console, play, verdict, kept_in=root if keep else None)
    if not play.log_is_good:
        raise click.ClickException("The access log did not verify. See the verdict above.")
