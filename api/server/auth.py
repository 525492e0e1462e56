"""Who may call what: nobody, unless the endpoint says otherwise.

Every endpoint declares its callers with :func:`may_call`; a request to one that declares nothing
is refused.  :data:`PUBLIC` is the whole list of what needs no signature.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from flask import Flask, current_app, g, request

from api.audit.events import Action
from api.server.refusals import RefusalError
from api.server.request_target import read_target
from api.server.round_states import Actor
from api.server.services.access import SignedRequest, authenticate, authenticate_by_key
from api.server.services.installation import Installation
from api.server.services.work import Caller, new_request_id
from keys.errors import KeyFileError
from keys.identity import MAX_IDENTITY_BYTES, PublicIdentity, parse_public_identity

PUBLIC: Final = frozenset({"/health", "/openapi.json", "/v1/server"})
"""Addresses that answer without a signature.  They tell nothing of any project."""

BodyKind = Literal["json", "sealed-secret", "streamed"]
_View = TypeVar("_View", bound=Callable[..., Any])
_ACCESS: Final = "tongqiao_access"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call an endpoint, and how the log calls it.

    Attributes:
        roles: members with one of these roles; empty for an enrolment, which is signed by the key
            that it brings.
        action: the log's name for what is asked for.
        body: ``streamed`` bodies are compared with their hash by who reads them, all others
            before the endpoint is called.
    """

    roles: frozenset[Actor]
    action: Action
    body: BodyKind = "json"
    enrolment: bool = False


def may_call(*roles: Actor, action: Action, body: BodyKind = "json") -> Callable[[_View], _View]:
    """Declare which roles may call an endpoint."""
    return _declare(Access(frozenset(roles), action, body))


def may_enrol(action: Action) -> Callable[[_View], _View]:
    """Declare that anyone may call an endpoint who signs with the key in the body."""
    return _declare(Access(frozenset(), action, enrolment=True))


def access_of(view: Callable[..., Any]) -> Access | None:
    """What an endpoint declares; ``None`` if nothing."""
    declared = getattr(view, _ACCESS, None)
    return declared if isinstance(declared, Access) else None


def caller() -> Caller:
    """Who made this request: verified, except before and in refusals."""
    found: Caller = g.caller
    return found


def signed_sha256() -> bytes:
    """Hash that the sender signed for the body of this request, 32 bytes."""
    found: bytes = g.signed_sha256
    return found


def verified_body() -> bytes:
    """The body, which has the hash that the sender signed."""
    found: bytes = g.body
    return found


def enrolling_identity() -> PublicIdentity:
    """The identity in the body of an enrolment, which signed it."""
    found: PublicIdentity = g.identity
    return found


def installation() -> Installation:
    """The server's folder."""
    found: Installation = current_app.extensions["tongqiao"]
    return found


def guard(app: Flask) -> None:
    """Verify every request of an app before its endpoint is called."""
    app.before_request(_begin)
    app.before_request(_verify)


def _begin() -> None:
    g.request_id = new_request_id()
    g.caller = Caller(None, None, g.request_id, request.remote_addr or None)
    g.access = None
    if request.endpoint is not None:
        g.access = access_of(current_app.view_functions[request.endpoint])
    # A sender that stops in the middle of its body must not hold a thread for ever.
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(installation().config.idle_timeout_s)


def _verify() -> None:
    target = read_target(request.environ)
    if target is None:
        raise RefusalError(
            "not-found", "There is no such address. Write it without special characters."
        )
    if request.url_rule is None or request.url_rule.rule in PUBLIC:
        return
    hosts = installation().config.hosts
    if hosts and target.host not in hosts:
        raise RefusalError(
            "bad-signature", "The request was signed for another server. Check its address."
        )
    access: Access | None = g.access
    if access is None:
        raise RefusalError("forbidden", "Nobody may call this address.")
    signed = SignedRequest(
        method=request.method,
        url=target.url,
        headers=dict(request.headers),
        request_id=g.request_id,
        origin=g.caller.origin,
    )
    if access.enrolment:
        _verify_enrolment(signed)
        return
    authenticated = authenticate(installation(), signed)
    g.caller, g.signed_sha256 = authenticated.caller, authenticated.sha256
    if g.caller.actor not in access.roles:
        raise RefusalError(
            "forbidden",
            f"The role '{g.caller.role}' may not do this; it is for: "
            f"{', '.join(sorted(access.roles))}.",
        )
    if access.body != "streamed":
        g.body = _read_body(access.body)
        _compare(g.body, g.signed_sha256)


def _verify_enrolment(signed: SignedRequest) -> None:
    body = _read_limited(MAX_IDENTITY_BYTES)
    try:
        identity = parse_public_identity(body)
    except KeyFileError as error:
        raise RefusalError("invalid", str(error)) from error
    sha256 = authenticate_by_key(installation(), signed, identity.key_id, identity.signing_key)
    _compare(body, sha256)
    g.identity, g.body = identity, body


def _read_body(kind: BodyKind) -> bytes:
    config = installation().config
    return _read_limited(
        config.max_secret_bytes if kind == "sealed-secret" else config.max_json_bytes
    )


def _read_limited(max_bytes: int) -> bytes:
    body = bytearray()
    while chunk := request.stream.read(min(65536, max_bytes + 1 - len(body))):
        body += chunk
        if len(body) > max_bytes:
            raise RefusalError(
                "too-large", f"The body may have at most {max_bytes} bytes. Send less."
            )
    return bytes(body)


def _compare(body: bytes, sha256: bytes) -> None:
    if not hmac.compare_digest(hashlib.sha256(body).digest(), sha256):
        raise RefusalError(
            "digest-mismatch",
            "The body that arrived is not the one that was signed: it was changed on its way. "
            "Nothing was done. Send the request again.",
        )


def _declare(access: Access) -> Callable[[_View], _View]:
    def mark(view: _View) -> _View:
        setattr(view, _ACCESS, access)
        return view

    return mark
