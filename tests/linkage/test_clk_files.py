"""Files of CLKs: the peers' own bytes are written and read; anything else is refused."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.clk_files import ClkDataset, is_clk_file, open_clks, write_clks
from linkage.errors import ClkFileError
from linkage.types import U8

SETTINGS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def clks_of(n: int, clk_bytes: int, seed: int = 1) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (n, clk_bytes), dtype=np.uint8)


def raw(dataset: ClkDataset) -> U8:
    return dataset.filters.view(np.uint8)[:, : dataset.clk_bytes]


def as_json(clks: U8, **others: Any) -> bytes:
    encoded = [base64.b64encode(clk).decode("ascii") for clk in clks]
    return json.dumps({**others, "clks": encoded}).encode("utf-8")


@pytest.mark.parametrize("clk_bytes", [1, 2, 3, 128, 1024])
def test_json_is_what_anonlink_client_writes(clk_bytes: int, tmp_path: Path) -> None:
    clks = clks_of(7, clk_bytes)
    clks[3] = 0
    written = write_clks(tmp_path / "a.json", [clks[:2], clks[:0], clks[2:]])
    assert (tmp_path / "a.json").read_bytes() == as_json(clks)
    assert (written.n_clks, written.empty_clks) == (7, 1)
    assert written.mean_bits == pytest.approx(np.unpackbits(clks).sum() / 7)
    read = open_clks(tmp_path / "a.json")
    assert (read.name, read.n_records, read.clk_bytes) == ("a", 7, clk_bytes)
    assert np.array_equal(raw(read), clks)
    assert [read.pseudonym(row) for row in (0, 6)] == ["0", "6"]


@pytest.mark.parametrize("clk_bytes", [4, 100, 128])
def test_binary_with_and_without_numbers(clk_bytes: int, tmp_path: Path) -> None:
    clks = clks_of(9, clk_bytes)
    write_clks(tmp_path / "a.bin", [clks], "binary")
    assert (tmp_path / "a.bin").read_bytes() == clks.tobytes()
    order = [4, 0, 8, 1, 2, 3, 5, 6, 7]
    numbered = b"".join(struct.pack(f"!I{clk_bytes}s", i, bytes(clks[i])) for i in order)
    (tmp_path / "b.bin").write_bytes(numbered)
    for name in ("a.bin", "b.bin"):
        assert np.array_equal(raw(open_clks(tmp_path / name, clk_bytes=clk_bytes)), clks)


@SETTINGS
@given(
    st.lists(st.binary(min_size=5, max_size=5), min_size=1, max_size=9),
    st.sampled_from([None, 0, 1, "\t"]),
    st.booleans(),
    st.dictionaries(
        st.text().filter(lambda key: key != "clks"),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists),
        max_size=3,
    ),
)
def test_any_json_of_that_form_is_read(
    tmp_path: Path, clks: list[bytes], indent: Any, last: bool, others: dict[str, Any]
) -> None:
    listed = {"clks": [base64.b64encode(clk).decode("ascii") for clk in clks]}
    document = {**others, **listed} if last else {**listed, **others}
    text = json.dumps(document, indent=indent).replace("/", r"\/" if last else "/")
    (tmp_path / "a.json").write_text(" " + text + "\n", encoding="utf-8")
    assert [bytes(row) for row in raw(open_clks(tmp_path / "a.json"))] == clks


def test_a_list_longer_than_a_piece_of_reading(tmp_path: Path) -> None:
    clks = clks_of(60_000, 96)
    write_clks(tmp_path / "a.json", [clks])
    assert np.array_equal(raw(open_clks(tmp_path / "a.json")), clks)


GOOD = as_json(clks_of(3, 8))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{}", "not of the form"),
        (b'{"clk": []}', "not of the form"),
        (b'{"clks": []}', "no CLKs"),
        (b'{"clks": [""]}', "the first has not"),
        (b'{"clks": {}}', "not of the form"),
        (b'{"clks": [1]}', "Element 0"),
        (b'{"clks": ["AA==", "AAA="]}', "number 1 .* has 2 bytes, and the first has 1"),
        (b'{"clks": ["AA==", "AA="]}', "number 1 .* base64"),
        (b'{"clks": ["AA==", "A?=="]}', "Element 1"),
        (b'{"clks": ["AA==",]}', "Element 1"),
        (b'{"clks": ["AA==" "AA=="]}', "Element 0"),
        (b'{"clks": ["AA=="', "cut off"),
        (b'{"clks": ["AA=="]', "not valid JSON"),
        (b'{"clks": ["AA=="]}}', "not valid JSON"),
        (b'{"clks": ["AA=="], "clks": ["AA=="]}', "not valid JSON"),
        (b'{"a": {"clks": ["AA=="]}}', "not of the form"),
        (b'{"a": "\\"clks\\": [\\"AA==\\"]"}', "not"),
        (b'{"clknblocks": [["AA==", "1"]]}', "blocks"),
        (b'{"clks": ["AA=="], "x": ' + b"[" * 200_000, "not valid JSON"),
        (b'{"x": ' + b"[" * 200_000 + b', "clks": ["AA=="]}', "not valid JSON"),
        (b'{"clks": ["' + b"A" * 2000 + b'"]}', "bytes; the first has not"),
        (b'{"clks": ["' + b"A" * (9 << 20), "Element 0"),
        (b'{"clks": ["AA=="], "x": "' + b"y" * (3 << 20) + b'"}', "not valid JSON"),
    ],
)
def test_other_json_is_refused(data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ClkFileError, match=told):
        open_clks(tmp_path / "a.json")


@SETTINGS
@given(st.integers(0, len(GOOD)), st.binary(max_size=4), st.integers(0, 4))
def test_altered_json_is_refused_or_read_but_never_a_crash(
    tmp_path: Path, place: int, put: bytes, taken: int
) -> None:
    (tmp_path / "a.json").write_bytes(GOOD[:place] + put + GOOD[place + taken :])
    try:
        dataset = open_clks(tmp_path / "a.json", clk_bytes=8)
    except ClkFileError:
        return
    assert dataset.clk_bytes == 8


@pytest.mark.parametrize(
    ("data", "clk_bytes", "told"),
    [
        (b"", 8, "empty"),
        (b"x" * 20, 8, "no whole number"),
        (b"x" * 16, None, "--clk-bytes"),
        (b"x" * 16, 0, "1 to 1,024"),
        (b"x" * 4096, 2048, "1 to 1,024"),
    ],
)
def test_binary_that_cannot_be_cut_is_refused(
    data: bytes, clk_bytes: int | None, told: str, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(ClkFileError, match=told):
        open_clks(tmp_path / "a.bin", clk_bytes=clk_bytes)


def test_a_file_of_another_length_than_said_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(GOOD)
    with pytest.raises(ClkFileError, match="8 bytes, not 16"):
        open_clks(tmp_path / "a.json", clk_bytes=16)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.json", b'\xef\xbb\xbf {\n "clks"', True),
        ("a.txt", b'{"clks": []}', True),
        ("a.bin", b"anything", True),
        ("a.tqe", b"ARROW1\x00\x00", False),
        ("a", b"", False),
    ],
)
def test_files_of_clks_are_told_by_their_beginning(
    name: str, data: bytes, expected: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    assert is_clk_file(tmp_path / name) is expected
