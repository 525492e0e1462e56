"""SM3 (GB/T 32905-2016) and HMAC (RFC 2104) as their texts say; slow, and nobody else's."""

from functools import cache

_START: tuple[int, ...] = (
    0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E,
)  # fmt: skip
_WORD = 0xFFFFFFFF
_BLOCK_BYTES = 64


def _left(x: int, n: int) -> int:
    n %= 32
    return (x << n | x >> (32 - n)) & _WORD


@cache  # each key's own block comes again with every message
def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    w = [int.from_bytes(block[4 * j : 4 * j + 4], "big") for j in range(16)]
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ _left(w[j - 3], 15)
        w.append(x ^ _left(x, 15) ^ _left(x, 23) ^ _left(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        constant = 0x79CC4519 if j < 16 else 0x7A879D8A
        ss1 = _left((_left(a, 12) + e + _left(constant, j)) & _WORD, 7)
        ss2 = ss1 ^ _left(a, 12)
        if j < 16:
            ff, gg = a ^ b ^ c, e ^ f ^ g
        else:
            ff, gg = a & b | a & c | b & c, e & f | ~e & _WORD & g
        tt1 = (ff + d + ss2 + (w[j] ^ w[j + 4])) & _WORD
        tt2 = (gg + h + ss1 + w[j]) & _WORD
        a, b, c, d = tt1, a, _left(b, 9), c
        e, f, g, h = tt2 ^ _left(tt2, 9) ^ _left(tt2, 17), e, _left(f, 19), g
    return tuple(x ^ y for x, y in zip((a, b, c, d, e, f, g, h), state, strict=True))


def sm3(message: bytes) -> bytes:
    """32 bytes."""
    padded = message + b"\x80"
    padded += bytes(-(len(padded) + 8) % _BLOCK_BYTES) + (8 * len(message)).to_bytes(8, "big")
    state = _START
    for start in range(0, len(padded), _BLOCK_BYTES):
        state = _compress(state, padded[start : start + _BLOCK_BYTES])
    return b"".join(word.to_bytes(4, "big") for word in state)


@cache
def hmac_sm3(key: bytes, message: bytes) -> bytes:
    """32 bytes; the key has at most 64."""
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    inner = bytes(byte ^ 0x36 for byte in padded)
    outer = bytes(byte ^ 0x5C for byte in padded)
    return sm3(outer + sm3(inner + message))
