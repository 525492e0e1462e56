"""An office fetches the terms of a round with their profile, and signs what was read."""

import base64
from typing import TYPE_CHECKING, Any

from api.client.errors import ApiError
from api.client.round_view import RoundView, parse_round
from api.client.terms import Terms, TermsError
from api.office.round_terms import check_part, check_profile, check_same_terms
from keys import labels
from keys.canonical import canonical_json
from keys.signing import sign_document
from linkage.profile import Profile

if TYPE_CHECKING:
    from api.client.http import ServerClient
    from keys.linkage_secret import LinkageSecret

_MAX_PROFILE_BYTES = 1024 * 1024


def fetch_round(client: "ServerClient", round_id: str) -> RoundView:
    """What the server says of a round, checked.  Raises: ApiError, TermsError."""
    return parse_round(client.get_json(f"/v1/rounds/{round_id}"), round_id)


def fetch_profile(client: "ServerClient", terms: Terms) -> Profile:
    """The encoding profile of a round, checked against the terms that bind it.

    Raises:
        ApiError: the server refused, or sent no text.
        TermsError: it is not the profile in the terms.
        ProfileError: it is not well formed.
    """
    data = client.get_bytes(f"/v1/rounds/{terms.round}/profile", max_bytes=_MAX_PROFILE_BYTES)
    try:
        return check_profile(terms, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ApiError(
            "bad-answer", 200, "The server's profile is no text. Do not sign."
        ) from error


def sign_terms(
    client: "ServerClient", office: str, terms: Terms, secret: "LinkageSecret | None"
) -> None:
    """Sign terms that were read, if they and their profile are still what the server has.

    Args:
        secret: the coordinating office's, to confirm the key of the round; for other offices
            ``None``.

    Raises:
        TermsError: the office has no part in the round, the server's terms are other ones, or the
            secret is missing or one too many.
        ApiError: the server refused.
    """
    check_part(terms, office)
    if (secret is None) == (office == terms.coordinating_office):
        raise TermsError(
            "The coordinating office confirms the key with its secret when it signs; no other "
            "office does."
        )
    check_same_terms(terms, fetch_round(client, terms.round).terms)
    fetch_profile(client, terms)
    signature = sign_document(
        client.identity.signing_private, labels.TERMS, canonical_json(terms.document)
    )
    body: dict[str, Any] = {
        "terms_sha256": terms.sha256,
        "signature": base64.b64encode(signature).decode("ascii"),
    }
    if secret is not None:
        body["key_confirmation"] = secret.key_confirmation(terms.context, terms.suite)
    client.put_json(f"/v1/rounds/{terms.round}/signatures/{office}", body)
