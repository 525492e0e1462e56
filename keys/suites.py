"""The HPKE suites that identities seal with (RFC 9180), and their private keys.

A suite is named in every public identity and every sealed blob, so that another can take over.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from keys.errors import SealingError

_SEED_BYTES: Final = 32
_MLKEM_SEED_BYTES: Final = 64
_MLKEM_PUBLIC_BYTES: Final = 1184
_X25519_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Suite:
    """An HPKE suite: numbers as in RFC 9180, section 7; sizes in bytes.

    Attributes:
        name: as public identities write it.
        public_key_bytes: size of a public sealing key.
        enc_bytes: size of what the key encapsulation adds before the ciphertext.
        tag_bytes: size of what the encryption adds after it.
    """

    name: str
    kem_id: int
    kdf_id: int
    aead_id: int
    public_key_bytes: int
    enc_bytes: int
    tag_bytes: int

    @property
    def identifier(self) -> bytes:
        """Six bytes: the numbers of KEM, KDF and AEAD, big-endian."""
        return b"".join(n.to_bytes(2, "big") for n in (self.kem_id, self.kdf_id, self.aead_id))


HYBRID: Final = Suite("mlkem768-x25519", 0x647A, 0x0001, 0x0002, 1216, 1120, 16)
"""ML-KEM-768 with X25519 (draft-ietf-hpke-pq, "X-Wing"), HKDF-SHA256, AES-256-GCM: safe as long as
either of the two problems is hard, so that what is recorded today stays closed."""

CLASSICAL: Final = Suite("x25519", 0x0020, 0x0001, 0x0002, 32, 32, 16)
"""DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: RFC 9180 alone, where ML-KEM is missing."""

DEFAULT_SUITE: Final = HYBRID
"""What new identities use."""

SUITES: Final[Mapping[str, Suite]] = {suite.name: suite for suite in (HYBRID, CLASSICAL)}
SUITES_BY_IDENTIFIER: Final[Mapping[bytes, Suite]] = {s.identifier: s for s in SUITES.values()}


class SealingPrivateKey:
    """A private sealing key: a suite and a seed of 32 bytes."""

    __slots__ = ("_public_bytes", "_seed", "suite")

    def __init__(self, suite: Suite, seed: bytes) -> None:
        if len(seed) != _SEED_BYTES:
            raise SealingError("The private sealing key is not 32 bytes long. Make new keys.")
        self.suite = suite
        self._seed = seed
        try:
            self._public_bytes = _public_bytes(suite, seed)
        except UnsupportedAlgorithm as error:
            raise _missing() from error

    def __repr__(self) -> str:
        return f"SealingPrivateKey({self.suite.name}, hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("private keys are not copied or pickled")

    @property
    def seed(self) -> bytes:
        """The secret itself, 32 bytes, for the private key file."""
        return self._seed

    @property
    def public_bytes(self) -> bytes:
        """The public sealing key, ``suite.public_key_bytes`` long."""
        return self._public_bytes

    def decrypt(self, enc_and_ciphertext: bytes, info: bytes) -> bytes:
        """Open a single-shot HPKE message in base mode.

        Raises:
            SealingError: key, message and info do not belong together.
        """
        try:
            return _hpke(self.suite).decrypt(
                enc_and_ciphertext, _private_key(self.suite, self._seed), info=info
            )
        except UnsupportedAlgorithm as error:
            raise _missing() from error
        except (InvalidTag, ValueError) as error:
            raise SealingError(
                "It cannot be opened with this key. Ask its sender to seal it again, for your "
                "present public identity."
            ) from error


def new_sealing_key(suite: Suite = DEFAULT_SUITE) -> SealingPrivateKey:
    """Make a private sealing key from the system's random numbers.

    Raises:
        SealingError: this machine lacks the suite.
    """
    return SealingPrivateKey(suite, secrets.token_bytes(_SEED_BYTES))


def encrypt(suite: Suite, plaintext: bytes, public_key: bytes, info: bytes) -> bytes:
    """Seal in HPKE base mode, single shot; returns enc and ciphertext, one after the other.

    Raises:
        SealingError: the public key is not usable, or this machine lacks the suite.
    """
    try:
        return _hpke(suite).encrypt(plaintext, _parse_public_key(suite, public_key), info=info)
    except UnsupportedAlgorithm as error:
        raise _missing() from error
    except ValueError as error:
        raise _unusable_public_key() from error


def check_public_key(suite: Suite, public_key: bytes) -> None:
    """Check size and form of a public sealing key from elsewhere.

    Raises:
        SealingError: it is not usable.
    """
    try:
        _parse_public_key(suite, public_key)
    except UnsupportedAlgorithm:
        # The size was right; a machine that cannot seal to it may still hand it on.
        return
    except ValueError as error:
        raise _unusable_public_key() from error


def _hpke(suite: Suite) -> hpke.Suite:
    kem = hpke.KEM.MLKEM768_X25519 if suite is HYBRID else hpke.KEM.X25519
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _hybrid_parts(seed: bytes) -> tuple[bytes, bytes]:
    """Expand a seed as X-Wing does: SHAKE-256 to the seed of ML-KEM and the key of X25519."""
    expanded = hashlib.shake_256(seed).digest(_MLKEM_SEED_BYTES + _X25519_BYTES)
    return expanded[:_MLKEM_SEED_BYTES], expanded[_MLKEM_SEED_BYTES:]


def _public_bytes(suite: Suite, seed: bytes) -> bytes:
    if suite is not HYBRID:
        return X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    mlkem_seed, x25519_key = _hybrid_parts(seed)
    return (
        MLKEM768PrivateKey.from_seed_bytes(mlkem_seed).public_key().public_bytes_raw()
        + X25519PrivateKey.from_private_bytes(x25519_key).public_key().public_bytes_raw()
    )


# ``Any``: the two kinds of key share no type in ``cryptography``.
def _private_key(suite: Suite, seed: bytes) -> Any:
    if suite is not HYBRID:
        return X25519PrivateKey.from_private_bytes(seed)
    mlkem_seed, x25519_key = _hybrid_parts(seed)
    return hpke.MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(mlkem_seed),
        X25519PrivateKey.from_private_bytes(x25519_key),
    )


def _parse_public_key(suite: Suite, public_key: bytes) -> Any:
    if len(public_key) != suite.public_key_bytes:
        raise ValueError("wrong size")
    if suite is not HYBRID:
        return X25519PublicKey.from_public_bytes(public_key)
    return hpke.MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(public_key[_MLKEM_PUBLIC_BYTES:]),
    )


def _missing() -> SealingError:
    return SealingError(
        "This machine's cryptography library lacks ML-KEM. Install the 'cryptography' package "
        "from its published wheel, which brings it along."
    )


def _unusable_public_key() -> SealingError:
    return SealingError("The public sealing key is not usable. Ask its owner for another.")
