"""Witnesses of the access log: members who cosign its checkpoints."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.audit.cosignature import WitnessKey, witness_name
from api.audit.errors import NoteError
from api.audit.events import Action
from api.audit.witnessing import cosigned_notes, keep_cosignature
from api.server.models import LOG_TABLES, Member
from api.server.refusals import RefusalError
from api.server.services.installation import Installation
from api.server.services.work import Caller


def cosign(
    installation: Installation, caller: Caller, size: int, line: str
) -> tuple[dict[str, Any], bool]:
    """Keep the caller's cosignature of one of the log's checkpoints.

    Returns:
        What was kept, and whether it is new.

    Raises:
        RefusalError: ``invalid``: no such checkpoint, or the line is not the caller's over it.
    """
    with installation.work(caller) as work:
        member = work.session.get_one(Member, caller.person)
        key = WitnessKey(witness_name(installation.log_key.origin, member.id), member.signing_key)
        try:
            is_new = keep_cosignature(work.session, LOG_TABLES, size, member.id, key, line)
        except NoteError as error:
            raise RefusalError(
                "invalid",
                f"The cosignature was not kept: {error}. Run `tongqiao audit witness` again.",
                errors={"line": ["not this witness's over that checkpoint"]},
            ) from error
        work.record(Action.CHECKPOINT_COSIGN, details={"size": size, "created": int(is_new)})
        return {"size": size, "witness": key.name}, is_new


def read_cosigned(installation: Installation, caller: Caller, after: int) -> dict[str, Any]:
    """Cosigned checkpoints over more than ``after`` entries, in order; some hundred at most."""
    with installation.work(caller) as work:
        notes = cosigned_notes(work.session, LOG_TABLES, after)
        work.record(Action.CHECKPOINT_READ, details={"after": after, "n_cosigned": len(notes)})
        return {"checkpoints": notes}


def witness_keys(installation: Installation, session: Session) -> dict[str, WitnessKey]:
    """Member -> the key that it cosigns with."""
    origin = installation.log_key.origin
    return {
        member.id: WitnessKey(witness_name(origin, member.id), member.signing_key)
        for member in session.scalars(select(Member))
    }
