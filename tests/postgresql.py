"""A real PostgreSQL for the tests: one temporary cluster for the whole run, a database a test.

Started by the first test that asks for it, in whichever process that is, on a Unix socket in a
folder of its own; stopped and deleted as the run ends.  Where PostgreSQL's programs are not
installed, tests on it are skipped and say so.
"""

import contextlib
import fcntl
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

_FOLDER = "TONGQIAO_TEST_POSTGRESQL"
_FSYNC = "TONGQIAO_TEST_POSTGRESQL_FSYNC"
_START_TIMEOUT_S = 60
MISSING = "PostgreSQL is not installed on this machine (no initdb): NOT tested on it"


def find_programs() -> Path | None:
    """Folder of ``initdb`` and ``postgres``; Debian keeps it off the PATH."""
    found = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    for program in [*debian, *([Path(found)] if found else [])]:
        if (program.parent / "initdb").exists():
            return program.parent
    return None


def prepare_folder(*, durable: bool = False) -> None:
    """Name the folder of the run's cluster, for this process and those that it starts.

    Args:
        durable: whether commits wait for the disk, as a benchmark wants and tests do not.
    """
    os.environ[_FSYNC] = "on" if durable else "off"
    if _FOLDER not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="tongqiao-pg-"))
        folder.chmod(0o755)
        os.environ[_FOLDER] = str(folder)


def remove_folder() -> None:
    """Stop the run's cluster, if it was started, and delete everything."""
    folder = Path(os.environ.pop(_FOLDER))
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        process_id = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(process_id, signal.SIGQUIT)
        deadline = time.monotonic() + 10
        while (folder / "data" / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def cluster() -> str:
    """Folder of the socket of the run's cluster, which is started if it is not there yet."""
    programs = find_programs()
    assert programs is not None, MISSING
    folder = Path(os.environ[_FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _start(programs, folder)
            (folder / "ready").touch()
    return str(folder)


def _start(programs: Path, folder: Path) -> None:
    user = _account()
    data = folder / "data"
    data.mkdir(mode=0o700)
    if user is not None:
        for path in (folder, data):
            shutil.chown(path, user)
    subprocess.run(
        [
            programs / "initdb", "-D", data, "-U", "tongqiao", "--auth=trust", "--no-sync",
            "--encoding=UTF8", "--locale=C",
        ],
        check=True, capture_output=True, user=user, cwd=folder, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    _run_pg_ctl(programs, folder, user)


def _run_pg_ctl(programs: Path, folder: Path, user: str | None) -> None:
    data, log = folder / "data", folder / "log"
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": os.environ.get(_FSYNC, "off"),
        "max_connections": "300",
        "shared_buffers": "64MB",
        "autovacuum": "off",
    }
    options = " ".join(f"-c {name}={value!r}" for name, value in settings.items())
    subprocess.run(
        [
            programs / "pg_ctl", "start", "-D", data, "-l", log, "-o", options, "--wait",
            "--silent", "--timeout", str(_START_TIMEOUT_S),
        ],
        check=True, capture_output=False, user=user, cwd=folder, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def stop() -> None:
    """Stop the run's cluster at once, as a crash would; for who has a cluster of its own."""
    folder = Path(cluster())
    pid_file = folder / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGQUIT)
    while pid_file.exists():
        time.sleep(0.02)


def start() -> None:
    """Start the cluster that was stopped; it recovers by itself."""
    programs = find_programs()
    assert programs is not None, MISSING
    _run_pg_ctl(programs, Path(cluster()), _account())


def _account() -> str | None:
    """Whom PostgreSQL runs as: it refuses to run as root."""
    account = next((name for name in ("postgres", "nobody") if _exists(name)), None)
    return account if os.geteuid() == 0 else None


def _exists(account: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(account))
    return False


def _connected(folder: str) -> psycopg.Connection:
    return psycopg.connect(f"host={folder} user=tongqiao dbname=postgres", autocommit=True)


def _run_sql(folder: str, statement: str) -> None:
    with _connected(folder) as connection:
        connection.execute(statement.encode())


def url_of(database: str) -> str:
    """The address of a database of the cluster, as ``server.toml`` has it."""
    return f"postgresql://tongqiao@/{database}?host={cluster()}"


def new_database(template: str | None = None, name: str | None = None) -> str:
    """Make a database, empty or a copy of another that nobody is connected to; returns its name."""
    name = name or f"t{secrets.token_hex(6)}"
    _run_sql(cluster(), f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
    return name


def drop_database(name: str) -> None:
    """Delete a database, with whoever is connected to it."""
    _run_sql(cluster(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def stored_files(name: str) -> list[Path]:
    """Every file of a database's tables and indexes, as they are after a checkpoint."""
    _run_sql(cluster(), "CHECKPOINT")
    with _connected(cluster()) as connection:
        (row,) = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,))
    return [
        path
        for path in (Path(cluster()) / "data" / "base" / str(row[0])).iterdir()
        if path.is_file()
    ]


def go_away(name: str) -> None:
    """Close every connection to a database and take no new one, as if it were gone."""
    _run_sql(cluster(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _run_sql(
        cluster(),
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608
    )


def come_back(name: str) -> None:
    """Let a database be reached again."""
    _run_sql(cluster(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextlib.contextmanager
def temporary_database() -> Iterator[str]:
    """The address of an empty database that is gone at the end."""
    name = new_database()
    try:
        yield url_of(name)
    finally:
        drop_database(name)
