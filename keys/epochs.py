"""Which key of a holder is valid when: rotation, revocation, renewal.

A holder changes its keys by a *rotation*: the old key signs the new identity, so whoever trusted
the old one can follow without a telephone.  A lost or stolen key cannot be trusted to
do that: it is revoked, and the new one is compared by voice again.  Pure: no files, no clock.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from keys import labels
from keys.canonical import canonical_json
from keys.documents import expect_fields, not_well_formed, read_bytes, read_object, to_base64
from keys.errors import KeyFileError, SignatureError
from keys.identity import (
    MAX_IDENTITY_BYTES,
    PrivateIdentity,
    PublicIdentity,
    parse_public_identity,
)
from keys.signing import sign_document, verify_document

ROTATION_FORMAT: Final = "tongqiao-key-rotation-v1"
MAX_ROTATION_BYTES: Final = 2 * MAX_IDENTITY_BYTES

End = Literal["rotated", "revoked", "compromised"]
"""Why a key is not valid any more."""

_FIELDS: Final = frozenset({"format", "old_key", "new", "signature"})


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """A holder's word, by its old key, that a new identity takes the old one's place.

    Attributes:
        old_key_id: key id of the identity that signed.
        signature: 64 bytes, by the old signing key.
    """

    old_key_id: str
    new: PublicIdentity
    signature: bytes

    def to_json(self) -> bytes:
        """Canonical JSON (RFC 8785), as ``SEALING.md`` says."""
        return canonical_json(
            _unsigned(self.old_key_id, self.new) | {"signature": to_base64(self.signature)}
        )


@dataclass(frozen=True, slots=True)
class KeyEpoch:
    """One key of a holder and the time in which it counts.

    Attributes:
        number: from 1, without gaps.
        valid_until: first moment in which it does not count any more; ``None`` if it still does.
        end: why it ended.
    """

    number: int
    identity: PublicIdentity
    valid_from: dt.datetime
    valid_until: dt.datetime | None = None
    end: End | None = None

    def is_valid_at(self, moment: dt.datetime) -> bool:
        """Whether what this key signed at that moment counts."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """All keys of one holder, the oldest first; at any moment at most one is valid."""

    epochs: tuple[KeyEpoch, ...]

    @property
    def current(self) -> KeyEpoch | None:
        """The key that is valid now; ``None`` after a revocation."""
        last = self.epochs[-1]
        return last if last.valid_until is None else None

    def key_at(self, moment: dt.datetime) -> KeyEpoch | None:
        """The key that was valid at a moment; ``None`` where none was."""
        return next((epoch for epoch in self.epochs if epoch.is_valid_at(moment)), None)

    def rotate(self, rotation: KeyRotation, at: dt.datetime) -> "KeyHistory":
        """Let a new key take the place of the current one, by the current one's word.

        Raises:
            KeyFileError: no key is valid, the new one was used before, or the rotation does not
                fit.
        """
        current = self.current
        if current is None:
            raise KeyFileError(
                "The key was revoked, so it cannot name another. Make new keys, enrol again, and "
                "compare the fingerprint by telephone."
            )
        verify_rotation(rotation, current.identity)
        self._check_new(rotation.new)
        ended = replace(current, valid_until=at, end="rotated")
        following = KeyEpoch(current.number + 1, rotation.new, at)
        return KeyHistory((*self.epochs[:-1], ended, following))

    def revoke(
        self, at: dt.datetime, *, compromised_since: dt.datetime | None = None
    ) -> "KeyHistory":
        """End the current key; what a compromised one signed since then counts no more.

        Raises:
            KeyFileError: no key is valid.
        """
        current = self.current
        if current is None:
            raise KeyFileError("The key was revoked already.")
        if compromised_since is None:
            ended = replace(current, valid_until=at, end="revoked")
        else:
            until = max(current.valid_from, min(at, compromised_since))
            ended = replace(current, valid_until=until, end="compromised")
        return KeyHistory((*self.epochs[:-1], ended))

    def renew(self, identity: PublicIdentity, at: dt.datetime) -> "KeyHistory":
        """Begin with a new key after a revocation, once people have compared its fingerprint.

        Raises:
            KeyFileError: a key is still valid, this one was used before, or it is another holder's.
        """
        if self.current is not None:
            raise KeyFileError("The present key is still valid. Rotate it, or revoke it first.")
        last = self.epochs[-1]
        _check_same_holder(last.identity, identity)
        self._check_new(identity)
        return KeyHistory((*self.epochs, KeyEpoch(last.number + 1, identity, at)))

    def _check_new(self, identity: PublicIdentity) -> None:
        if identity.key_id in {epoch.identity.key_id for epoch in self.epochs}:
            raise KeyFileError("That key was used before, and never counts again. Make new keys.")


def begin_history(identity: PublicIdentity, at: dt.datetime) -> KeyHistory:
    """The history of a holder with its first key."""
    return KeyHistory((KeyEpoch(1, identity, at),))


def rotate_identity(old: PrivateIdentity, new: PrivateIdentity) -> KeyRotation:
    """Sign, with the old key, that the new identity takes its place.

    Raises:
        KeyFileError: they are of different holders or kinds, or the same key.
    """
    _check_same_holder(old.public, new.public)
    if old.public.key_id == new.public.key_id:
        raise KeyFileError("The new key is the old one. Make new keys.")
    document = canonical_json(_unsigned(old.public.key_id, new.public))
    signature = sign_document(old.signing_private, labels.KEY_ROTATION, document)
    return KeyRotation(old.public.key_id, new.public, signature)


def parse_rotation(data: bytes | Mapping[str, Any]) -> KeyRotation:
    """Parse a rotation; it is verified against the old identity by :func:`verify_rotation`.

    Raises:
        KeyFileError: it is none.
    """
    document = read_object(data, MAX_ROTATION_BYTES) if isinstance(data, bytes) else data
    expect_fields(document, ROTATION_FORMAT, _FIELDS)
    inner, old_key_id = document["new"], document["old_key"]
    if not isinstance(inner, dict) or not isinstance(old_key_id, str):
        raise not_well_formed()
    return KeyRotation(
        old_key_id, parse_public_identity(inner), read_bytes(document, "signature", 64)
    )


def verify_rotation(rotation: KeyRotation, old: PublicIdentity) -> None:
    """Verify that the holder of the old key named the new one.

    Raises:
        KeyFileError: another key signed it, or it is for another holder.
    """
    _check_same_holder(old, rotation.new)
    document = canonical_json(_unsigned(old.key_id, rotation.new))
    try:
        if rotation.old_key_id != old.key_id:
            raise SignatureError("another key")
        verify_document(old.signing_key, labels.KEY_ROTATION, document, rotation.signature)
    except SignatureError as error:
        raise KeyFileError(
            "The new key was not named by the present one. If its holder says that it was, "
            "compare the fingerprint by telephone."
        ) from error


def _check_same_holder(old: PublicIdentity, new: PublicIdentity) -> None:
    if (old.holder, old.kind) != (new.holder, new.kind):
        raise KeyFileError("The new key is of another holder. Make it under the same id.")


def _unsigned(old_key_id: str, new: PublicIdentity) -> dict[str, Any]:
    return {"format": ROTATION_FORMAT, "old_key": old_key_id, "new": new.to_document()}
