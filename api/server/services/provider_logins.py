"""Logging in, and enrolling, by what an OpenID provider says; who may come in is decided here.

A person goes to the provider and comes back to the same browser, once and within minutes.  The
provider only says who it is: a person has been invited here before, in a role that was given here.
An invited person's first return with the invitation binds the provider's account to the person.
Where the provider saw no second factor, the code of the person's app is asked for as ever.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.audit.events import Action
from api.server.models import PendingLogin, Person
from api.server.refusals import RefusalError
from api.server.services.attempts import count_attempt, forget_attempts
from api.server.services.installation import Installation
from api.server.services.openid import Return, Vouched, bad_return, not_invited
from api.server.services.people import invited_person
from api.server.services.second_factor import new_recovery_codes, use_code
from api.server.services.sessions import Authenticated, begin_session
from api.server.services.work import Caller, Work

if TYPE_CHECKING:
    from api.server.services.openid_provider import OpenIdProvider

PENDING_S: Final = 600
"""How long a person may be away."""

MAX_AFTER_CHARACTERS: Final = 255
_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Away:
    """A person is sent to the provider.

    Attributes:
        url: where to.
        browser: what the browser keeps meanwhile; stored as a hash only.
    """

    url: str
    browser: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person whom the provider vouched for, and who is let in.

    Attributes:
        session: token and session; ``None`` where a code of the app is still owed.
        browser: what the browser keeps until that code.
        after: page to show then.
        recovery_codes: of who enrolled just now with the app, shown once.
    """

    session: tuple[str, Authenticated] | None
    browser: str | None
    after: str
    recovery_codes: tuple[str, ...] = ()


def begin_provider_login(
    installation: Installation, caller: Caller, *, after: str, person_id: str, invitation: str
) -> Away:
    """Prepare a login at the provider.

    Args:
        installation: the server.
        caller: anybody.
        after: page to show when the person is in.
        person_id, invitation: of who enrols; both empty for who has enrolled.

    Raises:
        RefusalError: ``not-found`` without a provider, ``provider-away``, ``bad-login`` for a wrong
            invitation, or ``too-many``.
    """
    provider = provider_of(installation)
    count_attempt(installation, person_id or None, caller.origin)
    departure = provider.depart()
    browser = secrets.token_urlsafe(_TOKEN_BYTES)
    with installation.work(caller) as work:
        work.session.execute(delete(PendingLogin).where(PendingLogin.ends_at < work.now))
        row = PendingLogin(
            browser_sha256=_hash(browser),
            state_sha256=_hash(departure.state),
            nonce=departure.nonce,
            verifier=departure.verifier,
            after=after[:MAX_AFTER_CHARACTERS],
            ends_at=work.now + timedelta(seconds=PENDING_S),
        )
        details = {"via": "provider"}
        if person_id or invitation:
            person = invited_person(work, person_id, invitation)
            row.person_id, row.invitation_sha256 = person.id, person.invitation_sha256
            details["person"] = person.id
            forget_attempts(work.session, person.id, caller.origin)
        work.session.add(row)
        work.record(Action.LOGIN_BEGIN, details=details)
    return Away(departure.url, browser)


def come_back(
    installation: Installation, caller: Caller, browser: str | None, back: Return
) -> Arrival:
    """Let in who comes back from the provider, or refuse.

    Raises:
        RefusalError: ``not-found``, ``bad-return``, ``not-invited``, ``provider-away`` or
            ``too-many``.
    """
    provider = provider_of(installation)
    count_attempt(installation, None, caller.origin)
    pending = _taken(installation, browser, back.state)
    vouched = provider.verify_return(
        back,
        nonce=pending.nonce or "",
        verifier=pending.verifier or "",
        now=installation.clock(),
    )
    with installation.database.reading() as session:
        known = _person_of(session, pending, vouched.subject)
        session.expunge_all()
    with installation.work(_as(caller, known)) as work:
        person = _admitted(work, known.id, pending, vouched.subject)
        # The person has proved who it is; only the code may be wrong from here on.
        forget_attempts(work.session, None, caller.origin)
        if vouched.has_second_factor:
            return _let_in(installation, work, person, pending, vouched.subject)
        return _owing_a_code(work, person, pending, vouched)


