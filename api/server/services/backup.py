"""A backup of a running server, and the way back, which verifies the access log.

A backup is a folder: ``backup.json`` (what it holds, with hashes), ``server.toml``, ``log.key``,
the database (``tongqiao.db`` or PostgreSQL's ``database.dump``) and ``encodings/``.  Database and
files are those of one moment: both are taken while no writer may begin.  The installation key is
not in it: who finds a backup can read no encoding, and compute no one-time code.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import tomli_w
from sqlalchemy import delete, select, text

from api.audit.append import LogHead, read_entries, read_head
from api.audit.errors import LogStoreError
from api.audit.events import Action
from api.audit.merkle import TILE_WIDTH, CompactRange, leaf_hash
from api.audit.stored_tiles import StoredTiles
from api.server.config import CONFIG_FILE, ConfigError, ServerConfig, load_config
from api.server.models import LOG_TABLES, LoginSession, PendingLogin, Upload, UploadPart
from api.server.services.database import Database
from api.server.services.encodings import EncodingStorage, StoredFile
from api.server.services.installation import Installation, format_time, open_installation
from api.server.services.schema import check_empty
from api.server.services.work import Caller

FORMAT: Final = "tongqiao-backup-v1"
MANIFEST: Final = "backup.json"
SQLITE_FILE: Final = "tongqiao.db"
DUMP_FILE: Final = "database.dump"
ENCODINGS: Final = "encodings"
_PAGE: Final = 5000
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds, or what was restored from it."""

    n_files: int
    n_bytes: int
    log_size: int


def make_backup(installation: Installation, caller: Caller, target: Path) -> Summary:
    """Write a backup of a server that may be running into a new folder.

    Raises:
        ConfigError: the folder exists, or PostgreSQL's programs are not installed.
        OSError: no room, or no permission; what was written is removed.
    """
    if target.exists():
        raise ConfigError("The backup's folder exists already. Name a new one.")
    # Before anything is copied: a backup that is cut off has read everything, too.
    with installation.work(caller) as work:
        work.record(Action.SERVER_BACKUP, details={"n_files": 0})
    config = installation.config
    # On the same file system, so that files can be linked at once and copied later.
    staging = config.directory / f".backup-{os.getpid()}"
    target.mkdir(mode=0o700, parents=True)
    try:
        staging.mkdir(mode=0o700)
        head, held, uploads = _take(installation, staging, target)
        for name in (CONFIG_FILE, config.log_key_file.name):
            shutil.copy2(config.directory / name, target / name)
        _copy_encodings(held, uploads, target / ENCODINGS)
        files = {
            str(path.relative_to(target)): _sha256(path)
            for path in sorted(target.rglob("*"))
            if path.is_file()
        }
        n_bytes = sum((target / name).stat().st_size for name in files)
        manifest = {
            "format": FORMAT,
            "made_at": format_time(installation.clock()),
            "version": version("tongqiao"),
            "log_origin": installation.log_key.origin,
            "log_size": head.size,
            "log_root": head.root.hex(),
            "files": files,
        }
        # Last: a folder without it is no backup.
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        with installation.work(caller) as work:
            work.record(
                Action.SERVER_BACKUP,
                details={"n_files": len(files), "n_bytes": n_bytes, "log": head.root.hex()},
            )
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Summary(len(files), n_bytes, head.size)


def restore_backup(
    source: Path,
    directory: Path,
    caller: Caller,
    *,
    data_key: Path,
    s3_credentials: Path | None = None,
    database: str | None = None,
    encodings: str | None = None,
) -> Summary:
    """Make a server's folder from a backup, and verify its access log.

    Sessions are over, and uploads that were on their way begin again.

    Args:
        source: a folder that :func:`make_backup` wrote.
        directory: the new server's folder; it must not exist.
        caller: who restores, for the log.
        data_key: the installation key, which is kept apart from backups.
        s3_credentials: of the object storage, where encodings are to be kept there.
        database: an empty PostgreSQL database, where the backup is of one.
        encodings: where they are to be kept (setting ``encodings``), if elsewhere than before.

    Raises:
        ConfigError: not a whole backup, or the folder, the database or the object storage is not
            empty.
        StorageAwayError: the object storage does not answer.
        LogStoreError: the log in it is not the one that was backed up.
        OSError: no room, or no permission; what was written is removed.
    """
    manifest = _load_manifest(source)
    if directory.exists():
        raise ConfigError("The server's folder exists already. Name a new one.")
    directory.mkdir(mode=0o700, parents=True)
    try:
        changes = {"database": database, "encodings": encodings}
        _restore_files(source, directory, manifest, data_key, changes)
        config = load_config(directory)
        if s3_credentials is not None:
            _copy_private(s3_credentials, config.directory / config.s3_credentials_path)
        if (source / DUMP_FILE).exists():
            _restore_dump(config, source / DUMP_FILE)
        installation = open_installation(config)
        try:
            _check_unused(installation)
            with _encodings_restored(installation, source, manifest):
                head = _verify(installation, manifest)
                _begin_anew(installation, caller, head)
        finally:
            installation.close()
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    files = manifest["files"]
    n_bytes = sum((source / name).stat().st_size for name in files)
    return Summary(len(files), n_bytes, head.size)


