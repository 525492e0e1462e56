"""How far a matching is, for who started it and waits: without an entry for each look."""

from typing import Any

from api.audit.events import Action
from api.server.models import Round
from api.server.round_states import Actor, State
from api.server.services.installation import Installation
from api.server.services.round_outline import progress
from api.server.services.steps import visible_round
from api.server.services.work import Caller


def watch_matching(installation: Installation, caller: Caller, round_id: str) -> dict[str, Any]:
    """State and progress of a round, for who waits for its matching.

    Without an entry while it is matched and the caller started it: that left one, and reading the
    round leaves one.

    Raises:
        RefusalError: ``not-found``.
    """
    with installation.database.reading() as session:
        entry = session.get(Round, round_id)
        if entry is not None and _is_own_matching(entry, caller):
            caller.trace.is_own_progress = True
            return _how_far(entry)
    with installation.look(caller) as work:
        entry = visible_round(work, round_id)
        work.record(Action.ROUND_READ, project=entry.project_id, round_id=entry.id)
        return _how_far(entry)


def _how_far(entry: Round) -> dict[str, Any]:
    return {"state": str(entry.state), "progress": progress(entry, everything=True)}


def is_own_matching(installation: Installation, caller: Caller, round_id: str) -> bool:
    """Whether the round is being matched, and the caller started that; who asks has read it."""
    with installation.database.reading() as session:
        entry = session.get(Round, round_id)
        return entry is not None and _is_own_matching(entry, caller)


def _is_own_matching(entry: Round, caller: Caller) -> bool:
    return (
        entry.state == State.MATCHING
        and caller.actor is Actor.OPERATOR
        and entry.ran_by == caller.member
    )
