"""Numbers for tokens: each distinct token of a feature has one, so that it is hashed once.

``tokens_of`` says what the tokens of one text are; :meth:`Vocabulary.numbers_of` finds the same for
many texts at once.  An n-gram is first packed into one whole number made of its place and code
points; where that is small, as with digits and Latin letters, a table gives the token's number.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from linkage.encoding.clk.schema import Comparison, NgramComparison
from linkage.encoding.clk.tokens import PAD, tokens_of
from linkage.types import I64

_ASCII_BITS = 7
_POINT_BITS = 21
_TABLE_BITS = 20
_PACKED_BITS = 63
_UNKNOWN = -1


class Vocabulary:
    """Tokens of one feature, numbered from 0 in the order of their coming.

    Equal tokens have one number, but for the few that come both among ASCII texts and among
    others: they may have two.

    Attributes:
        tokens: by number.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.tokens: list[str] = []
        self._comparison = comparison
        self._number_of: dict[str, int] = {}
        self._number_of_packed: dict[int, int] = {}
        # One more than the number, so that 0 is unknown: memory that was never written to costs
        # nothing.
        self._after_ascii: I64 | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def numbers_of(self, texts: Sequence[str], n_tokens: int) -> I64:
        """``(len(texts), n_tokens) int64``: the tokens of texts of one length, at least 1."""
        comparison = self._comparison
        if isinstance(comparison, NgramComparison):
            place_bits = n_tokens.bit_length() if comparison.positional else 0
            joined = "".join(texts)
            if joined.isascii() and comparison.n * _ASCII_BITS + place_bits <= _TABLE_BITS:
                points = np.frombuffer(joined.encode("ascii"), dtype=np.uint8)
                return self._ascii_numbers(points.reshape(len(texts), -1), comparison)
            if comparison.n * _POINT_BITS + place_bits <= _PACKED_BITS:
                points = np.frombuffer(joined.encode("utf-32-le"), dtype="<u4")
                packed = _packed(points.reshape(len(texts), -1), comparison, _POINT_BITS)
                distinct, places = _distinct(packed.ravel())
                return self._packed_numbers(distinct, comparison)[places].reshape(packed.shape)
        tokens = chain.from_iterable(tokens_of(comparison, text) for text in texts)
        return self._numbered(list(tokens)).reshape(len(texts), n_tokens)

    def _ascii_numbers(self, points: npt.NDArray[np.uint8], comparison: NgramComparison) -> I64:
        after = self._after_ascii
        if after is None:
            after = self._after_ascii = np.zeros(1 << _TABLE_BITS, dtype=np.int64)
        packed = _packed(points, comparison, _ASCII_BITS)
        found = after[packed]
        unknown = found == 0
        if unknown.any():
            fresh, _ = _distinct(packed[unknown])
            after[fresh] = self._added(_unpacked(fresh, comparison, _ASCII_BITS)) + 1
            found = after[packed]
        found -= 1
        return found

    def _packed_numbers(self, packed: I64, comparison: NgramComparison) -> I64:
        """Numbers of distinct packed n-grams."""
        known = self._number_of_packed
        numbers = np.array([known.get(each, _UNKNOWN) for each in packed.tolist()], dtype=np.int64)
        unknown = numbers == _UNKNOWN
        if unknown.any():
            fresh = packed[unknown]
            added = self._added(_unpacked(fresh, comparison, _POINT_BITS))
            numbers[unknown] = added
            known.update(zip(fresh.tolist(), added.tolist(), strict=True))
        return numbers

    def _added(self, tokens: Sequence[str]) -> I64:
        start = len(self.tokens)
        self.tokens += tokens
        return np.arange(start, len(self.tokens), dtype=np.int64)

    def _numbered(self, tokens: Sequence[str]) -> I64:
        known = self._number_of
        fresh = [token for token in dict.fromkeys(tokens) if token not in known]
        known.update(zip(fresh, self._added(fresh).tolist(), strict=True))
        return np.fromiter(map(known.__getitem__, tokens), dtype=np.int64, count=len(tokens))


def _distinct(numbers: I64) -> tuple[I64, I64]:
    """Distinct numbers, ascending, and for each number its place among them.

    NumPy's ``unique`` says the same, but imports masked arrays first, which takes longer.
    """
    order = np.argsort(numbers)
    ascending = numbers[order]
    first = np.ones(len(numbers), dtype=np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    places = np.empty(len(numbers), dtype=np.int64)
    places[order] = np.cumsum(first) - 1
    return ascending[first], places


def _packed(points: npt.NDArray[np.unsignedinteger], ngram: NgramComparison, bits: int) -> I64:
    """Each n-gram of each row of code points as one number: place, then points, ``bits`` each."""
    n, (n_texts, length) = ngram.n, points.shape
    padded = np.full((n_texts, length + 2 * (n - 1)), ord(PAD), dtype=np.int64)
    padded[:, n - 1 : n - 1 + length] = points
    n_tokens = length + n - 1
    packed = np.zeros((n_texts, n_tokens), dtype=np.int64)
    if ngram.positional:
        packed += np.arange(1, n_tokens + 1)
    for offset in range(n):
        packed <<= bits
        packed |= padded[:, offset : offset + n_tokens]
    return packed


def _unpacked(packed: I64, ngram: NgramComparison, bits: int) -> list[str]:
    """The tokens that :func:`_packed` made numbers of."""
    n, mask = ngram.n, (1 << bits) - 1
    points = np.empty((len(packed), n), dtype="<u4")
    for place in range(n):
        points[:, place] = (packed >> (bits * (n - 1 - place))) & mask
    text = points.tobytes().decode("utf-32-le")
    tokens = [text[start : start + n] for start in range(0, len(text), n)]
    if ngram.positional:
        places = (packed >> (bits * n)).tolist()
        tokens = [f"{place} {token}" for place, token in zip(places, tokens, strict=True)]
    return tokens
