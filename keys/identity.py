"""Identities: a signing key, a sealing key, and who holds them.

A public identity is a JSON document that its own key signed, so that nobody can join another's
signing key with a sealing key of his own.  It says nothing about who really holds the keys: people
find that out by comparing fingerprints.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys import labels
from keys.canonical import canonical_json
from keys.documents import (
    expect_fields,
    not_well_formed,
    read_bytes,
    read_object,
    read_text,
    to_base64,
)
from keys.errors import KeyFileError, SealingError, SignatureError
from keys.fingerprint import format_fingerprint
from keys.signing import SIGNING_KEY_BYTES, sign_document, verify_document
from keys.suites import (
    DEFAULT_SUITE,
    SUITES,
    SealingPrivateKey,
    Suite,
    check_public_key,
    new_sealing_key,
)

Kind = Literal["office", "operator", "auditor"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PUBLIC_FORMAT: Final = "tongqiao-public-identity-v1"
PRIVATE_FORMAT: Final = "tongqiao-private-identity-v1"
MAX_IDENTITY_BYTES: Final = 16 * 1024
MAX_NAME_CHARACTERS: Final = 200

_PUBLIC_KEYS: Final = frozenset(
    {
        "format",
        "holder",
        "kind",
        "name",
        "created_at",
        "signing_key",
        "sealing_suite",
        "sealing_key",
        "signature",
    }
)
_PRIVATE_KEYS: Final = frozenset({"format", "public", "signing_private", "sealing_private"})
_HOLDER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class PublicIdentity:
    """What others know of an identity.

    Attributes:
        holder: id of the office or person.
        kind: what it takes part as.
        name: as people call it, at most 200 printable characters.
        signing_key: raw Ed25519 public key, 32 bytes.
        sealing_key: raw public key of ``sealing_suite``.
        created_at: RFC 3339, UTC, whole seconds.
        sealing_suite: name of an HPKE suite in ``keys/suites.py``.
        signature: 64 bytes, by ``signing_key`` over all other fields.
    """

    holder: str
    kind: Kind
    name: str
    signing_key: bytes
    sealing_key: bytes
    created_at: str
    sealing_suite: str
    signature: bytes

    def __repr__(self) -> str:
        return f"PublicIdentity({self.kind}, key {self.key_id})"

    @property
    def key_id(self) -> str:
        """32 hex characters: the first half of SHA-256 over the raw signing key."""
        return key_id_of(self.signing_key)

    @property
    def fingerprint(self) -> str:
        """Six groups of five digits over all fields, for two people to compare by voice."""
        signed = canonical_json(_unsigned_document(self))
        digest = hashlib.sha256(labels.IDENTITY_FINGERPRINT + b"\x00" + signed).digest()
        return format_fingerprint(digest)

    @property
    def suite(self) -> Suite:
        """The HPKE suite to seal to it with."""
        return SUITES[self.sealing_suite]

    def to_document(self) -> dict[str, str]:
        """The self-signed JSON object."""
        return _unsigned_document(self) | {"signature": to_base64(self.signature)}

    def to_json(self) -> bytes:
        """The self-signed JSON, canonical (RFC 8785)."""
        return canonical_json(self.to_document())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrivateIdentity:
    """A public identity and its private keys; neither shown nor pickled."""

    public: PublicIdentity
    signing_private: Ed25519PrivateKey
    sealing_private: SealingPrivateKey

    def __repr__(self) -> str:
        return f"PrivateIdentity({self.public.kind}, keys hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("private identities are not copied or pickled")

    def to_json(self) -> bytes:
        """The content of a private key file: everything, in the clear."""
        return canonical_json(
            {
                "format": PRIVATE_FORMAT,
                "public": self.public.to_document(),
                "signing_private": to_base64(self.signing_private.private_bytes_raw()),
                "sealing_private": to_base64(self.sealing_private.seed),
            }
        )


def key_id_of(signing_key: bytes) -> str:
    """32 hex characters: the first half of SHA-256 over a raw 32-byte signing key."""
    return hashlib.sha256(signing_key).hexdigest()[:32]


def new_identity(
    holder: str,
    kind: Kind,
    name: str | None = None,
    created_at: str | None = None,
    *,
    suite: Suite = DEFAULT_SUITE,
) -> PrivateIdentity:
    """Make an identity with new keys; the name defaults to the holder's id, the time to now.

    Raises:
        KeyFileError: holder, kind, name or time is not well formed.
        SealingError: this machine lacks the suite.
    """
    return identity_from_keys(
        holder,
        kind,
        holder if name is None else name,
        created_at or f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        Ed25519PrivateKey.generate(),
        new_sealing_key(suite),
    )


def identity_from_keys(
    holder: str,
    kind: Kind,
    name: str,
    created_at: str,
    signing_private: Ed25519PrivateKey,
    sealing_private: SealingPrivateKey,
) -> PrivateIdentity:
    """Put an identity together from keys that are there, and sign it.

    Raises:
        KeyFileError: holder, kind, name or time is not well formed.
    """
    unsigned = PublicIdentity(
        holder=_checked_holder(holder),
        kind=_checked_kind(kind),
        name=check_name(name),
        signing_key=signing_private.public_key().public_bytes_raw(),
        sealing_key=sealing_private.public_bytes,
        created_at=_checked_time(created_at),
        sealing_suite=sealing_private.suite.name,
        signature=b"",
    )
    document = _unsigned_document(unsigned)
    signature = sign_document(signing_private, labels.IDENTITY, canonical_json(document))
    # Through the parser, so that nothing is written that would not be read.
    public = parse_public_identity(document | {"signature": to_base64(signature)})
    return PrivateIdentity(public, signing_private, sealing_private)


def check_name(name: str) -> str:
    """A name as it is, if identities may have it.  Raises: KeyFileError."""
    # Control and format characters could make it look like another name on the screen.
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise KeyFileError(
            "The name must be 1 to 200 printable characters, without spaces at its ends."
        )
    return name


def parse_public_identity(data: bytes | Mapping[str, Any]) -> PublicIdentity:
    """Parse a public identity from JSON text or an object already read, and verify it.

    Raises:
        KeyFileError: form, a field, a size or the signature is wrong.
    """
    document = read_object(data, MAX_IDENTITY_BYTES) if isinstance(data, bytes) else data
    if document.get("format") == PRIVATE_FORMAT:
        raise KeyFileError(
            "That is a private key file, which nobody else may see. Give the public one."
        )
    expect_fields(document, PUBLIC_FORMAT, _PUBLIC_KEYS)
    suite = SUITES.get(read_text(document, "sealing_suite"))
    if suite is None:
        raise KeyFileError("The identity uses a sealing suite unknown here. Update the program.")
    identity = PublicIdentity(
        holder=_checked_holder(read_text(document, "holder")),
        kind=_checked_kind(read_text(document, "kind")),
        name=check_name(read_text(document, "name")),
        signing_key=read_bytes(document, "signing_key", SIGNING_KEY_BYTES),
        sealing_key=read_bytes(document, "sealing_key", suite.public_key_bytes),
        created_at=_checked_time(read_text(document, "created_at")),
        sealing_suite=suite.name,
        signature=read_bytes(document, "signature", 64),
    )
    try:
        verify_document(
            identity.signing_key,
            labels.IDENTITY,
            canonical_json(_unsigned_document(identity)),
            identity.signature,
        )
        check_public_key(suite, identity.sealing_key)
    except (SignatureError, SealingError) as error:
        raise KeyFileError(
            "The identity is not signed by its own key, or its keys are not usable. Ask its "
            "holder for the file again."
        ) from error
    return identity


def parse_private_identity(data: bytes) -> PrivateIdentity:
    """Parse the content of a private key file, and check that its keys belong together.

    Raises:
        KeyFileError: it is not one, or was altered.
    """
    document = read_object(data, MAX_IDENTITY_BYTES)
    if document.get("format") == PUBLIC_FORMAT:
        raise KeyFileError("That is a public identity. Give the private key file of your own.")
    expect_fields(document, PRIVATE_FORMAT, _PRIVATE_KEYS)
    inner = document["public"]
    if not isinstance(inner, dict):
        raise not_well_formed()
    public = parse_public_identity(inner)
    signing = Ed25519PrivateKey.from_private_bytes(read_bytes(document, "signing_private", 32))
    try:
        sealing = SealingPrivateKey(public.suite, read_bytes(document, "sealing_private", 32))
    except SealingError as error:
        raise KeyFileError(str(error)) from error
    if (
        signing.public_key().public_bytes_raw() != public.signing_key
        or sealing.public_bytes != public.sealing_key
    ):
        raise KeyFileError(
            "The private keys do not fit the public identity in the same file. Restore it from a "
            "backup, or make new keys and enrol again."
        )
    return PrivateIdentity(public, signing, sealing)


def _unsigned_document(identity: PublicIdentity) -> dict[str, str]:
    return {
        "format": PUBLIC_FORMAT,
        "holder": identity.holder,
        "kind": identity.kind,
        "name": identity.name,
        "created_at": identity.created_at,
        "signing_key": to_base64(identity.signing_key),
        "sealing_suite": identity.sealing_suite,
        "sealing_key": to_base64(identity.sealing_key),
    }


def _checked_holder(holder: str) -> str:
    if not _HOLDER.fullmatch(holder):
        raise KeyFileError("The id must be small letters, digits and hyphens, at most 63.")
    return holder


def _checked_kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise KeyFileError(f"The kind must be one of: {', '.join(KINDS)}.")
    return kind


def _checked_time(time: str) -> str:
    try:
        if not _TIME.fullmatch(time):
            raise ValueError
        dt.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError as error:
        raise KeyFileError(
            "The time of creation must be UTC in whole seconds, as 2026-01-31T08:00:00Z."
        ) from error
    return time
