"""Columns of cleaned values, as the reader makes them and the encoder reads them.

Both are sequences of ``str | None`` like a tuple.  What they add is how the values lie in memory:
whole columns go through compiled code without a Python string for each cell.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from linkage.types import I32, I64, U32


class _Column(Sequence[str | None]):
    """What the two kinds of columns share."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # compared by its values, as a list is

    def _at(self, index: int) -> str | None:
        raise NotImplementedError

    def part(self, start: int, stop: int) -> "_Column":
        """The values from ``start`` to before ``stop``; nothing is copied."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str | None]: ...
    def __getitem__(self, index: int | slice) -> "str | Sequence[str | None] | None":
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self.part(start, max(start, stop)) if step == 1 else tuple(self)[index]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError("column index out of range")
        return self._at(at)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return tuple(self) == tuple(other)

    def __repr__(self) -> str:
        # Plaintext: never in a log by accident.
        return f"<{type(self).__name__} of {len(self)} values>"


class TextColumn(_Column):
    """Values that lie in one array of code points, in any order.

    Attributes:
        points: ``(p,) uint32``.
        starts, stops: ``(n,) int64``, where each value lies; a missing one is empty.
    """

    __slots__ = ("points", "starts", "stops")

    def __init__(self, points: U32, starts: I64, stops: I64) -> None:
        self.points = points
        self.starts = starts
        self.stops = stops

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[str | None]:
        for start, stop in zip(self.starts.tolist(), self.stops.tolist(), strict=True):
            yield self._text(start, stop) if stop > start else None

    def part(self, start: int, stop: int) -> "TextColumn":
        """The values from ``start`` to before ``stop``; nothing is copied."""
        return TextColumn(self.points, self.starts[start:stop], self.stops[start:stop])

    def _at(self, index: int) -> str | None:
        start, stop = int(self.starts[index]), int(self.stops[index])
        return self._text(start, stop) if stop > start else None

    def _text(self, start: int, stop: int) -> str:
        return self.points[start:stop].astype("<u4", copy=False).tobytes().decode("utf-32-le")


class CodedColumn(_Column):
    """Values that repeat: each is a number in a list of distinct ones.

    Attributes:
        codes: ``(n,) int32``; -1 for a missing value.
        values: the distinct values; may grow behind what ``codes`` use.
    """

    __slots__ = ("codes", "values")

    def __init__(self, codes: I32, values: Sequence[str]) -> None:
        self.codes = codes
        self.values = values

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str | None]:
        values = self.values
        return (values[code] if code >= 0 else None for code in self.codes.tolist())

    def part(self, start: int, stop: int) -> "CodedColumn":
        """The values from ``start`` to before ``stop``; nothing is copied."""
        return CodedColumn(self.codes[start:stop], self.values)

    def _at(self, index: int) -> str | None:
        code = int(self.codes[index])
        return self.values[code] if code >= 0 else None


def text_column(values: Sequence[str | None]) -> TextColumn:
    """The values side by side in one array."""
    texts = [value or "" for value in values]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    stops = np.cumsum(lengths)
    points = code_points("".join(texts))
    return TextColumn(points, stops - lengths, stops)


def coded_column(values: Sequence[str | None]) -> CodedColumn:
    """The values numbered in order of first appearance."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) if value else -1 for value in values]
    return CodedColumn(np.array(codes, dtype=np.int32), list(numbers))


def code_points(text: str) -> U32:
    """``(n,) uint32`` code points of a text."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    # A copy, and so writable as all other columns: kernels are compiled for either kind anew.
    return points.astype(np.uint32)
