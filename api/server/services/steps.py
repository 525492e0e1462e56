"""A round's step from state to state, with its history and its entry in the log."""

import json
from collections.abc import Mapping
from datetime import timedelta

from api.audit.events import Action
from api.server.models import Round, StateChange
from api.server.refusals import RefusalError
from api.server.round_states import GOING_ON, Actor, State, Step, next_state
from api.server.schemas.terms import Terms
from api.server.services.work import Details, Work
from keys.cipher_suites import CIPHER_SUITES, CipherSuite

STEP_ACTIONS: Mapping[Step, Action] = {
    Step.OPEN: Action.ROUND_OPEN,
    Step.FREEZE: Action.ROUND_FREEZE,
    Step.RUN: Action.ROUND_RUN,
    Step.FINISH: Action.ROUND_REVIEW,
    Step.FAIL: Action.JOB_FAIL,
    Step.RELEASE: Action.ROUND_RELEASE,
    Step.CANCEL: Action.ROUND_CANCEL,
    Step.LAPSE: Action.ROUND_CANCEL,
    Step.EXPIRE: Action.ROUND_EXPIRE,
    Step.EXPIRE_EARLY: Action.ROUND_EXPIRE,
    Step.RETURN: Action.ROUND_UNDO,
}
"""How the log calls each step."""


def take_step(
    work: Work,
    entry: Round,
    step: Step,
    *,
    asked_by: str | None = None,
    details: Details | None = None,
) -> None:
    """Change a round's state, if the caller may; written in its history and in the log.

    Args:
        work, entry, step: what is to be done, by whom, with which round.
        asked_by: the operator who asked for the same before.
        details: for the log, beside states and number of files.

    Raises:
        RefusalError: ``forbidden``, ``wrong-state`` or ``second-person``.
    """
    caller = work.caller
    if caller.actor is None:
        raise RefusalError("forbidden", "Rounds are run by operators and the worker.")
    before = State(entry.state)
    after = next_state(
        step,
        before,
        caller.actor,
        person=caller.member,
        ran_by=entry.ran_by,
        asked_by=asked_by,
        n_uploads=len(entry.uploads),
    )
    if step in GOING_ON:
        check_kept(work, entry)
    entry.state = after
    if after in (State.OPEN, State.RELEASED):
        entry.retained_until = work.now + timedelta(days=terms_of(entry).retention_days)
    work.session.add(StateChange(round_id=entry.id, state=after, at=work.now, by=caller.signs_as))
    failed = step is Step.FAIL
    if not failed:
        work.record(
            STEP_ACTIONS[step],
            project=entry.project_id,
            round_id=entry.id,
            details={
                "from_state": str(before),
                "to_state": str(after),
                "n_uploads": len(entry.uploads),
                **(details or {}),
            },
        )


def visible_round(work: Work, round_id: str) -> Round:
    """A round that the caller may know of.  Raises: RefusalError: ``not-found``."""
    entry = work.session.get(Round, round_id)
    caller = work.caller
    if entry is None or (caller.actor is Actor.OFFICE and not entry.has_office(caller.person)):
        raise RefusalError(
            "not-found",
            f"There is no round '{round_id}' that you take part in. Check the id with "
            "`tongqiao office status` or `tongqiao round status`.",
        )
    return entry


def check_kept(work: Work, entry: Round) -> None:
    """Whether the time is not over for which the terms let a round's data be kept.

    The worker deletes it then, as soon as it can; until it has, nobody gets or adds anything.

    Raises:
        RefusalError: ``wrong-state``.
    """
    if entry.retained_until is not None and entry.retained_until <= work.now:
        raise RefusalError(
            "wrong-state",
            "The time is over for which the terms let this round's data be kept. It will be "
            "deleted, and a new round is needed.",
        )


def check_taking_part(entry: Round, office: str) -> None:
    """Whether an office of the round is still in it.  Raises: RefusalError: ``forbidden``."""
    if entry.has_left(office):
        raise RefusalError(
            "forbidden",
            "Your office is out of this round. If that should be otherwise, ask the linkage "
            "operator.",
        )


def terms_of(entry: Round) -> Terms:
    """The terms of a round; they were checked when it was created."""
    return Terms(json.loads(entry.terms))


def suite_of(entry: Round) -> CipherSuite:
    """The cipher suite that the terms name."""
    return CIPHER_SUITES[terms_of(entry).cipher_suite]
