"""Finished chunks: whole, or not there."""

from pathlib import Path

import numpy as np
import pytest

from linkage.matching.chunk_store import ChunkStore, fingerprint
from linkage.matching.tagged_join import run_dtype


def rows(n: int) -> np.ndarray:
    found = np.zeros(n, dtype=run_dtype(2))
    found["left"] = np.arange(n)
    return found


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_what_is_put_is_got(tmp_path: Path, n: int) -> None:
    store = ChunkStore(tmp_path / "run")
    kept = store.put("a", rows(n), {"n_pairs": 5})
    again = ChunkStore(tmp_path / "run").get("a")
    assert again is not None
    assert again[1] == {"n_pairs": 5}
    assert again[0].tobytes() == kept.tobytes() == rows(n).tobytes()
    assert again[0].dtype == run_dtype(2)
    assert store.names() == {"a"}


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "half"])
def test_a_damaged_chunk_is_no_chunk(tmp_path: Path, damage: str) -> None:
    store = ChunkStore(tmp_path)
    store.put("a", rows(10), {})
    path = tmp_path / "a.npy"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "half":
        (tmp_path / "a.json").write_text("{")
    else:
        path.write_bytes(data[:-1] + (b"" if damage == "cut" else bytes([data[-1] ^ 1])))
    assert store.get("a") is None


def test_rows_without_their_note_are_no_chunk(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path)
    store.put("a", rows(10), {})
    (tmp_path / "a.json").unlink()
    assert store.get("a") is None
    assert store.names() == set()


def test_the_folder_is_its_owners_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "run")
    mapped = store.put("a", rows(10), {})
    assert (tmp_path / "run").stat().st_mode & 0o077 == 0
    store.remove()
    assert not (tmp_path / "run").exists()
    assert mapped["left"].tolist() == list(range(10))


def test_a_fingerprint_tells_whatever_differs() -> None:
    one = fingerprint({"datasets": [["a", "0"]], "floor": -6.0})
    assert one == fingerprint({"floor": -6.0, "datasets": [["a", "0"]]})
    assert one != fingerprint({"datasets": [["a", "0"]], "floor": -6.5})
    assert one != fingerprint({"datasets": [["a", "1"]], "floor": -6.0})
