"""Opening the linkage secret that the coordinating office sealed to this office."""

import hmac
from typing import TYPE_CHECKING

from api.client.errors import ApiError
from api.client.terms import Terms
from keys.errors import SignatureError
from keys.fingerprint import parse_fingerprint
from keys.identity import PublicIdentity, parse_public_identity
from keys.linkage_secret import LinkageSecret, open_linkage_secret

if TYPE_CHECKING:
    from api.client.http import ServerClient

_MAX_SEALED_BYTES = 64 * 1024


def fetch_identity(client: "ServerClient", office: str) -> PublicIdentity:
    """An office's public keys as the server has them: another way has to confirm them.

    Raises:
        ApiError: the server has none, or sends somebody else's.
        KeyFileError: what it sends are no keys.
    """
    document = client.get_json(f"/v1/members/{office}").get("identity")
    if not isinstance(document, dict):
        raise ApiError("bad-answer", 200, "The server sent no keys. Tell the operator.")
    identity = parse_public_identity(document)
    if identity.holder != office or identity.kind != "office":
        raise ApiError(
            "bad-answer", 200, "The server sent the keys of someone else. Tell the operator."
        )
    return identity


def open_sent_secret(client: "ServerClient", terms: Terms, heard: str) -> LinkageSecret:
    """Fetch the secret of a round's terms, and open it.

    Args:
        heard: fingerprint of the coordinating office, as its people read it out by telephone.

    Raises:
        ApiError: nothing was sealed to this office yet, or the server does not answer.
        KeyFileError: what was heard is no fingerprint.
        SignatureError: the server's keys are not those of who was heard.
        SealingError, SecretError: what was sealed was altered, or is for something else.
    """
    sender = fetch_identity(client, terms.coordinating_office)
    if not hmac.compare_digest(parse_fingerprint(heard).encode(), sender.fingerprint.encode()):
        raise SignatureError(
            "The digits are not those of the coordinating office's keys on the server. Compare "
            "them again by telephone; if they still differ, do not go on, and tell the operator."
        )
    office = client.identity.public.holder
    blob = client.get_bytes(
        f"/v1/projects/{terms.project}/secrets/{terms.secret_epoch}/{office}",
        max_bytes=_MAX_SEALED_BYTES,
    )
    return open_linkage_secret(
        blob,
        recipient=client.identity,
        sender=sender,
        project=terms.project,
        epoch=terms.secret_epoch,
    )
