"""The OpenID provider where people may log in: asked by Authlib, believed only what is verified.

OpenID Connect Core 1.0, section 3.1: the authorization code flow, with PKCE (RFC 7636).  What the
provider says of itself and its keys are fetched anew for each login: people log in a few times a
day, and nothing kept can be stale.  No proxy, password or certificate is taken from the
environment of the process.
"""

import json
import secrets
import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from api.server.config import ConfigError, ServerConfig
from api.server.services.openid import (
    RETURN_PATH,
    Departure,
    Return,
    Vouched,
    bad_return,
    not_invited,
    provider_away,
    subject_digest,
)
from keys.errors import KeyFileError
from keys.storage import read_private_file

SIGNATURE_ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
)  # fmt: skip
"""Signatures with a public key: whoever knows how to verify one cannot make one."""

MAX_SUBJECT_CHARACTERS: Final = 255
_LEEWAY_S: Final = 60
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_METADATA_PATH: Final = "/.well-known/openid-configuration"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class OpenIdProvider:
    """One provider, as the settings name it.

    Args:
        config: the settings; ``oidc_issuer`` is given.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config

    def check_files(self) -> None:
        """Whether this server's secret and the provider's certificates can be read.

        Both are read for each login: a new secret needs no restart, and a backup holds none.

        Raises:
            ConfigError: they cannot.
        """
        _load_secret(self._config)
        if not _is_readable(self._certificates):
            raise ConfigError("The file that oidc_ca_path in server.toml names cannot be read.")

    @property
    def name(self) -> str:
        """As the button calls it."""
        return self._config.oidc_name

    @property
    def _certificates(self) -> str | bool:
        path = self._config.oidc_ca_path
        return str(self._config.directory / path) if path else True

    def subject_digest(self, subject: str) -> str:
        """As :func:`subject_digest`, for this provider."""
        return subject_digest(self._config.oidc_issuer, subject)

    def depart(self) -> Departure:
        """Prepare one login.

        Raises:
            RefusalError: ``provider-away``.
        """
        metadata = self._metadata()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        with self._session() as session:
            url, _ = session.create_authorization_url(
                metadata["authorization_endpoint"],
                state=state,
                code_verifier=verifier,
                nonce=nonce,
            )
        return Departure(url, state, nonce, verifier)

    def verify_return(self, back: Return, *, nonce: str, verifier: str, now: datetime) -> Vouched:
        """Who came back, after the state was compared.

        Args:
            back: what the person brought.
            nonce, verifier: of the departure.
            now: the server's clock.

        Raises:
            RefusalError: ``provider-away``, ``bad-return`` or ``not-invited``.
        """
        metadata = self._metadata()
        # RFC 9207: the answer of another provider is not carried to this one.
        says_issuer = metadata.get("authorization_response_iss_parameter_supported") is True
        if (says_issuer or back.issuer is not None) and back.issuer != self._config.oidc_issuer:
            raise bad_return("issuer")
        if back.error is not None:
            raise bad_return("declined")
        if back.code is None:
            raise bad_return("code")
        token = self._redeem(metadata["token_endpoint"], back.code, verifier)
        claims = self._verified_claims(token, self._keys(metadata["jwks_uri"]), nonce, now)
        self._verify_required_claim(claims)
        return Vouched(self.subject_digest(claims["sub"]), self._has_second_factor(claims))

    def check(self) -> str:
        """Ask for metadata and keys, as every login does; returns the address for logging in.

        Raises:
            RefusalError: ``provider-away``.
        """
        metadata = self._metadata()
        self._keys(metadata["jwks_uri"])
        return str(metadata["authorization_endpoint"])

    def _session(self) -> OAuth2Session:
        config = self._config
        try:
            secret = _load_secret(config)
        except ConfigError as error:
            raise provider_away("secret") from error
        session = OAuth2Session(
            client_id=config.oidc_client_id,
            client_secret=secret,
            redirect_uri=config.public_url + RETURN_PATH,
            scope="openid",
            code_challenge_method="S256",
            default_timeout=config.oidc_timeout_s,
        )
        session.trust_env = False
        session.verify = self._certificates
        return session

    def _metadata(self) -> Mapping[str, Any]:
        issuer = self._config.oidc_issuer
        metadata = self._get_json(issuer.rstrip("/") + _METADATA_PATH, "metadata")
        if metadata.get("issuer") != issuer:
            raise provider_away("issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not self._is_address(metadata.get(name)):
                raise provider_away(name.replace("_", "-"))
        return metadata

    def _is_address(self, value: object) -> bool:
        """Whether this is an address with TLS; without, only where the issuer has none either."""
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            return False
        parts = urlsplit(value)
        if parts.scheme == "http":
            return parts.hostname in _LOOPBACK and self._config.oidc_issuer.startswith("http:")
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None

    def _keys(self, url: str) -> KeySet:
        try:
            return KeySet.import_key_set(self._get_json(url, "keys"))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise provider_away("keys") from error

    def _get_json(self, url: str, what: str) -> dict[str, Any]:
        try:
            with (
                self._session() as session,
                session.request(
                    "GET", url, withhold_token=True, allow_redirects=False, stream=True
                ) as answer,
            ):
                if answer.status_code != 200:
                    raise provider_away(what)
                value = json.loads(_bounded(answer.iter_content(65536), what))
        except (requests.RequestException, OSError, ValueError, RecursionError) as error:
            raise provider_away(what) from error
        if not isinstance(value, dict):
            raise provider_away(what)
        return value

    def _redeem(self, url: str, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            with self._session() as session:
                token: dict[str, Any] = session.fetch_token(
                    url,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    allow_redirects=False,
                )
        except OAuthError as error:
            if error.error == "invalid_grant":
                # Used before, too old, or issued to who began elsewhere.
                raise bad_return("code") from error
            raise provider_away("token-endpoint") from error
        except (requests.RequestException, OSError, ValueError, KeyError, TypeError) as error:
            raise provider_away("token-endpoint") from error
        return token

    def _verified_claims(
        self, token: Mapping[str, Any], keys: KeySet, nonce: str, now: datetime
    ) -> Mapping[str, Any]:
        encoded = token.get("id_token")
        if not isinstance(encoded, str):
            raise bad_return("id-token")
        try:
            decoded = jwt.decode(
                encoded,
                keys,
                registry=JWSRegistry(
                    algorithms=list(SIGNATURE_ALGORITHMS), strict_check_header=False
                ),
            )
        except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise bad_return("signature") from error
        client = self._config.oidc_client_id
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": self._config.oidc_issuer},
                "aud": {"essential": True, "value": client},
                "nonce": {"essential": True, "value": nonce},
            },
            {"nonce": nonce, "client_id": client, "access_token": token.get("access_token")},
        )
        try:
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise bad_return("claims") from error
        if not 0 < len(claims["sub"]) <= MAX_SUBJECT_CHARACTERS:
            raise bad_return("claims")
        verified: Mapping[str, Any] = claims
        return verified

    def _verify_required_claim(self, claims: Mapping[str, Any]) -> None:
        if not self._config.oidc_required_claim:
            return
        name, _, wanted = self._config.oidc_required_claim.partition("=")
        if wanted not in _words(claims.get(name)):
            raise not_invited({"check": "required-claim"})

    def _has_second_factor(self, claims: Mapping[str, Any]) -> bool:
        said = {*_words(claims.get("amr")), *_words(claims.get("acr"))}
        return not said.isdisjoint(self._config.oidc_mfa_values)


def _load_secret(config: ServerConfig) -> str:
    try:
        secret = read_private_file(config.oidc_client_secret_file).decode("ascii").strip()
    except (OSError, KeyFileError, UnicodeDecodeError) as error:
        raise ConfigError(
            "The secret for the OpenID provider (setting oidc_client_secret_path) cannot be read. "
            "Write it into that file, on one line, and let nobody but the server's account read "
            "it (chmod 600)."
        ) from error
    if not secret or not secret.isprintable():
        raise ConfigError("The file that oidc_client_secret_path names must hold one line.")
    return secret


def _is_readable(certificates: str | bool) -> bool:
    if isinstance(certificates, bool):
        return True
    try:
        ssl.create_default_context(cafile=certificates)
    except (OSError, ssl.SSLError):
        return False
    return True


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(entry for entry in value if isinstance(entry, str))
    return ()


def _bounded(chunks: Iterable[bytes], what: str) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > _MAX_ANSWER_BYTES:
            raise provider_away(what)
    return bytes(data)
