"""Numbers for tokens, readings and values, remembered between blocks so that work is done once.

A compiled kernel looks a character up in a table; what the table does not know yet is asked for
here, once, from the plain definitions in ``tokens`` and ``pinyin``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from linkage.encoding import blake2b_kernels, token_kernels
from linkage.encoding.frequency import is_frequent
from linkage.encoding.keyed_hash import BLAKE2B, KeyedHash, MessageHash
from linkage.encoding.pinyin import (
    COMPOUND_SURNAMES,
    fold_syllable,
    unit_reading,
)
from linkage.encoding.tokens import (
    Part,
    framed_token,
    salt_text,
    sign_part,
    token_parts,
    unit_part,
)
from linkage.types import I32, I64, U8, U64, Bools

DIGEST_BYTES = 8
MAX_NUMBERS = 1 << 18
"""Tokens, or values, that are remembered at most; a bound for memory, not for files."""

_N_HAN = token_kernels.LAST_HAN - token_kernels.FIRST_HAN + 1
_UNKNOWN, _NONE = -2, -1
_MAX_READING_BYTES = 8


class Hasher:
    """Keyed BLAKE2b with one key and digest length, for many short messages at once."""

    def __init__(self, key: bytes, digest_bytes: int) -> None:
        padded = key.ljust(blake2b_kernels.BLAKE2B_BLOCK_BYTES, b"\0")
        words = np.frombuffer(padded, dtype="<u8").astype(np.uint64)
        self._state = blake2b_kernels.keyed_state(words, len(key), digest_bytes)
        self._plain = hashlib.blake2b(key=key, digest_size=digest_bytes)
        self._words = digest_bytes // 8

    def __repr__(self) -> str:
        return "Hasher(<hidden>)"

    def of_messages(self, messages: U8, lengths: I64, out: U64) -> None:
        """Digests of the messages whose length is above 0, into ``out``."""
        blake2b_kernels.blake2b_digests(self._state, messages.view("<u8"), lengths, out)

    def of_bytes(self, message: bytes) -> U64:
        """``(words,) uint64`` digest of a message of any length."""
        state = self._plain.copy()
        state.update(message)
        return np.frombuffer(state.digest(), dtype="<u8").astype(np.uint64)

    def of_all(self, messages: Sequence[bytes]) -> U64:
        """``(n,) uint64`` first words of the digests of messages that are not empty."""
        width = blake2b_kernels.BLAKE2B_BLOCK_BYTES
        short = [message if len(message) <= width else b"" for message in messages]
        raw = b"".join(message.ljust(width, b"\0") for message in short)
        packed = np.frombuffer(raw, dtype=np.uint8).reshape(len(short), width).copy()
        lengths = np.fromiter(map(len, short), np.int64, len(short))
        out = np.zeros((len(short), 1), dtype=np.uint64)
        self.of_messages(packed, lengths, out)
        for i, message in enumerate(messages):
            if not short[i]:
                out[i] = self.of_bytes(message)[0]
        return out[:, 0]


class MessageHasher:
    """As :class:`Hasher`, for a keyed hash that no kernel computes: message after message."""

    def __init__(self, digest: MessageHash) -> None:
        self._digest = digest

    def __repr__(self) -> str:
        return "MessageHasher(<hidden>)"

    def of_messages(self, messages: U8, lengths: I64, out: U64) -> None:
        """As :meth:`Hasher.of_messages`."""
        data, width = messages.tobytes(), messages.shape[1]
        there = np.flatnonzero(lengths > 0)
        if not len(there):
            return
        digests = [
            self._digest(data[width * row : width * row + length])
            for row, length in zip(there.tolist(), lengths[there].tolist(), strict=True)
        ]
        out[there] = np.frombuffer(b"".join(digests), dtype="<u8").reshape(len(there), -1)

    def of_bytes(self, message: bytes) -> U64:
        """As :meth:`Hasher.of_bytes`."""
        return np.frombuffer(self._digest(message), dtype="<u8").astype(np.uint64)

    def of_all(self, messages: Sequence[bytes]) -> U64:
        """As :meth:`Hasher.of_all`."""
        return np.frombuffer(b"".join(map(self._digest, messages)), dtype="<u8").astype(np.uint64)


def new_hasher(keyed_hash: KeyedHash, key: bytes, digest_bytes: int) -> Hasher | MessageHasher:
    """What hashes many messages under one key; compiled for the usual keyed hash."""
    if keyed_hash is BLAKE2B:
        return Hasher(key, digest_bytes)
    return MessageHasher(keyed_hash.keyed(key, digest_bytes))


class TokenNumbers:
    """Tokens of one kind of one field, numbered as they are met.

    Attributes:
        generation: changes when numbers start again from 0.
        framed: the bytes of each token that are hashed, under the field's own name.
    """

    def __init__(self, kind: str, field: str) -> None:
        self.kind = kind
        self.field = field
        self.generation = 0
        self._of_units: I32 | None = None
        self._of_signs: I32 | None = None
        self._forget()

    def start_block(self) -> None:
        """Forget everything if there is too much of it."""
        if len(self.framed) >= MAX_NUMBERS:
            self.generation += 1
            self._forget()

    def _forget(self) -> None:
        self.framed: list[bytes] = []
        self._frequent: list[bool] = []
        self._are_frequent: Bools = np.zeros(0, dtype=np.bool_)
        self._numbers: dict[Part, int] = {}
        for table in (self._of_units, self._of_signs):
            if table is not None:
                table.fill(_UNKNOWN)

    def of_part(self, part: Part) -> int:
        """Number of a token."""
        number = self._numbers.setdefault(part, len(self.framed))
        if number == len(self.framed):
            self.framed.append(framed_token(self.kind, self.field, part))
            self._frequent.append(is_frequent(self.kind, part[1]))
        return number

    def framed_as(self, hashed_as: str, first: int) -> list[bytes]:
        """The bytes of all tokens from number ``first`` on, see :func:`framed_token`."""
        if hashed_as == self.field:
            return self.framed[first:]
        # A dict keeps the order in which it was filled, which is that of the numbers.
        parts = islice(self._numbers, first, None)
        return [framed_token(self.kind, hashed_as, part) for part in parts]

    def are_frequent(self) -> Bools:
        """For each token that is numbered now, whether very many people have it."""
        if len(self._are_frequent) < len(self._frequent):
            self._are_frequent = np.array(self._frequent, dtype=np.bool_)
        return self._are_frequent

    def of_value(self, value: str) -> list[int]:
        """Numbers of a value's tokens."""
        return [self.of_part(part) for part in token_parts(self.kind, value)]

    @property
    def unit_table(self) -> I32:
        """Table for :func:`linkage.encoding.token_kernels.unit_tokens`."""
        if self._of_units is None:
            self._of_units = np.full(
                (token_kernels.MAX_UNITS + 1, _N_HAN), _UNKNOWN, dtype=np.int32
            )
        return self._of_units

    def learn_units(self, units: I32) -> None:
        """Put units that were unknown into the table."""
        table = self.unit_table
        for unit in np.unique(units).tolist():
            slot, position, character, reading = _read_unit(unit)
            part = unit_part(self.kind, position, character, reading)
            table[slot, unit & 0xFFFF] = _NONE if part is None else self.of_part(part)

    @property
    def sign_table(self) -> I32:
        """Table for :func:`linkage.encoding.token_kernels.sign_tokens`."""
        if self._of_signs is None:
            self._of_signs = np.full(token_kernels.MAX_SIGNS << 12, _UNKNOWN, dtype=np.int32)
        return self._of_signs

    def learn_signs(self, places: I32, width: int) -> None:
        """Put places that were unknown into the table."""
        table = self.sign_table
        for place in np.unique(places).tolist():
            signs = (place >> 6 & 63, place & 63)[:width]
            text = "".join(chr(sign + token_kernels.FIRST_SIGN) for sign in signs)
            table[place] = self.of_part(sign_part(place >> 12, text))


