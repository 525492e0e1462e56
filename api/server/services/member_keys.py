"""A member's keys over time: rotation by the member itself, renewal after a revocation."""

import json
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Member, MemberKey, Round, Signature, Upload
from api.server.refusals import RefusalError
from api.server.round_states import State
from api.server.services.installation import Installation, format_time
from api.server.services.retention import Leftovers, forget_parts
from api.server.services.work import Caller, Work
from keys.epochs import (
    End,
    KeyEpoch,
    KeyHistory,
    KeyRotation,
    begin_history,
)
from keys.errors import KeyFileError
from keys.identity import PublicIdentity, parse_public_identity


def rotate_key(
    installation: Installation, caller: Caller, member_id: str, rotation: KeyRotation
) -> dict[str, Any]:
    """Let a member's new key take the place of its present one, which signed that.

    From then on the old key is refused.  What it signed before stays valid.

    Raises:
        RefusalError: ``forbidden`` for another member, ``invalid`` where the present key did not
            name the new one, ``conflict`` where the new key was used before.
    """
    with installation.work(caller) as work:
        if caller.member != member_id:
            raise RefusalError("forbidden", "A member changes its own key only.")
        member = work.session.get_one(Member, member_id)
        check_unused(work.session, rotation.new)
        try:
            history = load_history(work.session, member_id).rotate(rotation, work.now)
        except KeyFileError as error:
            raise RefusalError("invalid", str(error)) from error
        _save(work, history, rotation.to_json().decode())
        _set_key(member, rotation.new)
        work.record(
            Action.MEMBER_ROTATE,
            details={
                "member": member_id,
                "key": rotation.new.key_id,
                "replaced": rotation.old_key_id,
                "epoch": history.epochs[-1].number,
            },
        )
        return {"id": member_id, "keys": list_keys(work.session, member_id)}


def begin_keys(work: Work, identity: PublicIdentity) -> None:
    """Note a new member's first key."""
    _save(work, begin_history(identity, work.now), None)


def renew_key(work: Work, member: Member, identity: PublicIdentity) -> None:
    """Give a revoked member a new key; whoever calls this sees to the comparison by voice.

    Raises:
        RefusalError: ``conflict``: the present key is valid, or the new one was used before.
    """
    check_unused(work.session, identity)
    try:
        history = load_history(work.session, member.id).renew(identity, work.now)
    except KeyFileError as error:
        raise RefusalError("conflict", str(error)) from error
    _save(work, history, None)
    _set_key(member, identity)
    member.enrolled_at = work.now
    member.approved_at = member.approved_by = None
    # Who revoked it stays known until somebody else has approved the new key.
    member.revoked_at = member.revocation_reason = None


def end_key(work: Work, member: Member, *, compromised_since: datetime | None) -> Leftovers:
    """End a member's key, and undo what it did in rounds that are still open.

    There the office signs and uploads again with its new key.  Of rounds further on, the log shows
    what the key did; the operator decides.

    Returns:
        The files to delete once the transaction is committed.
    """
    history = load_history(work.session, member.id)
    if history.current is not None:
        history = history.revoke(work.now, compromised_since=compromised_since)
        _save(work, history, None)
    leftovers = Leftovers()
    query = select(Round).where(Round.state == State.OPEN)
    for entry in work.session.scalars(query).all():
        if entry.has_office(member.id):
            _undo(work, entry, member.id, leftovers)
    return leftovers


def list_keys(session: Session, member_id: str) -> list[dict[str, Any]]:
    """All keys of a member as others see them, the oldest first."""
    rows = session.scalars(
        select(MemberKey).where(MemberKey.member_id == member_id).order_by(MemberKey.epoch)
    )
    return [
        {
            "epoch": row.epoch,
            "key_id": row.key_id,
            "valid_from": format_time(row.valid_from),
            "valid_until": None if row.valid_until is None else format_time(row.valid_until),
            "ended": row.ended,
            "rotation": None if row.rotation is None else json.loads(row.rotation),
        }
        for row in rows
    ]


def load_history(session: Session, member_id: str) -> KeyHistory:
    """All keys of a member."""
    rows = session.scalars(
        select(MemberKey).where(MemberKey.member_id == member_id).order_by(MemberKey.epoch)
    )
    return KeyHistory(
        tuple(
            KeyEpoch(
                row.epoch,
                parse_public_identity(row.identity.encode()),
                row.valid_from,
                row.valid_until,
                cast(End | None, row.ended),
            )
            for row in rows
        )
    )


def check_unused(session: Session, identity: PublicIdentity) -> None:
    """Whether no member ever had this key.  Raises: RefusalError: ``conflict``."""
    used = select(MemberKey.member_id).where(MemberKey.key_id == identity.key_id)
    if session.scalar(used) is not None:
        raise RefusalError(
            "conflict",
            "This key was enrolled before, then replaced or revoked perhaps: no key counts twice. "
            "Make new keys with `tongqiao keys new`.",
        )


def _save(work: Work, history: KeyHistory, rotation: str | None) -> None:
    holder = history.epochs[0].identity.holder
    for epoch in history.epochs:
        row = work.session.get(MemberKey, (holder, epoch.number))
        if row is None:
            row = MemberKey(
                member_id=holder,
                epoch=epoch.number,
                key_id=epoch.identity.key_id,
                identity=epoch.identity.to_json().decode(),
                rotation=rotation if epoch is history.epochs[-1] else None,
                valid_from=epoch.valid_from,
                added_by=work.caller.signs_as,
            )
            work.session.add(row)
        row.valid_until, row.ended = epoch.valid_until, epoch.end
    work.session.flush()


def _set_key(member: Member, identity: PublicIdentity) -> None:
    member.name = identity.name
    member.key_id, member.signing_key = identity.key_id, identity.signing_key
    member.identity = identity.to_json().decode()
    member.fingerprint = identity.fingerprint


def _undo(work: Work, entry: Round, office: str, leftovers: Leftovers) -> None:
    upload = entry.upload_of(office)
    sha256 = None if upload is None else upload.sha256
    if upload is not None:
        leftovers.files.append((entry.id, upload.sha256))
        work.session.execute(
            delete(Upload).where(Upload.round_id == entry.id, Upload.office_id == office)
        )
    leftovers.incoming += forget_parts(work, entry, office).incoming
    work.session.execute(
        delete(Signature).where(Signature.round_id == entry.id, Signature.office_id == office)
    )
    work.session.expire(entry, ["uploads", "signatures"])
    work.record(
        Action.ROUND_UNDO,
        project=entry.project_id,
        round_id=entry.id,
        details={"office": office, "sha256": sha256},
    )
