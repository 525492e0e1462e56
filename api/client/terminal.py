"""What the commands of offices, operators and auditors share on the terminal.

Results go to stdout, progress and errors to stderr.
"""

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from api.client.address import parse_server_address
from api.client.errors import ApiError, printable
from keys.errors import KeysError
from linkage.errors import LinkageError

if TYPE_CHECKING:
    from api.client.http import ServerClient

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int, stage: str | None = None) -> None:
        """Show ``done`` of ``total``, and what is being done."""


_PIPE_WIDTH = 200
"""Columns of text when stdout is no terminal, so that tables in files are not folded."""

_OS_ADVICE = {
    errno.ENOENT: "there is no such file or folder. Check the name.",
    errno.EEXIST: "a file of that name exists already. Choose another name, or delete the file.",
    errno.EACCES: "this account may not read or write it. Check who owns the file and the folder.",
    errno.EPERM: "this account may not do that. Check who owns the file and the folder.",
    errno.EISDIR: "that is a folder. Name a file.",
    errno.ENOTDIR: "a part of the path is a file. Name a folder.",
    errno.ENOSPC: "the disk is full. Make room and try again.",
    errno.EROFS: "the disk can only be read. Choose another folder.",
}

_ID_PATTERN = "[a-z0-9][a-z0-9-]{0,62}"


class IdType(click.ParamType[str]):
    """An id of an office, a project or a round."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept what ``docs/http-api.md`` calls an id, nothing else."""
        if not isinstance(value, str) or not re.fullmatch(_ID_PATTERN, value):
            self.fail("An id has small letters, digits and hyphens only, at most 63.", param, ctx)
        return value


ID = IdType()
INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT_FILE = click.Path(dir_okay=False, path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="For other programs: JSON.")
"""Adds ``--json``, given as ``as_json``."""


def refuse_paths_twice(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Refuse an output named like an input or another output: with leave to replace, it would.

    Raises:
        click.UsageError: a file was given twice.
    """
    taken = {path.resolve() for path in inputs if path is not None}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise click.UsageError("Each file needs a name of its own: one was given twice.")
        taken.add(path.resolve())


@contextlib.contextmanager
def failing(doing: str | None = None) -> Iterator[None]:
    """Turn expected errors into a message on stderr and exit code 1.

    Args:
        doing: what the block does, for errors of the operating system, as ``write the links``.

    Raises:
        click.ClickException: with text that names no file, person or key.
    """
    try:
        yield
    except (KeysError, LinkageError, ApiError) as error:
        raise click.ClickException(printable(str(error))) from error
    except MemoryError as error:
        raise click.ClickException(
            f"This computer has too little memory to {doing or 'go on'}. Close other programs, or "
            "use one with more. If the files are not large, one of them may hold a value that "
            "stands in very many records: ask whose it is."
        ) from error
    except OSError as error:
        # strerror alone: the full text would hold the path.
        code = errno.EEXIST if isinstance(error, FileExistsError) else error.errno
        reason = _OS_ADVICE.get(code or 0) or f"{error.strerror or 'reading or writing failed'}."
        raise click.ClickException(f"Could not {doing or 'use a file'}: {reason}") from error


@overload
def server_options(command: _Command) -> _Command: ...
@overload
def server_options(*, required: bool = True) -> Callable[[_Command], _Command]: ...
def server_options(
    command: _Command | None = None, *, required: bool = True
) -> _Command | Callable[[_Command], _Command]:
    """Add ``--server``, ``--keys`` and ``--ca-file`` as ``server``, ``keys`` and ``ca_file``."""

    def decorate(function: _Command) -> _Command:
        for option in (
            click.option(
                "--ca-file",
                metavar="FILE",
                envvar="TONGQIAO_CA_FILE",
                show_envvar=True,
                type=INPUT_FILE,
                help="Certificates to trust, if the server's is not from a well-known authority.",
            ),
            click.option(
                "--keys",
                metavar="FILE",
                required=required,
                envvar="TONGQIAO_KEYS",
                show_envvar=True,
                type=INPUT_FILE,
                help="Your private key file (ID.private.json).",
            ),
            click.option(
                "--server",
                metavar="URL",
                required=required,
                envvar="TONGQIAO_SERVER",
                show_envvar=True,
                callback=_checked_address,
                help="Address of the linkage server.",
            ),
        ):
            function = option(function)
        return function

    return decorate if command is None else decorate(command)


def _checked_address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return parse_server_address(value).origin
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=param) from error


def open_client(server: str, keys: Path, ca_file: Path | None = None) -> "ServerClient":
    """A client for the options of :func:`server_options`; loads the private key file.

    Raises:
        KeysError: the key file is not one, or others may read it.
        OSError: it cannot be read.
    """
    from api.client.http import ServerClient
    from keys.storage import load_private_identity

    return ServerClient(
        server,
        load_private_identity(keys, ask_passphrase),
        ca_file=None if ca_file is None else str(ca_file),
    )


PASSPHRASE_FILE_VARIABLE = "TONGQIAO_PASSPHRASE_FILE"  # noqa: S105 - a name, no secret


def ask_passphrase() -> str:
    """The passphrase of a protected file: typed unseen, or from a private file for programs.

    The file is named by the environment variable ``TONGQIAO_PASSPHRASE_FILE``; its first line
    counts.

    Raises:
        KeysError: others may read that file.
        click.Abort: there is no terminal to type on.
    """
    from keys.storage import read_private_file

    named = os.environ.get(PASSPHRASE_FILE_VARIABLE)
    if named:
        text = read_private_file(Path(named)).decode("utf-8", "replace")
        return text.partition("\n")[0].rstrip("\r")
    typed: str = click.prompt("Passphrase", hide_input=True, err=True)
    return typed


def results_console() -> Console:
    """Console for results, on stdout; text from elsewhere is never taken for markup."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def progress_console() -> Console:
    """Console for progress and remarks, on stderr."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def say(text: str) -> None:
    """One line of result on stdout."""
    click.echo(printable(text))


def remark(text: str) -> None:
    """One line on stderr, which is no result."""
    click.echo(printable(text), err=True)


def show_json(value: Any) -> None:
    """A result for other programs: indented JSON on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def show_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    numeric: Sequence[str] = (),
) -> None:
    """A table on stdout; ``None`` is shown as a dash, columns in ``numeric`` align right."""
    if title is not None:
        click.echo()
        say(title)
    table = Table()
    for heading in headings:
        right = heading in numeric
        table.add_column(Text(heading), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else printable(str(cell))) for cell in row))
    results_console().print(table)


@contextlib.contextmanager
def progress_bar(label: str, *, unit: Literal["bytes", "steps"] = "bytes") -> Iterator[Advance]:
    """A bar on stderr, driven by calls with done, total and, if it changes, another label."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn()]
    if unit == "bytes":
        columns += [DownloadColumn(binary_units=True), TransferSpeedColumn()]
        columns += [TimeRemainingColumn(), TextColumn("left,")]
    else:
        columns += [MofNCompleteColumn()]
    columns.append(TimeElapsedColumn())
    with Progress(*columns, console=progress_console()) as progress:
        task = progress.add_task(label, total=None)

        def advance(done: int, total: int, stage: str | None = None) -> None:
            shown = label if stage is None else f"{label}: {printable(stage, 40)}"
            progress.update(task, completed=done, total=total, description=shown)

        yield advance
