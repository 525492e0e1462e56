"""Members: enrolment, approval after a comparison by voice, revocation."""

import hmac
import json
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.audit.events import ROLES, Action, is_loggable_id
from api.server.models import Member, Person
from api.server.refusals import RefusalError
from api.server.round_states import Actor
from api.server.services.installation import Installation
from api.server.services.member_keys import (
    begin_keys,
    check_unused,
    end_key,
    list_keys,
    renew_key,
)
from api.server.services.retention import delete_leftovers
from api.server.services.work import Caller, Work
from keys.identity import PublicIdentity

Outline = dict[str, Any]


def enrol(
    installation: Installation, caller: Caller, identity: PublicIdentity
) -> tuple[Outline, bool]:
    """Take an office's public identity; an operator has to approve it.

    Returns:
        The member, and whether it is new.

    Raises:
        RefusalError: ``forbidden`` for operators, auditors and revoked members, ``conflict`` where
            the id or the key is another's, ``too-many``.
    """
    check_loggable(identity.holder, "holder")
    if identity.kind != "office":
        raise RefusalError(
            "forbidden",
            "Only offices enrol here. Operators and auditors are added on the server itself, "
            "with `tongqiao server add-member`.",
        )
    with installation.work(caller) as work:
        member = work.session.get(Member, identity.holder)
        if member is not None and _is_same(member, identity):
            if member.state == "revoked":
                raise RefusalError(
                    "forbidden",
                    "This key was revoked and never counts again. Make new keys, and enrol with "
                    "them; ask the linkage operator why.",
                )
            work.record(Action.MEMBER_ENROL, details=_key_details(member))
            return outline(member), False
        if member is None or member.state != "revoked":
            _check_free(work.session, identity)
        waiting = work.session.scalar(
            select(func.count()).select_from(Member).where(Member.state == "pending")
        )
        if (waiting or 0) >= installation.config.max_pending_members:
            raise RefusalError(
                "too-many",
                "Too many offices wait for approval already. Ask the linkage operator to look "
                "at them, then enrol again.",
            )
        if member is None:
            member = _new_member(work, identity, "pending")
        else:
            # The operator compares its fingerprint by voice, as at the first time.
            renew_key(work, member, identity)
            member.state = "pending"
        work.record(Action.MEMBER_ENROL, details=_key_details(member))
        return outline(member), True


def add_member(installation: Installation, caller: Caller, identity: PublicIdentity) -> Outline:
    """Add a member of any kind as approved, on the server itself.

    Raises:
        RefusalError: ``conflict`` where the id or the key is another's, or the member was revoked.
    """
    check_loggable(identity.holder, "holder")
    with installation.work(caller) as work:
        member = work.session.get(Member, identity.holder)
        if member is None:
            _check_free(work.session, identity)
            member = _new_member(work, identity, "approved")
        elif member.state == "revoked":
            renew_key(work, member, identity)
        elif not _is_same(member, identity):
            raise RefusalError("conflict", _taken(identity.holder))
        member.state, member.revoked_by = "approved", None
        member.approved_at, member.approved_by = work.now, caller.signs_as
        work.record(Action.MEMBER_ADD, details=_key_details(member))
        return outline(member)


def approve(
    installation: Installation, caller: Caller, member_id: str, fingerprint: str
) -> Outline:
    """Approve an office whose fingerprint the operator compared by voice.

    Who revoked its key does not approve the next one: one operator alone could become any office.

    Raises:
        RefusalError: ``not-found``, ``invalid`` for another fingerprint, ``conflict`` after
            revocation, ``second-person``.
    """
    with installation.work(caller) as work:
        member = _existing(work.session, member_id)
        if not hmac.compare_digest(member.fingerprint.encode(), fingerprint.encode()):
            raise RefusalError(
                "invalid",
                "This is not the fingerprint of what was enrolled under this id. Compare again "
                "with the office by telephone; if it still differs, someone else may have "
                "enrolled under its name: do not approve.",
                errors={"fingerprint": ["differs"]},
            )
        if member.state == "revoked":
            raise RefusalError(
                "conflict", "The member was revoked. It must enrol again, with new keys."
            )
        if member.state == "pending":
            if member.revoked_by == caller.person:
                raise RefusalError(
                    "second-person",
                    "Who revoked an office's key does not approve its next one. Ask another "
                    "operator to compare the fingerprint with the office by telephone, and to "
                    "approve it.",
                )
            member.state, member.revoked_by = "approved", None
            member.approved_at, member.approved_by = work.now, caller.person
        work.record(Action.MEMBER_APPROVE, details=_key_details(member))
        return outline(member)


