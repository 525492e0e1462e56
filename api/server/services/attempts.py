"""How often one may try: for each account and from each address, kept in the database.

An attempt is counted before it is looked at, so a thousand at the same time are a thousand, and a
restart forgets nothing.  What succeeded is taken back.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.server.models import LoginAttempts
from api.server.refusals import RefusalError
from api.server.services.installation import Installation

ACCOUNT: Final = "account"
ADDRESS: Final = "address"


def count_attempt(installation: Installation, account: str | None, origin: str | None) -> None:
    """Count an attempt to prove who one is.

    Args:
        installation: the server.
        account: id that was given, whether there is such a person or not; ``None`` where the
            OpenID provider says who it is.
        origin: address that it came from.

    Raises:
        RefusalError: ``too-many``; it was not counted, and is not to be looked at.
    """
    config, now = installation.config, installation.clock()
    window = timedelta(seconds=config.login_window_s)
    with installation.database.writing() as session:
        session.execute(delete(LoginAttempts).where(LoginAttempts.since < now - window))
        rows = [(_row(session, ADDRESS, origin or "", now), config.max_address_attempts)]
        if account is not None:
            rows.insert(0, (_row(session, ACCOUNT, account, now), config.max_login_attempts))
        for row, most in rows:
            if row.n_attempts >= most:
                minutes = max(1, round((row.since + window - now).total_seconds() / 60))
                raise RefusalError(
                    "too-many",
                    f"There were too many attempts in vain. Try again in {minutes} minutes; the "
                    "right password is refused as well until then.",
                )
        for row, most in rows:
            row.n_attempts += 1
            if row.n_attempts == most:
                row.since = now


def forget_attempts(session: Session, account: str | None, origin: str | None) -> None:
    """The last attempt succeeded: the account's are forgotten, the address's go back by one."""
    row = None if account is None else session.get(LoginAttempts, (ACCOUNT, _subject(account)))
    if row is not None:
        session.delete(row)
    row = session.get(LoginAttempts, (ADDRESS, _subject(origin or "")))
    if row is not None:
        row.n_attempts = max(0, row.n_attempts - 1)


def _row(session: Session, kind: str, subject: str, now: datetime) -> LoginAttempts:
    row = session.get(LoginAttempts, (kind, _subject(subject)))
    if row is None:
        row = LoginAttempts(kind=kind, subject_sha256=_subject(subject), n_attempts=0, since=now)
        session.add(row)
    return row


def _subject(text: str) -> str:
    # What was typed as an id may be a password typed into the wrong field.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
