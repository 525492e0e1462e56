"""What passes between this server, a person's browser and an OpenID provider; and its refusals.

Apart from what asks the provider (:mod:`api.server.services.openid_provider`), which needs a
library that a server without a provider does without.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api.server.refusals import RefusalError

RETURN_PATH: Final = "/console/login/return"
"""Where the provider sends people back to, below ``public_url``."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A person is about to go to the provider.

    Attributes:
        url: where to.
        state: comes back with the person.
        nonce: comes back in the ID token.
        verifier: proves at the end who began (PKCE).
    """

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Return:
    """What a person brought back in the address, unverified; ``None``: not given, or twice."""

    state: str | None
    code: str | None
    issuer: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Vouched:
    """What the provider says of a person, verified.

    Attributes:
        subject: as :func:`subject_digest`.
        has_second_factor: whether the provider saw one, by the setting ``oidc_mfa_values``.
    """

    subject: str
    has_second_factor: bool


def subject_digest(issuer: str, subject: str) -> str:
    """SHA-256 in hex over issuer and ``sub``: who somebody is at a provider."""
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()


def not_invited(details: Mapping[str, str | int | None]) -> RefusalError:
    """Whom the provider knows and this server does not let in: one answer for every reason."""
    return RefusalError(
        "not-invited",
        "The OpenID provider knows you, but with this account nobody is let in here (any more). If "
        "you were invited, enrol with your invitation first; otherwise ask an administrator.",
        details=details,
    )


def bad_return(check: str) -> RefusalError:
    """A return that is not believed; ``check``, what failed, goes into the access log."""
    return RefusalError(
        "bad-return",
        "This return from the OpenID provider belongs to no login that was begun in this browser, "
        "or is not to be trusted; nothing was done. Begin to log in again.",
        details={"check": check},
    )


def provider_away(check: str) -> RefusalError:
    """A provider that cannot be asked; ``check``, what failed, goes into the access log."""
    return RefusalError(
        "provider-away",
        "The OpenID provider does not answer, or not as it should. Log in with id and password, "
        "or try again later; the administrator finds more in the access log.",
        details={"check": check},
    )
