"""The one error tree of ``keys``.

Every message says what failed and what to do about it.  No message holds a key, a secret, the
content of a file or its path.
"""

from typing import Literal

RequestRefusal = Literal["unsigned", "bad-signature", "expired-signature"]
"""Why a request's signature was refused, as ``docs/http-api.md`` names it."""


class KeysError(Exception):
    """Base of every error that ``keys`` raises on purpose."""


class KeyFileError(KeysError):
    """A key file, or an identity from elsewhere, cannot be used as it is."""


class SignatureError(KeysError):
    """A signature does not fit the document, the label or the key."""


class SealingError(KeysError):
    """Something cannot be sealed, or what was sealed cannot be opened."""


class SecretError(KeysError):
    """A linkage secret, or what is to be derived from it, is not well formed."""


class AtRestError(KeysError):
    """Something stored encrypted cannot be read with this key, or was altered."""


class RequestSignatureError(KeysError):
    """A request is not signed as ``docs/http-api.md`` says.

    Attributes:
        slug: last part of the problem's type.
        detail: what is wrong and what to do; it repeats nothing from the request.
    """

    def __init__(self, slug: RequestRefusal, detail: str) -> None:
        super().__init__(slug, detail)
        self.slug = slug
        self.detail = detail

    def __str__(self) -> str:
        return self.detail
