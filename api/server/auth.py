"""Who may call what: nobody, unless the endpoint says otherwise.

Every endpoint declares its callers with :func:`may_call` (signed requests and people who are
logged in), :func:`may_use` (people who are logged in) or :func:`may_enrol`; a request to one that
declares nothing is refused.  :data:`PUBLIC` and :data:`PUBLIC_PAGES` are the
whole list of what anyone may call.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

from flask import Flask, Response, current_app, g, request

from api.audit.events import Action
from api.server.refusals import RefusalError
from api.server.request_target import RequestTarget, read_target
from api.server.round_states import Actor
from api.server.services.access import SignedRequest, authenticate, authenticate_by_key
from api.server.services.installation import Installation
from api.server.services.sessions import Authenticated, authenticate_session
from api.server.services.work import Caller, new_request_id
from keys.errors import KeyFileError
from keys.identity import MAX_IDENTITY_BYTES, PublicIdentity, parse_public_identity

PUBLIC: Final = frozenset(
    {
        "GET /health",
        "GET /ready",
        "GET /openapi.json",
        "GET /v1/server",
        "POST /v1/session",
        "POST /v1/enrolments",
        "POST /v1/enrolments/completion",
    }
)
"""What answers anyone.  It tells nothing of any project; who logs in or enrols proves who it is."""

PUBLIC_PAGES: Final = frozenset(
    {
        "GET /console/login",
        "POST /console/login",
        "POST /console/login/provider",
        "GET /console/login/return",
        "GET /console/login/code",
        "POST /console/login/code",
        "GET /console/enrol",
        "POST /console/enrol",
        "GET /pages/<path:filename>",
        "GET /bootstrap/static/<path:filename>",
    }
)
"""The console's pages that answer anyone, and what all pages are drawn with."""

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"
_SAFE: Final = frozenset({"GET", "HEAD"})

