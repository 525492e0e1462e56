"""Blocks of rows: the same cells as the csv module gives, whatever is in the file."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkage.errors import RecordsError
from linkage.records.text_blocks import TextBlock, TextBlocks
from linkage.records.text_files import read_text_rows


def rows_of(block: TextBlock) -> list[list[str]]:
    return [
        block.others[i]
        if i in block.others
        else [
            block.text[start:stop]
            for start, stop in zip(block.starts[i].tolist(), block.stops[i].tolist(), strict=True)
        ]
        for i in range(len(block))
    ]


def by_blocks(path: Path, width: int, rows: int = 3, skip: int = 0) -> list[list[str]] | str:
    blocks = TextBlocks(path, "utf-8", ",", width, skip)
    try:
        found = list(blocks.read(rows))
    except RecordsError as error:
        return str(error)[:20]
    assert all(len(block) <= rows for block in found)
    for block in found:
        assert "".join(map(chr, block.points.tolist())) == block.text
    return [row for block in found for row in rows_of(block)]


def by_csv(path: Path, skip: int = 0) -> list[list[str]] | str:
    try:
        return list(read_text_rows(path, "utf-8", ","))[skip:]
    except RecordsError as error:
        return str(error)[:20]


def assert_same(path: Path, text: str, width: int, rows: int = 3, skip: int = 0) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert by_blocks(path, width, rows, skip) == by_csv(path, skip)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a,b",
        "a,b\n",
        "a,b\r\nc,d\r\n",
        "a,b\rc,d\re,f",
        "a,b\n\nc,d\n\n",
        "a\nb,c\nd,e,f\n",
        '"a",b\n"c, d","e ""f"""\n',
        '"a\nb",c\nd,e\nf,g\nh,i\nj,"k\r\nl"\n',
        'a"b,c"d\ne,f\n',
        'a"b,"c\nd",e\nf,g\n',
        '"a"b,c\nd,e\n',
        'a,"b\nc,d',
        "𠮷,王\n〓,é\n",
        ",\n,\n",
        "a,b\r\nc\rd,e\r\nf,g\r\n",
    ],
)
@pytest.mark.parametrize("width", [1, 2, 3])
def test_rows_are_those_of_the_csv_module(tmp_path: Path, text: str, width: int) -> None:
    assert_same(tmp_path / "x.csv", text, width)


@settings(max_examples=300)
@given(
    st.text('ab,,"\r\n\n王 ', max_size=60),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 2),
    st.integers(1, 9),
)
@example("\r\r\n", 1, 1, 0, 1)
def test_any_text(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    width: int,
    rows: int,
    skip: int,
    chunk: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linkage.records.text_blocks._CHUNK_CHARACTERS", chunk)
        assert_same(tmp_path_factory.mktemp("any") / "x.csv", text, width, rows, skip)


def test_a_cell_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" * 10 + "c" * 200_000 + ",d\n", encoding="utf-8")
    assert by_blocks(path, 2) == by_csv(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n" * 10 + b"\xff,d\n")
    with pytest.raises(RecordsError, match="not valid in the encoding"):
        list(TextBlocks(path, "utf-8", ",", 2, 0).read(3))
