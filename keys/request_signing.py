"""Signatures on HTTP requests (RFC 9421) in the one form that ``docs/http-api.md`` allows.

The URL counts as it was sent, percent-encoding and all: a server must verify what came over the
wire, not what its framework decoded.
"""

import base64
import datetime as dt
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ED25519

from keys.errors import RequestSignatureError
from keys.identity import PrivateIdentity, key_id_of
from keys.signing import SIGNING_KEY_BYTES, is_weak_signing_key

SIGNATURE_LABEL: Final = "tq"
SIGNATURE_TAG: Final = "tongqiao-v1"
MAX_CLOCK_SKEW_S: Final = 300
COVERED_COMPONENTS: Final = ("@method", "@authority", "@path", "@query", "content-digest")

_PARAMETERS: Final = frozenset({"created", "keyid", "alg", "nonce", "tag"})
_SIGNED_HEADERS: Final = ("content-digest", "signature-input", "signature")
_MAX_HEADER_CHARACTERS: Final = 2048
_HEX_32 = re.compile(r"[0-9a-f]{32}")
_CONTENT_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_SIGNATURE = re.compile(rf"{SIGNATURE_LABEL}=:[A-Za-z0-9+/]{{86}}==:")


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request whose signature fits; its body and its nonce are still to be checked.

    Attributes:
        key_id: whose key signed it.
        nonce: 32 hex characters; the caller refuses one that it saw before.
        created: when it was signed, seconds since 1970.
        sha256: 32 bytes that the caller compares with the hash of the body.
    """

    key_id: str
    nonce: str
    created: int
    sha256: bytes


def content_digest(body: bytes) -> str:
    """The ``Content-Digest`` header of a body (RFC 9530), also of an empty one."""
    return content_digest_of_sha256(hashlib.sha256(body).digest())


def content_digest_of_sha256(digest: bytes) -> str:
    """The ``Content-Digest`` header of a body that was hashed elsewhere, from 32 bytes.

    Raises:
        ValueError: it is not 32 bytes long.
    """
    if len(digest) != 32:
        raise ValueError("a SHA-256 digest is 32 bytes long")
    return f"sha-256=:{base64.b64encode(digest).decode('ascii')}:"


def sign_request(
    private: PrivateIdentity,
    method: str,
    url: str,
    content_digest: str,
    *,
    created: int | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """Sign a request; returns the headers ``Content-Digest``, ``Signature-Input``, ``Signature``.

    Args:
        private: whose key signs.
        method: in capital letters.
        url: absolute, as it will be sent.
        content_digest: what :func:`content_digest` says of the body.
        created: seconds since 1970; now by default.
        nonce: 32 hex characters; random by default.

    Raises:
        RequestSignatureError: the request cannot be signed as it is.
    """
    _parse_content_digest(content_digest)
    if nonce is not None and not _HEX_32.fullmatch(nonce):
        raise _bad("A nonce is 32 hexadecimal characters.")
    message = _Message(method, url, {"Content-Digest": content_digest})
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519, key_resolver=_OneKey(private=private.signing_private)
    )
    try:
        signer.sign(
            message,
            key_id=private.public.key_id,
            created=dt.datetime.fromtimestamp(
                int(time.time()) if created is None else created, tz=dt.UTC
            ),
            nonce=secrets.token_hex(16) if nonce is None else nonce,
            label=SIGNATURE_LABEL,
            tag=SIGNATURE_TAG,
            covered_component_ids=COVERED_COMPONENTS,
            use_existing_digest=True,
        )
    except HTTPMessageSignaturesException as error:
        raise _bad("The request cannot be signed. Check the server's address.") from error
    return message.headers


def verify_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    resolve_key: Callable[[str], bytes | None],
    now: float,
) -> VerifiedRequest:
    """Verify the signature of a request, in everything but its body and its nonce.

    Args:
        method: as it came.
        url: absolute, as it came.
        headers: names in any case; a name that came twice must be there twice or joined.
        resolve_key: raw 32-byte signing key of a key id, ``None`` where it is not accepted;
            called only for requests that are well formed and in time.  What it raises passes.
        now: seconds since 1970.

    Raises:
        RequestSignatureError: with the slug that the answer should have.
    """
    signed = _signed_headers(headers)
    sha256 = _parse_content_digest(signed["content-digest"])
    if not _SIGNATURE.fullmatch(signed["signature"].strip(" \t")):
        raise _bad("The request must carry exactly one Ed25519 signature, labelled 'tq'.")
    verifier = _Verifier(signed["signature-input"].strip(" \t"), resolve_key, now)
    try:
        verifier.verify(_Message(method, url, signed), max_age=None)
    except HTTPMessageSignaturesException as error:
        raise _bad(
            "The signature does not fit the request. Sign the address, the method and the "
            "Content-Digest exactly as they are sent."
        ) from error
    parameters = verifier.parameters
    return VerifiedRequest(parameters["keyid"], parameters["nonce"], parameters["created"], sha256)


@dataclass
class _Message:
    """What the signature library wants to see of a request."""

    method: str
    url: str
    headers: dict[str, str]


class _OneKey(HTTPSignatureKeyResolver):
    """Hands one key to the signature library."""

    def __init__(
        self,
        *,
        private: Ed25519PrivateKey | None = None,
        public: Ed25519PublicKey | None = None,
    ) -> None:
        self._private = private
        self.public = public

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        return self.public

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        if self._private is None:
            raise HTTPMessageSignaturesException("no private key here")
        return self._private


class _Verifier(HTTPMessageVerifier):
    """Checks form, time and key before the library looks at the signature."""

    def __init__(
        self, signature_input: str, resolve_key: Callable[[str], bytes | None], now: float
    ) -> None:
        self._signature_input = signature_input
        self._key = _OneKey()
        super().__init__(signature_algorithm=ED25519, key_resolver=self._key)
        self._resolve_key = resolve_key
        self._now = now
        self.parameters: dict[str, Any] = {}

    # The library calls this first, before it resolves a key.
    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        # Other spellings (a parameter twice, more spaces) could be read otherwise elsewhere.
        if f"{SIGNATURE_LABEL}={sig_input}" != self._signature_input:
            raise _bad("Signature-Input must be labelled 'tq' and serialised as RFC 8941 says.")
        self.parameters = dict(sig_input.params)
        components = [(item.value, dict(item.params)) for item in sig_input]
        if components != [(name, {}) for name in COVERED_COMPONENTS]:
            raise RequestSignatureError(
                "unsigned",
                "The signature must cover, in this order and nothing else: "
                f"{', '.join(COVERED_COMPONENTS)}.",
            )
        if self.parameters.keys() != _PARAMETERS:
            raise RequestSignatureError(
                "unsigned",
                "The signature must have these parameters and no other: "
                f"{', '.join(sorted(_PARAMETERS))}.",
            )
        if self.parameters["tag"] != SIGNATURE_TAG or self.parameters["alg"] != "ed25519":
            raise _bad(f"The signature must be ed25519, with the tag '{SIGNATURE_TAG}'.")
        if not all(_HEX_32.fullmatch(self.parameters[name]) for name in ("nonce", "keyid")):
            raise _bad("Nonce and keyid must be 32 hexadecimal characters each, in small letters.")
        if abs(self._now - self.parameters["created"]) > MAX_CLOCK_SKEW_S:
            raise RequestSignatureError(
                "expired-signature",
                f"The request was signed more than {MAX_CLOCK_SKEW_S} s ago or ahead of time. "
                "Set the clock of this machine, and send the request again.",
            )
        self._key.public = self._load_key(self.parameters["keyid"])

    def _load_key(self, key_id: str) -> Ed25519PublicKey:
        raw = self._resolve_key(key_id)
        if raw is None:
            raise _bad(
                "The key is not known here, or not approved yet, or revoked. Ask the operator."
            )
        if len(raw) != SIGNING_KEY_BYTES or is_weak_signing_key(raw) or key_id_of(raw) != key_id:
            raise _bad("The key is not usable. Make new keys, and enrol again.")
        return Ed25519PublicKey.from_public_bytes(raw)


def _signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if key not in _SIGNED_HEADERS:
            continue
        if key in found:
            raise _bad("A header of the signature came twice. Send each of them once.")
        if len(value) > _MAX_HEADER_CHARACTERS or not (value.isascii() and value.isprintable()):
            raise _bad("A header of the signature is not well formed. Sign the request again.")
        found[key] = value
    if found.keys() != set(_SIGNED_HEADERS):
        raise RequestSignatureError(
            "unsigned",
            "The request is not signed. It needs the headers Content-Digest, Signature-Input and "
            "Signature (RFC 9421).",
        )
    return found


def _parse_content_digest(value: str) -> bytes:
    match = _CONTENT_DIGEST.fullmatch(value.strip(" \t"))
    if match is not None:
        digest = base64.b64decode(match[1])
        # Base64 has several spellings of the same bytes; only one of them is taken.
        if content_digest_of_sha256(digest) == match[0]:
            return digest
    raise _bad("Content-Digest must hold one SHA-256 digest of the body: sha-256=:BASE64:")


def _bad(detail: str) -> RequestSignatureError:
    return RequestSignatureError("bad-signature", detail)
