"""The access log as auditors fetch it, and what a server says of itself."""

import base64
from importlib.metadata import version
from typing import Any

from sqlalchemy import text

from api.audit.append import log_size, read_entries
from api.audit.checkpoint import make_checkpoint
from api.audit.events import Action
from api.server.models import LOG_TABLES
from api.server.services.installation import Installation
from api.server.services.work import Caller


def read_checkpoint(installation: Installation, caller: Caller) -> str:
    """A signed checkpoint of the log as it is now, this very reading included."""
    with installation.work(caller) as work:
        work.record(Action.CHECKPOINT_READ)
        work.append_recorded()
        return make_checkpoint(work.session, LOG_TABLES, installation.log_key)


def read_log(installation: Installation, caller: Caller, start: int, limit: int) -> dict[str, Any]:
    """Entries from ``start`` on, as canonical JSON text, and how many there are in all."""
    with installation.work(caller) as work:
        entries = read_entries(work.session, LOG_TABLES, start, limit)
        work.record(Action.LOG_READ, details={"start": start, "n_entries": len(entries)})
        work.append_recorded()
        return {"entries": entries, "size": log_size(work.session, LOG_TABLES)}


def describe_server(installation: Installation) -> dict[str, Any]:
    """What anyone may know: name, version, and the key that signs checkpoints."""
    return {
        "name": installation.config.name,
        "version": version("tongqiao"),
        "log_origin": installation.log_key.origin,
        "log_key": base64.b64encode(installation.log_key.public_key).decode(),
    }


def check_health(installation: Installation) -> None:
    """Ask the database for something.  Raises: sqlalchemy.exc.OperationalError."""
    with installation.database.reading() as session:
        session.execute(text("SELECT 1"))
