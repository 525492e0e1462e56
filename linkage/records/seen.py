"""First occurrences of many values in bounded memory: hashes only, most of them on disk."""

import tempfile
import weakref
from typing import IO

import numpy as np

from linkage.types import I64, U64, Bools

HELD_KEYS = 1 << 18
"""Keys that are held in memory before they are written out, 24 bytes each."""

_FILTER_BITS = 1 << 26
_N_HASHES = 4
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd


class FirstSeen:
    """Remembers at which row each key was first seen, and a payload of that row.

    Keys are 64-bit hashes.  They lie in sorted runs in memory that are merged as they grow; a run
    of :data:`HELD_KEYS` goes to a temporary file without a name.  A Bloom filter of 8 MiB says of
    nearly all keys that they are not there, so that the file is read for few of them (about 1 in
    100 of new keys at 7 million).  What is written are keyed hashes of this process, whose key is
    gone when it ends.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[I64, I64, I64]] = []
        self._n_held = 0
        self._written = _Written()

    def look_up_and_add(self, keys: I64, rows: I64, payloads: I64) -> tuple[I64, I64]:
        """First row and its payload for each key; 0 as the row of a key never seen before.

        ``keys``, ``rows`` (> 0, ascending) and ``payloads`` are ``(n,) int64``, and so is what
        comes back. Within the call, an earlier occurrence counts as seen.

        Raises:
            OSError: the temporary file cannot be written.
        """
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        seen_row = np.zeros(len(unique), dtype=np.int64)
        seen_payload = np.zeros(len(unique), dtype=np.int64)
        for run_keys, run_rows, run_payloads in self._runs:
            at, hit = _find(run_keys, unique)
            seen_row[hit] = run_rows[at[hit]]
            seen_payload[hit] = run_payloads[at[hit]]
        self._written.look_up(unique, seen_row, seen_payload)
        new = seen_row == 0
        if new.any():
            self._add(unique[new], rows[first[new]], payloads[first[new]])
        seen_row[new] = rows[first[new]]
        seen_payload[new] = payloads[first[new]]
        first_row = seen_row[inverse]
        return np.where(first_row == rows, 0, first_row), seen_payload[inverse]

    def _add(self, keys: I64, rows: I64, payloads: I64) -> None:
        self._runs.append((keys, rows, payloads))
        self._n_held += len(keys)
        if self._n_held >= HELD_KEYS:
            self._written.add(*_merged(self._runs))
            self._runs, self._n_held = [], 0
            return
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            above, below = self._runs.pop(), self._runs.pop()
            self._runs.append(_merged([below, above]))


class _Written:
    """Sorted runs in a file, each all its keys, then its rows, then its payloads."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._lengths: list[int] = []
        self._filter = np.zeros(0, dtype=np.uint64)

    def add(self, keys: I64, rows: I64, payloads: I64) -> None:
        """Write a run of ascending keys."""
        if self._file is None:
            # Lives as long as this object; the system deletes it with the last handle.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
            weakref.finalize(self, self._file.close)
            self._filter = np.zeros(_FILTER_BITS // 64, dtype=np.uint64)
        self._file.seek(0, 2)
        for column in (keys, rows, payloads):
            self._file.write(np.ascontiguousarray(column).data)
        self._lengths.append(len(keys))
        for position in _positions(keys):
            bits = np.uint64(1) << (position & np.uint64(63))
            np.bitwise_or.at(self._filter, (position >> np.uint64(6)).astype(np.int64), bits)

    def look_up(self, keys: I64, rows: I64, payloads: I64) -> None:
        """Fill in row and payload of the keys that are here."""
        if self._file is None:
            return
        asked = np.flatnonzero(self._may_hold(keys))
        start = 0
        for length in self._lengths if len(asked) else ():
            run_keys = self._read(start, length)
            at, hit = _find(run_keys, keys[asked])
            if hit.any():
                where = asked[hit]
                rows[where] = self._read(start + 8 * length, length)[at[hit]]
                payloads[where] = self._read(start + 16 * length, length)[at[hit]]
            start += 24 * length

    def _may_hold(self, keys: I64) -> Bools:
        there = np.ones(len(keys), dtype=bool)
        for position in _positions(keys):
            word = self._filter[(position >> np.uint64(6)).astype(np.int64)]
            there &= (word >> (position & np.uint64(63))) & np.uint64(1) == 1
        return there

    def _read(self, start: int, length: int) -> I64:
        column = np.empty(length, dtype=np.int64)
        assert self._file is not None  # noqa: S101 - only asked once there is a run
        self._file.seek(start)
        if self._file.readinto(column.data) != column.nbytes:  # type: ignore[attr-defined]
            raise OSError("a temporary file was cut off")
        return column


def _find(run_keys: I64, keys: I64) -> tuple[I64, Bools]:
    """Where each key would be in an ascending, non-empty run, and whether it is there."""
    at = np.searchsorted(run_keys, keys)
    at[at == len(run_keys)] = 0
    return at, run_keys[at] == keys


def _merged(runs: list[tuple[I64, I64, I64]]) -> tuple[I64, I64, I64]:
    keys, rows, payloads = (np.concatenate(columns) for columns in zip(*runs, strict=True))
    order = np.argsort(keys, kind="stable")
    return keys[order], rows[order], payloads[order]


def _positions(keys: I64) -> list[U64]:
    """Bits of the filter for each key, one array a hash function."""
    mixed = keys.view(np.uint64)
    positions = []
    for _ in range(_N_HASHES):
        mixed = mixed * _MIX
        mixed ^= mixed >> np.uint64(29)
        positions.append(mixed >> np.uint64(64 - 26))
    return positions
