"""A request that verifies, to be changed in every way; and a client that signs it otherwise."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ED25519

from keys.errors import RequestSignatureError
from keys.identity import PrivateIdentity, identity_from_keys
from keys.request_signing import (
    COVERED_COMPONENTS,
    VerifiedRequest,
    content_digest,
    sign_request,
    verify_request,
)
from keys.suites import CLASSICAL, SealingPrivateKey

NOW = 1_772_352_000


def _office(holder: str, seed: bytes) -> PrivateIdentity:
    """Always the same keys: key ids are parts of test names."""
    return identity_from_keys(
        holder,
        "office",
        holder,
        "2026-03-01T08:00:00Z",
        Ed25519PrivateKey.from_private_bytes(seed * 32),
        SealingPrivateKey(CLASSICAL, seed * 32),
    )


OFFICE = _office("jinjiang-civil", b"1")
OTHER = _office("zigong-health", b"2")
KEYS = {identity.public.key_id: identity.public.signing_key for identity in (OFFICE, OTHER)}
METHOD = "PUT"
URL = "https://linkage.example.org/v1/rounds/2026-h2/uploads/a%20b?part=1&of=%E7%AB%A5"
BODY = b"encodings"
DIGEST = content_digest(BODY)
NONCE = "0123456789abcdef0123456789abcdef"

Headers = dict[str, str]


def sign(url: str = URL, signer: PrivateIdentity = OFFICE, created: int = NOW) -> Headers:
    return sign_request(signer, METHOD, url, DIGEST, created=created, nonce=NONCE)


def verify(
    headers: Mapping[str, str],
    method: str = METHOD,
    url: str = URL,
    now: float = NOW,
    resolve_key: Callable[[str], bytes | None] = KEYS.get,
) -> VerifiedRequest:
    return verify_request(method, url, headers, resolve_key, now)


def refused(slug: str, headers: Mapping[str, str], **changes: Any) -> str:
    with pytest.raises(RequestSignatureError) as caught:
        verify(headers, **changes)
    assert caught.value.slug == slug, caught.value.detail
    assert str(caught.value) == caught.value.detail
    return caught.value.detail


@dataclass
class _Request:
    method: str = METHOD
    url: str = URL
    headers: Headers = field(default_factory=lambda: {"Content-Digest": DIGEST})


def signed_otherwise(
    components: Sequence[str] = COVERED_COMPONENTS,
    **changes: Any,
) -> Headers:
    """A client that gets it wrong, with a signature that is good in itself."""
    request = _Request()
    key_id = OFFICE.public.key_id
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(
            public_keys={}, private_keys={key_id: OFFICE.signing_private}
        ),
    )
    options: dict[str, Any] = {
        "key_id": key_id,
        "created": dt.datetime.fromtimestamp(NOW, tz=dt.UTC),
        "nonce": NONCE,
        "label": "tq",
        "tag": "tongqiao-v1",
        "covered_component_ids": components,
        "use_existing_digest": True,
    }
    signer.sign(request, **(options | changes))
    return request.headers