def verify_stored_log(installation: Installation) -> LogHead:
    """Hash every entry of the log anew and compare with its head.

    Raises:
        LogStoreError: an entry was changed, or is missing.
    """
    with installation.database.reading() as session:
        head = read_head(session, LOG_TABLES)
        column = LOG_TABLES.head.c.sealed_size
        at = session.execute(select(column)).scalar() or 0
        tree, tiles = CompactRange(), StoredTiles(session, LOG_TABLES)
        for number in range(at // TILE_WIDTH):
            for leaf in tiles.read_hashes(0, number, TILE_WIDTH):
                tree.append(leaf)
        while bodies := read_entries(session, LOG_TABLES, at, _PAGE):
            for body in bodies:
                tree.append(leaf_hash(body.encode()))
            at += len(bodies)
    if (at, tree.root()) != (head.size, head.root):
        raise LogStoreError(
            "The access log was changed, or entries are missing. Do not use this database; keep "
            "it as it is, and tell the auditors."
        )
    return head


def _take(
    installation: Installation, staging: Path, target: Path
) -> tuple[LogHead, EncodingStorage, list[StoredFile]]:
    """Database and files of one moment: the log's head then, and where to read which files."""
    config = installation.config
    with contextlib.ExitStack() as until_dumped:
        # A transaction of its own: `writing` may share one that is not committed yet.
        with installation.database.migrating() as writer:
            # Nobody writes now, so no file is put into place or deleted either.
            head = read_head(writer, LOG_TABLES)
            query = select(Upload.round_id, Upload.sha256)
            uploads = [(round_id, sha256) for round_id, sha256 in writer.execute(query)]
            held = installation.encodings.hold(uploads, staging / ENCODINGS)
            if config.database == "sqlite":
                _copy_sqlite(config.database_file, target / SQLITE_FILE)
            else:
                snapshot = until_dumped.enter_context(_exported_snapshot(installation.database))
        if config.database != "sqlite":
            _run(
                config, "pg_dump", "--format=custom", f"--snapshot={snapshot}", "--no-owner",
                f"--file={target / DUMP_FILE}",
            )  # fmt: skip
    return head, held, uploads


def _copy_sqlite(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as reader,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        reader.backup(copy)
    target.chmod(0o600)


@contextlib.contextmanager
def _exported_snapshot(database: Database) -> Iterator[str]:
    """A state of the PostgreSQL database that other programs may look at meanwhile."""
    with database.reading() as session:
        yield str(session.execute(text("SELECT pg_export_snapshot()")).scalar_one())


def _copy_encodings(held: EncodingStorage, uploads: list[StoredFile], target: Path) -> None:
    target.mkdir(mode=0o700)
    for round_id, sha256 in uploads:
        file = target / round_id / sha256
        file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            with held.open(round_id, sha256) as source, file.open("xb") as copy:
                while piece := source.read(_CHUNK_BYTES):
                    copy.write(piece)
        except FileNotFoundError as error:
            raise ConfigError(
                "While the backup was made an upload was withdrawn, or a round ended. Begin again."
            ) from error
        file.chmod(0o600)


def _load_manifest(source: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(
            "This folder is no whole backup: it has no readable backup.json."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ConfigError("This backup is of another version of tongqiao. Update the program.")
    for name, sha256 in manifest["files"].items():
        path = source / name
        if not path.resolve().is_relative_to(source.resolve()) or not path.is_file():
            raise ConfigError(f"The backup is not whole: it lacks {name}.")
        if _sha256(path) != sha256:
            raise ConfigError(f"The backup is damaged: {name} is not what was written.")
    return manifest


def _restore_files(
    source: Path,
    directory: Path,
    manifest: Mapping[str, Any],
    data_key: Path,
    changes: Mapping[str, str | None],
) -> None:
    for name in manifest["files"]:
        if name != DUMP_FILE and not name.startswith(f"{ENCODINGS}/"):
            target = directory / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(source / name, target)
    if any(value is not None for value in changes.values()):
        settings = _settings_with(directory / CONFIG_FILE, changes)
        (directory / CONFIG_FILE).write_text(settings, encoding="utf-8")
    _copy_private(data_key, load_config(directory).data_key_file)


def _copy_private(source: Path, target: Path) -> None:
    """Copy a secret to where the settings say; one that is there already stays."""
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, target)
        target.chmod(0o600)


def _settings_with(file: Path, changes: Mapping[str, str | None]) -> str:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return tomli_w.dumps(
        table | {name: value for name, value in changes.items() if value is not None}
    )


def _check_unused(installation: Installation) -> None:
    if next(installation.encodings.stored(), None) is not None:
        # Two servers on one prefix would sweep each other's objects away.
        raise ConfigError(
            "The object storage holds encodings there already, perhaps of a server that runs. Name "
            "another prefix with --encodings s3://BUCKET/PREFIX, or empty that one first."
        )


@contextlib.contextmanager
def _encodings_restored(
    installation: Installation, source: Path, manifest: Mapping[str, Any]
) -> Iterator[None]:
    """Encodings of a backup, in the storage; taken out again where the block fails."""
    storage = installation.encodings
    done: list[StoredFile] = []
    try:
        for name in sorted(manifest["files"]):
            folder, _, rest = name.partition("/")
            if folder != ENCODINGS:
                continue
            round_id, _, sha256 = rest.partition("/")
            draft = installation.incoming.new_path()
            try:
                shutil.copyfile(source / name, draft)
                draft.chmod(0o600)
                storage.bring(draft, round_id, sha256)
                done.append((round_id, sha256))
                storage.place(draft, round_id, sha256)
            finally:
                draft.unlink(missing_ok=True)
        yield
    except BaseException:
        for stored in done:
            with contextlib.suppress(OSError):
                storage.delete(*stored)
        raise


def _restore_dump(config: ServerConfig, dump: Path) -> None:
    if config.database == "sqlite":
        raise ConfigError(
            "This backup is of a PostgreSQL database. Name a new, empty one with --database."
        )
    fresh = Database(config.database_url, busy_timeout_s=config.busy_timeout_s, connections=1)
    try:
        check_empty(fresh)
    finally:
        fresh.close()
    _run(config, "pg_restore", "--exit-on-error", "--no-owner", "--single-transaction", str(dump))


def _verify(installation: Installation, manifest: Mapping[str, Any]) -> LogHead:
    head = verify_stored_log(installation)
    stated = (manifest["log_size"], manifest["log_root"], manifest["log_origin"])
    if (head.size, head.root.hex(), installation.log_key.origin) != stated:
        raise LogStoreError("The access log is not the one that the backup names. Do not use it.")
    with installation.database.reading() as session:
        for round_id, sha256 in session.execute(select(Upload.round_id, Upload.sha256)).all():
            if not installation.encodings.is_stored(round_id, sha256):
                raise ConfigError("The backup is not whole: an uploaded file is missing.")
    return head


def _begin_anew(installation: Installation, caller: Caller, head: LogHead) -> None:
    with installation.work(caller) as work:
        # Whoever was logged in then may have been disabled since.
        for table in (LoginSession, PendingLogin, UploadPart):
            work.session.execute(delete(table))
        work.record(Action.SERVER_RESTORE, details={"log": head.root.hex(), "n_entries": head.size})


def _run(config: ServerConfig, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; the password, if any, is not on its command line."""
    found = shutil.which(program) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))[-1:]),
        None,
    )
    if found is None:
        raise ConfigError(
            f"{program} is not installed. It comes with PostgreSQL's client programs."
        )
    url = config.database_url.set(drivername="postgresql")
    password = {} if url.password is None else {"PGPASSWORD": str(url.password)}
    address = url._replace(password=None).render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, arguments from the settings
        [found, f"--dbname={address}", *arguments],
        check=False,
        capture_output=True,
        env=dict(os.environ) | password,
    )
    if done.returncode != 0:
        raise ConfigError(
            f"{program} failed (code {done.returncode}). Run it by hand to see why; it must not be "
            "older than the database server's."
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
