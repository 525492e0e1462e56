"""First occurrences agree with a dictionary, however the values come and wherever they are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.records import seen
from linkage.records.seen import FirstSeen
from linkage.types import I64

_BATCHES = st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=30), max_size=12)


# Spreads small numbers over all 64 bits, as hashes are.
_ODD = np.int64(0x61C8864680B583EB)


def _expected(batches: list[list[int]]) -> list[tuple[int, int]]:
    known: dict[int, tuple[int, int]] = {}
    out, row = [], 0
    for batch in batches:
        for key in batch:
            row += 1
            first = known.setdefault(key, (row, 10 * row))
            out.append((0 if first[0] == row else first[0], first[1]))
    return out


def _found(batches: list[list[int]]) -> list[tuple[int, int]]:
    first_seen, out, row = FirstSeen(), [], 0
    for batch in batches:
        rows = np.arange(row + 1, row + len(batch) + 1)
        row += len(batch)
        keys = np.array(batch, dtype=np.int64) * _ODD
        found, payloads = first_seen.look_up_and_add(keys, rows, 10 * rows)
        out += list(zip(found.tolist(), payloads.tolist(), strict=True))
    return out


@given(_BATCHES)
def test_agrees_with_a_dictionary(batches: list[list[int]]) -> None:
    assert _found(batches) == _expected(batches)


@given(_BATCHES, st.integers(1, 40))
def test_agrees_with_a_dictionary_when_keys_are_written_out(
    batches: list[list[int]], held: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "HELD_KEYS", held)
        assert _found(batches) == _expected(batches)


def test_keys_on_disk_are_asked_for_only_if_they_may_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seen, "HELD_KEYS", 1000)
    read: list[int] = []

    def note(_written: object, _start: int, length: int) -> I64:
        read.append(length)
        return np.zeros(length, dtype=np.int64)

    monkeypatch.setattr(seen._Written, "_read", note)
    first_seen = FirstSeen()
    keys = np.random.default_rng(1).integers(-(2**62), 2**62, 20_000)
    for start in range(0, 20_000, 500):
        rows = np.arange(start + 1, start + 501)
        found, _ = first_seen.look_up_and_add(keys[start : start + 500], rows, rows)
        assert not found.any()
    assert read == []
