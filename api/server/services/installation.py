"""One server's folder: made once, then opened: settings, database, encodings, keys."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from sqlalchemy import select

from api.audit.checkpoint import LogKey, load_log_key, new_log_key, save_log_key
from api.audit.events import Action
from api.server.config import CONFIG_FILE, ConfigError, ServerConfig, load_config, parse_config
from api.server.models import RoundKey
from api.server.services.chunks import ChunkFolders
from api.server.services.database import Database
from api.server.services.encodings import EncodingStorage, FileStorage, IncomingFolder
from api.server.services.inspection import Inspection
from api.server.services.schema import check_empty, check_schema, migrate
from api.server.services.transfers import Transfers
from api.server.services.work import Caller, Work, begin_look, begin_work, own_caller
from api.server.services.workspace import Workspace
from keys.installation_key import (
    InstallationKey,
    load_installation_key,
    new_installation_key,
    save_installation_key,
)

if TYPE_CHECKING:
    from api.server.services.openid_provider import OpenIdProvider

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that services work on.  Tests give another clock.

    Attributes:
        provider: where people may log in, if the settings name one.
    """

    config: ServerConfig
    database: Database
    encodings: EncodingStorage
    incoming: IncomingFolder
    workspace: Workspace
    chunks: ChunkFolders
    inspection: Inspection
    transfers: Transfers
    log_key: LogKey
    data_key: InstallationKey
    clock: Clock = utc_now
    provider: "OpenIdProvider | None" = None

    @contextlib.contextmanager
    def work(self, caller: Caller) -> Iterator[Work]:
        """A transaction with an entry in the access log; see :func:`begin_work`."""
        with begin_work(self.database, self.clock, caller) as work:
            yield work

    @contextlib.contextmanager
    def look(self, caller: Caller) -> Iterator[Work]:
        """Reading with an entry in the access log; see :func:`begin_look`."""
        with begin_look(self.database, self.clock, caller) as work:
            yield work

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def create_installation(
    directory: Path, name: str, settings: Mapping[str, Any] | None = None
) -> Installation:
    """Make a server's folder, which is new or empty: settings, keys, database.

    Args:
        directory: the folder.
        name: what the server calls itself.
        settings: other settings that differ from their defaults, for ``server.toml``.

    Raises:
        ConfigError: the folder is not empty, the PostgreSQL database holds a server already, or a
            setting is not acceptable.
        sqlalchemy.exc.DBAPIError: the PostgreSQL database does not answer.
        OSError: the folder cannot be written.
    """
    text = tomli_w.dumps({"name": name, **(settings or {})})
    data_key_file = parse_config(text, directory).data_key_file
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(
            "The folder is not empty. Name a new one; a server that is there already is started "
            "with `tongqiao server run DIR`."
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    installation: Installation | None = None
    try:
        save_log_key(new_log_key(f"tongqiao/{secrets.token_hex(8)}"), directory / "log.key")
        save_installation_key(new_installation_key(), data_key_file)
        head = "# Settings of this server. All of them: `tongqiao server config DIR`.\n"
        (directory / CONFIG_FILE).write_text(head + text, encoding="utf-8")
        (directory / CONFIG_FILE).chmod(0o600)
        installation = _assemble(load_config(directory), utc_now)
        check_empty(installation.database)
        installation.encodings.create()
        installation.incoming.create()
        revision = migrate(installation.database)[1]
        with installation.work(own_caller("administrator")) as work:
            work.record(Action.SERVER_INIT, details={"schema": revision})
    except BaseException:
        # Half a server would stop the next attempt; the folder was empty before.
        if installation is not None:
            installation.close()
        for entry in directory.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        raise
    return installation


def open_installation(config: ServerConfig, clock: Clock = utc_now) -> Installation:
    """Open a server's folder whose database fits this program.

    Raises:
        ConfigError: the database is of another version.
        keys.errors.KeysError, api.audit.errors.AuditError: the log's key cannot be used.
        OSError: something cannot be read.
    """
    installation = _assemble(config, clock)
    try:
        check_schema(installation.database)
        installation.encodings.create()
        installation.incoming.create()
    except BaseException:
        installation.close()
        raise
    return installation


def migrate_installation(directory: Path) -> tuple[str | None, str | None]:
    """Bring a server's database up to date; returns the revisions before and now.

    A server from before encodings were encrypted gets its installation key here.

    Raises:
        ConfigError: it is no server's folder.
        KeyFileError: the installation key is gone, though keys are wrapped by it.
    """
    config = load_config(directory)
    database = _open_database(config)
    before, now = migrate(database)
    if not config.data_key_file.exists() and not has_wrapped_keys(database):
        save_installation_key(new_installation_key(), config.data_key_file)
    database.close()
    installation = _assemble(config, utc_now)
    if before != now:
        with installation.work(own_caller("administrator")) as work:
            work.record(Action.DATABASE_MIGRATE, details={"from": before, "to": now})
    installation.close()
    return before, now


def has_wrapped_keys(database: Database) -> bool:
    """Whether any round has a data key, which only the installation key at hand then opens."""
    with database.reading() as session:
        return session.scalar(select(RoundKey.round_id).limit(1)) is not None


def _assemble(config: ServerConfig, clock: Clock) -> Installation:
    return Installation(
        config=config,
        database=_open_database(config),
        encodings=_open_storage(config),
        incoming=IncomingFolder(config.incoming_directory),
        workspace=Workspace(config.work_directory),
        chunks=ChunkFolders(config.chunks_directory),
        inspection=Inspection(config.max_inspections, nice=config.worker_nice),
        transfers=Transfers(config.threads // 2, at_work=max(1, len(os.sched_getaffinity(0)) // 2)),
        log_key=load_log_key(config.log_key_file),
        data_key=_load_data_key(config),
        clock=clock,
        provider=_open_provider(config),
    )


def _open_database(config: ServerConfig) -> Database:
    try:
        return Database(
            config.database_url,
            busy_timeout_s=config.busy_timeout_s,
            connections=config.threads + 4,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            "PostgreSQL needs its driver: install `tongqiao[postgresql]`, or set database to "
            "sqlite in server.toml."
        ) from error


def _open_storage(config: ServerConfig) -> EncodingStorage:
    if config.encodings == "files":
        return FileStorage(config.encodings_directory)
    try:
        from api.server.services.object_storage import open_object_storage
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Object storage needs its library: install `tongqiao[object-storage]`, or set "
            "encodings to files in server.toml."
        ) from error
    return open_object_storage(config)


def _open_provider(config: ServerConfig) -> "OpenIdProvider | None":
    if not config.oidc_issuer:
        return None
    try:
        from api.server.services.openid_provider import OpenIdProvider
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Logging in at an OpenID provider needs Authlib: install `tongqiao[oidc]`, or leave "
            "oidc_issuer out of server.toml."
        ) from error
    return OpenIdProvider(config)


def _load_data_key(config: ServerConfig) -> InstallationKey:
    try:
        return load_installation_key(config.data_key_file)
    except FileNotFoundError as error:
        raise ConfigError(
            "The installation key (setting data_key_path) is not there. After an update of the "
            "program, run `tongqiao server migrate DIR`; else restore the file from a backup: "
            "without it, no stored encoding can be read."
        ) from error
