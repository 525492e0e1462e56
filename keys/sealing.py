"""Sealed blobs: encrypted to one identity, signed by another, bound to what they are for.

``SEALING.md`` is the byte-exact form.  HPKE's base mode (RFC 9180) says nothing about the sender,
so the blob is signed: else the server that passes it on could put one of its own in its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keys import labels
from keys.canonical import canonical_json
from keys.errors import KeysError, SealingError, SignatureError
from keys.identity import PrivateIdentity, PublicIdentity
from keys.signing import SIGNATURE_BYTES, sign_document, verify_document
from keys.suites import SUITES_BY_IDENTIFIER, Suite, encrypt

MAX_PLAINTEXT_BYTES: Final = 1024 * 1024
LINKAGE_SECRET_PURPOSE: Final = "linkage-secret"  # noqa: S105 - a name, no secret

_MAGIC: Final = b"TQSEAL"
_VERSION: Final = 1
_SUITE_AT: Final = 7
_SENDER_AT: Final = 13
_RECIPIENT_AT: Final = 29
_LENGTH_AT: Final = 45
_HEADER_BYTES: Final = 49
_PURPOSE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class SealedBlob:
    """What a sealed blob shows to anyone; nothing of it is verified.

    Attributes:
        suite: what it is sealed with.
        sender_key_id: 32 hex characters.
        recipient_key_id: 32 hex characters.
        enc_and_ciphertext: as HPKE makes them, one after the other.
        signature: 64 bytes.
        signed: everything before the signature.
    """

    suite: Suite
    sender_key_id: str
    recipient_key_id: str
    enc_and_ciphertext: bytes
    signature: bytes
    signed: bytes


def linkage_secret_context(project: str, epoch: int, recipient: str) -> dict[str, str]:
    """The context that a project's linkage secret is sealed in, for one office."""
    return {"project": project, "epoch": str(epoch), "recipient": recipient}


def seal(
    plaintext: bytes,
    *,
    recipient: PublicIdentity,
    sender: PrivateIdentity,
    purpose: str,
    context: Mapping[str, str],
) -> bytes:
    """Encrypt to the recipient, for one purpose in one context, and sign as the sender.

    Args:
        plaintext: at most ``MAX_PLAINTEXT_BYTES``; the blob shows its size.
        recipient: checked by a person (by its fingerprint) before.
        sender: whose signing key signs.
        purpose: what it is, as ``linkage-secret``; small letters, digits, hyphens.
        context: what it belongs to; must be the same when it is opened.

    Raises:
        SealingError: too long, purpose or context not well formed, or the key not usable.
    """
    if len(plaintext) > MAX_PLAINTEXT_BYTES:
        raise SealingError("Too much to seal at once: the limit is 1 MiB.")
    suite = recipient.suite
    info = _info(suite, sender.public.key_id, recipient.key_id, purpose, context)
    sealed = encrypt(suite, plaintext, recipient.sealing_key, info)
    signed = b"".join(
        (
            _MAGIC,
            bytes([_VERSION]),
            suite.identifier,
            bytes.fromhex(sender.public.key_id),
            bytes.fromhex(recipient.key_id),
            len(sealed).to_bytes(4, "big"),
            sealed,
        )
    )
    return signed + sign_document(
        sender.signing_private, labels.SEALED, _signed_document(info, signed)
    )


def open_sealed(
    blob: bytes,
    *,
    recipient: PrivateIdentity,
    sender: PublicIdentity,
    purpose: str,
    context: Mapping[str, str],
) -> bytes:
    """Verify the sender's signature, then decrypt; purpose and context must be those of sealing.

    Raises:
        SealingError: not well formed, altered, from another sender, for another recipient, purpose
            or context.
    """
    verify_sealed(blob, recipient=recipient.public, sender=sender, purpose=purpose, context=context)
    parsed = parse_sealed(blob)
    info = _info(parsed.suite, sender.key_id, recipient.public.key_id, purpose, context)
    return recipient.sealing_private.decrypt(parsed.enc_and_ciphertext, info)


