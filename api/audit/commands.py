"""``tongqiao audit``: fetch, verify and list the access log."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.audit.cosignature import WitnessKey
from api.audit.errors import AuditError, NoteError
from api.audit.events import ROLES, Action, Outcome, format_time
from api.audit.note import VerifierKey
from api.audit.server_log import ServerLog
from api.client.terminal import (
    ID,
    INPUT_FILE,
    OUTPUT_FILE,
    failing,
    open_client,
    progress_bar,
    remark,
    say,
    server_options,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from api.audit.entry_filter import EntryFilter
    from api.audit.events import Entry
    from api.audit.verify import Verification

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_FETCHED = click.Path(exists=True, file_okay=False, path_type=Path)
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


def _parsed_key(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> VerifierKey | None:
    if value is None:
        return None
    try:
        return VerifierKey.parse(value)
    except NoteError as error:
        raise click.BadParameter(
            "That is no key of a log: it looks like NAME+12ab34cd+BASE64. Copy it whole.",
            ctx=ctx,
            param=param,
        ) from error


def _parsed_witnesses(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[WitnessKey, ...]:
    try:
        return tuple(WitnessKey.parse(text) for text in value)
    except NoteError as error:
        raise click.BadParameter(
            "That is no witness's key: it looks like NAME+12ab34cd+BASE64, as 'tongqiao audit "
            "witness' shows it to the witness. Copy it whole.",
            ctx=ctx,
            param=param,
        ) from error


log_key_option = click.option(
    "--log-key",
    metavar="KEY",
    callback=_parsed_key,
    help="The log's key, as 'tongqiao server init' showed it to the operator.",
)
"""Adds ``--log-key``, given as ``log_key``."""

witness_option = click.option(
    "--witness",
    "witnesses",
    metavar="KEY",
    multiple=True,
    callback=_parsed_witnesses,
    help="Key of a witness to know, as the witness told it to you; may be given several times.",
)
"""Adds ``--witness``, given as ``witnesses``."""


@click.group("audit")
def audit_group() -> None:
    """Read and verify the access log.

    An auditor fetches the log into a folder now and then, and verifies it there, without asking
    the server.
    """


@audit_group.command("fetch")
@server_options(required=False)
@click.option("--dir", "directory", required=True, type=_DIRECTORY, help="Folder to keep it in.")
@log_key_option
@witness_option
@click.option(
    "--tiles", type=_FETCHED, help="Static copy of the log ('server export-log'), not the server."
)
@click.option(
    "--archive",
    "archives",
    multiple=True,
    type=INPUT_FILE,
    metavar="FILE",
    help="Archive of sealed entries, for a first fetch; needs --log-key; give all of them.",
)
def fetch_command(
    server: str | None,
    keys: Path | None,
    ca_file: Path | None,
    directory: Path,
    log_key: VerifierKey | None,
    witnesses: tuple[WitnessKey, ...],
    tiles: Path | None,
    archives: tuple[Path, ...],
) -> None:
    """Fetch what is new in the log, and verify it.

    The first fetch notes the log's key in DIR/log.vkey: give it with --log-key, or compare it with
    the operator afterwards by another way, once. Later fetches bring what is new, and only if it
    continues what is there.

    \b
    Example:
      tongqiao audit fetch --server https://linkage.example.cn \\
        --keys anna.private.json --dir log
    """
    from api.audit.fetch import LogSource, fetch_log
    from api.audit.sources import ArchivedLog, TilesLog

    with failing_audit("keep the log"), progress_bar("Entries", unit="steps") as advance:
        source: LogSource
        if tiles is not None:
            source = TilesLog(tiles)
        elif server is not None and keys is not None:
            source = ServerLog(open_client(server, keys, ca_file))
        else:
            raise click.UsageError("Give --tiles, or both --server and --keys.")
        if archives:
            if log_key is None:
                raise click.UsageError("--archive needs --log-key: whose archives they must be.")
            source = ArchivedLog(source, archives, log_key)
        fetched = fetch_log(source, directory, advance, expected_key=log_key, witnesses=witnesses)
    verification = fetched.verification
    if fetched.pinned and verification.log_key is not None:
        remark("The log's key is noted for the first time. Compare it with the operator:")
        remark(f"  {verification.log_key.to_text()}")
    say(f"{_count(fetched.n_new, 'new entry', 'new entries')}.")
    _report(verification)


@audit_group.command("verify-archive")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=INPUT_FILE)
@click.option(
    "--log-key",
    metavar="KEY",
    callback=_parsed_key,
    required=True,
    help="The log's key, as 'tongqiao server init' showed it to the operator.",
)
def verify_archive_command(files: tuple[Path, ...], log_key: VerifierKey) -> None:
    """Verify archives of sealed entries, offline.

    Each verifies by itself; all of a log's archives together must follow each other without a gap.
    Exit code 1 if anything is wrong.

    \b
    Example:
      tongqiao audit verify-archive log-*.tqlog.gz --log-key tongqiao/...+12ab34cd+BASE64
    """
    from api.audit.archive import verify_archive, verify_sequence

    with failing_audit("read an archive"):
        found = sorted((verify_archive(file, log_key) for file in files), key=lambda one: one.start)
        if len(found) > 1 or found[0].start == 0:
            verify_sequence(found)
    for one in found:
        say(
            f"INTACT: entries {one.start} to {one.stop - 1}, {one.first_time} to {one.last_time}, "
            f"root {one.checkpoint.root.hex()}"
        )


@audit_group.command("verify")
@click.argument("directory", metavar="DIR", type=_FETCHED)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def verify_command(directory: Path, as_json: bool) -> None:
    """Verify a fetched log, offline.

    Recomputes the root from all entries, and checks it against every checkpoint ever seen, their
    signatures, the entries' numbers and times. Exit code 1 if anything is wrong.

    \b
    Example:
      tongqiao audit verify log
    """
    from api.audit.verify import verify_directory

    with failing_audit("read the log"):
        verification = verify_directory(directory)
    if as_json:
        show_json(verification.to_json())
        if not verification.is_intact:
            raise click.exceptions.Exit(1)
        return
    _report(verification)


@audit_group.command("list")
@server_options(required=False)
@click.option("--dir", "directory", type=_FETCHED, help="A fetched log, instead of the server's.")
@click.option("--since", type=_TIME, help="From this time on (UTC), 2026-09-01 or with T08:30.")
@click.option("--until", type=_TIME, help="Before this time (UTC).")
@click.option("--actor", type=ID, help="Office, operator or auditor who did it.")
@click.option("--office", type=ID, help="Office that did it, or that it is about.")
@click.option("--role", type=click.Choice(sorted(ROLES)))
@click.option("--action", metavar="ACTION", help="As upload:put, or upload for all with uploads.")
@click.option("--outcome", type=click.Choice([str(outcome) for outcome in Outcome]))
@click.option("--project", type=ID)
@click.option("--round", "round_id", type=ID)
@click.option("--last", type=click.IntRange(min=1), help="Only the last so many of them.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl", "xlsx"]),
    default="table",
    show_default=True,
    help="jsonl gives the entries exactly as they were hashed; xlsx needs --out.",
)
@click.option("--out", type=OUTPUT_FILE, metavar="FILE", help="New file, instead of the screen.")
def list_command(
    server: str | None,
    keys: Path | None,
    ca_file: Path | None,
    directory: Path | None,
    since: datetime | None,
    until: datetime | None,
    actor: str | None,
    office: str | None,
    role: str | None,
    action: str | None,
    outcome: str | None,
    project: str | None,
    round_id: str | None,
    last: int | None,
    form: str,
    out: Path | None,
) -> None:
    """List entries of the log.

    With --dir from a fetched log, offline. With --server the server chooses, and each page that it
    sends is an entry of the log; entries that are sealed in archives are not among them. A file
    written with --out has a manifest beside it, which 'tongqiao audit verify-export' goes by.

    \b
    Examples:
      tongqiao audit list --dir log --outcome refused
      tongqiao audit list --dir log --round 2026-h2 --action results --format csv
      tongqiao audit list --dir log --office jinjiang-civil --format xlsx --out jinjiang.xlsx
    """
    from api.audit.entry_filter import EntryFilter
    from api.audit.listing import directory_entries, server_entries

    if form == ("xlsx" if out is None else "table"):
        raise click.UsageError("--out FILE goes with --format csv, jsonl or xlsx.")
    wanted = EntryFilter(
        since=_time_text(since),
        until=_time_text(until),
        actor=actor,
        office=office,
        role=role,
        action=_checked_action(action),
        outcome=outcome,
        project=project,
        round=round_id,
    )
    with failing_audit("read the log"):
        # A folder named is meant, even where the environment names a server.
        source: ServerLog | Path
        if directory is not None:
            source = directory
        elif server is not None and keys is not None:
            source = ServerLog(open_client(server, keys, ca_file))
        else:
            raise click.UsageError("Give --dir, or both --server and --keys.")
        if out is not None:
            _export(source, wanted, last, out, form)
            return
        chosen: Iterable[tuple[Entry, str]]
        if isinstance(source, ServerLog):
            chosen = server_entries(source, wanted, last)
        else:
            chosen = (pair for pair in directory_entries(source) if wanted.accepts(pair[0]))
            if last is not None:
                chosen = deque(chosen, maxlen=last)
        show_entries(chosen, form)


def _export(
    source: ServerLog | Path, wanted: "EntryFilter", last: int | None, out: Path, form: str
) -> None:
    from api.audit.export import TooManyRowsError
    from api.audit.export_manifest import manifest_path
    from api.audit.folder_export import export_folder, export_from_server

    try:
        if isinstance(source, ServerLog):
            n_entries = export_from_server(source, wanted, last, out, form)
        else:
            n_entries = export_folder(source, wanted, last, out, form)
    except TooManyRowsError as error:
        raise click.ClickException(
            "A sheet of Excel cannot hold so many entries. Choose a shorter period, or csv."
        ) from error
    say(f"{_count(n_entries, 'entry', 'entries')} written.")
    remark(
        f"{manifest_path(out).name} beside it proves them: hand both on, and see 'tongqiao audit "
        "verify-export'."
    )


@contextlib.contextmanager
def failing_audit(doing: str) -> Iterator[None]:
    """As ``failing``; errors of the log are told as they are.  Raises: click.ClickException."""
    with failing(doing):
        try:
            yield
        except AuditError as error:
            raise click.ClickException(str(error)) from error


def _report(verification: "Verification") -> None:
    """Say what was found, and end with exit code 1 if it is anything.

    Raises:
        click.ClickException: something was found.
    """
    if not verification.is_intact:
        show_table(
            ("finding", "what it means"),
            [(str(found.kind), found.message) for found in verification.findings],
        )
        raise click.ClickException(
            f"NOT INTACT: {_count(len(verification.findings), 'finding', 'findings')} in "
            f"{_count(verification.size, 'entry', 'entries')}. Keep the folder as it is, and "
            "compare it with the operator and the other auditors."
        )
    span = (
        ""
        if verification.first_time is None
        else f" from {verification.first_time} to {verification.last_time}"
    )
    say(
        f"INTACT: {_count(verification.size, 'entry', 'entries')}{span}, "
        f"{_count(verification.n_checkpoints, 'checkpoint', 'checkpoints')}."
    )
    say(f"Root {verification.root.hex()}")
    if verification.log_key is not None:
        say(f"Key  {verification.log_key.to_text()}")
    for name, size, time in verification.witnessed:
        when = f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
        say(f"Witnessed by {name}: the first {size} entries, {when}")


def show_entries(chosen: "Iterable[tuple[Entry, str]]", form: str) -> None:
    """Entries with their texts on stdout, as ``table``, ``csv`` or ``jsonl``."""
    from api.audit.export import csv_lines
    from api.audit.listing import describe_details

    # What was parsed is plain ASCII, and goes out as it is.
    if form == "jsonl":
        for _, text in chosen:
            click.echo(text)
        return
    if form == "csv":
        for line in csv_lines(entry for entry, _ in chosen):
            click.echo(line)
        return
    show_table(
        ("entry", "time (UTC)", "action", "outcome", "who", "round", "details", "from"),
        [
            (
                entry.index,
                entry.time.replace("T", " ").removesuffix("Z"),
                entry.action,
                entry.outcome if entry.reason is None else f"{entry.outcome}: {entry.reason}",
                entry.actor or entry.role,
                entry.round or entry.project,
                describe_details(entry.details),
                entry.origin,
            )
            for entry, _ in chosen
        ],
        numeric=("entry",),
    )


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _time_text(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment.replace(tzinfo=UTC))


def _checked_action(text: str | None) -> str | None:
    subjects = {str(action).partition(":")[0] for action in Action}
    if text is None or text in subjects or text in set(Action):
        return text
    raise click.BadParameter(
        f"There is no such action. Choose one of {', '.join(sorted(subjects))}, or one in full as "
        f"{Action.UPLOAD_PUT}.",
        param_hint="'--action'",
    )
