"""The encoding once more, slowly, in plain Python, written from ENCODING.md alone.

It shares nothing with ``linkage.encoding``: no arrays, no planes, no memory of digests.  Even the
readings come another way (pypinyin's own function, one character at a time).
"""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pypinyin

from linkage.profile import GroupSpec, Profile, ViewSpec
from tests.linkage.encoding.sm3 import hmac_sm3

SPECIFICATION = Path(__file__).parents[3] / "linkage" / "encoding" / "ENCODING.md"
LOST = "\u3013"
MASK = 2**64 - 1
FIRST_WORD_RULES = {"zh": "z", "ch": "c", "sh": "s"}

Token = tuple[str, str, str, str]


def listed(block: str) -> str:
    """A fenced list of the specification."""
    text = SPECIFICATION.read_text(encoding="utf-8")
    match = re.search(rf"```{block}\n(.*?)```", text, re.DOTALL)
    assert match is not None
    return match[1]


SURNAMES = dict(line.split(" ", 1) for line in listed("surname-readings").splitlines())
COMPOUND = set(listed("compound-surnames").split())
FREQUENT = set("".join(listed("frequent-characters").split()))
CORNERS = {
    character: line[:4]
    for line in (SPECIFICATION.parent / "data" / "four_corners.csv")
    .read_text(encoding="utf-8")
    .splitlines()[1:]
    for character in line[5:]
}


# --- sections 1 and 3 -----------------------------------------------------------------------


def frame(*parts: bytes) -> bytes:
    out = b""
    for part in parts:
        out += len(part).to_bytes(4, "little")
        out += part
    return out


def b(key: bytes, n: int, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=key, digest_size=n).digest()


def sm3_mac(key: bytes, n: int, message: bytes) -> bytes:
    return hmac_sm3(key, message)[:n]