def complete_with_code(
    installation: Installation, caller: Caller, browser: str | None, code: str
) -> Arrival:
    """Let in a person whom the provider vouched for, with the code of the app.

    Raises:
        RefusalError: ``not-found``, ``bad-return``, ``bad-login``, ``not-invited`` or
            ``too-many``.
    """
    provider_of(installation)
    now = installation.clock()
    with installation.database.reading() as session:
        pending = session.get(PendingLogin, _hash(browser or ""))
        session.expunge_all()
    if pending is None or pending.person_id is None or pending.subject is None:
        raise bad_return("browser")
    if pending.ends_at <= now:
        raise bad_return("time")
    count_attempt(installation, pending.person_id, caller.origin)
    with installation.database.reading() as session:
        known = session.get_one(Person, pending.person_id)
        session.expunge_all()
    with installation.work(_as(caller, known)) as work:
        person = _admitted(work, pending.person_id, pending, pending.subject)
        if not use_code(installation, work.session, person, code, work.now):
            raise RefusalError(
                "bad-login",
                "This is not the code that the app should show now. Check the device's clock, "
                "wait for the next code, then try again.",
                details={"person": person.id},
            )
        # Used up: the same return cannot come in twice.
        if not _is_deleted(work.session, pending.browser_sha256):
            raise bad_return("browser")
        forget_attempts(work.session, person.id, caller.origin)
        return _let_in(installation, work, person, pending, pending.subject, with_code=True)


def provider_of(installation: Installation) -> "OpenIdProvider":
    """The provider.  Raises: RefusalError: ``not-found`` where the settings name none."""
    if installation.provider is None:
        raise RefusalError("not-found", "This server has no OpenID provider (setting oidc_issuer).")
    return installation.provider


def _taken(installation: Installation, browser: str | None, state: str | None) -> PendingLogin:
    """The login that was begun in this browser with this state; it can be taken once."""
    if browser is None:
        raise bad_return("browser")
    with installation.database.writing() as session:
        pending = session.get(PendingLogin, _hash(browser))
        if pending is None or pending.state_sha256 is None:
            raise bad_return("browser")
        if not hmac.compare_digest(_hash(state or ""), pending.state_sha256):
            raise bad_return("state")
        session.delete(pending)
        session.flush()
        session.expunge_all()
    if pending.ends_at <= installation.clock():
        raise bad_return("time")
    return pending


def _person_of(session: Session, pending: PendingLogin, subject: str) -> Person:
    if pending.invitation_sha256 is not None:
        return session.get_one(Person, pending.person_id)
    person = session.scalar(select(Person).where(Person.subject == subject))
    if person is None:
        raise not_invited({"check": "subject"})
    return person


def _admitted(work: Work, person_id: str, pending: PendingLogin, subject: str) -> Person:
    """The person, read again under the lock: active, or invited and within time."""
    person = work.session.get_one(Person, person_id)
    details: dict[str, str | int | None] = {"person": person.id}
    if pending.invitation_sha256 is not None:
        owner = work.session.scalar(select(Person.id).where(Person.subject == subject))
        if (
            not _is_invited(person, work.now)
            or person.invitation_sha256 != pending.invitation_sha256
            or person.subject not in (None, subject)
            or owner not in (None, person.id)
        ):
            raise not_invited({**details, "check": "invitation"})
    elif person.subject != subject:
        raise not_invited({**details, "check": "subject"})
    elif person.state != "active" and not _is_invited(person, work.now):
        raise not_invited({**details, "check": person.state})
    return person


def _is_invited(person: Person, now: datetime) -> bool:
    return (
        person.state == "invited"
        and person.invitation_ends_at is not None
        and person.invitation_ends_at > now
    )


def _owing_a_code(work: Work, person: Person, pending: PendingLogin, vouched: Vouched) -> Arrival:
    if person.factor is None:
        raise not_invited({"person": person.id, "check": "second-factor"})
    browser = secrets.token_urlsafe(_TOKEN_BYTES)
    work.session.add(
        PendingLogin(
            browser_sha256=_hash(browser),
            person_id=person.id,
            invitation_sha256=pending.invitation_sha256,
            subject=vouched.subject,
            after=pending.after,
            ends_at=work.now + timedelta(seconds=PENDING_S),
        )
    )
    details = {"person": person.id, "via": "provider", "step": "code"}
    work.record(Action.LOGIN_BEGIN, details=details)
    return Arrival(None, browser, pending.after)


def _let_in(
    installation: Installation,
    work: Work,
    person: Person,
    pending: PendingLogin,
    subject: str,
    *,
    with_code: bool = False,
) -> Arrival:
    codes: tuple[str, ...] = ()
    if person.state == "invited":
        person.state, person.enrolled_at, person.subject = "active", work.now, subject
        person.invitation_sha256 = person.invitation_ends_at = None
        if with_code:
            codes = tuple(new_recovery_codes(work.session, person))
        else:
            # The app's secret that enrolling offered was not taken up.
            person.factor = None
        details = {"person": person.id, "step": "complete", "via": "provider"}
        work.record(Action.PERSON_ENROL, details=details)
    session = begin_session(installation, work, person, "provider")
    return Arrival(session, None, pending.after, codes)


def _is_deleted(session: Session, browser_sha256: str) -> bool:
    row = session.get(PendingLogin, browser_sha256)
    if row is None:
        return False
    session.delete(row)
    return True


def _as(caller: Caller, person: Person) -> Caller:
    return replace(caller, member=person.id, role=person.role)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
