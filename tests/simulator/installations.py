"""New servers, each a copy of one that was made once, so that every test has its own."""

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Flask

from api.server.app import bind_installation, make_unbound_app
from api.server.config import load_config
from api.server.services.installation import create_installation, open_installation
from tests import databases, postgresql
from tests.logged_writes import watch_writes
from tests.simulator.clock import SimulatedClock
from tests.simulator.server import SimulatedServer

_IDLE_APPS: list[Flask] = []


@contextlib.contextmanager
def simulated_server(
    folder: Path, *, settings: str = "", clock: SimulatedClock | None = None
) -> Iterator[SimulatedServer]:
    """A new server below ``folder``; ``settings`` are lines of its ``server.toml``."""
    directory = folder / "server"
    template = _new_installation(databases.kind())
    shutil.copytree(template.directory, directory)
    directory.chmod(0o700)
    if databases.kind() == "sqlite":
        settings += 'database = "sqlite"\n'
    else:
        settings += f'database = "{databases.new_address(template.database)}"\n'
    with (directory / "server.toml").open("a", encoding="utf-8") as file:
        file.write(settings)
    time = clock or SimulatedClock()
    installation = open_installation(load_config(directory), time)
    # Making all addresses takes a tenth of a second or two, and every test has a server of its own.
    app = _IDLE_APPS.pop() if _IDLE_APPS else make_unbound_app()
    watch_writes(installation.database.engine)
    try:
        bind_installation(app, installation)
        yield SimulatedServer(directory, time, installation, app.test_client())
    finally:
        installation.close()
        _IDLE_APPS.append(app)


@dataclass(frozen=True)
class _Template:
    directory: Path
    database: str | None


@cache
def _new_installation(kind: str) -> _Template:
    """A server's folder and database as `tongqiao server init` makes them, to copy."""
    folder = Path(tempfile.mkdtemp(prefix="tongqiao-simulated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = None if kind == "sqlite" else postgresql.new_database()
    address = "sqlite" if database is None else postgresql.url_of(database)
    create_installation(folder / "server", "Simulated", {"database": address}).close()
    settings = folder / "server" / "server.toml"
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("database")))
    return _Template(folder / "server", database)
