"""The vectors of ``keys/AT_REST.md``, against the program and against a second implementation.

The second one imports nothing of ``keys``: SM3 and HKDF written out, GCM from the block cipher.
"""

import hashlib
import hmac
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from keys.at_rest import decrypt_stream
from keys.installation_key import parse_installation_key

_FILE = Path(__file__).parents[1] / "vectors" / "at_rest" / "vectors.json"
_VECTORS: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))

# The second implementation.


def _rotated(word: int, n: int) -> int:
    n %= 32
    return (word << n | word >> (32 - n)) & 0xFFFFFFFF


def sm3(message: bytes) -> bytes:
    """SM3 as GB/T 32905-2016 writes it."""
    state = [
        0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600,
        0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E,
    ]  # fmt: skip
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64)
    padded += (8 * len(message)).to_bytes(8, "big")
    for at in range(0, len(padded), 64):
        state = _sm3_block(state, padded[at : at + 64])
    return b"".join(word.to_bytes(4, "big") for word in state)


def _sm3_block(state: list[int], block: bytes) -> list[int]:
    w = [int.from_bytes(block[at : at + 4], "big") for at in range(0, 64, 4)]
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ _rotated(w[j - 3], 15)
        w.append(x ^ _rotated(x, 15) ^ _rotated(x, 23) ^ _rotated(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        constant = 0x79CC4519 if j < 16 else 0x7A879D8A
        ss1 = _rotated((_rotated(a, 12) + e + _rotated(constant, j)) & 0xFFFFFFFF, 7)
        ss2 = ss1 ^ _rotated(a, 12)
        ff = a ^ b ^ c if j < 16 else (a & b) | (a & c) | (b & c)
        gg = e ^ f ^ g if j < 16 else (e & f) | (~e & g)
        tt1 = (ff + d + ss2 + (w[j] ^ w[j + 4])) & 0xFFFFFFFF
        tt2 = (gg + h + ss1 + w[j]) & 0xFFFFFFFF
        a, b, c, d = tt1, a, _rotated(b, 9), c
        e, f, g, h = tt2 ^ _rotated(tt2, 9) ^ _rotated(tt2, 17), e, _rotated(f, 19), g
    return [x ^ y for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _hmac_sm3(key: bytes, message: bytes) -> bytes:
    padded = key.ljust(64, b"\0")
    inner = sm3(bytes(byte ^ 0x36 for byte in padded) + message)
    return sm3(bytes(byte ^ 0x5C for byte in padded) + inner)


def _hmac_sha256(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _hkdf(mac: Callable[[bytes, bytes], bytes], ikm: bytes, salt: bytes, info: bytes) -> bytes:
    key, block, output = mac(salt or bytes(32), ikm), b"", b""
    for counter in (1, 2):
        block = mac(key, block + info + bytes([counter]))
        output += block
    return output


def _ghash(h: int, aad: bytes, ciphertext: bytes) -> int:
    y = 0
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    data = aad + bytes(-len(aad) % 16) + ciphertext + bytes(-len(ciphertext) % 16) + lengths
    for at in range(0, len(data), 16):
        x, v, y = y ^ int.from_bytes(data[at : at + 16], "big"), h, 0
        while x:
            if x >> 127:
                y ^= v
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
            x = x << 1 & (1 << 128) - 1
    return y


def _gcm_decrypt(block_cipher: Any, key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    ecb = Cipher(block_cipher(key), modes.ECB()).encryptor()  # noqa: S305 - GCM is built on it
    ciphertext, tag = sealed[:-16], sealed[-16:]
    n_blocks = -(-len(ciphertext) // 16)
    counters = b"".join(nonce + (index + 1).to_bytes(4, "big") for index in range(n_blocks + 1))
    stream = ecb.update(counters)
    h = int.from_bytes(ecb.update(bytes(16)), "big")
    expected = _ghash(h, aad, ciphertext) ^ int.from_bytes(stream[:16], "big")
    assert expected.to_bytes(16, "big") == tag
    return bytes(a ^ b for a, b in zip(ciphertext, stream[16:], strict=False))


_SUITES: dict[int, tuple[str, Any, int, Any]] = {
    1: ("default", _hmac_sha256, 32, algorithms.AES),
    2: ("gm", _hmac_sm3, 16, algorithms.SM4),
}


def read_stored(data_key: bytes, context: str, stored: bytes) -> tuple[str, bytes]:
    """Suite and plaintext of an encrypted file, by the words of ``AT_REST.md``."""
    assert stored[:7] == b"TQREST\x01"
    name, mac, key_bytes, block_cipher = _SUITES[stored[7]]
    n_bytes, salt = int.from_bytes(stored[8:16], "big"), stored[16:48]
    derived = _hkdf(mac, data_key, salt, b"tongqiao/v1/at-rest-file\0" + context.encode())
    key, prefix = derived[:key_bytes], derived[key_bytes : key_bytes + 7]
    n_chunks = max(1, -(-n_bytes // 65_536))
    plaintext, at = b"", 48
    for index in range(n_chunks):
        size = min(65_536, n_bytes - 65_536 * index) + 16
        nonce = prefix + index.to_bytes(4, "big") + bytes([index == n_chunks - 1])
        plaintext += _gcm_decrypt(block_cipher, key, nonce, stored[at : at + size], stored[:48])
        at += size
    assert at == len(stored)
    return name, plaintext


def test_sm3_is_that_of_the_standard() -> None:
    # GB/T 32905-2016, appendix A.
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def _stored(vector: dict[str, Any]) -> bytes:
    """The vector's stored bytes; of the long ones only the hash is written down."""
    if "stored" in vector:
        return bytes.fromhex(vector["stored"])
    from keys.at_rest import StoredHeader, encrypt_stream
    from keys.cipher_suites import CIPHER_SUITES

    n_bytes = vector["plaintext_bytes"]
    target = io.BytesIO()
    encrypt_stream(
        io.BytesIO(_plaintext(n_bytes)),
        target,
        data_key=bytes.fromhex(vector["data_key"]),
        header=StoredHeader(CIPHER_SUITES[vector["suite"]], n_bytes, bytes.fromhex(vector["salt"])),
        context=vector["context"],
    )
    return target.getvalue()


def _plaintext(n_bytes: int) -> bytes:
    return bytes(index % 251 for index in range(n_bytes))


@pytest.mark.parametrize(
    "vector", _VECTORS["files"], ids=lambda v: f"{v['suite']}-{v['plaintext_bytes']}"
)
def test_files(vector: dict[str, Any]) -> None:
    stored = _stored(vector)
    assert len(stored) == vector["stored_bytes"]
    assert hashlib.sha256(stored).hexdigest() == vector["stored_sha256"]
    key, context = bytes.fromhex(vector["data_key"]), vector["context"]
    expected = _plaintext(vector["plaintext_bytes"])
    assert context == f"2026-h2/{hashlib.sha256(expected).hexdigest()}"
    assert b"".join(decrypt_stream(io.BytesIO(stored), data_key=key, context=context)) == expected
    assert read_stored(key, context, stored) == (vector["suite"], expected)


@pytest.mark.parametrize("vector", _VECTORS["wrapped"], ids=lambda v: v["suite"])
def test_wrapped_keys(vector: dict[str, Any]) -> None:
    wrapped, expected = bytes.fromhex(vector["wrapped"]), bytes.fromhex(vector["data_key"])
    key = parse_installation_key(vector["installation_key"].encode())
    assert key.unwrap(wrapped, context=vector["context"]) == expected
    marker, value, checksum = vector["installation_key"].strip().split(":")
    assert marker == "tongqiao-installation-key-v1"
    raw = bytes.fromhex(value)
    found = _hkdf(_hmac_sha256, raw, b"", b"tongqiao/v1/at-rest-checksum")[:4]
    assert found.hex() == checksum
    name, mac, key_bytes, block_cipher = _SUITES[wrapped[7]]
    assert (wrapped[:7], name) == (b"TQWRAP\x01", vector["suite"])
    info = b"tongqiao/v1/at-rest-wrap\0" + vector["context"].encode()
    wrapping = _hkdf(mac, raw, b"", info)[:key_bytes]
    opened = _gcm_decrypt(block_cipher, wrapping, wrapped[8:20], wrapped[20:], wrapped[:8])
    assert opened == expected
