"""Ed25519 signatures over labelled documents (RFC 8032).

What is signed is the label, a zero byte and the document (``keys/labels.py`` says why).
"""

import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keys.errors import SignatureError

SIGNING_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_LABEL = re.compile(rb"tongqiao/v1/[a-z0-9-]+")

_FIELD_PRIME: Final = 2**255 - 19
_ORDER_8_Y: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y: Final = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y})
"""The y coordinates of the eight points whose order divides 8 (RFC 7748, section 6 names the
matter; the points follow from the curve equation of RFC 8032, section 5.1)."""


def is_weak_signing_key(public_key: bytes) -> bool:
    """Whether signatures under this 32-byte key prove nothing: anyone can make them.

    Its point has a small order, so that one signature fits many documents.
    """
    y = (int.from_bytes(public_key, "little") & (2**255 - 1)) % _FIELD_PRIME
    return y in _SMALL_ORDER_Y


def sign_document(private: Ed25519PrivateKey, label: bytes, document: bytes) -> bytes:
    """Sign a document under a label of ``keys/labels.py``; returns 64 bytes.

    Raises:
        ValueError: the label is no label.
    """
    return private.sign(_signed_bytes(label, document))


def verify_document(public_key: bytes, label: bytes, document: bytes, signature: bytes) -> None:
    """Verify what :func:`sign_document` made, with the raw 32-byte public key.

    Raises:
        SignatureError: document, label, signature and key do not belong together.
        ValueError: the label is no label.
    """
    verify_bytes(public_key, _signed_bytes(label, document), signature)


def sign_bytes(private: Ed25519PrivateKey, message: bytes) -> bytes:
    """Sign the message as it is; returns 64 bytes.

    For formats that have their own separation of domains: C2SP cosignatures begin with a line that
    neither a labelled document nor a signed request (RFC 9421) can begin with.
    """
    return private.sign(message)


def verify_bytes(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Verify an Ed25519 signature over the message as it is, with the raw 32-byte public key.

    For formats that have their own separation of domains, as C2SP signed notes.

    Raises:
        SignatureError: message, signature and key do not belong together.
    """
    if len(public_key) != SIGNING_KEY_BYTES or is_weak_signing_key(public_key):
        raise SignatureError("The public key is no usable Ed25519 key. Ask its owner for another.")
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError("The signature is not 64 bytes long. Ask for it again.")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(
            "The signature does not fit: the document was altered, or another key signed it. "
            "Ask for it again."
        ) from error


def _signed_bytes(label: bytes, document: bytes) -> bytes:
    if not _LABEL.fullmatch(label):
        raise ValueError("labels are constants of keys/labels.py")
    return label + b"\x00" + document
