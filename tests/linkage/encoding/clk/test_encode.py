"""Blocks, stores that fill up, long files: what is kept from row to row changes no CLK."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from linkage.encoding.clk import ClkEncoder, encode, filters, parse_linkage_schema
from linkage.errors import EncodingError
from tests.linkage.encoding.clk.oracle import clkhash_clks

SECRET = b"sixteen bytes or more"


def feature(name: str, form: dict[str, Any], **hashing: Any) -> dict[str, Any]:
    hashing = {
        "comparison": {"type": "ngram", "n": 2},
        "strategy": {"bitsPerFeature": 100},
    } | hashing
    return {"identifier": name, "format": form, "hashing": hashing}


SCHEMA: dict[str, Any] = {
    "version": 3,
    "clkConfig": {"l": 512, "kdf": {"type": "HKDF"}},
    "features": [
        {"identifier": "row", "ignored": True},
        feature("name", {"type": "string", "maxLength": 20}),
        feature("birth", {"type": "date", "format": "%Y-%m-%d"}),
        feature(
            "number",
            {"type": "string", "pattern": "[0-9]{18}"},
            comparison={"type": "ngram", "n": 2, "positional": True},
        ),
        feature("class", {"type": "enum", "values": ["1", "2"]}, comparison={"type": "exact"}),
    ],
}


def rows_of(n: int, seed: int = 1) -> list[list[str]]:
    draw = np.random.default_rng(seed)
    names = ["曾令仪", "王芳", "anna maria", "li", "zhang wei", "扎西·卓玛"]
    return [
        [
            str(row),
            names[draw.integers(6)] + chr(0x4E00 + int(draw.integers(3000))),
            f"20{draw.integers(10, 25)}-{draw.integers(1, 13):02}-{draw.integers(1, 29):02}",
            "".join(str(digit) for digit in draw.integers(0, 10, 18)),
            "12"[draw.integers(2)],
        ]
        for row in range(n)
    ]


def encoder(schema: dict[str, Any] = SCHEMA) -> ClkEncoder:
    return ClkEncoder(parse_linkage_schema(json.dumps(schema).encode("utf-8")), SECRET)


def test_blocks_of_any_size_give_the_same_clks() -> None:
    rows = rows_of(300)
    whole = encoder().encode(rows)
    in_blocks = encoder()
    parts = [in_blocks.encode(rows[a:b]) for a, b in ((0, 1), (1, 130), (130, 130), (130, 300))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert [bytes(clk) for clk in whole] == clkhash_clks(SCHEMA, rows, SECRET.decode())


@pytest.mark.parametrize("kept", [1, 7, 40])
def test_stores_that_fill_up_change_no_clk(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(300)
    whole = encoder().encode(rows)
    monkeypatch.setattr(filters, "KEPT_TEXTS", kept)
    monkeypatch.setattr(encode, "KEPT_TEXTS", kept)
    monkeypatch.setattr(encode, "_ROWS_AT_ONCE", 16)
    narrow = encoder()
    parts = [narrow.encode(rows[start : start + 50]) for start in range(0, 300, 50)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "KEPT_BYTES", 1 << 18)
    long_filters = SCHEMA | {"clkConfig": {"l": 1 << 13, "kdf": {"type": "HKDF"}}}

    def peak_bytes(rows: list[list[str]]) -> int:
        one = encoder(long_filters)
        tracemalloc.start()
        for start in range(0, len(rows), 250):
            one.encode(rows[start : start + 250])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # Kept for good, the filters of 1,250 more numbers alone would take 1.2 MiB.
    assert peak_bytes(rows_of(2000)) < peak_bytes(rows_of(750)) + (1 << 20)


def test_all_that_is_wrong_is_told_by_row_and_feature_and_never_by_value() -> None:
    rows = rows_of(5)
    rows[1][2] = "29.02.2015"
    rows[3][1] = "a very long name, too long"
    rows[3][3] = "11010520160229002X"
    rows[4][4] = "9"
    with pytest.raises(EncodingError) as caught:
        encoder().encode(rows, first_row=101)
    message = str(caught.value)
    assert "row 102, birth: it is not a date of the form %Y-%m-%d" in message
    assert "row 104, name: it is longer than 20 characters" in message
    assert "row 104, number: it does not match the schema's pattern" in message
    assert "row 105, class: it is none of the values that the schema lists" in message
    assert message.index("row 102") < message.index("row 104") < message.index("row 105")
    for private in ("29.02", "long name", "110105"):
        assert private not in message


def test_only_the_first_problems_are_listed() -> None:
    rows = rows_of(50)
    for row in rows:
        row[2] = "unknown"
    with pytest.raises(EncodingError, match="and 30 more"):
        encoder().encode(rows)


@pytest.mark.parametrize("cells", [0, 4, 6])
def test_a_row_with_other_cells_than_features_is_refused(cells: int) -> None:
    rows = rows_of(3)
    rows[2] = (rows[2] * 2)[:cells]
    with pytest.raises(EncodingError, match=f"Row 9 .* has {cells} cells, .* has 5 features"):
        encoder().encode(rows, first_row=7)


def test_neither_secret_nor_keys_are_shown() -> None:
    assert "sixteen" not in repr(encoder())
    assert "sixteen" not in repr(vars(encoder())["_encoders"])