def _read_unit(unit: int) -> tuple[int, int, str, str]:
    """Slot, position, character and reading of what ``split_units`` gives for a unit."""
    slot, character = unit >> 16, chr((unit & 0xFFFF) + token_kernels.FIRST_HAN)
    reading = unit_reading(character, is_surname=slot == 0)
    return slot, max(slot - 1, 0), character, reading


class TokenDigests:
    """Digests of the tokens of a :class:`TokenNumbers` under the token key of one group.

    Args:
        hashed_as: the name in their bytes, see :class:`linkage.profile.TokenSpec`.
    """

    def __init__(self, hasher: Hasher | MessageHasher, hashed_as: str) -> None:
        self.hasher = hasher
        self._hashed_as = hashed_as
        self._generation = -1
        self._digests: U64 = np.zeros(0, dtype=np.uint64)

    def of(self, numbers: TokenNumbers) -> U64:
        """``(k,) uint64`` digests of all tokens that are numbered now."""
        if numbers.generation != self._generation:
            self._generation = numbers.generation
            self._digests = np.zeros(0, dtype=np.uint64)
        new = numbers.framed_as(self._hashed_as, len(self._digests))
        if new:
            self._digests = np.concatenate([self._digests, self.hasher.of_all(new)])
        return self._digests


class Readings:
    """Folded readings of units, numbered, for :func:`linkage.encoding.token_kernels.unit_texts`."""

    def __init__(self) -> None:
        self.table: I32 = np.full((token_kernels.MAX_UNITS + 1, _N_HAN), _UNKNOWN, dtype=np.int32)
        self.pieces: U8 = np.zeros((0, _MAX_READING_BYTES), dtype=np.uint8)
        self.sizes: I64 = np.zeros(0, dtype=np.int64)
        self._numbers: dict[bytes, int] = {}

    def learn(self, units: I32) -> None:
        """Put units that were unknown into the table."""
        for unit in np.unique(units).tolist():
            slot, _, _, reading = _read_unit(unit)
            text = fold_syllable(reading).encode()
            self.table[slot, unit & 0xFFFF] = self._numbers.setdefault(text, len(self._numbers))
        texts = list(self._numbers)
        raw = b"".join(text.ljust(_MAX_READING_BYTES, b"\0") for text in texts)
        pieces = np.frombuffer(raw, dtype=np.uint8).reshape(len(texts), _MAX_READING_BYTES)
        self.pieces = pieces.copy()
        self.sizes = np.fromiter(map(len, texts), np.int64, len(texts))


