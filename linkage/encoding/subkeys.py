"""Keys of views and groups, derived from the round key with the encoding's keyed hash."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from linkage.encoding import labels
from linkage.encoding.keyed_hash import BLAKE2B, KeyedHash
from linkage.errors import EncodingError

ROUND_KEY_BYTES = 32
_KEY_BYTES = 32
_SHA256_BYTES = 32


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

    Attributes:
        hash: the keyed hash, of this schedule and of what its keys hash.

    Raises:
        EncodingError: the round key is not 32 bytes, or the hash is not 64 hex characters.
    """

    __slots__ = ("_encoding_key", "hash")

    def __init__(
        self, round_key: bytes, profile_sha256: str, keyed_hash: KeyedHash = BLAKE2B
    ) -> None:
        if len(round_key) != ROUND_KEY_BYTES:
            raise EncodingError(f"The round key must have {ROUND_KEY_BYTES} bytes.")
        digest = bytes.fromhex(profile_sha256)
        if len(digest) != _SHA256_BYTES:
            raise EncodingError("The profile's hash must be 64 hex characters.")
        self.hash = keyed_hash
        self._encoding_key = self._derive(round_key, labels.ENCODING_KEY, digest)

    def __repr__(self) -> str:
        return "KeySchedule(<hidden>)"

    def of_view(self, view: str) -> ViewKeys:
        """Keys for the salt and the salt tag of a view."""
        name = view.encode("ascii")
        return ViewKeys(
            salt=self._derive(self._encoding_key, labels.SALT_KEY, name),
            tag=self._derive(self._encoding_key, labels.TAG_KEY, name),
        )

    def of_group(self, view: str, group: str) -> GroupKeys:
        """Keys for the tokens and the diffusion of a group in a view."""
        names = (view.encode("ascii"), group.encode("ascii"))
        return GroupKeys(
            token=self._derive(self._encoding_key, labels.TOKEN_KEY, *names),
            diffusion=self._derive(self._encoding_key, labels.DIFFUSION_KEY, *names),
        )

    def _derive(self, key: bytes, label: bytes, *names: bytes) -> bytes:
        return self.hash.digest(key, _KEY_BYTES, frame((label, *names)))
