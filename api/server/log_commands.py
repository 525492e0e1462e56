"""``tongqiao server``: keep the access log."""

from pathlib import Path

import click

from api.client.terminal import remark, say
from api.server.check_commands import server_group
from api.server.commands import directory_argument, failing_server, opened_server

__all__ = ["server_group"]


@server_group.command(name="seal-log")
@directory_argument
def seal_log_command(directory: Path) -> None:
    """Seal old entries of the access log into an archive file.

    Takes entries older than the setting log_retention_days out of the database, once they are in
    an archive that verifies, in the folder of the setting log_archive_path. All proofs stay
    possible. Keep the archives as long as your rules ask for, and give copies to the auditors.
    Repeat until nothing is left; or have the worker do it: see the setting log_seal_every_days.

    Example:

        tongqiao server seal-log /srv/tongqiao
    """
    from api.server.services.log_keeping import seal_log
    from api.server.services.work import own_caller

    with failing_server("seal the log"), opened_server(directory) as installation:
        sealed = seal_log(installation, own_caller("administrator"))
        days = installation.config.log_retention_days
    if sealed is None:
        say(f"Nothing to seal: there is no whole tile of entries older than {days} days.")
        return
    say(f"Sealed entries {sealed.start} to {sealed.stop - 1}: {sealed.path.name}")
    say(f"SHA-256 {sealed.sha256}")
    remark("Give a copy to the auditors: tongqiao audit verify-archive.")


@server_group.command(name="export-log")
@directory_argument
@click.argument("target", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
def export_log_command(directory: Path, target: Path) -> None:
    """Write the access log as static files, in the form of C2SP tlog-tiles.

    A web server can serve OUT as it is, or auditors carry it away: tongqiao audit fetch --tiles.
    Run again to bring it up to date.

    Example:

        tongqiao server export-log /srv/tongqiao /srv/www/log
    """
    from api.server.services.log_keeping import export_log
    from api.server.services.work import own_caller

    with failing_server("write the tiles"), opened_server(directory) as installation:
        done = export_log(installation, own_caller("administrator"), target)
    say(f"{done.size} entries; {done.n_written} tiles written.")


@server_group.command(name="check-log")
@directory_argument
def check_log_command(directory: Path) -> None:
    """Look whether the access log in the database is whole: every entry, hash and checkpoint.

    Exit code 1 if anything is wrong.

    Example:

        tongqiao server check-log /srv/tongqiao
    """
    from api.server.services.log_keeping import check_log
    from api.server.services.work import own_caller

    with failing_server("read the log"), opened_server(directory) as installation:
        faults = check_log(installation, own_caller("administrator"))
    for fault in faults:
        say(str(fault))
    if faults:
        raise click.ClickException(
            "The access log was changed behind the server's back. Stop the server, keep its folder "
            "as it is, and tell the auditors."
        )
    say("The access log is whole.")
