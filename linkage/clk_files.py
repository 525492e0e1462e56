"""Files of CLKs as clkhash and anonlink exchange them: JSON, or packed bytes.

Written and read here, beside ``tqe.py``, so that who matches CLKs needs nothing that can encode.

- **JSON**: ``{"clks": ["BASE64", ...]}``, one string a record; other members are passed over.
- **Binary** (anonlink entity service, ``/projects/ID/binaryclks``): CLKs one after the other, each
  as long as the next, nothing before or between them; or, as that service keeps them since 2020,
  each after its record's number in four bytes, most significant first.

A record's name is its row number, from 0.  All CLKs of a file are equally long.  Bit ``i`` of a CLK
is bit ``7 - i % 8`` of byte ``i // 8``.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from linkage.errors import ClkFileError
from linkage.types import U8, U64

ClkFormat = Literal["json", "binary"]

MAX_CLK_BYTES = 1024
"""The entity service's own limit, and 8,192 bits are the matcher's."""

_NUMBER_BYTES = 4
_CHUNK_BYTES = 1 << 22
_MAX_OTHER_BYTES = 1 << 20
_WORD_BYTES = 8
_BLOCK_ROWS = 65_536
_OPENING = re.compile(rb'"clks"\s*:\s*\[')
_ITEM = re.compile(rb'\s*"([A-Za-z0-9+/=\\]*)"\s*([,\]])')
_NOTHING = re.compile(rb"\s*\]")


@dataclass(frozen=True, slots=True)
class ClkDataset:
    """All CLKs of a file.

    Attributes:
        name: the file's stem, or the office's id.
        clk_bytes: length of each CLK.
        filters: ``(n, -(-clk_bytes // 8)) uint64``, filled up with zero bits; in which order the
            bits stand in a word is of no matter to who compares them.
    """

    name: str
    clk_bytes: int
    filters: U64 = field(repr=False)

    @property
    def n_records(self) -> int:
        """Number of records."""
        return int(self.filters.shape[0])

    def pseudonym(self, row: int) -> str:
        """Name of a record: its row number from 0."""
        return str(row)


@dataclass(frozen=True, slots=True)
class WrittenClks:
    """What was written.

    Attributes:
        n_clks: number of CLKs.
        sha256: of the file, hex.
        mean_bits: mean number of bits set in a CLK; 0 if there is none.
        empty_clks: CLKs without any bit set, which resemble nothing.
    """

    n_clks: int
    sha256: str
    mean_bits: float
    empty_clks: int


def write_clks(path: Path, blocks: Iterable[U8], form: ClkFormat = "json") -> WrittenClks:
    """Write CLKs as they come.

    Args:
        path: of the file; what is there is written over.
        blocks: of consecutive CLKs, each ``(n, clk_bytes) uint8``.
        form: JSON (the very bytes of Python's ``json.dump``), or binary without numbers.

    Raises:
        OSError: the file cannot be written.
    """
    digest = hashlib.sha256()
    n_clks = n_bits = n_empty = 0
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        if form == "json":
            put(b'{"clks": [')
        for block in blocks:
            if not len(block):
                continue
            set_bits = np.bitwise_count(block).sum(axis=1, dtype=np.int64)
            if form == "json":
                put((b", " if n_clks else b"") + _json_items(block))
            else:
                put(block.tobytes())
            n_clks += len(block)
            n_bits += int(set_bits.sum())
            n_empty += int((set_bits == 0).sum())
        if form == "json":
            put(b"]}")
    return WrittenClks(n_clks, digest.hexdigest(), n_bits / n_clks if n_clks else 0.0, n_empty)


def _json_items(block: U8) -> bytes:
    """``"BASE64", "BASE64"``: all rows in one go, as if each were filled up to whole triples."""
    n, clk_bytes = block.shape
    n_pad = -clk_bytes % 3
    filled = np.zeros((n, clk_bytes + n_pad), dtype=np.uint8)
    filled[:, :clk_bytes] = block
    text = np.frombuffer(base64.b64encode(filled.tobytes()), dtype=np.uint8).reshape(n, -1)
    items = np.empty((n, text.shape[1] + 4), dtype=np.uint8)
    items[:, 0] = items[:, -3] = ord('"')
    items[:, 1:-3] = text
    if n_pad:
        items[:, -3 - n_pad : -3] = ord("=")
    items[:, -2], items[:, -1] = ord(","), ord(" ")
    return items.tobytes()[:-2]


def is_clk_file(path: Path) -> bool:
    """Whether a file is to be read as CLKs: one ending in ``.bin``, or JSON by its first bytes.

    Raises:
        OSError: the file cannot be read.
    """
    return _is_binary(path) or _is_json(path)


def open_clks(path: Path, *, name: str | None = None, clk_bytes: int | None = None) -> ClkDataset:
    """Read a file of CLKs: JSON by its first bytes, else binary.

    Args:
        path: of the file.
        name: of the dataset; the file's stem if ``None``.
        clk_bytes: length of each CLK; a binary file does not say it itself.

    Raises:
        ClkFileError: the file is none of CLKs, is damaged, or needs ``clk_bytes``.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if _is_json(path) and not _is_binary(path):
            raw = _read_json(file)
        else:
            raw = _read_binary(file, clk_bytes)
    if clk_bytes is not None and raw.shape[1] != clk_bytes:
        raise ClkFileError(
            f"The CLKs of '{name or path.stem}' have {raw.shape[1]} bytes, not {clk_bytes}. "
            "CLKs of different lengths cannot be compared."
        )
    return ClkDataset(path.stem if name is None else name, raw.shape[1], _words(raw))


def _is_binary(path: Path) -> bool:
    return path.suffix.lower() == ".bin"


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return re.match(rb'(?:\xef\xbb\xbf)?\s*\{\s*["}]', file.read(64)) is not None


def _words(raw: U8) -> U64:
    n, clk_bytes = raw.shape
    filled = np.zeros((n, -(-clk_bytes // _WORD_BYTES) * _WORD_BYTES), dtype=np.uint8)
    for start in range(0, n, _BLOCK_ROWS):
        filled[start : start + _BLOCK_ROWS, :clk_bytes] = raw[start : start + _BLOCK_ROWS]
    return filled.view(np.uint64)


# --- binary ---------------------------------------------------------------------------------


def _read_binary(file: BinaryIO, clk_bytes: int | None) -> U8:
    if clk_bytes is None:
        raise ClkFileError(
            "A binary file does not say how long its CLKs are. Say it: --clk-bytes 128 for CLKs of "
            "1,024 bits."
        )
    if not 1 <= clk_bytes <= MAX_CLK_BYTES:
        raise ClkFileError(f"A CLK has 1 to {MAX_CLK_BYTES:,} bytes.")
    data = np.frombuffer(file.read(), dtype=np.uint8)
    if not len(data):
        raise ClkFileError("The file is empty. Get it again.")
    numbered = clk_bytes + _NUMBER_BYTES
    if len(data) % numbered == 0:
        rows = data.reshape(-1, numbered)
        numbers = np.ascontiguousarray(rows[:, :_NUMBER_BYTES]).view(">u4")[:, 0]
        order = np.argsort(numbers, kind="stable")
        if np.array_equal(numbers[order], np.arange(len(rows))):
            return np.ascontiguousarray(rows[order, _NUMBER_BYTES:])
    if len(data) % clk_bytes:
        raise ClkFileError(
            f"The file's {len(data):,} bytes are no whole number of CLKs of {clk_bytes} bytes. "
            "It is cut off, or the length is another."
        )
    return data.reshape(-1, clk_bytes)


# --- JSON -----------------------------------------------------------------------------------


def _read_json(file: BinaryIO) -> U8:
    """The CLKs of a JSON file, read in pieces; what stands around them is small, or it is refused.

    The array of CLKs is cut out and read by itself, and what remains, with an empty array in its
    place, is parsed as JSON: so no text that only looks like the array can be taken for it.
    """
    head = file.read(_MAX_OTHER_BYTES)
    opening = _OPENING.search(head)
    if opening is None:
        raise ClkFileError(_without_clks(head))
    clks = bytearray()
    clk_bytes = 0
    rest = b""
    for number, item in enumerate(_items(file, head[opening.end() :])):
        if isinstance(item, bytes):
            rest = item
            break
        clk = _decoded(item[0], number)
        if number == 0:
            clk_bytes = len(clk)
            if not 1 <= clk_bytes <= MAX_CLK_BYTES:
                raise ClkFileError(f"A CLK has 1 to {MAX_CLK_BYTES:,} bytes; the first has not.")
        elif len(clk) != clk_bytes:
            raise ClkFileError(
                f"CLK number {number} (from 0) has {len(clk)} bytes, and the first has "
                f"{clk_bytes}. A file's CLKs must be equally long. Encode the records again."
            )
        clks += clk
    _verify_remainder(head[: opening.end()] + b"]" + rest)
    if not clk_bytes:
        raise ClkFileError("The file holds no CLKs: its list is empty.")
    return np.frombuffer(clks, dtype=np.uint8).reshape(-1, clk_bytes)


def _items(file: BinaryIO, buffer: bytes) -> Iterator[tuple[bytes] | bytes]:
    """``(BASE64,)`` for each element, then all that follows the closing bracket."""
    number, place = 0, 0
    if nothing := _NOTHING.match(buffer):
        yield buffer[nothing.end() :] + file.read(_MAX_OTHER_BYTES)
        return
    while True:
        match = _ITEM.match(buffer, place)
        if match is None:
            more = file.read(_CHUNK_BYTES)
            if not more or len(buffer) - place > _MAX_OTHER_BYTES:
                raise ClkFileError(
                    f"Element {number} (from 0) of the list of CLKs is no text in base64, or the "
                    "file is cut off there. Get it again."
                )
            buffer, place = buffer[place:] + more, 0
            continue
        place = match.end()
        yield (match[1],)
        if match[2] == b"]":
            yield buffer[place:] + file.read(_MAX_OTHER_BYTES)
            return
        number += 1


def _decoded(text: bytes, number: int) -> bytes:
    if b"\\" in text:
        text = text.replace(b"\\/", b"/")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ClkFileError(
            f"CLK number {number} (from 0) is not valid base64. Get the file again."
        ) from None


def _verify_remainder(remainder: bytes) -> None:
    if len(remainder) > 2 * _MAX_OTHER_BYTES:
        raise ClkFileError("The file holds much else beside its CLKs. Remove it.")
    try:
        document = json.loads(remainder.decode("utf-8-sig"), object_pairs_hook=_distinct_members)
    except (ValueError, RecursionError):
        raise ClkFileError("The file is not valid JSON. Get it again.") from None
    if not isinstance(document, dict) or document.get("clks") != []:
        raise ClkFileError('The file is not of the form {"clks": ["...", ...]}. Check which it is.')


def _distinct_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _without_clks(head: bytes) -> str:
    if b'"clknblocks"' in head:
        return (
            'The file holds CLKs with blocks ("clknblocks"), which this program does not use: it '
            'compares all pairs. Get the file without blocks ({"clks": [...]}).'
        )
    return 'The file is not of the form {"clks": ["...", ...]}. Check which file it is.'
