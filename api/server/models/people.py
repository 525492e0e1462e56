"""People who log in, and their sessions."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.server.models.base import ID_LENGTH, SHA256_LENGTH, Base, UtcDateTime


class Person(Base):
    """An operator, an auditor or an administrator who logs in with a browser.

    A person who also signs requests has the same id there (:class:`Member`), so that nobody is
    two people to the two-person rule.
    """

    __tablename__ = "people"
    __table_args__ = (
        CheckConstraint("role IN ('operator', 'auditor', 'administrator')", name="ck_people_role"),
        CheckConstraint("state IN ('invited', 'active', 'disabled')", name="ck_people_state"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(Text)
    """Argon2id (RFC 9106) in its usual text form."""
    factor: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What one-time codes are made from, encrypted with the installation key."""
    factor_step: Mapped[int] = mapped_column(BigInteger, default=0)
    """Time step (RFC 6238) of the last code used: no code is taken twice."""
    subject: Mapped[str | None] = mapped_column(String(255), unique=True)
    """Who it is at the OpenID provider: SHA-256 in hex over issuer and ``sub``.

    Not the ``sub`` alone: another issuer may give the same one to somebody else.
    """
    invitation_sha256: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))
    invitation_ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(ID_LENGTH))
    enrolled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    disabled_reason: Mapped[str | None] = mapped_column(Text)


class RecoveryCode(Base):
    """A code that stands in for a one-time code once; gone when used."""

    __tablename__ = "recovery_codes"

    person_id: Mapped[str] = mapped_column(ForeignKey("people.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH), primary_key=True)


class LoginSession(Base):
    """A person's login; the browser holds the token, the server only its hash."""

    __tablename__ = "sessions"

    token_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id"), index=True)
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class LoginAttempts(Base):
    """How often something was tried in vain, for an account or from an address."""

    __tablename__ = "login_attempts"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH), primary_key=True)
    n_attempts: Mapped[int]
    since: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class PendingLogin(Base):
    """A login at the OpenID provider that is under way, in one browser and for some minutes.

    First the person is away: ``state_sha256``, ``nonce`` and ``verifier`` are there.  Where the
    provider saw no second factor, a row with ``person_id`` and ``subject`` follows, for who still
    owes a code.
    """

    __tablename__ = "pending_logins"

    browser_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH), primary_key=True)
    """Hash of what the browser keeps: who comes back must be who went."""
    state_sha256: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))
    nonce: Mapped[str | None] = mapped_column(String(64))
    verifier: Mapped[str | None] = mapped_column(String(128))
    """PKCE (RFC 7636)."""
    person_id: Mapped[str | None] = mapped_column(ForeignKey("people.id"))
    """Whose invitation came along, or whom the provider vouched for."""
    invitation_sha256: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))
    subject: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))
    """Whom the provider vouched for, as in :class:`Person`."""
    after: Mapped[str] = mapped_column(String(255))
    """Page to show when the person is in."""
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
