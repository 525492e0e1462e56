"""The parts of a workbook in their archive (ECMA-376 part 2): XML, inflated block by block."""

import codecs
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import BinaryIO

from linkage.records.workbook_errors import damaged_workbook, large_workbook, locked_workbook

MAX_INFLATED_BYTES = 4 << 30
"""Of all that is read of a workbook; a register of a million rows and 30 columns has half of it."""

BLOCK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)
_UTF_16 = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}


class Package(AbstractContextManager["Package"]):
    """An open archive; names of parts are compared without case, as the standard says.

    Args:
        file: of the workbook; stays open.

    Raises:
        RecordsError: it is no archive, or is encrypted.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._archive = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise damaged_workbook() from error
        self._left = MAX_INFLATED_BYTES
        entries = self._archive.infolist()
        if any(entry.flag_bits & 1 for entry in entries):
            raise locked_workbook()
        self._entries = {_part_key(entry.filename): entry for entry in entries}

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __contains__(self, part: str) -> bool:
        return _part_key(part) in self._entries

    def n_bytes(self, part: str | None) -> int:
        """What the archive says that a part has when inflated; 0 for none."""
        entry = self._entries.get(_part_key(part or ""))
        return 0 if entry is None else entry.file_size

    def blocks(self, part: str) -> Iterator[bytes]:
        """The XML of a part in UTF-8, in blocks of about a megabyte.

        Raises:
            RecordsError: while iterating: there is no such part, its bytes do not have the length
                and the sum that the archive says, or more was read than a workbook can hold.
        """
        return _as_utf8(self._inflated(part))

    def _inflated(self, part: str) -> Iterator[bytes]:
        entry = self._entries.get(_part_key(part))
        if entry is None or entry.compress_type not in _METHODS:
            raise damaged_workbook()
        try:
            with self._archive.open(entry) as stream:
                while block := stream.read(BLOCK_BYTES):
                    self._left -= len(block)
                    if self._left < 0:
                        raise large_workbook()
                    yield block
        except _BROKEN as error:
            raise damaged_workbook() from error


def _part_key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()


def _as_utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(blocks, b"")
    codec = _UTF_16.get(first[:2])
    if codec is None:
        yield first
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for block in chain([first], blocks):
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise damaged_workbook() from error
