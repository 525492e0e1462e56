"""Encrypted files: every way to tamper with one is found; keys are hidden and bound."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.at_rest import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    ChunkCipher,
    decrypt_stream,
    encrypt_stream,
    new_header,
    parse_header,
)
from keys.cipher_suites import CIPHER_SUITES, DEFAULT, GM, CipherSuite
from keys.errors import AtRestError, KeyFileError
from keys.installation_key import (
    load_installation_key,
    new_data_key,
    new_installation_key,
    parse_installation_key,
    save_installation_key,
)

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
CONTEXT = "2026-h2/" + "a" * 64
SUITES = pytest.mark.parametrize("suite", list(CIPHER_SUITES.values()), ids=lambda s: s.name)


def encrypted(plaintext: bytes, suite: CipherSuite = DEFAULT, key: bytes = KEY) -> bytes:
    target = io.BytesIO()
    header = new_header(suite, len(plaintext))
    encrypt_stream(io.BytesIO(plaintext), target, data_key=key, header=header, context=CONTEXT)
    return target.getvalue()


def decrypted(stored: bytes, key: bytes = KEY, context: str = CONTEXT) -> bytes:
    return b"".join(decrypt_stream(io.BytesIO(stored), data_key=key, context=context))


THREE_CHUNKS = bytes(2 * CHUNK_BYTES) + b"end"


@SUITES
@pytest.mark.parametrize("n_bytes", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_what_was_encrypted_comes_back(suite: CipherSuite, n_bytes: int) -> None:
    plaintext = bytes(index % 7 for index in range(n_bytes))
    stored = encrypted(plaintext, suite)
    assert len(stored) == parse_header(stored).stored_bytes
    assert decrypted(stored) == plaintext


@given(st.binary(max_size=300), st.data())
def test_any_changed_byte_is_found(plaintext: bytes, data: st.DataObject) -> None:
    stored = bytearray(encrypted(plaintext))
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AtRestError):
        decrypted(bytes(stored))


def _chunks(stored: bytes) -> list[bytes]:
    return [
        stored[at : at + SEALED_CHUNK_BYTES]
        for at in range(HEADER_BYTES, len(stored), SEALED_CHUNK_BYTES)
    ]


def _shortened(head: bytes, n_bytes: int) -> bytes:
    return head[:8] + n_bytes.to_bytes(8, "big") + head[16:]


ATTACKS: dict[str, Callable[[bytes, list[bytes]], bytes]] = {
    "cut in a chunk": lambda head, chunks: head + b"".join(chunks)[:-1],
    "the last chunk left out": lambda head, chunks: head + b"".join(chunks[:-1]),
    "cut at a chunk, and the size said anew": lambda head, chunks: (
        _shortened(head, 2 * CHUNK_BYTES) + b"".join(chunks[:2])
    ),
    "two chunks exchanged": lambda head, chunks: head + chunks[1] + chunks[0] + chunks[2],
    "a chunk twice": lambda head, chunks: head + chunks[0] + chunks[0] + chunks[2],
    "a byte more": lambda head, chunks: head + b"".join(chunks) + b"\0",
    "another suite": lambda head, chunks: head[:7] + bytes([GM.identifier]) + head[8:]
    + b"".join(chunks),
    "another salt": lambda head, chunks: head[:16] + bytes(32) + b"".join(chunks),
    "another version": lambda head, chunks: head[:6] + b"\x02" + head[7:] + b"".join(chunks),
    "an unknown suite": lambda head, chunks: head[:7] + b"\x09" + head[8:] + b"".join(chunks),
    "the header alone": lambda head, chunks: head,
    "nothing": lambda head, chunks: b"",
    "a size beyond all measure": lambda head, chunks: _shortened(head, 2**63) + b"".join(chunks),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_tampering_is_found(attack: Callable[[bytes, list[bytes]], bytes]) -> None:
    stored = encrypted(THREE_CHUNKS)
    assert decrypted(stored) == THREE_CHUNKS
    with pytest.raises(AtRestError):
        decrypted(attack(stored[:HEADER_BYTES], _chunks(stored)))


def test_a_chunk_of_another_file_of_the_same_key_is_found() -> None:
    first, second = encrypted(THREE_CHUNKS), encrypted(THREE_CHUNKS)
    mixed = first[:HEADER_BYTES] + _chunks(second)[0] + b"".join(_chunks(first)[1:])
    with pytest.raises(AtRestError):
        decrypted(mixed)


@SUITES
def test_another_key_or_context_opens_nothing(suite: CipherSuite) -> None:
    stored = encrypted(b"filters", suite)
    with pytest.raises(AtRestError):
        decrypted(stored, key=OTHER_KEY)
    with pytest.raises(AtRestError):
        decrypted(stored, context="2027-h1/" + "a" * 64)


def test_equal_files_are_not_equal_when_stored() -> None:
    first, second = encrypted(THREE_CHUNKS), encrypted(THREE_CHUNKS)
    assert not set(_chunks(first)) & set(_chunks(second))
    # Nor are equal chunks of one file.
    assert _chunks(first)[0] != _chunks(first)[1]


def test_a_chunk_of_another_size_is_a_fault_of_the_program() -> None:
    cipher = ChunkCipher(KEY, new_header(DEFAULT, 10), CONTEXT)
    with pytest.raises(ValueError, match="size"):
        cipher.encrypt(0, b"123456789")
    assert "00" not in repr(cipher)


def test_a_file_that_becomes_shorter_is_not_stored_as_whole() -> None:
    with pytest.raises(AtRestError, match="shorter"):
        encrypt_stream(
            io.BytesIO(b"123"),
            io.BytesIO(),
            data_key=KEY,
            header=new_header(DEFAULT, 4),
            context=CONTEXT,
        )


class TestInstallationKey:
    @SUITES
    def test_wraps_for_one_round_and_one_server(self, suite: CipherSuite) -> None:
        key, data_key = new_installation_key(), new_data_key()
        wrapped = key.wrap(data_key, suite=suite, context="2026-h2")
        assert data_key not in wrapped
        assert key.unwrap(wrapped, context="2026-h2") == data_key
        assert wrapped != key.wrap(data_key, suite=suite, context="2026-h2")
        with pytest.raises(AtRestError):
            key.unwrap(wrapped, context="2027-h1")
        with pytest.raises(AtRestError):
            new_installation_key().unwrap(wrapped, context="2026-h2")
        for at in range(len(wrapped)):
            changed = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
            with pytest.raises(AtRestError):
                key.unwrap(changed, context="2026-h2")
            with pytest.raises(AtRestError):
                key.unwrap(wrapped[:at], context="2026-h2")

    def test_is_kept_in_a_file_for_its_owner(self, tmp_path: Path) -> None:
        key, path = new_installation_key(), tmp_path / "data.key"
        save_installation_key(key, path)
        assert path.stat().st_mode & 0o077 == 0
        assert load_installation_key(path).to_bytes() == key.to_bytes()
        with pytest.raises(KeyFileError, match="exists"):
            save_installation_key(key, path)
        path.chmod(0o640)
        with pytest.raises(KeyFileError, match="Others"):
            load_installation_key(path)

    def test_a_damaged_file_is_found(self) -> None:
        data = new_installation_key().to_bytes()
        wrong = data[:30] + (b"0" if data[30:31] != b"0" else b"1") + data[31:]
        with pytest.raises(KeyFileError, match="checksum"):
            parse_installation_key(wrong)
        with pytest.raises(KeyFileError, match="no installation key"):
            parse_installation_key(b"tongqiao-linkage-secret-v1:00:00\n")

    def test_is_neither_shown_nor_copied(self) -> None:
        key = new_installation_key()
        assert repr(key) == "InstallationKey(hidden)"
        with pytest.raises(TypeError, match="not copied"):
            pickle.dumps(key)
