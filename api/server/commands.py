"""``tongqiao server`` and ``tongqiao worker``: for who runs the machine."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import failing, remark, say, show_table
from api.engine_options import EngineChoice, engine_options

if TYPE_CHECKING:
    from api.server.services.installation import Installation
    from keys.identity import PublicIdentity

directory_argument = click.argument(
    "directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False)
)
"""Adds the server's folder, given as ``directory``."""

PUBLIC_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""A file that holds no secret."""


@click.group(name="server")
def server_group() -> None:
    """Set up and run a linkage server.

    Everything that the server stores is below one folder, DIR, open to its own account only.

    Example:

        tongqiao server init /srv/tongqiao --operator chen.public.json --auditor he.public.json

        tongqiao server run /srv/tongqiao
    """
    _take_private_files()


@server_group.command(name="init")
@directory_argument
@click.option("--name", default="Tongqiao", show_default=True, help="What the server is called.")
@click.option(
    "--database",
    metavar="URL",
    default="sqlite",
    show_default=True,
    help="Where the tables are: sqlite, or an empty PostgreSQL database, as "
    "postgresql://USER@HOST/NAME.",
)
@click.option(
    "--operator",
    "operators",
    metavar="PUB.json",
    multiple=True,
    type=PUBLIC_FILE,
    help="Public identity of a linkage operator; may be given several times.",
)
@click.option(
    "--auditor",
    "auditors",
    metavar="PUB.json",
    multiple=True,
    type=PUBLIC_FILE,
    help="Public identity of an auditor; may be given several times.",
)
def init_command(
    directory: Path,
    name: str,
    database: str,
    operators: tuple[Path, ...],
    auditors: tuple[Path, ...],
) -> None:
    """Make a server's folder: settings, keys of the access log, database.

    Compare fingerprints with the operators and auditors before you name their files here: whoever
    holds these keys acts as them.

    Example:

        tongqiao server init /srv/tongqiao --operator chen.public.json --operator luo.public.json \\
            --auditor he.public.json
    """
    from api.server.services.installation import create_installation
    from keys.storage import load_public_identity

    with failing_server("make the server's folder"):
        people = [(load_public_identity(path), "operator") for path in operators]
        people += [(load_public_identity(path), "auditor") for path in auditors]
        for identity, kind in people:
            if identity.kind != kind:
                raise click.UsageError(
                    f"'{identity.holder}' is the identity of an {identity.kind}, not of an {kind}."
                )
        installation = create_installation(directory, name, {"database": database})
        for identity, _ in people:
            add_identity(installation, identity)
        key = installation.log_key.verifier_key
        installation.close()
    say("The server is set up.")
    say(f"Key of its access log: {key.to_text()}")
    remark("Give that key to the auditors. Next: tongqiao server run, tongqiao worker run.")


@server_group.command(name="migrate")
@directory_argument
def migrate_command(directory: Path) -> None:
    """Bring the database up to date after an update of the program.

    Stop the server and make a copy of its folder first.

    Example:

        tongqiao server migrate /srv/tongqiao
    """
    from api.server.services.installation import migrate_installation
    from api.server.services.upgrade import encrypt_stored
    from api.server.services.work import own_caller

    with failing_server("change the database"):
        before, now = migrate_installation(directory)
        with opened_server(directory) as installation:
            n_files = encrypt_stored(installation, own_caller("administrator"))
    if n_files:
        say(f"Encodings that were stored in the clear are encrypted now: {n_files}.")
    say("The database is up to date." if before == now else f"Database: {before} -> {now}")


@server_group.command(name="backup")
@directory_argument
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
def backup_command(directory: Path, target: Path) -> None:
    """Write a backup into the new folder TARGET; the server may go on running.

    The installation key (data.key) is not in it. Keep a copy of that key elsewhere: without it the
    encodings in the backup cannot be read, by nobody.

    Example:

        tongqiao server backup /srv/tongqiao /backup/tongqiao-2026-11-26
    """
    from api.server.services.backup import make_backup
    from api.server.services.work import own_caller

    with failing_server("write the backup"), opened_server(directory) as installation:
        made = make_backup(installation, own_caller("administrator"), target)
        key = installation.config.data_key_file
    say(
        f"Backed up {made.n_files} files, {made.n_bytes} bytes, {made.log_size} entries of the log."
    )
    remark(f"Not in it: the installation key, {key.name}. Keep a copy of it in another place.")
    remark("Delete backups no later than their rounds' retention ends: see docs/operations.md.")


@server_group.command(name="restore")
@click.argument("backup", metavar="BACKUP", type=click.Path(path_type=Path, exists=True))
@directory_argument
@click.option(
    "--data-key",
    required=True,
    metavar="FILE",
    type=PUBLIC_FILE,
    help="The installation key, kept apart from the backup.",
)
@click.option("--database", metavar="URL", help="A new, empty PostgreSQL database, if it was one.")
@click.option(
    "--encodings",
    metavar="WHERE",
    help="Keep encodings elsewhere than before: files, or a new s3://BUCKET/PREFIX.",
)
@click.option(
    "--s3-credentials",
    metavar="FILE",
    type=PUBLIC_FILE,
    help="Credentials of the object storage (s3.toml), which no backup holds.",
)
def restore_command(
    backup: Path,
    directory: Path,
    data_key: Path,
    database: str | None,
    encodings: str | None,
    s3_credentials: Path | None,
) -> None:
    """Make the new server's folder DIR from a backup, and verify its access log.

    Everybody has to log in again, and uploads that were on their way begin again. Encodings go to
    where the settings in the backup say, or to --encodings; object storage must hold none there.

    Example:

        tongqiao server restore /backup/tongqiao-2026-11-26 /srv/tongqiao --data-key data.key
    """
    from api.server.services.backup import restore_backup
    from api.server.services.work import own_caller

    with failing_server("restore the backup"):
        done = restore_backup(
            backup,
            directory,
            own_caller("administrator"),
            data_key=data_key,
            s3_credentials=s3_credentials,
            database=database,
            encodings=encodings,
        )
    say(
        f"Restored {done.n_files} files. The access log is whole: {done.log_size} entries verified."
    )
    remark("Compare with the auditors' latest checkpoint (tongqiao audit verify) before you start.")
    remark(
        "What was done after the backup is undone: revoke those keys, disable those people and "
        "take those offices out again before anybody can reach the server (docs/operations.md)."
    )


@server_group.command(name="config")
@directory_argument
def config_command(directory: Path) -> None:
    """Show every setting: what it is now, its default, its unit and what it means.

    Settings are changed in server.toml in the server's folder; the server reads it as it starts.

    Example:

        tongqiao server config /srv/tongqiao
    """
    from api.server.config import describe_settings, load_config

    with failing_server("read the settings"):
        settings = list(describe_settings(load_config(directory)))
    show_table(
        ["setting", "value", "default", "unit", "what it means"],
        [[s.name, _shown(s.value), _shown(s.default), s.unit, s.help] for s in settings],
    )


@server_group.command(name="run")
@directory_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8470,
    show_default=True,
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--port-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write the port to, once the server listens.",
)
@click.option("--tls-cert", metavar="PEM", type=PUBLIC_FILE, help="Certificate (with its chain).")
@click.option("--tls-key", metavar="PEM", type=PUBLIC_FILE, help="Private key of it.")
@click.option(
    "--behind-proxy",
    is_flag=True,
    help="A reverse proxy with TLS stands before the server and passes Host on unchanged.",
)
def run_command(
    directory: Path,
    host: str,
    port: int,
    port_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    behind_proxy: bool,
) -> None:
    """Serve requests until told to stop (Ctrl-C or SIGTERM).

    Beyond this machine the server speaks TLS only. Its own log goes to stderr as JSON lines.

    Example:

        tongqiao server run /srv/tongqiao --host 0.0.0.0 --port 443 --tls-cert c.pem --tls-key k.pem
    """
    from api.server.config import load_config
    from api.server.serving import Listening, serve

    listening = Listening(host, port, port_file, tls_cert, tls_key, behind_proxy)
    with failing_server("start the server"):
        serve(load_config(directory), listening)


@click.group(name="worker")
def worker_group() -> None:
    """Run the matching worker of a server.

    Example:

        tongqiao worker run /srv/tongqiao
    """
    _take_private_files()


@worker_group.command(name="run")
@directory_argument
@click.option("--once", is_flag=True, help="Do what waits to be done, then stop.")
@engine_options
def worker_run_command(directory: Path, once: bool, engine: EngineChoice) -> None:
    """Match rounds that wait, and delete what may not be kept any longer.

    Runs on the server's machine, beside `server run`; several workers may run. One that dies loses
    its round to another after a while, which goes on from the parts that are finished, with the
    same links in the end. With --engine dask, other machines do the comparing.

    Example:

        tongqiao worker run /srv/tongqiao
        tongqiao worker run /srv/tongqiao --engine dask --scheduler tls://10.0.0.5:8786 \\
            --tls-ca ca.pem --tls-cert linkage.pem --tls-key linkage.key
    """
    from api.server.config import load_config
    from api.server.logs import start_logging
    from api.server.priority import UrgentThreads, step_back
    from api.server.worker import Worker

    start_logging()
    with failing_server("open the server's folder"):
        urgent = UrgentThreads()
        # Before any other thread or process is started, which all inherit it.
        step_back(load_config(directory).worker_nice)
    with (
        failing_server("open the server's folder"),
        engine.opened() as opened,
        opened_server(directory) as installation,
    ):
        worker = Worker(installation, opened, engine.kernel, urgent=urgent)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        worker.run(once=once)


def add_identity(installation: "Installation", identity: "PublicIdentity") -> None:
    """Add a member by its public identity, and say so."""
    from api.server.services.members import add_member
    from api.server.services.work import own_caller

    member = add_member(installation, own_caller("administrator"), identity)
    say(f"Added the {member['kind']} {member['id']}, fingerprint {member['fingerprint']}")


@contextlib.contextmanager
def opened_server(directory: Path) -> "Iterator[Installation]":
    """A server's folder, open for the block.  Raises: ConfigError, AuditError, OSError."""
    from api.server.config import load_config
    from api.server.services.installation import open_installation

    installation = open_installation(load_config(directory))
    try:
        yield installation
    finally:
        installation.close()


@contextlib.contextmanager
def failing_server(doing: str) -> Iterator[None]:
    """As ``failing``; a server's own errors are told as they are.  Raises: click.ClickException."""
    from sqlalchemy.exc import DBAPIError

    from api.audit.errors import AuditError
    from api.server.config import ConfigError
    from api.server.refusals import RefusalError
    from api.server.services.database import is_busy

    with failing(doing):
        try:
            yield
        except DBAPIError as error:
            if not is_busy(error):
                raise
            # Not the driver's own words: they can hold the address with its password.
            raise click.ClickException(
                "The server's database does not answer, or has no room. Look whether it runs and "
                "whether `database` in server.toml names it (`tongqiao server config DIR`)."
            ) from error
        except (ConfigError, AuditError) as error:
            raise click.ClickException(str(error)) from error
        except RefusalError as refusal:
            raise click.ClickException(refusal.detail) from refusal


def _take_private_files() -> None:
    """Whatever these processes write is for their own account only."""
    os.umask(0o077)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "any"
    return str(value) or "none"
