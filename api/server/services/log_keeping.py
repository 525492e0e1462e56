"""Keeping the access log: sealing what is old, static copies, and looking whether it is whole."""

import contextlib
import fcntl
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.audit.append import read_head
from api.audit.archive import SUFFIX
from api.audit.checkpoint import make_checkpoint
from api.audit.errors import AuditError
from api.audit.events import Action, Outcome
from api.audit.sealing import Sealed, remove_sealed, sealable, write_sealed
from api.audit.stored_check import OnProgress, check_database
from api.audit.stored_faults import StoredFault
from api.audit.stored_tiles import export_tiles
from api.server.models import LOG_TABLES, Round
from api.server.round_states import State
from api.server.services.installation import Installation
from api.server.services.witnessing import witness_keys
from api.server.services.work import Caller

_NAME: Final = re.compile(r"log-(?P<start>[0-9]{12})-[0-9]{12}" + re.escape(SUFFIX))
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exported:
    """A static copy of the log: entries in it, and tiles that were written now."""

    size: int
    n_written: int


def seal_log(installation: Installation, caller: Caller) -> Sealed | None:
    """Seal entries that are old enough into an archive; ``None`` if there are none.

    Old enough: older than the log's retention, and than any round that still holds data. The
    archive is on the disk and verified before an entry is taken out of the database; that
    happens in the transaction that logs the archive's hash.

    Raises:
        LogStoreError: the database's entries do not lead to its own tree; nothing was changed.
        OSError: the archive cannot be written, or somebody else seals just now.
    """
    folder = installation.config.log_archive_directory
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        with installation.database.reading() as session:
            span = sealable(session, LOG_TABLES, _old_enough(installation, session))
            if span is None:
                return None
            _remove_unfinished(folder, span[0])
            path = write_sealed(session, LOG_TABLES, installation.log_key, folder, *span)
        sealed = Sealed(path, *span, _sha256(path))
        with installation.work(caller) as work:
            remove_sealed(work.session, LOG_TABLES, sealed.start, sealed.stop)
            work.record(
                Action.LOG_SEAL,
                details={"start": sealed.start, "stop": sealed.stop, "sha256": sealed.sha256},
            )
    return sealed


def seal_all(installation: Installation, caller: Caller) -> int:
    """Seal everything that is old enough, as a job: what fails is logged and tried another time.

    Returns:
        Number of archives written.
    """
    n_archives = 0
    try:
        while seal_log(installation, caller) is not None:
            n_archives += 1
    except (OSError, AuditError) as error:
        is_store = isinstance(error, AuditError)
        with installation.work(caller) as work:
            work.record(
                Action.LOG_SEAL,
                outcome=Outcome.FAILED,
                reason="log-damaged" if is_store else "write-error",
                details={"n_archives": n_archives},
            )
    return n_archives


def _old_enough(installation: Installation, session: Session) -> datetime:
    """Entries before this may be sealed: none about data that is still kept.

    Terms may have been signed when data was allowed to be kept for longer than it is today.
    """
    before = installation.clock() - timedelta(days=installation.config.log_retention_days)
    ended = (State.EXPIRED, State.CANCELLED)
    kept_since = session.scalar(select(func.min(Round.created_at)).where(Round.state.not_in(ended)))
    return before if kept_since is None else min(before, kept_since)


def _remove_unfinished(folder: Path, sealed_size: int) -> None:
    """Archives of entries that are in the database: their sealing was cut off before its end."""
    for path in folder.glob(f"log-*{SUFFIX}"):
        match = _NAME.fullmatch(path.name)
        if match is not None and int(match["start"]) >= sealed_size:
            path.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One sealing at a time.  Raises: BlockingIOError: another one is at work."""
    with (folder / ".sealing").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


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
