"""Delimited text files: which encoding and separator they have, and their rows, streamed.

Memory is bounded by a line's and a cell's greatest length, whatever the file holds.
"""

import codecs
import csv
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from linkage.errors import RecordsError

CHUNK_BYTES = 1 << 20
MAX_LINE_CHARACTERS = 1 << 20
DELIMITERS = ",;\t"

TEXT_ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "utf-8-sig": "utf-8-sig",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "cp936": "gb18030",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "big5": "big5hkscs",
}
"""Encodings that a mapping may name -> the codec; GB18030 reads what GBK and GB2312 wrote."""

# So many characters beyond ASCII that are valid UTF-8 do not occur by chance in GB18030 text.
_SURELY_UTF8 = 30
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = (
    (b"%PDF", "It is a PDF file."),
    (b"\x89PNG", "It is a picture."),
    (b"\xff\xd8\xff", "It is a picture."),
    (b"\x1f\x8b", "It is a compressed file."),
    (b"Rar!", "It is a compressed file."),
    (b"7z\xbc\xaf", "It is a compressed file."),
    (b"SQLite format 3", "It is a database."),
    (b"<html", "It is a web page, whatever its name says."),
    (b"<!doct", "It is a web page, whatever its name says."),
    (b"<table", "It is a web page, whatever its name says."),
    (b"<?xml", "It is an XML file."),
)
_SAVE_AS = "Open it in the program that made it and save it as .xlsx or as CSV in UTF-8."


def detect_text_encoding(path: Path) -> str:
    """Name (a key of :data:`TEXT_ENCODINGS`) of the encoding of a whole text file.

    A byte order mark decides; else UTF-16 where every second byte is zero; else UTF-8, then
    GB18030, if the whole file is valid in it. Only where none fits is the encoding guessed.

    Raises:
        RecordsError: the file is no text, or is damaged.
    """
    with path.open("rb") as file:
        head = file.read(65536)
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    lowered = head.lstrip()[:16].lower()
    for magic, what in _NOT_TEXT:
        if lowered.startswith(magic.lower()):
            raise RecordsError(
                f"The file cannot be read as a table. {what} {_SAVE_AS}", code="not-text"
            )
    zeros = head.count(0)
    if zeros * 8 > len(head):
        return _utf16_without_mark(head)
    damage = _decoding_error(path, "utf-8")
    if damage is None:
        return "utf-8"
    if damage.characters >= _SURELY_UTF8:
        raise damage.error("UTF-8")
    if _decoding_error(path, "gb18030") is None:
        return "gb18030"
    return _guess(path, head)


def _utf16_without_mark(head: bytes) -> str:
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 10 * even:
        return "utf-16-le"
    if even > 10 * odd:
        return "utf-16-be"
    raise RecordsError(
        f"The file cannot be read as a table: it is not text. {_SAVE_AS}", code="not-text"
    )


class _Damage:
    """Where a file stops being valid text."""

    def __init__(self, line: int, characters: int, truncated: bool) -> None:
        self.line = line
        self.characters = characters
        self.truncated = truncated

    def error(self, encoding: str) -> RecordsError:
        if self.truncated:
            return RecordsError(
                f"The file ends in the middle of a character (line {self.line}): it is cut off. "
                "Copy or export it again.",
                code="cut-off-text",
                line=self.line,
            )
        return RecordsError(
            f"The file is {encoding} but for line {self.line}, which is damaged. Export the file "
            "again, or correct that line and save as UTF-8.",
            code="damaged-text",
            line=self.line,
        )


def _decoding_error(path: Path, codec: str) -> _Damage | None:
    decoder = codecs.getincrementaldecoder(codec)("strict")
    lines, characters = 1, 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            if chunk and chunk.isascii() and not decoder.getstate()[0]:
                lines += chunk.count(b"\n")
                continue
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode(codec, "ignore")
                characters += sum(not c.isascii() for c in good)
                return _Damage(lines + good.count("\n"), characters, truncated=not chunk)
            if not chunk:
                return None
            lines += text.count("\n")
            if characters < _SURELY_UTF8:
                characters += len(text) - len(text.encode("ascii", "ignore"))


def _guess(path: Path, head: bytes) -> str:
    """Last resort; a guess counts only if it is an encoding we know and the whole file is valid."""
    import charset_normalizer

    match = charset_normalizer.from_bytes(head).best()
    guessed = match.encoding.replace("_", "-") if match else ""
    if guessed.startswith("big5") and _decoding_error(path, "big5hkscs") is None:
        return "big5"
    raise RecordsError(
        "The file's text encoding is neither UTF-8, UTF-16 nor GB18030, or the file is damaged. "
        "Save it as CSV in UTF-8 or as .xlsx.",
        code="unknown-encoding",
    )


def read_text_rows(path: Path, encoding: str, delimiter: str) -> Iterator[list[str]]:
    """Rows of a delimited file by RFC 4180; blank lines are empty rows.

    A line longer than :data:`MAX_LINE_CHARACTERS` is read in pieces, and so gives rows with a wrong
    number of cells.

    Raises:
        RecordsError: the text is not valid in the encoding, quotation marks do not pair, or a cell
            is longer than the csv module's limit.
    """
    codec = TEXT_ENCODINGS[encoding]
    with path.open("r", encoding=codec, errors="strict", newline="") as file:
        lines = iter(partial(file.readline, MAX_LINE_CHARACTERS), "")
        reader = csv.reader(lines, delimiter=delimiter, quotechar='"', strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise unpaired_quotes_error(reader.line_num) from error
        except UnicodeError as error:
            raise invalid_text_error(reader.line_num) from error


def unpaired_quotes_error(line: int) -> RecordsError:
    """What to say where a quoted cell does not end."""
    return RecordsError(
        f"The quotation marks near line {line} of the file do not pair, so that it is unclear "
        "where a cell ends. Correct that line, or export the file again.",
        code="unpaired-quotes",
        line=line,
    )


def invalid_text_error(line: int) -> RecordsError:
    """What to say where the text is not valid in its encoding."""
    return RecordsError(
        f"The file is not valid in the encoding given for it (after line {line}). Set encoding = "
        '"auto" in the mapping, or save the file as CSV in UTF-8.',
        code="damaged-text",
        line=line,
    )


def detect_delimiter(path: Path, encoding: str) -> str:
    """The separator that divides the first lines into most cells with a letter or digit in them.

    A comma if none does.
    """
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(read_text_rows(path, encoding, delimiter), 5))
        except RecordsError:
            rows = []
        # Signs alone are no cells: a row of semicolons between commas has none.
        cells = max((sum(any(map(str.isalnum, cell)) for cell in row) for row in rows), default=0)
        if cells > most:
            best, most = delimiter, cells
    return best
