"""Witnesses of the access log: members who cosign its checkpoints."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.audit.cosignature import WitnessKey, witness_name
from api.audit.errors import NoteError
from api.audit.events import Action
from api.audit.witnessing import cosigned_notes, keep_cosignature, witnesses_over
from api.server.models import LOG_TABLES, Member, Project, Round
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.services.installation import Installation
from api.server.services.steps import terms_of
from api.server.services.work import Caller, Work


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


def check_witnessed(work: Work, entry: Round) -> None:
    """Whether as many members as the terms ask for have witnessed a round's matching.

    Terms of the first form say nothing of it: there the project's word holds, as when they were
    signed.
    Auditors count, whom the server's administrator adds, and the round's offices, whose names all
    of them signed: a single operator approves offices, and could make up as many as are asked for.
    They count if they cosigned a checkpoint over the entry that ended it: then nobody can show
    them a history without this matching any more.

    Raises:
        RefusalError: ``not-witnessed``.
    """
    wanted = terms_of(entry).min_witnesses
    if wanted is None:
        wanted = work.session.get_one(Project, entry.project_id).min_witnesses
    if not wanted:
        return
    entries = LOG_TABLES.entries
    matched = work.session.scalar(
        select(func.max(entries.c.entry_index)).where(
            entries.c.project == entry.project_id,
            entries.c.round == entry.id,
            entries.c.action == str(Action.JOB_FINISH),
        )
    )
    n_witnesses = 0
    if matched is not None:
        cosigned = select(Member).where(
            Member.id.in_(witnesses_over(work.session, LOG_TABLES, matched)),
            Member.state == "approved",
        )
        n_witnesses = sum(
            member.kind == Actor.AUDITOR or entry.has_office(member.id)
            for member in work.session.scalars(cosigned)
        )
    if n_witnesses < wanted:
        raise RefusalError(
            "not-witnessed",
            f"This round asks for {wanted} witnesses of the access log before a "
            f"release; {n_witnesses} have signed it since the matching. Ask auditors and the "
            "round's offices to run `tongqiao audit witness`, then release again.",
        )
