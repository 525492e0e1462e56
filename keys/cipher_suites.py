"""Cipher suites: one name decides how keys are derived, what an encoding hashes with, and how
files are encrypted at rest.

``gm`` is for deployments that must use the national algorithms: SM3 (GB/T 32905) in every keyed
hash, of key derivation and of an encoding (``linkage/encoding/ENCODING.md``), SM4 (GB/T 32907) in
GCM for data at rest.  It covers neither signatures nor sealing (``keys/suites.py``), nor the
function that spreads a token's hash over a filter (SipHash-2-4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SM3, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.errors import AtRestError

CipherSuiteName = Literal["default", "gm"]
CIPHER_SUITE_NAMES: Final[tuple[CipherSuiteName, ...]] = get_args(CipherSuiteName)

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """What keys are derived by, and what data at rest is encrypted with.

    Attributes:
        name: as terms write it.
        identifier: one byte in the header of what was encrypted.
        hash: inside HMAC, inside HKDF (RFC 5869).
        keyed_hash: what an encoding under this suite hashes with.
        block_cipher: in GCM (NIST SP 800-38D; for SM4 also RFC 8998).
        key_bytes: size of the block cipher's key.
    """

    name: CipherSuiteName
    identifier: int
    hash: type[HashAlgorithm]
    keyed_hash: Literal["blake2b", "hmac-sm3"]
    block_cipher: type[algorithms.AES | algorithms.SM4]
    key_bytes: int

    def derive(self, key: bytes, *, salt: bytes, info: bytes, n_bytes: int) -> bytes:
        """HKDF (RFC 5869) with the suite's hash."""
        try:
            return HKDF(self.hash(), n_bytes, salt=salt, info=info).derive(key)
        except UnsupportedAlgorithm as error:
            raise _missing() from error

    def encrypt(self, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Ciphertext and the 16-byte tag after it.

        Raises:
            AtRestError: this machine lacks the cipher.
        """
        if self.block_cipher is algorithms.AES:
            return AESGCM(key).encrypt(nonce, plaintext, aad)
        try:
            encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
        except UnsupportedAlgorithm as error:
            raise _missing() from error
        encryptor.authenticate_additional_data(aad)
        return encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag

    def decrypt(self, key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """The plaintext of :meth:`encrypt`.

        Raises:
            AtRestError: altered, cut short, or of another key, nonce or aad.
        """
        if len(sealed) < TAG_BYTES:
            raise altered()
        try:
            if self.block_cipher is algorithms.AES:
                return AESGCM(key).decrypt(nonce, sealed, aad)
            tag = sealed[-TAG_BYTES:]
            decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
            decryptor.authenticate_additional_data(aad)
            return decryptor.update(sealed[:-TAG_BYTES]) + decryptor.finalize()
        except UnsupportedAlgorithm as error:
            raise _missing() from error
        except InvalidTag as error:
            raise altered() from error


DEFAULT: Final = CipherSuite("default", 1, SHA256, "blake2b", algorithms.AES, 32)
"""HKDF-HMAC-SHA256, keyed BLAKE2b, AES-256-GCM."""

GM: Final = CipherSuite("gm", 2, SM3, "hmac-sm3", algorithms.SM4, 16)
"""HKDF-HMAC-SM3, HMAC-SM3, SM4-GCM."""

CIPHER_SUITES: Final[Mapping[str, CipherSuite]] = {suite.name: suite for suite in (DEFAULT, GM)}
CIPHER_SUITES_BY_IDENTIFIER: Final[Mapping[int, CipherSuite]] = {
    suite.identifier: suite for suite in (DEFAULT, GM)
}


def altered() -> AtRestError:
    """The error for what fails authentication; it does not say where."""
    return AtRestError(
        "Stored data was altered, cut short, or encrypted with another key. Look into the access "
        "log, and restore it from a backup or ask for it again."
    )


def _missing() -> AtRestError:
    return AtRestError(
        "This machine's cryptography library lacks SM3 or SM4. Install the 'cryptography' package "
        "from its published wheel, which brings them along."
    )