def verify_sealed(
    blob: bytes,
    *,
    recipient: PublicIdentity,
    sender: PublicIdentity,
    purpose: str,
    context: Mapping[str, str],
) -> None:
    """Verify, without opening it, that this sender sealed a blob for this recipient and context.

    Raises:
        SealingError: not so.
    """
    parsed = parse_sealed(blob)
    if parsed.sender_key_id != sender.key_id:
        raise SealingError(
            "It was sealed with another key than the given sender's. Check the sender's public "
            "identity by its fingerprint, and ask for it again."
        )
    if parsed.recipient_key_id != recipient.key_id:
        raise SealingError(
            "It was sealed to another key than this one. Use the key file that was enrolled, or "
            "ask the sender to seal it to your present public identity."
        )
    if parsed.suite is not recipient.suite:
        raise SealingError(
            "It was sealed with another suite than the recipient's key has. Ask for it again."
        )
    info = _info(parsed.suite, sender.key_id, recipient.key_id, purpose, context)
    try:
        verify_document(
            sender.signing_key,
            labels.SEALED,
            _signed_document(info, parsed.signed),
            parsed.signature,
        )
    except SignatureError as error:
        raise SealingError(
            "The sender's signature does not fit: it was altered, or sealed for another project, "
            "epoch, office or purpose. Check these, and ask the sender for it again."
        ) from error


def parse_sealed(blob: bytes) -> SealedBlob:
    """Take a sealed blob apart and check its sizes; verifies nothing.

    Raises:
        SealingError: it is none, of another version, truncated, or has bytes too many.
    """
    if not blob.startswith(_MAGIC):
        raise SealingError("That is nothing that this program sealed. Check which file it is.")
    if len(blob) < _HEADER_BYTES + SIGNATURE_BYTES:
        raise _damaged()
    if blob[len(_MAGIC)] != _VERSION:
        raise SealingError("It was sealed by another version of this program. Update it.")
    suite = SUITES_BY_IDENTIFIER.get(blob[_SUITE_AT:_SENDER_AT])
    if suite is None:
        raise SealingError("It was sealed with a suite unknown here. Update the program.")
    n_sealed = int.from_bytes(blob[_LENGTH_AT:_HEADER_BYTES], "big")
    n_plaintext = n_sealed - suite.enc_bytes - suite.tag_bytes
    if not 0 <= n_plaintext <= MAX_PLAINTEXT_BYTES:
        raise _damaged()
    signed_bytes = _HEADER_BYTES + n_sealed
    if len(blob) != signed_bytes + SIGNATURE_BYTES:
        raise _damaged()
    return SealedBlob(
        suite=suite,
        sender_key_id=blob[_SENDER_AT:_RECIPIENT_AT].hex(),
        recipient_key_id=blob[_RECIPIENT_AT:_LENGTH_AT].hex(),
        enc_and_ciphertext=blob[_HEADER_BYTES:signed_bytes],
        signature=blob[signed_bytes:],
        signed=blob[:signed_bytes],
    )


def _info(
    suite: Suite, sender_id: str, recipient_id: str, purpose: str, context: Mapping[str, str]
) -> bytes:
    if not _PURPOSE.fullmatch(purpose):
        raise SealingError("A purpose has small letters, digits and hyphens only, at most 63.")
    if not all(isinstance(text, str) for pair in context.items() for text in pair):
        raise SealingError("The context of sealing must be text only.")
    document = {
        "context": dict(context),
        "purpose": purpose,
        "recipient": recipient_id,
        "sender": sender_id,
        "suite": suite.name,
    }
    try:
        return labels.SEALING_INFO + b"\x00" + canonical_json(document)
    except KeysError as error:
        raise SealingError("The context of sealing must be text only.") from error


def _signed_document(info: bytes, signed: bytes) -> bytes:
    """The info too, so that the wrong context is found before a private key is touched."""
    return len(info).to_bytes(4, "big") + info + signed


def _damaged() -> SealingError:
    return SealingError("The sealed file is damaged or cut short. Ask the sender for it again.")
