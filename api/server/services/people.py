"""People who log in: invited by an administrator, enrolled once by themselves, disabled."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import Member, Person
from api.server.refusals import RefusalError
from api.server.schemas.people import PERSON_ROLES
from api.server.services.attempts import count_attempt, forget_attempts
from api.server.services.installation import Installation, format_time
from api.server.services.members import check_loggable
from api.server.services.passwords import check_password, hash_password, is_password
from api.server.services.second_factor import new_factor, new_recovery_codes, use_code
from api.server.services.sessions import end_sessions
from api.server.services.work import Caller, Work

Outline = dict[str, Any]
_INVITATION_BYTES: Final = 16


def add_person(
    installation: Installation,
    caller: Caller,
    person_id: str,
    *,
    name: str,
    role: str,
    subject: str | None = None,
) -> Outline:
    """Invite a person to enrol.

    Args:
        installation: the server.
        caller: an administrator, or the server's own command.
        person_id: id for logging in and in the log; that of the person's key, if there is one.
        name: as people call the person.
        role: ``operator``, ``auditor`` or ``administrator``.
        subject: ``sub`` at the OpenID provider, where that is known: the person then comes in
            without the invitation, if the provider asks for a second factor.

    Returns:
        The person, with the ``invitation``, which is shown once.

    Raises:
        RefusalError: ``conflict`` or ``invalid``.
    """
    check_loggable(person_id, "id")
    digest = None if subject is None else _subject_digest(installation, subject)
    if role not in PERSON_ROLES:
        raise RefusalError("invalid", f"A role is one of: {', '.join(PERSON_ROLES)}.")
    with installation.work(caller) as work:
        _check_free(work.session, person_id, role)
        if digest is not None and work.session.scalar(
            select(Person.id).where(Person.subject == digest)
        ):
            raise RefusalError("conflict", "Somebody with this subject was added already.")
        person = Person(
            id=person_id,
            name=name,
            role=role,
            state="invited",
            subject=digest,
            created_at=work.now,
            created_by=caller.signs_as,
        )
        work.session.add(person)
        work.session.flush()
        token = _invite(installation, work, person)
        work.record(Action.PERSON_ADD, details={"person": person.id, "kind": role})
        return {**outline(person), "invitation": token}


def invite_again(installation: Installation, caller: Caller, person_id: str) -> Outline:
    """Void a person's password, device, account at the OpenID provider and sessions; invite anew.

    Raises:
        RefusalError: ``not-found``, or ``forbidden`` for oneself.
    """
    with installation.work(caller) as work:
        person = _existing(work.session, person_id)
        _check_other(caller, person)
        n_sessions = end_sessions(work, person.id)
        person.state = "invited"
        person.password_hash = person.factor = person.subject = None
        person.disabled_at = person.disabled_by = person.disabled_reason = None
        token = _invite(installation, work, person)
        work.record(Action.PERSON_INVITE, details={"person": person.id, "n_sessions": n_sessions})
        return {**outline(person), "invitation": token}


def disable(installation: Installation, caller: Caller, person_id: str, reason: str) -> Outline:
    """End all sessions of a person and refuse further logins.  What the person did stays.

    Raises:
        RefusalError: ``not-found``, or ``forbidden`` for oneself.
    """
    with installation.work(caller) as work:
        person = _existing(work.session, person_id)
        _check_other(caller, person)
        n_sessions = end_sessions(work, person.id)
        if person.state != "disabled":
            person.state = "disabled"
            person.password_hash = person.factor = person.invitation_sha256 = None
            person.disabled_at, person.disabled_by = work.now, caller.signs_as
            person.disabled_reason = reason
        work.record(Action.PERSON_DISABLE, details={"person": person.id, "n_sessions": n_sessions})
        return outline(person)


def may_log_in(installation: Installation, person_id: str) -> bool:
    """Whether somebody comes in with a browser, or is invited to."""
    with installation.database.reading() as session:
        person = session.get(Person, person_id)
        return person is not None and person.state != "disabled"


def may_sign(installation: Installation, person_id: str) -> bool:
    """Whether somebody's key counts."""
    with installation.database.reading() as session:
        member = session.get(Member, person_id)
        return member is not None and member.state == "approved"


def list_people(installation: Installation, caller: Caller) -> list[Outline]:
    """Everybody, by id."""
    with installation.work(caller) as work:
        people = work.session.scalars(select(Person).order_by(Person.id)).all()
        work.record(Action.PERSON_LIST, details={"n_people": len(people)})
        return [outline(person) for person in people]


def begin_enrolment(
    installation: Installation, caller: Caller, person_id: str, invitation: str
) -> Outline:
    """Give an invited person a secret for one-time codes; each call a new one.

    Returns:
        ``name``, ``role``, ``secret`` (base32) and ``uri`` (``otpauth:``, to be drawn as a QR
        code).

    Raises:
        RefusalError: ``bad-login`` or ``too-many``.
    """
    count_attempt(installation, person_id, caller.origin)
    with installation.work(caller) as work:
        person = invited_person(work, person_id, invitation)
        totp = new_factor(installation, person)
        forget_attempts(work.session, person_id, caller.origin)
        work.record(Action.PERSON_ENROL, details={"person": person.id, "step": "begin"})
        issuer = installation.config.name
        return {
            "name": person.name,
            "role": person.role,
            "secret": totp.secret,
            "uri": totp.provisioning_uri(name=person.id, issuer_name=issuer),
        }


