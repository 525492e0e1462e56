"""The part of ``tongqiao encode`` that goes on with projects of clkhash."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from api.client.terminal import INPUT_FILE, failing, progress_console, remark, say

if TYPE_CHECKING:
    from api.office.clkhash_encoding import Headings, Progress
    from linkage.clk_files import WrittenClks
    from linkage.encoding.clk import LinkageSchema

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ClkhashOptions:
    """What the options say; all of them belong to ``--clkhash-schema``."""

    schema_file: Path | None
    allow_legacy: bool
    headings: str | None
    check_values: bool

    def refuse_alone(self) -> None:
        """Refuse the other options where there is no ``--clkhash-schema``."""
        if self.allow_legacy or self.headings is not None or not self.check_values:
            raise click.UsageError(
                "--allow-legacy, --headings and --skip-format-checks belong to --clkhash-schema."
            )


def clkhash_options(command: _Command) -> _Command:
    """Add the options, given together as ``clkhash``."""

    @functools.wraps(command)
    def gathered(
        *args: Any,
        schema_file: Path | None,
        allow_legacy: bool,
        headings: str | None,
        skip_format_checks: bool,
        **others: Any,
    ) -> Any:
        options = ClkhashOptions(schema_file, allow_legacy, headings, not skip_format_checks)
        return command(*args, clkhash=options, **others)

    for option in (
        click.option(
            "--skip-format-checks",
            is_flag=True,
            help="With --clkhash-schema: take values that do not fit their formats as they are.",
        ),
        click.option(
            "--headings",
            type=click.Choice(["check", "ignore", "none"]),
            help="With --clkhash-schema: whether the first row must be the schema's identifiers, "
            "is passed over, or is a record. [default: check]",
        ),
        click.option(
            "--allow-legacy",
            is_flag=True,
            help="With --clkhash-schema: allow what is weak by today's knowledge (doubleHash, "
            "short secrets or keys, no key derivation), to read old projects.",
        ),
        click.option(
            "--clkhash-schema",
            "schema_file",
            metavar="SCHEMA.json",
            type=INPUT_FILE,
            help="Write CLKs like clkhash, by a linkage schema of version 1, 2 or 3.",
        ),
    ):
        gathered = option(gathered)
    return cast("_Command", gathered)


def encode_like_clkhash(
    records_file: Path, secret_file: Path, out: Path, options: ClkhashOptions, *, force: bool
) -> None:
    """Run ``encode --clkhash-schema``.

    Raises:
        click.ClickException: something is wrong with a file, or weak and not allowed.
    """
    with failing("read what to encode"):
        from api.office.clkhash_encoding import (
            encode_clks_to_file,
            load_clkhash_secret,
            load_linkage_schema,
        )

        if options.schema_file is None:
            raise FileNotFoundError
        schema = load_linkage_schema(options.schema_file)
        secret = load_clkhash_secret(secret_file)
    _refuse_weak(schema, secret, allowed=options.allow_legacy)
    for note in schema.remarks:
        remark(note)
    with failing("write the encodings"), _progress() as advance:
        written = encode_clks_to_file(
            records_file,
            schema,
            secret,
            out,
            headings=cast("Headings", options.headings or "check"),
            check_values=options.check_values,
            overwrite=force,
            on_progress=advance,
        )
    _show_summary(written, schema)


def _refuse_weak(schema: "LinkageSchema", secret: bytes, *, allowed: bool) -> None:
    from linkage.encoding.clk import weaknesses

    weak = weaknesses(schema, secret)
    if weak and not allowed:
        raise click.ClickException(
            "This project is weak by today's knowledge:\n"
            + "".join(f"  - {reason}\n" for reason in weak)
            + "Begin it anew with a profile of this program, or with a stronger schema and secret. "
            "To go on with the old project nonetheless, give --allow-legacy."
        )
    for reason in weak:
        remark(f"Weak: {reason}")


@contextmanager
def _progress() -> Iterator["Progress"]:
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[records]:,} records", markup=False),
        TimeElapsedColumn(),
        TextColumn("left:", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=progress_console()) as progress:
        task = progress.add_task("Encoding", total=None, records=0)

        def advance(done: int, share: float | None) -> None:
            if share is None:
                progress.update(task, records=done)
            else:
                progress.update(task, records=done, completed=share, total=1.0)

        yield advance


def _show_summary(written: "WrittenClks", schema: "LinkageSchema") -> None:
    share = written.mean_bits / schema.clk_bits
    say(f"{written.n_clks:,} records encoded as clkhash does, {schema.clk_bits:,} bits each.")
    say(f"Bits set: {written.mean_bits:.1f} on average, {share:.0%} of a CLK.")
    say(f"SHA-256 of the file: {written.sha256}")
    if written.empty_clks:
        remark(
            f"{written.empty_clks:,} records have no bit set, because all their values are empty: "
            "they match nothing."
        )
    if share > 0.75:
        remark(
            "CLKs are so full that unlike records resemble each other. A linkage schema with fewer "
            "bits a token, or a greater 'l', links better."
        )
    remark(
        "One CLK a record can be re-identified by comparing it with other registers, without the "
        "key: share it with nobody but the matching party. docs/clkhash.md has figures."
    )
