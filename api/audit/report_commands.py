"""``tongqiao audit``: a report on a period, and noting that a finding of it was looked at."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from api.audit.commands import audit_group, failing_audit
from api.audit.errors import DirectoryError
from api.audit.events import format_time
from api.audit.server_log import ServerLog
from api.client.terminal import OUTPUT_FILE, open_client, say, server_options, show_table

_DAY = click.DateTime(["%Y-%m-%d"])
_FETCHED = click.Path(exists=True, file_okay=False, path_type=Path)
_VERDICTS = ("explained", "followed-up", "reported")


@audit_group.command("report")
@click.argument("directory", metavar="DIR", type=_FETCHED)
@click.option("--since", type=_DAY, required=True, help="First day (Beijing time), 2026-09-01.")
@click.option("--until", type=_DAY, help="First day that is not in it any more; else up to now.")
@click.option("--out", required=True, type=OUTPUT_FILE, metavar="FILE.html", help="New file.")
def report_command(directory: Path, since: datetime, until: datetime | None, out: Path) -> None:
    """Report on a period of a fetched log, as one page in Chinese and English.

    Counts by person and action, refusals, and unusual access: an address used for the first time,
    access at night, bursts of downloads or refusals, one person in two roles. The page needs no
    network; print it or send it on. It says whether the log verifies.

    \b
    Example:
      tongqiao audit report log --since 2026-09-01 --until 2026-10-01 --out september.html
    """
    from api.audit.listing import directory_entries
    from api.audit.report import count_entries, render_report
    from api.audit.unusual import LOCAL_TIME, find_unusual, marks_in
    from api.audit.verify import verify_directory

    now = datetime.now(LOCAL_TIME)
    end = until or (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Days as the page counts them.
    start = format_time(since.replace(tzinfo=LOCAL_TIME))
    stop = format_time(end.replace(tzinfo=LOCAL_TIME))
    if stop <= start:
        raise click.UsageError("--until must be after --since.")
    with failing_audit("write the report"):
        verification = verify_directory(directory)
        if not verification.size:
            raise DirectoryError("This folder holds no entries yet. Run 'tongqiao audit fetch'.")
        counts = count_entries((one for one, _ in directory_entries(directory)), start, stop)
        unusual = find_unusual((one for one, _ in directory_entries(directory)), start, stop)
        marks = marks_in(one for one, _ in directory_entries(directory))
        page = render_report(
            counts,
            unusual,
            marks,
            verification,
            since=start,
            until=stop,
            made_at=f"{now:%Y-%m-%d %H:%M}",
        )
        with out.open("x", encoding="utf-8") as file:
            file.write(page)
    if unusual:
        show_table(
            ("id", "kind", "who", "first entry", "looked at"),
            [
                (
                    one.id,
                    one.kind,
                    one.who,
                    one.entry,
                    marks[one.id].verdict if one.id in marks else None,
                )
                for one in unusual
            ],
            numeric=("first entry",),
        )
    say(f"{counts.n_entries} entries, {len(unusual)} findings to look at. The page is written.")
    if not verification.is_intact:
        raise click.ClickException(
            "The log does NOT verify: the page says so. See 'tongqiao audit verify'."
        )


@audit_group.command("mark")
@server_options
@click.argument("finding", metavar="ID")
@click.option(
    "--dir", "directory", required=True, type=_FETCHED, help="The fetched log that was reported on."
)
@click.option(
    "--verdict",
    required=True,
    type=click.Choice(_VERDICTS),
    help="What came of looking at it.",
)
def mark_command(
    server: str, keys: Path, ca_file: Path | None, finding: str, directory: Path, verdict: str
) -> None:
    """Note in the log that you looked at a finding of a report.

    The note is an entry of the log: who, when, which finding, what came of it, and no free text.
    The next fetch and report show it.

    \b
    Example:
      tongqiao audit mark 0123456789abcdef0123456789abcdef --verdict explained --dir log \\
        --server https://linkage.example.cn --keys anna.private.json
    """
    from api.audit.listing import directory_entries
    from api.audit.unusual import find_unusual

    with failing_audit("read the log"):
        found = find_unusual((one for one, _ in directory_entries(directory)), "", "~")
        meant = next((one for one in found if one.id == finding), None)
        if meant is None:
            raise click.ClickException(
                "The fetched log has no such finding. Copy the id from the report whole."
            )
        ServerLog(open_client(server, keys, ca_file)).mark_finding(
            {
                "finding": meant.id,
                "kind": meant.kind,
                "verdict": verdict,
                "entry": meant.entry,
            }
        )
    say(f"Noted in the log: {meant.kind} of {meant.who} is {verdict}.")
