"""The provider's application: Authlib's authorization server with PKCE, ID tokens, discovery, keys.

Whoever comes says who they are, in a form.  ``python -m tests.openid_provider_app HOST PORT_FILE``
serves it until killed.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin, OpenIDCode
from flask import Flask, Response, current_app, jsonify, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, Lies

_KEY_BITS = 2048


@dataclass
class Book:
    """What the provider knows."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(_KEY_BITS, auto_kid=True))
    other_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(_KEY_BITS, auto_kid=True))
    codes: dict[str, "Code"] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    lies: Lies = field(default_factory=Lies)


def book() -> Book:
    """What this provider knows."""
    found: Book = current_app.config["BOOK"]
    return found


class Client(ClientMixin):  # type: ignore[misc]
    """The linkage server."""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return "openid" if "openid" in scope.split() else ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.endswith("/console/login/return")

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(client_secret, CLIENT_SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """An authorization code, good once."""

    code: str
    subject: str
    redirect_uri: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return "openid"

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes, for a client that proves who it is."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    def save_authorization_code(self, code: str, sent: Any) -> None:
        data = sent.payload.data
        book().nonces.add(data["nonce"])
        book().codes[code] = Code(
            code,
            sent.user,
            sent.payload.redirect_uri,
            data["nonce"],
            data["code_challenge"],
            data["code_challenge_method"],
        )

    def query_authorization_code(self, code: str, client: Any) -> Code | None:
        return book().codes.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del book().codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.subject


class IdTokens(OpenIDCode):  # type: ignore[misc]
    """ID tokens: right ones, or as the lies want them."""

    def exists_nonce(self, nonce: str, sent: Any) -> bool:
        return nonce in book().nonces

    def resolve_client_private_key(self, client: Any) -> RSAKey:
        return book().key

    def get_client_claims(self, client: Any) -> dict[str, Any]:
        return {"iss": book().issuer, "aud": [CLIENT_ID]}

    def get_encode_header(self, client: Any) -> dict[str, Any]:
        return {"alg": "RS256", "kid": book().key.kid}

    def generate_user_info(self, user: str, scope: str) -> dict[str, Any]:
        return {"sub": user, **book().people.get(user, {})}

    def process_token(self, grant: Any, response: Any) -> Any:
        token = super().process_token(grant, response)
        lies = book().lies
        if lies.claims or lies.sign:
            token["id_token"] = _false_token(token["id_token"])
        if not lies.id_token:
            del token["id_token"]
        return token


def make_provider() -> Flask:
    """The provider's application."""
    app = Flask("provider")
    app.config["BOOK"] = Book()
    server = AuthorizationServer(
        app,
        query_client=lambda client_id: Client() if client_id == CLIENT_ID else None,
        save_token=lambda token, sent: None,
    )
    server.register_grant(CodeGrant, [IdTokens(require_nonce=True), CodeChallenge()])
    app.extensions["authorization"] = server
    app.before_request(_lie)
    for method, rule, view in (
        ("GET", "/.well-known/openid-configuration", _metadata),
        ("GET", "/keys", _keys),
        ("GET", "/authorize", _form),
        ("POST", "/authorize", _authorize),
        ("POST", "/token", _token),
        ("GET", "/test/metadata", _metadata),
        ("PUT", "/test/lies", _take_lies),
        ("PUT", "/test/people/<subject>", _take_person),
    ):
        app.add_url_rule(rule, f"{method} {rule}", view, methods=[method])
    return app


def _lie() -> Response | None:
    if request.path.startswith(("/test/", "/authorize")):
        return None
    lies = book().lies
    time.sleep(lies.silent_s)
    if lies.status or lies.body:
        right = f"{book().issuer}/test/metadata"
        return Response(lies.body, lies.status or 200, {"Location": right})
    return None


def _metadata() -> Response:
    issuer = book().issuer
    own = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        # As a hostile provider would have it: whoever asks must have a list of its own.
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": True,
    }
    return jsonify(own | book().lies.metadata)


def _keys() -> Response:
    return jsonify(KeySet([book().key]).as_dict(private=False))


def _form() -> str:
    return (
        "<!doctype html><html lang='en'><title>Provider</title>"
        "<link rel='icon' href='data:,'><body>"
        "<form method='post'><label>Who are you? <input name='subject'></label>"
        "<button>Agree</button></form></body></html>"
    )


def _authorize() -> Response:
    subject = request.form["subject"]
    if subject == "nobody":
        back = f"{request.args['redirect_uri']}?error=access_denied&state={request.args['state']}"
        return Response("", 302, {"Location": f"{back}&iss={book().issuer}"})
    server = current_app.extensions["authorization"]
    answer: Response = server.create_authorization_response(
        grant_user=subject, grant=server.get_consent_grant(end_user=subject)
    )
    if book().lies.issuer != "-":
        answer.headers["Location"] += f"&iss={book().lies.issuer or book().issuer}"
    return answer


def _token() -> Response:
    answer: Response = current_app.extensions["authorization"].create_token_response()
    return answer


def _take_lies() -> str:
    book().lies = Lies(**request.get_json())
    return ""


def _take_person(subject: str) -> str:
    book().people[subject] = request.get_json()
    return ""


def _false_token(right: str) -> str:
    """An ID token that ought not to be believed; MACs are made without the library that refuses."""
    lies, key = book().lies, book().key
    head, body, _ = right.split(".")
    header: dict[str, Any] = json.loads(_decoded(head))
    claims: dict[str, Any] = json.loads(_decoded(body)) | lies.claims
    claims = {name: value for name, value in claims.items() if value is not None}
    if lies.sign == "none":
        return f"{_part({'alg': 'none'})}.{_part(claims)}."
    if lies.sign == "cut-off":
        return f"{head}.{_part(claims)}."
    shared = {
        "public-key-as-secret": key.as_pem(private=False),
        "client-secret": CLIENT_SECRET.encode(),
    }
    if lies.sign in shared:
        signed = f"{_part({**header, 'alg': 'HS256'})}.{_part(claims)}"
        mac = hmac.new(shared[lies.sign], signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_encoded(mac)}"
    if lies.sign == "unknown-key":
        header["kid"] = "another"
    return jwt.encode(header, claims, book().other_key if lies.sign else key, ["RS256"])


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(dict(value)).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def serve(host: str, port_file: Path, *tls: str) -> None:
    """Serve until killed; the port is written once the provider listens."""
    app = make_provider()
    context = (tls[0], tls[1]) if tls else None
    server = make_server(host, 0, app, threaded=True, ssl_context=context)
    app.config["BOOK"].issuer = f"http{'s' if tls else ''}://{host}:{server.port}"
    draft = port_file.with_suffix(".draft")
    draft.write_text(str(server.port))
    draft.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