BodyKind = Literal["json", "sealed-secret", "streamed"]
_View = TypeVar("_View", bound=Callable[..., Any])
_ACCESS: Final = "tongqiao_access"
_PENDING: Final = "-login"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call an endpoint, and how the log calls it.

    Attributes:
        roles: members and people with one of these roles; empty for an enrolment, which is signed
            by the key that it brings.
        action: the log's name for what is asked for.
        body: ``streamed`` bodies are compared with their hash by who reads them, all others
            before the endpoint is called.
        enrolment: whether the key in the body signs.
        anyone: whether nobody has to prove anything first; such endpoints are in :data:`PUBLIC`.
        signed: whether signed requests are taken.
        people: whether people are who are logged in.
        page: whether it is a page for people: forms, and any characters in its query.
        by_itself: whether pages ask it by themselves, with nobody before them perhaps.
    """

    roles: frozenset[Actor]
    action: Action
    body: BodyKind = "json"
    enrolment: bool = False
    anyone: bool = False
    signed: bool = True
    people: bool = True
    page: bool = False
    by_itself: bool = False


def may_call(
    *roles: Actor, action: Action, body: BodyKind = "json", people: bool = True
) -> Callable[[_View], _View]:
    """Declare which roles may call an endpoint, with signed requests or logged in."""
    return _declare(Access(frozenset(roles), action, body, people=people))


def may_enrol(action: Action) -> Callable[[_View], _View]:
    """Declare that anyone may call an endpoint who signs with the key in the body."""
    return _declare(Access(frozenset(), action, enrolment=True))


def may_use(
    *roles: Actor, action: Action, page: bool = False, by_itself: bool = False
) -> Callable[[_View], _View]:
    """Declare which people may call an endpoint who are logged in; no signature opens it."""
    access = Access(frozenset(roles), action, signed=False, page=page, by_itself=by_itself)
    return _declare(access)


def anyone_may(action: Action, *, page: bool = False) -> Callable[[_View], _View]:
    """Declare that an endpoint of :data:`PUBLIC` checks by itself who calls it."""
    return _declare(Access(frozenset(), action, anyone=True, page=page))


def access_of(view: Callable[..., Any]) -> Access | None:
    """What an endpoint declares; ``None`` if nothing."""
    declared = getattr(view, _ACCESS, None)
    return declared if isinstance(declared, Access) else None


def caller() -> Caller:
    """Who made this request: verified, except before and in refusals."""
    found: Caller = g.caller
    return found


def login() -> Authenticated:
    """The session that this request belongs to; endpoints of :func:`may_use` only."""
    found: Authenticated = g.login
    return found


def session_token() -> str | None:
    """What the browser keeps of its session."""
    return request.cookies.get(_cookie_name())


def keep_session(answer: Response, token: str) -> None:
    """Let the browser keep a session: out of the reach of scripts, and for this server only."""
    answer.set_cookie(
        _cookie_name(), token, httponly=True, secure=_is_secure(), samesite="Lax", path="/"
    )


def forget_session(answer: Response) -> None:
    """Let the browser forget its session."""
    answer.delete_cookie(
        _cookie_name(), httponly=True, secure=_is_secure(), samesite="Lax", path="/"
    )


def provider_login_token() -> str | None:
    """What the browser keeps of a login at the OpenID provider that is under way."""
    return request.cookies.get(_cookie_name() + _PENDING)


def keep_provider_login(answer: Response, token: str, max_age_s: int) -> None:
    """Let the browser keep a login that is under way; it comes along as the provider sends back."""
    answer.set_cookie(
        _cookie_name() + _PENDING,
        token,
        max_age=max_age_s,
        httponly=True,
        secure=_is_secure(),
        samesite="Lax",
        path="/",
    )


def forget_provider_login(answer: Response) -> None:
    """Let the browser forget a login that was under way."""
    answer.delete_cookie(
        _cookie_name() + _PENDING, httponly=True, secure=_is_secure(), samesite="Lax", path="/"
    )


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
    app.teardown_request(_end)


def _begin() -> None:
    installation().transfers.begin_answer()
    g.request_id = new_request_id()
    g.caller = Caller(None, None, g.request_id, request.remote_addr or None)
    g.access = None
    if request.endpoint is not None:
        g.access = access_of(current_app.view_functions[request.endpoint])
    # A sender that stops in the middle of its body must not hold a thread for ever.
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(installation().config.idle_timeout_s)


def _end(_error: BaseException | None) -> None:
    installation().transfers.end_answer()


def _verify() -> None:
    access: Access | None = g.access
    target = read_target(request.environ)
    if target is None and (access is None or not access.page):
        raise RefusalError(
            "not-found", "There is no such address. Write it without special characters."
        )
    if request.url_rule is None:
        return
    if access is not None and access.page:
        # A form, or a small file in one: whoever sends more is cut off before it is kept.
        request.max_content_length = installation().config.max_json_bytes
    is_public = is_public_address(request.method, request.url_rule.rule)
    if is_public and access is None:
        return
    _check_host()
    if access is None or access.anyone is not is_public:
        raise RefusalError("forbidden", "Nobody may call this address.")
    if access.anyone:
        _check_same_site()
        g.body = b"" if access.page else _read_body("json")
    elif "Signature" not in request.headers and session_token() is not None:
        _verify_session(access)
    elif not access.signed:
        raise RefusalError("no-session", "Log in first.")
    elif target is not None:
        _verify_signature(access, target)


def is_public_address(method: str, rule: str) -> bool:
    """Whether anyone may call this; see :data:`PUBLIC` and :data:`PUBLIC_PAGES`."""
    return f"{'GET' if method == 'HEAD' else method} {rule}" in PUBLIC | PUBLIC_PAGES


def _check_host() -> None:
    hosts = installation().config.hosts
    if hosts and request.headers.get("Host", "").lower() not in hosts:
        raise RefusalError(
            "bad-signature", "The request was made for another server. Check its address."
        )


def _verify_session(access: Access) -> None:
    token = session_token()
    found = authenticate_session(installation(), token or "", is_used=not access.by_itself)
    g.login = found
    g.caller = replace(g.caller, member=found.person, role=found.role)
    _check_role(access)
    if not access.people:
        raise RefusalError("forbidden", "This takes a key: sign the request with a command.")
    if request.method not in _SAFE:
        _check_same_site()
        given = request.headers.get(CSRF_HEADER)
        if given is None and access.page:
            given = request.form.get(CSRF_FIELD)
        if not hmac.compare_digest((given or "").encode(), found.csrf_token.encode()):
            raise _forged()
    g.body = b"" if access.page else _read_body("json")


def _check_same_site() -> None:
    """Refuse what a page of another site sent (Fetch Metadata); programs send no such word."""
    if request.method not in _SAFE and request.headers.get("Sec-Fetch-Site", "none") not in (
        "none",
        "same-origin",
    ):
        raise _forged()


def _forged() -> RefusalError:
    return RefusalError(
        "forged",
        "This was not sent by a page of this server; nothing was done. Open the page again, then "
        "repeat it there.",
    )


def _check_role(access: Access) -> None:
    if g.caller.actor not in access.roles:
        raise RefusalError(
            "forbidden",
            f"The role '{g.caller.role}' may not do this; it is for: "
            f"{', '.join(sorted(access.roles))}.",
        )


def _is_secure() -> bool:
    return request.is_secure or bool(current_app.config["TONGQIAO_BEHIND_PROXY"])


def _cookie_name() -> str:
    # A browser takes a name with this prefix only over TLS and from this very host.
    return "__Host-tongqiao" if _is_secure() else "tongqiao"


def _verify_signature(access: Access, target: RequestTarget) -> None:
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
    _check_role(access)
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
