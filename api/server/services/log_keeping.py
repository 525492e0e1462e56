"""Keeping the access log: sealing what is old, static copies, and looking whether it is whole."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.audit.append import read_head
from api.audit.checkpoint import make_checkpoint
from api.audit.events import Action
from api.audit.sealing import Sealed, remove_sealed, sealable, write_sealed
from api.audit.stored_check import OnProgress, check_database
from api.audit.stored_faults import StoredFault
from api.audit.stored_tiles import export_tiles
from api.server.models import LOG_TABLES
from api.server.services.installation import Installation
from api.server.services.witnessing import witness_keys
from api.server.services.work import Caller

ARCHIVES: Final = "log-archives"
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exported:
    """A static copy of the log: entries in it, and tiles that were written now."""

    size: int
    n_written: int


def seal_log(installation: Installation, caller: Caller) -> Sealed | None:
    """Seal entries older than the log's retention into an archive; ``None`` if there are none.

    The archive is on the disk and verified before an entry is taken out of the database; that
    happens in the transaction that logs the archive's hash.

    Raises:
        LogStoreError: the database's entries do not lead to its own tree; nothing was changed.
        OSError: the archive cannot be written.
    """
    before = installation.clock() - timedelta(days=installation.config.log_retention_days)
    folder = installation.config.directory / ARCHIVES
    folder.mkdir(mode=0o700, exist_ok=True)
    with installation.database.reading() as session:
        span = sealable(session, LOG_TABLES, before)
        if span is None:
            return None
        path = write_sealed(session, LOG_TABLES, installation.log_key, folder, *span)
    sealed = Sealed(path, *span, _sha256(path))
    with installation.work(caller) as work:
        remove_sealed(work.session, LOG_TABLES, sealed.start, sealed.stop)
        work.record(
            Action.LOG_SEAL,
            details={"start": sealed.start, "stop": sealed.stop, "sha256": sealed.sha256},
        )
    return sealed


def export_log(installation: Installation, caller: Caller, directory: Path) -> Exported:
    """Write the log as static files (C2SP tlog-tiles); files that are there already are kept.

    Raises:
        OSError: a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with installation.work(caller) as work:
        work.record(Action.LOG_EXPORT)
        work.append_recorded()
        note = make_checkpoint(work.session, LOG_TABLES, installation.log_key, work.now)
        size = read_head(work.session, LOG_TABLES).size
    with installation.database.reading() as session:
        sealed = session.scalar(select(LOG_TABLES.head.c.sealed_size)) or 0
        n_written = export_tiles(session, LOG_TABLES, size, sealed, directory)
    key = installation.log_key.verifier_key.to_text()
    (directory / "log.vkey").write_text(f"{key}\n", encoding="ascii")
    # Last, so that whoever reads it finds the tiles that it needs.
    draft = directory / ".checkpoint.new"
    draft.write_text(note, encoding="utf-8")
    draft.replace(directory / "checkpoint")
    return Exported(size, n_written)


def check_log(installation: Installation, caller: Caller) -> list[StoredFault]:
    """What is wrong with the log as it is stored; empty if nothing is."""
    with installation.work(caller) as work:
        work.record(Action.LOG_CHECK)
    with installation.database.reading() as session:
        return check_stored(installation, session)


def check_stored(
    installation: Installation, session: Session, on_progress: OnProgress | None = None
) -> list[StoredFault]:
    """The same within a transaction, without an entry."""
    return check_database(
        session,
        LOG_TABLES,
        installation.log_key.verifier_key,
        witness_keys(installation, session),
        on_progress,
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