class ValueNumbers:
    """Values of one field that repeat, numbered; and the tokens of each, by kind."""

    def __init__(self) -> None:
        self.generation = 0
        self.values: list[str] = []
        self._numbers: dict[str, int] = {}

    def start_block(self) -> None:
        """Forget everything if there is too much of it."""
        if len(self.values) >= MAX_NUMBERS:
            self.generation += 1
            self.values = []
            self._numbers = {}

    def of(self, values: Iterable[str]) -> I32:
        """Numbers of values."""
        found = [self._number(value) for value in values]
        return np.array(found, dtype=np.int32)

    def _number(self, value: str) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class ValueTokens:
    """Token numbers of the values of a :class:`ValueNumbers`, one run a value."""

    def __init__(self) -> None:
        self._generation = (-1, -1)
        self.first: I64 = np.zeros(1, dtype=np.int64)
        self.flat: I32 = np.zeros(0, dtype=np.int32)

    def update(self, values: ValueNumbers, numbers: TokenNumbers) -> None:
        """Add the values that came since."""
        generation = (values.generation, numbers.generation)
        if generation != self._generation:
            self._generation = generation
            self.first = np.zeros(1, dtype=np.int64)
            self.flat = np.zeros(0, dtype=np.int32)
        new = values.values[len(self.first) - 1 :]
        if new:
            runs = [numbers.of_value(value) for value in new]
            ends = self.first[-1] + np.cumsum([len(run) for run in runs])
            self.first = np.concatenate([self.first, ends]).astype(np.int64)
            flat = np.array([number for run in runs for number in run], dtype=np.int32)
            self.flat = np.concatenate([self.flat, flat])


class ValueStrings:
    """The one string of each value of a :class:`ValueNumbers`, in UTF-8.

    Attributes:
        texts: ``(v, width) uint8``.
        lengths: ``(v,) int64``; 0 for none, -1 for one that is longer than ``width``.
    """

    def __init__(self, kind: str, width: int) -> None:
        self._kind = kind
        self._generation = -1
        self.texts: U8 = np.zeros((0, width), dtype=np.uint8)
        self.lengths: I64 = np.zeros(0, dtype=np.int64)

    def update(self, values: ValueNumbers) -> None:
        """Add the values that came since."""
        width = self.texts.shape[1]
        if values.generation != self._generation:
            self._generation = values.generation
            self.texts, self.lengths = self.texts[:0], self.lengths[:0]
        new = [salt_text(self._kind, value).encode() for value in values.values[len(self.texts) :]]
        if new:
            short = [text if len(text) <= width else b"" for text in new]
            raw = b"".join(text.ljust(width, b"\0") for text in short)
            texts = np.frombuffer(raw, dtype=np.uint8).reshape(len(new), width)
            lengths = [len(text) if len(text) <= width else -1 for text in new]
            self.texts = np.concatenate([self.texts, texts])
            self.lengths = np.concatenate([self.lengths, np.array(lengths, dtype=np.int64)])


def compound_surnames() -> tuple[U64, U8]:
    """Compound surnames as :func:`linkage.encoding.token_kernels.split_units` takes them."""
    pairs = sorted((ord(name[0]) << 32) | ord(name[1]) for name in COMPOUND_SURNAMES)
    begins = np.zeros(_N_HAN, dtype=np.uint8)
    for name in COMPOUND_SURNAMES:
        begins[ord(name[0]) - token_kernels.FIRST_HAN] = 1
    return np.array(pairs, dtype=np.uint64), begins
