"""Operators take an office out of a round, or end a released round before its time.

Both only take away: nobody gets to see more by it than the terms say.  What two people gave to the
offices, two people take away: the first one's request waits, and is carried out when another
operator asks for the same.
"""

import contextlib
from datetime import timedelta
from typing import Any, Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Member, PendingRequest, Person, Round, Withdrawal
from api.server.refusals import RefusalError, naming
from api.server.round_states import MIN_UPLOADS, Actor, Deed, State, Step, check_deed, needs_two
from api.server.services.deliveries import take_out
from api.server.services.installation import Installation
from api.server.services.retention import (
    Leftovers,
    delete_leftovers,
    forget_data,
    forget_result,
)
from api.server.services.round_outline import outline
from api.server.services.steps import take_step, visible_round
from api.server.services.work import Caller, Work

What = Literal["exclude", "expire"]
"""What may have to wait for a second operator."""

REQUEST_DAYS: Final = 7
"""So long it waits."""

_WHOLE_ROUND: Final = ""


def exclude_office(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> tuple[dict[str, Any], bool]:
    """Take an office out of a round; doing so again changes nothing.

    Before the freeze its upload goes, and it can send nothing more. The result of a matching that
    its records took part in is dropped, and the round is frozen again. After the release its links
    are retracted, as if it had withdrawn; two operators must ask for that.

    Returns:
        The round, and whether it is done; else another operator has to ask for the same.

    Raises:
        RefusalError: ``not-found``, ``wrong-state``, or ``invalid`` for an office that has no
            records in the round.
    """
    leftovers = Leftovers()
    with naming(Action.ROUND_EXCLUDE), installation.work(caller) as work:
        entry = visible_round(work, round_id)
        _check_excludable(entry, office)
        is_done = entry.has_left(office)
        asked_by = None
        if not is_done and needs_two(Deed.EXCLUDE, State(entry.state)):
            asked_by = _join(work, entry, "exclude", office)
            if asked_by is None:
                return _shown(work, entry), False
        if is_done:
            _record_exclusion(work, entry, {"office": office, "n_links": 0})
        else:
            check_deed(
                *(Deed.EXCLUDE, State(entry.state), Actor.OPERATOR),
                person=caller.person,
                asked_by=asked_by,
            )
            leftovers = _exclude(work, entry, office, asked_by)
        status = _shown(work, entry)
    delete_leftovers(installation, leftovers)
    return status, True


def expire_early(
    installation: Installation, caller: Caller, round_id: str
) -> tuple[dict[str, Any], bool]:
    """End a released round before its retention is over, and delete all of its data.

    Returns:
        The round, and whether it is done; else another operator has to ask for the same.

    Raises:
        RefusalError: ``not-found`` or ``wrong-state``.
    """
    with naming(Action.ROUND_EXPIRE), installation.work(caller) as work:
        entry = visible_round(work, round_id)
        asked_by = None
        if needs_two(Step.EXPIRE_EARLY, State(entry.state)):
            asked_by = _join(work, entry, "expire", _WHOLE_ROUND)
            if asked_by is None:
                return _shown(work, entry), False
        take_step(work, entry, Step.EXPIRE_EARLY, asked_by=asked_by, details={"asked_by": asked_by})
        leftovers = forget_data(work, entry)
        status = _shown(work, entry)
    delete_leftovers(installation, leftovers)
    return status, True


def recall_exclusion(
    installation: Installation, caller: Caller, round_id: str, office: str
) -> dict[str, Any]:
    """Take back a request to take an office out, before a second operator has joined in.

    Raises:
        RefusalError: ``not-found``.
    """
    return _recall(installation, caller, round_id, "exclude", office)


def recall_expiry(installation: Installation, caller: Caller, round_id: str) -> dict[str, Any]:
    """Take back a request to end a round early; as :func:`recall_exclusion`."""
    return _recall(installation, caller, round_id, "expire", _WHOLE_ROUND)


def lapse_requests(installation: Installation, caller: Caller) -> int:
    """Delete requests that nobody joined in time; returns how many."""
    overdue = select(PendingRequest).where(PendingRequest.until <= installation.clock())
    with installation.database.reading() as session:
        keys = [(row.round_id, row.what, row.office_id) for row in session.scalars(overdue)]
    n_lapsed = 0
    for key in keys:
        with contextlib.suppress(_GoneError), installation.work(caller) as work:
            request = work.session.get(PendingRequest, key)
            if request is None or request.until > work.now:
                raise _GoneError
            _record_recall(work, work.session.get_one(Round, request.round_id), request)
            work.session.delete(request)
            n_lapsed += 1
    return n_lapsed


class _GoneError(Exception):
    """Somebody was quicker: nothing is to be done any more."""


def _check_excludable(entry: Round, office: str) -> None:
    if entry.has_records_of(office):
        return
    if office == entry.coordinating_office:
        raise RefusalError(
            "invalid",
            "The coordinating office has no records in this round, and confirms its key. Cancel "
            "the round instead.",
            errors={"office": ["is the coordinating office"]},
        )
    raise RefusalError(
        "not-found",
        f"The office '{office}' is not in this round. See `tongqiao round status {entry.id}`.",
        details={"office": office},
    )


def _exclude(work: Work, entry: Round, office: str, asked_by: str | None) -> Leftovers:
    state = State(entry.state)
    is_matched = entry.upload_of(office) is not None and state in (State.FROZEN, State.REVIEW)
    if is_matched and len(entry.uploads) <= MIN_UPLOADS:
        raise RefusalError(
            "wrong-state",
            f"Without this office, fewer than {MIN_UPLOADS} files would be left to match. Cancel "
            "the round instead.",
            details={"office": office},
        )
    if is_matched and state is State.REVIEW:
        # Also what others have with each other: groups were made with this office's records.
        forget_result(work, entry)
    details, leftovers = take_out(work, entry, office)
    work.session.add(
        Withdrawal(round_id=entry.id, office_id=office, at=work.now, by=work.caller.person)
    )
    _record_exclusion(work, entry, {**details, "asked_by": asked_by})
    work.session.flush()
    work.session.expire(entry, ["uploads", "withdrawals"])
    if is_matched and state is State.REVIEW:
        take_step(work, entry, Step.RETURN)
    return leftovers


def _record_exclusion(work: Work, entry: Round, details: dict[str, str | int | None]) -> None:
    work.record(Action.ROUND_EXCLUDE, project=entry.project_id, round_id=entry.id, details=details)


def _join(work: Work, entry: Round, what: What, office: str) -> str | None:
    """The operator who asked for the same before; without one, the caller's request waits."""
    key = (entry.id, what, office)
    known = work.session.get(PendingRequest, key)
    person = work.caller.person
    if known is not None and (known.until <= work.now or not _is_operator(work.session, known.by)):
        work.session.delete(known)
        work.session.flush()
        known = None
    if known is not None and known.by != person:
        asked_by = known.by
        work.session.delete(known)
        work.session.flush()
        work.session.expire(entry, ["requests"])
        return asked_by
    if known is None:
        known = PendingRequest(
            round_id=entry.id,
            what=what,
            office_id=office,
            by=person,
            at=work.now,
            until=work.now + timedelta(days=REQUEST_DAYS),
        )
        work.session.add(known)
    work.record(
        Action.ROUND_ASK,
        project=entry.project_id,
        round_id=entry.id,
        details={"what": what, "office": office or None},
    )
    return None


def _recall(
    installation: Installation, caller: Caller, round_id: str, what: What, office: str
) -> dict[str, Any]:
    with naming(Action.ROUND_RECALL), installation.work(caller) as work:
        entry = visible_round(work, round_id)
        request = work.session.get(PendingRequest, (entry.id, what, office))
        if request is None:
            raise RefusalError(
                "not-found",
                "Nothing waits here for a second operator: nobody asked for it, or it is done. "
                f"See `tongqiao round status {entry.id}`.",
            )
        _record_recall(work, entry, request)
        work.session.delete(request)
        return _shown(work, entry)


def _record_recall(work: Work, entry: Round, request: PendingRequest) -> None:
    work.record(
        Action.ROUND_RECALL,
        project=entry.project_id,
        round_id=entry.id,
        details={"what": request.what, "office": request.office_id or None, "by": request.by},
    )


def _is_operator(session: Session, person: str) -> bool:
    """Whether somebody still may act as an operator, by key or logged in."""
    member, human = session.get(Member, person), session.get(Person, person)
    by_key = member is not None and (member.kind, member.state) == ("operator", "approved")
    in_browser = human is not None and (human.role, human.state) == ("operator", "active")
    return by_key or in_browser


def _shown(work: Work, entry: Round) -> dict[str, Any]:
    work.session.flush()
    work.session.expire(entry)
    return outline(entry, work.caller)
