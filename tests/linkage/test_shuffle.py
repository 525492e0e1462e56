"""Rows sorted in bounded memory, whatever parts they fall into."""

from pathlib import Path

import numpy as np
import pytest

from linkage.encoded_rows import RowLayout
from linkage.shuffle import RowShuffle
from linkage.types import U64, GroupLayout, ViewLayout

LAYOUT = RowLayout((ViewLayout("all", False, (GroupLayout("name", 64),)),))


def rows_of(first_bytes: list[int], seed: int) -> U64:
    """Rows whose pseudonyms begin with these bytes, which say what part they fall into."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2**64, (len(first_bytes), LAYOUT.n_words), dtype=np.uint64)
    rows[:, 0] = rows[:, 0] >> np.uint64(8) << np.uint64(8) | np.array(first_bytes, np.uint64)
    return rows


def by_pseudonym(rows: U64) -> U64:
    as_bytes = np.ascontiguousarray(rows[:, :2]).astype("<u8").view("S16").reshape(-1)
    return rows[np.argsort(as_bytes)]


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param([[3, 3, 200], [7, 7], [3, 255]], id="each run lacks parts of the others"),
        pytest.param([[0], [255], [0], [128]], id="one row a run"),
        pytest.param([[5, 5, 5, 5]], id="all in one part"),
        pytest.param([[1, 2], [], [2, 1]], id="a run of nothing"),
        pytest.param([list(range(256)), [9], list(range(255, -1, -1))], id="every part and one"),
    ],
)
@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_rows_come_back_in_order_with_all_that_they_hold(
    runs: list[list[int]], memory_bytes: int, tmp_path: Path
) -> None:
    parts = [rows_of(first_bytes, seed) for seed, first_bytes in enumerate(runs)]
    with RowShuffle(LAYOUT, tmp_path, memory_bytes=memory_bytes) as shuffle:
        for rows in parts:
            shuffle.add(rows)
        found = list(shuffle.in_order())
    assert all(len(piece) for piece in found)
    np.testing.assert_array_equal(np.concatenate(found), by_pseudonym(np.concatenate(parts)))


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_nothing_put_in_comes_out_as_nothing(memory_bytes: int, tmp_path: Path) -> None:
    with RowShuffle(LAYOUT, tmp_path, memory_bytes=memory_bytes) as shuffle:
        assert list(shuffle.in_order()) == []
        assert shuffle.n_rows == 0