def siphash(key: bytes, message: bytes) -> int:
    """SipHash-2-4 of a message of any length, after section 2 of the paper."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= word
        for _ in range(2):
            sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def sip_round(v: list[int]) -> None:
    def left(x: int, n: int) -> int:
        return (x << n | x >> (64 - n)) & MASK

    v[0] = (v[0] + v[1]) & MASK
    v[2] = (v[2] + v[3]) & MASK
    v[1] = left(v[1], 13) ^ v[0]
    v[3] = left(v[3], 16) ^ v[2]
    v[0] = left(v[0], 32)
    v[2] = (v[2] + v[1]) & MASK
    v[0] = (v[0] + v[3]) & MASK
    v[1] = left(v[1], 17) ^ v[2]
    v[3] = left(v[3], 21) ^ v[0]
    v[2] = left(v[2], 32)


# --- section 5 ------------------------------------------------------------------------------


def units(name: str) -> list[str]:
    out: list[str] = []
    run = ""
    for character in name + " ":
        if "a" <= character.lower() <= "z" and character.isascii():
            run += character
            continue
        if run:
            out.append(run)
            run = ""
        if character not in "\u00b7 ":
            out.append(character)
    return out


def surname_size(name: str) -> int:
    parts = units(name)
    if "\u00b7" in name or " " in name:
        return 0
    if len(parts) in (3, 4) and parts[0] + parts[1] in COMPOUND:
        return 2
    if len(parts) in (2, 3):
        return 1
    return 0


def readings(name: str) -> list[str]:
    size = surname_size(name)
    surname = "".join(units(name)[:size])
    out = SURNAMES[surname].split() if surname in SURNAMES else []
    for unit in units(name)[len(out) :]:
        if len(unit) > 1:
            out.append(unit)
        else:
            out += pypinyin.lazy_pinyin(unit, style=pypinyin.Style.NORMAL, errors=lambda text: text)
    return out


def folded(reading: str) -> str:
    if reading[:2] in FIRST_WORD_RULES:
        reading = FIRST_WORD_RULES[reading[:2]] + reading[2:]
    elif reading.startswith("n") and reading != "n":
        reading = "l" + reading[1:]
    elif reading.startswith("f"):
        reading = "h" + reading[1:]
    elif reading == "hui":
        reading = "hei"
    elif reading == "hun":
        reading = "hen"
    elif reading.startswith("hu") and reading != "hu":
        reading = "h" + reading[2:]
    if reading.endswith("ng") and not reading.endswith("ong"):
        reading = reading[:-1]
    return reading


def side(unit: str, name: str) -> str:
    if unit not in CORNERS:
        return unit
    code = CORNERS[unit]
    upper, lower = code[:2], code[2:]
    return {
        "top": upper,
        "bottom": lower,
        "left": upper[0] + lower[0],
        "right": upper[1] + lower[1],
    }[name]


def is_frequent(kind: str, text: str) -> bool:
    if kind in ("character", "character-position"):
        return text in FREQUENT
    if kind == "pinyin-position":
        return text in frequent_sounds()
    return kind == "pinyin-folded" and text in {folded(sound) for sound in frequent_sounds()}


@functools.cache
def frequent_sounds() -> set[str]:
    return {sound for character in FREQUENT for sound in readings(character)}


def strings(kind: str, value: str) -> list[tuple[str, str]]:
    """Positions and values of tokens, duplicates and lost characters included."""
    if kind in ("year", "month", "day"):
        return [("", value.split("-")[("year", "month", "day").index(kind)])]
    if kind.startswith("prefix-"):
        return [("", value[: int(kind[-1])])]
    if kind.startswith("shape-"):
        return [(str(i), side(unit, kind[6:])) for i, unit in enumerate(units(value))]
    if kind == "sign":
        return numbered_letters(value)
    if kind == "sign-place":
        letters = [letter for letter in value if letter != "-"]
        halves = [place for place in range(len(letters)) for _ in "ab"]
        return [(str(place), letter) for place, letter in zip(halves, letters, strict=False)]
    plain = {
        "whole": lambda: [value],
        "character": lambda: units(value),
        "pinyin-folded": lambda: [folded(reading) for reading in readings(value)],
        "pinyin": lambda: [" ".join(folded(reading) for reading in readings(value))],
        "given-pinyin": lambda: [
            " ".join(folded(reading) for reading in readings(value)[surname_size(value) :])
        ],
        "bigram": lambda: pairs(" " + value + " "),
    }
    if kind in plain:
        return [("", text) for text in plain[kind]()]
    placed = {
        "character-position": lambda: units(value),
        "pinyin-position": lambda: readings(value),
        "bigram-position": lambda: pairs(value),
        "digit-position": lambda: list(value.replace("-", "")),
    }
    return [(str(i), text) for i, text in enumerate(placed[kind]())]


def numbered_letters(value: str) -> list[tuple[str, str]]:
    return [
        (str(number), letter)
        for letter in set(value) - {"-"}
        for number in range(value.count(letter))
    ]


def pairs(text: str) -> list[str]:
    return [text[i] + text[i + 1] for i in range(len(text) - 1)]


def tokens(name: str, kind: str, value: str | None) -> set[Token]:
    if not value:
        return set()
    return {(kind, name, place, text) for place, text in strings(kind, value) if LOST not in text}


# --- sections 4, 6 and 7 --------------------------------------------------------------------


@dataclass
class ReferenceView:
    """One record's view: tag (0 if absent) and the filters that it has, as bytes."""

    present: bool
    tag: int
    filters: dict[str, bytes]
    bits_before_diffusion: dict[str, int]


