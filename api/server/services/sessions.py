"""Logging in, and the sessions that follow: kept on the server, and ended there.

A session ends when it was idle for a while, at its latest end however busy it is, when the person
logs out, and when the person is disabled or invited anew.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete

from api.audit.events import Action
from api.server.models import LoginSession, Person
from api.server.refusals import RefusalError
from api.server.services.attempts import count_attempt, forget_attempts
from api.server.services.installation import Installation, format_time
from api.server.services.passwords import is_password
from api.server.services.second_factor import use_code
from api.server.services.work import Caller, Work
from keys import labels

_TOKEN_BYTES: Final = 32
_SEEN_EVERY: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who a session belongs to.

    Attributes:
        csrf_token: must come with every request that changes something.
        ends_at: its end if nothing more is asked, and its end at the latest.
    """

    person: str
    name: str
    role: str
    csrf_token: str
    idle_ends_at: datetime
    ends_at: datetime

    def outline(self) -> dict[str, Any]:
        """What the browser is told."""
        return {
            "person": self.person,
            "name": self.name,
            "role": self.role,
            "csrf_token": self.csrf_token,
            "idle_ends_at": format_time(self.idle_ends_at),
            "ends_at": format_time(self.ends_at),
        }


def log_in(
    installation: Installation, caller: Caller, person_id: str, password: str, code: str
) -> tuple[str, Authenticated]:
    """Begin a session for who knows the password and has the second factor.

    Returns:
        The session's token, which is shown to the browser once and is not stored, and the session.

    Raises:
        RefusalError: ``bad-login``, the same for every reason, or ``too-many``.
    """
    count_attempt(installation, person_id, caller.origin)
    with installation.database.reading() as session:
        known = session.get(Person, person_id)
        session.expunge_all()
    is_right = is_password(password, None if known is None else known.password_hash)
    if known is None or not is_right:
        raise _bad_login(known)
    with installation.work(_as(caller, known)) as work:
        person = work.session.get_one(Person, person_id)
        # Read again under the lock: the person may have been disabled meanwhile.
        if person.state != "active" or person.password_hash != known.password_hash:
            raise _bad_login(known)
        if not use_code(installation, work.session, person, code, work.now):
            raise _bad_login(known)
        forget_attempts(work.session, person_id, caller.origin)
        return begin_session(installation, work, person, "password")


def begin_session(
    installation: Installation, work: Work, person: Person, via: str
) -> tuple[str, Authenticated]:
    """Begin a session of a person who has proved who it is; in the caller's transaction."""
    work.session.execute(delete(LoginSession).where(LoginSession.ends_at < work.now))
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    row = LoginSession(
        token_sha256=_token_hash(token),
        person_id=person.id,
        began_at=work.now,
        seen_at=work.now,
        ends_at=work.now + timedelta(seconds=installation.config.session_s),
    )
    work.session.add(row)
    work.record(
        Action.SESSION_BEGIN,
        details={"person": person.id, "via": via, "session": row.token_sha256},
    )
    return token, _authenticated(installation, person, row, token)


def authenticate_session(
    installation: Installation, token: str, *, is_used: bool = True
) -> Authenticated:
    """Whose session this is; notes that it is in use.

    Args:
        is_used: whether a person asks; a page that asks by itself keeps nobody logged in.

    Raises:
        RefusalError: ``no-session``: it has ended, or never was.
    """
    now = installation.clock()
    with installation.database.reading() as session:
        row = session.get(LoginSession, _token_hash(token))
        person = None if row is None else session.get(Person, row.person_id)
        session.expunge_all()
    if row is None or person is None or person.state != "active":
        raise RefusalError("no-session", "You are not logged in any more. Log in again.")
    found = _authenticated(installation, person, row, token)
    if now >= min(found.idle_ends_at, found.ends_at):
        raise RefusalError("no-session", "Your session has ended. Log in again.")
    if is_used and now - row.seen_at >= _SEEN_EVERY:
        with installation.database.writing() as session:
            kept = session.get(LoginSession, row.token_sha256)
            if kept is not None:
                kept.seen_at = now
    return found


def read_session(installation: Installation, caller: Caller) -> None:
    """Note that a person looked who is logged in."""
    with installation.work(caller) as work:
        work.record(Action.SESSION_READ, details={"person": caller.person})


def log_out(installation: Installation, caller: Caller, token: str) -> None:
    """End a session."""
    with installation.work(caller) as work:
        sha256 = _token_hash(token)
        work.session.execute(delete(LoginSession).where(LoginSession.token_sha256 == sha256))
        work.record(Action.SESSION_END, details={"person": caller.person, "session": sha256})


def end_sessions(work: Work, person_id: str) -> int:
    """End all sessions of a person; returns how many there were."""
    gone = work.session.execute(
        delete(LoginSession)
        .where(LoginSession.person_id == person_id)
        .returning(LoginSession.token_sha256)
    ).all()
    return len(gone)


def csrf_token_of(token: str) -> str:
    """What a page of this session sends along, 64 hex characters.

    Derived from the session's token, which scripts cannot read, and tells nothing of it.
    """
    return hmac.new(token.encode(), labels.CSRF, hashlib.sha256).hexdigest()


def _authenticated(
    installation: Installation, person: Person, row: LoginSession, token: str
) -> Authenticated:
    idle = timedelta(seconds=installation.config.session_idle_s)
    return Authenticated(
        person=person.id,
        name=person.name,
        role=person.role,
        csrf_token=csrf_token_of(token),
        idle_ends_at=row.seen_at + idle,
        ends_at=row.ends_at,
    )


def _as(caller: Caller, person: Person) -> Caller:
    return replace(caller, member=person.id, role=person.role)


def _bad_login(known: Person | None) -> RefusalError:
    return RefusalError(
        "bad-login",
        "This id, password and code do not belong together. Check them; a code is good once and "
        "for a minute. Ask an administrator for a new invitation if you lost one of them.",
        # Only who exists: what was typed may be a password in the wrong field.
        details={} if known is None else {"person": known.id},
    )


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
