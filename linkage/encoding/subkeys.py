"""Keys of views and groups, derived from the round key with keyed BLAKE2b (RFC 7693)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from linkage.encoding import labels
from linkage.errors import EncodingError

ROUND_KEY_BYTES = 32


def frame(parts: Iterable[bytes]) -> bytes:
    """Join parts so that they can be told apart: each is its length (uint32 LE), then itself."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


@dataclass(frozen=True, slots=True)
class ViewKeys:
    """32-byte keys of one view."""

    salt: bytes = field(repr=False)
    tag: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """32-byte keys of one group in one view."""

    token: bytes = field(repr=False)
    diffusion: bytes = field(repr=False)


class KeySchedule:
    """Derives every key of an encoding from a round key and a profile's hash.

    The profile's hash is bound in, so that filters made under two profiles from one round key
    have nothing to do with each other.

    Raises:
        EncodingError: the round key is not 32 bytes, or the hash is not 64 hex characters.
    """

    __slots__ = ("_encoding_key",)

    def __init__(self, round_key: bytes, profile_sha256: str) -> None:
        if len(round_key) != ROUND_KEY_BYTES:
            raise EncodingError(f"The round key must have {ROUND_KEY_BYTES} bytes.")
        digest = bytes.fromhex(profile_sha256)
        if len(digest) != hashlib.sha256().digest_size:
            raise EncodingError("The profile's hash must be 64 hex characters.")
        self._encoding_key = _derive(round_key, labels.ENCODING_KEY, digest)

    def __repr__(self) -> str:
        return "KeySchedule(<hidden>)"

    def of_view(self, view: str) -> ViewKeys:
        """Keys for the salt and the salt tag of a view."""
        name = view.encode("ascii")
        return ViewKeys(
            salt=_derive(self._encoding_key, labels.SALT_KEY, name),
            tag=_derive(self._encoding_key, labels.TAG_KEY, name),
        )

    def of_group(self, view: str, group: str) -> GroupKeys:
        """Keys for the tokens and the diffusion of a group in a view."""
        names = (view.encode("ascii"), group.encode("ascii"))
        return GroupKeys(
            token=_derive(self._encoding_key, labels.TOKEN_KEY, *names),
            diffusion=_derive(self._encoding_key, labels.DIFFUSION_KEY, *names),
        )


def _derive(key: bytes, label: bytes, *names: bytes) -> bytes:
    return hashlib.blake2b(frame((label, *names)), key=key, digest_size=32).digest()