class ReferenceEncoder:
    """Args: hash_name: the keyed hash, ``H`` in the text; ``stream_bytes`` is its ``L``."""

    def __init__(self, profile: Profile, round_key: bytes, hash_name: str = "blake2b") -> None:
        self.profile = profile
        self.h, self.stream_bytes = (b, 64) if hash_name == "blake2b" else (sm3_mac, 32)
        self.key = self.h(
            round_key,
            32,
            frame(b"tongqiao/v1/encoding/profile", bytes.fromhex(profile.sha256)),
        )
        self.tables: dict[tuple[str, str], list[list[int]]] = {}

    def derived(self, use: str, *names: str) -> bytes:
        label = f"tongqiao/v1/encoding/{use}".encode()
        return self.h(self.key, 32, frame(label, *(name.encode() for name in names)))

    def encode(self, record: Mapping[str, str | None]) -> dict[str, ReferenceView]:
        return {view.name: self.view(view, record) for view in self.profile.views}

    def view(self, view: ViewSpec, record: Mapping[str, str | None]) -> ReferenceView:
        parts = []
        for part in view.salt:
            found = tokens(part.field, part.kind, record[part.field])
            text = found.pop()[3] if found else ""
            if not text:
                return ReferenceView(False, 0, {}, {})
            parts.append(text.encode())
        salt = frame(*parts)
        salt_key = self.h(self.derived("salt", view.name), 16, salt)
        tag = int.from_bytes(self.h(self.derived("tag", view.name), 8, salt), "little") or 1
        filters, before = {}, {}
        for name in view.groups:
            bits = self.bloom(view.name, self.profile.groups[name], salt_key, record)
            if bits is not None:
                filters[name] = self.diffused(view.name, name, bits)
                before[name] = len(bits)
        return ReferenceView(True, tag, filters, before)

    def bloom(
        self, view: str, group: GroupSpec, salt_key: bytes, record: Mapping[str, str | None]
    ) -> set[int] | None:
        token_key = self.derived("token", view, group.name)
        bits: set[int] = set()
        any_token = False
        for spec in group.tokens:
            for token in tokens(spec.hashed_as, spec.kind, record[spec.field]):
                any_token = True
                digest = self.h(token_key, 8, frame(*(text.encode() for text in token)))
                hashes = spec.frequent if is_frequent(token[0], token[3]) else spec.hashes
                bits |= set(self.positions(salt_key, digest, group.filter_bits, hashes))
        return bits if any_token else None

    def positions(self, salt_key: bytes, digest: bytes, m: int, hashes: int) -> list[int]:
        out: list[int] = []
        counter = 0
        while len(out) < hashes:
            output = siphash(salt_key, digest + counter.to_bytes(8, "little"))
            if m & (m - 1) == 0:
                width = m.bit_length() - 1
                out += [output >> (width * lane) & (m - 1) for lane in range(64 // width)]
            else:
                out += [((output >> (21 * lane) & (2**21 - 1)) * m) >> 21 for lane in range(3)]
            counter += 1
        return out[:hashes]

    def table(self, view: str, group: str, m: int) -> list[list[int]]:
        if (view, group) not in self.tables:
            words = self.words(self.derived("diffusion", view, group))
            mask = 1
            while mask < m - 1:
                mask = mask * 2 + 1
            rows: list[list[int]] = []
            for _ in range(m):
                row: list[int] = []
                while len(row) < self.profile.diffusion:
                    position = next(words) & mask
                    if position < m and position not in row:
                        row.append(position)
                rows.append(row)
            self.tables[view, group] = rows
        return self.tables[view, group]

    def words(self, key: bytes) -> Iterator[int]:
        n = 0
        while True:
            block = self.h(key, self.stream_bytes, n.to_bytes(8, "little"))
            for i in range(len(block) // 2):
                yield block[2 * i] + 256 * block[2 * i + 1]
            n += 1

    def diffused(self, view: str, group: str, bits: set[int]) -> bytes:
        m = self.profile.groups[group].filter_bits
        out = bits
        if self.profile.diffusion:
            table = self.table(view, group, m)
            out = {i for i in range(m) if len(bits & set(table[i])) % 2}
        packed = bytearray(m // 8)
        for bit in out:
            packed[bit // 8] |= 1 << bit % 8
        return bytes(packed)