def complete_enrolment(
    installation: Installation,
    caller: Caller,
    person_id: str,
    invitation: str,
    *,
    password: str,
    code: str,
) -> list[str]:
    """Set the password of an invited person whose app shows the right code.

    Returns:
        Recovery codes, shown once.

    Raises:
        RefusalError: ``bad-login``, ``invalid`` or ``too-many``.
    """
    check_password(password, person_id)
    count_attempt(installation, person_id, caller.origin)
    hashed = hash_password(password)
    with installation.work(caller) as work:
        person = invited_person(work, person_id, invitation)
        if not use_code(installation, work.session, person, code, work.now):
            raise RefusalError(
                "bad-login",
                "This is not the code that the app should show now. Check the device's clock, "
                "wait for the next code, then try again.",
                details={"person": person.id},
            )
        person.state, person.enrolled_at = "active", work.now
        person.password_hash = hashed
        person.invitation_sha256 = person.invitation_ends_at = None
        codes = new_recovery_codes(work.session, person)
        forget_attempts(work.session, person_id, caller.origin)
        work.record(Action.PERSON_ENROL, details={"person": person.id, "step": "complete"})
        return codes


def change_password(
    installation: Installation, caller: Caller, *, password: str, code: str, new_password: str
) -> None:
    """Change one's own password; all of one's sessions end.

    Raises:
        RefusalError: ``bad-login``, ``invalid`` or ``too-many``.
    """
    check_password(new_password, caller.person)
    _check_own_password(installation, caller, password)
    hashed = hash_password(new_password)
    with installation.work(caller) as work:
        person = _proved(installation, work, code)
        person.password_hash = hashed
        n_sessions = end_sessions(work, person.id)
        work.record(Action.PERSON_PASSWORD, details={"person": person.id, "n_sessions": n_sessions})


def renew_recovery_codes(
    installation: Installation, caller: Caller, *, password: str, code: str
) -> list[str]:
    """New recovery codes for oneself; those before are void.

    Raises:
        RefusalError: ``bad-login`` or ``too-many``.
    """
    _check_own_password(installation, caller, password)
    with installation.work(caller) as work:
        person = _proved(installation, work, code)
        codes = new_recovery_codes(work.session, person)
        work.record(Action.PERSON_RECOVERY, details={"person": person.id, "n_codes": len(codes)})
        return codes


def outline(person: Person) -> Outline:
    """What is shown of a person."""
    return {
        "id": person.id,
        "name": person.name,
        "role": person.role,
        "state": person.state,
        "created_at": format_time(person.created_at),
        "invitation_ends_at": None
        if person.invitation_ends_at is None
        else format_time(person.invitation_ends_at),
    }


def _subject_digest(installation: Installation, subject: str) -> str:
    if installation.provider is None:
        raise RefusalError(
            "invalid", "This server has no OpenID provider (setting oidc_issuer): give no subject."
        )
    return installation.provider.subject_digest(subject)


def _invite(installation: Installation, work: Work, person: Person) -> str:
    token = secrets.token_hex(_INVITATION_BYTES)
    person.invitation_sha256 = hashlib.sha256(token.encode()).hexdigest()
    person.invitation_ends_at = work.now + timedelta(seconds=installation.config.invitation_s)
    return token


def invited_person(work: Work, person_id: str, invitation: str) -> Person:
    """Whose invitation this is.  Raises: RefusalError: ``bad-login``."""
    person = work.session.get(Person, person_id)
    given = hashlib.sha256(invitation.encode("utf-8", "surrogatepass")).hexdigest()
    wanted = (person.invitation_sha256 if person is not None else None) or "0" * 64
    is_right = hmac.compare_digest(given, wanted)
    if (
        person is None
        or not is_right
        or person.state != "invited"
        or person.invitation_ends_at is None
        or person.invitation_ends_at <= work.now
    ):
        raise RefusalError(
            "bad-login",
            "This invitation is not good (any more): it is for one person, once, and for a few "
            "days. Ask an administrator for a new one.",
            details={} if person is None else {"person": person.id},
        )
    return person


def _check_own_password(installation: Installation, caller: Caller, password: str) -> None:
    count_attempt(installation, caller.person, caller.origin)
    with installation.database.reading() as session:
        stored = session.get_one(Person, caller.person).password_hash
    if not is_password(password, stored):
        raise _wrong(caller)


def _proved(installation: Installation, work: Work, code: str) -> Person:
    """The caller, whose password was right just now, and whose code is."""
    person = work.session.get_one(Person, work.caller.person)
    if person.state != "active" or not use_code(installation, work.session, person, code, work.now):
        raise _wrong(work.caller)
    forget_attempts(work.session, person.id, work.caller.origin)
    return person


def _wrong(caller: Caller) -> RefusalError:
    details: Mapping[str, str] = {"person": caller.person}
    return RefusalError(
        "bad-login", "The password or the code is wrong; nothing was changed.", details=details
    )


def _check_free(session: Session, person_id: str, role: str) -> None:
    if session.get(Person, person_id) is not None:
        raise RefusalError(
            "conflict", f"There is a person '{person_id}' already. Invite the person anew instead."
        )
    member = session.get(Member, person_id)
    # One id is one human being, in one role: the two-person rule compares ids.
    if member is not None and (member.kind != role or member.state == "revoked"):
        raise RefusalError(
            "conflict",
            f"The id '{person_id}' belongs to a member in another role, or one that was revoked. "
            "Choose another id.",
        )


def _check_other(caller: Caller, person: Person) -> None:
    if caller.member == person.id:
        raise RefusalError(
            "forbidden", "Not for oneself: ask another administrator, lest nobody is left."
        )


def _existing(session: Session, person_id: str) -> Person:
    person = session.get(Person, person_id)
    if person is None:
        raise RefusalError("not-found", f"There is no person '{person_id}'.")
    return person