def revoke(
    installation: Installation,
    caller: Caller,
    member_id: str,
    reason: str,
    compromised_since: datetime | None = None,
) -> Outline:
    """Refuse all further requests of a member, until it has enrolled again with new keys.

    What it did stays, except in rounds that are open: there its signature and upload are undone.

    Operators revoke offices; operators and auditors are revoked on the server itself, lest one
    operator shut out the others or the auditor.

    Raises:
        RefusalError: ``not-found``, ``forbidden``, or ``invalid`` for a time to come.
    """
    with installation.work(caller) as work:
        member = _existing(work.session, member_id)
        if compromised_since is not None and compromised_since > work.now:
            raise RefusalError(
                "invalid",
                "compromised_since lies in the future. Give the time since when others may have "
                "had the key.",
                errors={"compromised_since": ["in the future"]},
            )
        if member.kind != "office" and caller.actor is Actor.OPERATOR:
            raise RefusalError(
                "forbidden",
                "Operators and auditors are revoked on the server itself, with "
                "`tongqiao server revoke-member`.",
            )
        if member.state != "revoked":
            member.state = "revoked"
            # The first one, where what was enrolled since was revoked as well.
            member.revoked_at, member.revoked_by = work.now, member.revoked_by or caller.signs_as
            member.revocation_reason = reason
        leftovers = end_key(work, member, compromised_since=compromised_since)
        work.record(Action.MEMBER_REVOKE, details=_key_details(member))
        status = outline(member)
    delete_leftovers(installation, leftovers)
    return status


def list_members(installation: Installation, caller: Caller) -> list[Outline]:
    """Members that the caller may know of, by id."""
    with installation.look(caller) as work:
        query = select(Member).order_by(Member.id)
        if caller.actor is Actor.OFFICE:
            query = query.where(Member.state == "approved")
        members = work.session.scalars(query).all()
        work.record(Action.MEMBER_LIST, details={"n_members": len(members)})
        return [outline(member) for member in members]


def office_names(installation: Installation) -> dict[str, str]:
    """What offices call themselves, by their ids; pages show it beside the id."""
    with installation.database.asking() as session:
        found = session.execute(select(Member.id, Member.name).where(Member.kind == "office"))
        return {row.id: row.name for row in found}


def read_member(installation: Installation, caller: Caller, member_id: str) -> Outline:
    """One member with its public identity.  Raises: RefusalError: ``not-found``."""
    with installation.look(caller) as work:
        member = _existing(work.session, member_id)
        if caller.actor is Actor.OFFICE and member.state != "approved":
            raise RefusalError("not-found", _unknown(member_id))
        work.record(Action.MEMBER_READ, details={"member": member.id})
        return {
            **outline(member),
            "identity": json.loads(member.identity),
            "keys": list_keys(work.session, member_id),
        }


def check_loggable(text: str, what: str) -> None:
    """Refuse an id that could be a person's number, or that the program uses for itself.

    Raises:
        RefusalError: ``invalid``.
    """
    if not is_loggable_id(text) or text in ROLES:
        raise RefusalError(
            "invalid",
            f"The {what} may not be used as an id: it looks like a phone or identity number, or "
            "the program uses it itself. Choose another.",
            errors={what: ["may not be used"]},
        )


def outline(member: Member) -> Outline:
    """What is shown of a member."""
    return {
        "id": member.id,
        "kind": member.kind,
        "name": member.name,
        "state": member.state,
        "fingerprint": member.fingerprint,
    }


def _new_member(work: Work, identity: PublicIdentity, state: str) -> Member:
    member = Member(
        id=identity.holder,
        kind=identity.kind,
        name=identity.name,
        state=state,
        key_id=identity.key_id,
        signing_key=identity.signing_key,
        identity=identity.to_json().decode(),
        fingerprint=identity.fingerprint,
        enrolled_at=work.now,
    )
    work.session.add(member)
    work.session.flush()
    begin_keys(work, identity)
    return member


def _is_same(member: Member, identity: PublicIdentity) -> bool:
    return member.identity == identity.to_json().decode()


def _check_free(session: Session, identity: PublicIdentity) -> None:
    person = session.get(Person, identity.holder)
    if session.get(Member, identity.holder) is not None or (
        # One id is one human being, in one role: the two-person rule compares ids.
        person is not None and person.role != identity.kind
    ):
        raise RefusalError("conflict", _taken(identity.holder))
    check_unused(session, identity)


def _existing(session: Session, member_id: str) -> Member:
    member = session.get(Member, member_id)
    if member is None:
        raise RefusalError("not-found", _unknown(member_id))
    return member


def _taken(holder: str) -> str:
    return (
        f"The id '{holder}' belongs to another key, or was revoked. If this is your office, tell "
        "the linkage operator at once: someone else may have enrolled under its name."
    )


def _unknown(member_id: str) -> str:
    return f"There is no member '{member_id}'. See `tongqiao member list`."


def _key_details(member: Member) -> dict[str, str | int | None]:
    return {"member": member.id, "kind": member.kind, "key": member.key_id, "state": member.state}
