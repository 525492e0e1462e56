import copy
import pickle

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from keys import suites
from keys.errors import SealingError
from keys.suites import CLASSICAL, HYBRID, SUITES, SealingPrivateKey, Suite, encrypt

_SUITES = pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))


@_SUITES
def test_what_is_encrypted_opens_with_the_same_info_only(suite: Suite) -> None:
    key = suites.new_sealing_key(suite)
    assert len(key.public_bytes) == suite.public_key_bytes
    sealed = encrypt(suite, b"message", key.public_bytes, b"info")
    assert len(sealed) == suite.enc_bytes + len(b"message") + suite.tag_bytes
    assert key.decrypt(sealed, b"info") == b"message"
    with pytest.raises(SealingError, match="cannot be opened"):
        key.decrypt(sealed, b"other info")
    with pytest.raises(SealingError, match="cannot be opened"):
        suites.new_sealing_key(suite).decrypt(sealed, b"info")


@_SUITES
@pytest.mark.parametrize("n_bytes", [0, 16, 31, 47])
def test_too_few_bytes_do_not_open(suite: Suite, n_bytes: int) -> None:
    with pytest.raises(SealingError, match="cannot be opened"):
        suites.new_sealing_key(suite).decrypt(bytes(n_bytes), b"info")


def test_a_message_of_another_implementation_opens() -> None:
    key = suites.new_sealing_key(CLASSICAL)
    peer = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
    enc, sender = peer.create_sender_context(
        KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(key.public_bytes)),
        info=b"info",
    )
    assert key.decrypt(enc + sender.seal(b"message"), b"info") == b"message"


@_SUITES
def test_the_seed_alone_makes_the_key_again(suite: Suite) -> None:
    key = suites.new_sealing_key(suite)
    assert SealingPrivateKey(suite, key.seed).public_bytes == key.public_bytes


@pytest.mark.parametrize("n_bytes", [0, 31, 33, 96])
def test_a_seed_of_the_wrong_size_is_refused(n_bytes: int) -> None:
    with pytest.raises(SealingError, match="32 bytes"):
        SealingPrivateKey(HYBRID, bytes(n_bytes))


@_SUITES
def test_private_keys_are_neither_shown_nor_copied(suite: Suite) -> None:
    key = suites.new_sealing_key(suite)
    for shown in (repr(key), str(key), f"{key}"):
        assert key.seed.hex() not in shown
        assert repr(key.seed) not in shown
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied"):
            attempt(key)


@pytest.mark.parametrize(
    ("suite", "public_key"),
    [
        (CLASSICAL, b""),
        (CLASSICAL, bytes(32)),
        (CLASSICAL, (1).to_bytes(32, "little")),
        (HYBRID, bytes(32)),
        (HYBRID, b"\xff" * 1216),
    ],
    ids=["empty", "zero", "small order", "short", "ML-KEM numbers out of range"],
)
def test_an_unusable_public_key_is_refused(suite: Suite, public_key: bytes) -> None:
    with pytest.raises(SealingError, match="not usable"):
        encrypt(suite, b"message", public_key, b"info")


def test_a_machine_without_mlkem_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    key = suites.new_sealing_key(HYBRID)
    sealed = encrypt(HYBRID, b"message", key.public_bytes, b"info")

    class Missing:
        @staticmethod
        def from_seed_bytes(seed: bytes) -> None:
            raise UnsupportedAlgorithm("no ML-KEM here")

        @staticmethod
        def from_public_bytes(data: bytes) -> None:
            raise UnsupportedAlgorithm("no ML-KEM here")

    monkeypatch.setattr(suites, "MLKEM768PrivateKey", Missing)
    monkeypatch.setattr(suites, "MLKEM768PublicKey", Missing)
    with pytest.raises(SealingError, match="lacks ML-KEM"):
        suites.new_sealing_key(HYBRID)
    with pytest.raises(SealingError, match="lacks ML-KEM"):
        encrypt(HYBRID, b"message", key.public_bytes, b"info")
    with pytest.raises(SealingError, match="lacks ML-KEM"):
        key.decrypt(sealed, b"info")
    # It can still take and hand on identities of others.
    suites.check_public_key(HYBRID, key.public_bytes)
