"""Protected files: nothing in the clear, no other passphrase, no file that costs hours."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys import passphrase
from keys.cipher_suites import GM
from keys.errors import KeyFileError
from keys.identity import new_identity
from keys.linkage_secret import (
    LinkageSecret,
    load_linkage_secret,
    new_linkage_secret,
    save_linkage_secret,
)
from keys.passphrase import is_protected, protect, unprotect
from keys.storage import (
    load_private_identity,
    protect_private_file,
    save_identity,
    unprotect_private_file,
    write_private_file,
)

WORDS = "seven bridges over the river"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its real cost takes a while; the costs are in the file and are read from it."""
    monkeypatch.setattr(passphrase, "_MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "_ITERATIONS", 1)


def test_the_costs_written_are_those_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    data = protect(b"key", WORDS)
    assert data[:16] == b"TQPASS\x01" + bytes.fromhex("00010000 00000003 04")
    assert unprotect(data, WORDS) == b"key"


def test_by_the_words_of_the_specification() -> None:
    data = protect(b"the private key", WORDS)
    kdf = Argon2id(
        salt=data[16:32],
        length=32,
        iterations=int.from_bytes(data[11:15], "big"),
        lanes=data[15],
        memory_cost=int.from_bytes(data[7:11], "big"),
    )
    aad = b"tongqiao/v1/protected-file\0" + data[:44]
    assert (
        AESGCM(kdf.derive(WORDS.encode())).decrypt(data[32:44], data[44:], aad)
        == b"the private key"
    )


@pytest.mark.parametrize("wrong", ["", "seven bridges over the rive", WORDS + " ", WORDS.upper()])
def test_another_passphrase_opens_nothing(wrong: str) -> None:
    with pytest.raises(KeyFileError, match="does not open"):
        unprotect(protect(b"key", WORDS), wrong)


def test_any_changed_byte_is_found() -> None:
    data = protect(b"key", WORDS)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(KeyFileError):
            unprotect(changed, WORDS)
        with pytest.raises(KeyFileError):
            unprotect(data[:at], WORDS)


COSTLY: dict[str, Callable[[bytes], bytes]] = {
    "all memory": lambda data: data[:7] + b"\xff\xff\xff\xff" + data[11:],
    "for ever": lambda data: data[:11] + b"\xff\xff\xff\xff" + data[15:],
    "no pass at all": lambda data: data[:11] + b"\0\0\0\0" + data[15:],
    "no lanes": lambda data: data[:15] + b"\0" + data[16:],
    "all lanes": lambda data: data[:15] + b"\xff" + data[16:],
}


@pytest.mark.parametrize("craft", COSTLY.values(), ids=COSTLY)
def test_a_crafted_file_costs_nothing(craft: Callable[[bytes], bytes]) -> None:
    data = craft(protect(b"key", WORDS))
    began = time.monotonic()
    with pytest.raises(KeyFileError):
        unprotect(data, WORDS)
    assert time.monotonic() - began < 5


def test_a_passphrase_that_is_no_text_is_told_and_not_shown() -> None:
    """What Python makes of bytes typed in a terminal that is not set to UTF-8."""
    typed = "seven bridges\udcc7\udcc5"
    for use in (protect, unprotect):
        with pytest.raises(KeyFileError, match="UTF-8") as caught:
            use(protect(b"secret", WORDS), typed)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        assert "seven" not in str(caught.value)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(KeyFileError, match="12 characters"):
        protect(b"key", "elevenchars")


def test_a_key_file_and_a_secret_are_used_under_their_passphrase(tmp_path: Path) -> None:
    identity = new_identity("jinjiang-civil", "office")
    private, _ = save_identity(identity, tmp_path)
    secret = new_linkage_secret()
    save_linkage_secret(secret, tmp_path / "linkage.secret")
    for path in (private, tmp_path / "linkage.secret"):
        clear = path.read_bytes()
        protect_private_file(path, WORDS)
        assert is_protected(path.read_bytes())
        assert clear[20:60] not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(KeyFileError, match="already"):
            protect_private_file(path, WORDS)
    assert load_private_identity(private, lambda: WORDS).public == identity.public
    assert load_linkage_secret(tmp_path / "linkage.secret", lambda: WORDS) == secret
    with pytest.raises(KeyFileError, match="protected by a passphrase"):
        load_private_identity(private)
    with pytest.raises(KeyFileError, match="does not open"):
        load_linkage_secret(tmp_path / "linkage.secret", lambda: "another passphrase")
    unprotect_private_file(private, WORDS)
    assert load_private_identity(private).public == identity.public
    with pytest.raises(KeyFileError, match="not protected"):
        unprotect_private_file(private, WORDS)


def test_the_file_behind_a_link_is_protected_and_not_the_link_replaced(tmp_path: Path) -> None:
    """Else the key itself would lie there in the clear, and its holder believe it safe."""
    real, link = tmp_path / "real.key", tmp_path / "link.key"
    write_private_file(real, b"the key itself")
    link.symlink_to(real)
    protect_private_file(link, WORDS)
    assert is_protected(real.read_bytes())
    assert link.is_symlink()
    unprotect_private_file(link, WORDS)
    assert real.read_bytes() == b"the key itself"
    assert link.is_symlink()


def test_a_file_that_is_not_protected_asks_nobody(tmp_path: Path) -> None:
    def ask() -> str:
        raise AssertionError("nothing to ask")

    private, _ = save_identity(new_identity("jinjiang-civil", "office"), tmp_path)
    assert load_private_identity(private, ask).public.holder == "jinjiang-civil"


def test_the_national_suite_derives_other_keys_and_sm3_by_hand_the_same() -> None:
    from tests.keys.test_at_rest_vectors import _hmac_sm3

    secret = LinkageSecret(bytes(range(32)))
    context = "sichuan-children/2026-h2"
    assert secret.round_key(context, GM) != secret.round_key(context)
    extracted = _hmac_sm3(b"tongqiao/v1/linkage-secret", bytes(range(32)))
    info = b"tongqiao/v1/round-key\0" + context.encode()
    assert secret.round_key(context, GM) == _hmac_sm3(extracted, info + b"\x01")
    info = b"tongqiao/v1/key-confirmation\0" + context.encode()
    confirmation = _hmac_sm3(extracted, info + b"\x01")[:16].hex()
    assert secret.key_confirmation(context, GM) == confirmation
