"""Who signed a request, whether it was seen before, and the log's entries about refusals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.audit.events import Action, Outcome
from api.server.models import Member, Nonce
from api.server.refusals import RefusalError
from api.server.services.installation import Installation
from api.server.services.work import Caller, Details
from keys.errors import RequestSignatureError
from keys.request_signing import VerifiedRequest, verify_request

NONCE_KEPT: Final = timedelta(seconds=900)
"""Longer than a signature can be valid: 300 s after and 300 s before the server's clock."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as its sender signed it, before anything of it is trusted.

    Attributes:
        url: scheme, host and target exactly as they arrived, nothing decoded.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    request_id: str
    origin: str | None


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A request whose signature is good; the body is still to be compared.

    Attributes:
        sha256: hash that the body must have, 32 bytes.
    """

    caller: Caller
    sha256: bytes


def authenticate(installation: Installation, request: SignedRequest) -> Authenticated:
    """Find out which approved member signed a request, and note its nonce.

    Raises:
        RefusalError: ``unsigned``, ``bad-signature``, ``expired-signature`` or ``replayed``.
    """

    member: Member | None = None

    def resolve_key(key_id: str) -> bytes | None:
        nonlocal member
        with installation.database.asking() as session:
            member = _member_with_key(session, key_id)
            if member is None:
                return None
            # It is looked at after this transaction.
            session.expunge(member)
            return member.signing_key

    verified = _verify(installation, request, resolve_key)
    if member is None or member.state == "revoked":
        raise RefusalError(
            "bad-signature",
            "This key is not accepted any more. Ask the linkage operator why.",
            details={"key": verified.key_id},
        )
    if member.state == "pending":
        raise RefusalError(
            "bad-signature",
            "This office waits for approval. Read its fingerprint "
            "(`tongqiao keys show FILE`) to the linkage operator by telephone.",
            details={"key": verified.key_id},
        )
    _note_nonce(installation, verified)
    caller = Caller(member.id, member.kind, request.request_id, request.origin)
    return Authenticated(caller, verified.sha256)


def forget_nonces(installation: Installation) -> None:
    """Delete nonces whose signatures have expired."""
    overdue = Nonce.expires_at < installation.clock()
    with installation.database.reading() as session:
        if session.scalar(select(Nonce.nonce).where(overdue).limit(1)) is None:
            return
    with installation.database.writing(durable=False) as session:
        session.execute(delete(Nonce).where(overdue))


def authenticate_by_key(
    installation: Installation, request: SignedRequest, key_id: str, signing_key: bytes
) -> bytes:
    """Verify a request signed by a key that is not known yet (an enrolment).

    Returns:
        The hash that the body must have, 32 bytes.

    Raises:
        RefusalError: as :func:`authenticate`.
    """
    verified = _verify(
        installation, request, lambda claimed: signing_key if claimed == key_id else None
    )
    _note_nonce(installation, verified)
    return verified.sha256


def record_refusal(
    installation: Installation,
    caller: Caller,
    action: Action,
    reason: str,
    *,
    failed: bool = False,
    project: str | None = None,
    round_id: str | None = None,
    details: Details | None = None,
) -> None:
    """Log that a request was refused, or failed, in a transaction of its own."""
    with installation.work(caller) as work:
        work.record(
            action,
            outcome=Outcome.FAILED if failed else Outcome.REFUSED,
            reason=reason,
            project=project,
            round_id=round_id,
            details=details,
        )


def _verify(
    installation: Installation,
    request: SignedRequest,
    resolve_key: Callable[[str], bytes | None],
) -> VerifiedRequest:
    try:
        return verify_request(
            request.method,
            request.url,
            request.headers,
            resolve_key,
            installation.clock().timestamp(),
        )
    except RequestSignatureError as error:
        raise RefusalError(error.slug, error.detail) from error


def _member_with_key(session: Session, key_id: str) -> Member | None:
    return session.scalars(select(Member).where(Member.key_id == key_id)).one_or_none()


# A nonce is noted without waiting for the disk. What the request does, or its refusal, is committed
# later in the same order, with an entry in the log: whenever that is on the disk, so is the nonce.


def _note_nonce(installation: Installation, verified: VerifiedRequest) -> None:
    values = {
        "key_id": verified.key_id,
        "nonce": verified.nonce,
        "expires_at": installation.clock() + NONCE_KEPT,
    }
    if not installation.database.note(Nonce, values):
        raise RefusalError(
            "replayed",
            "The same signed request came before; it was not carried out again. "
            "Repeat the command, which signs a new one.",
            details={"key": verified.key_id},
        )
