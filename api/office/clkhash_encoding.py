"""A file of records becomes a file of CLKs, as clkhash would make it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from api.client.private_files import replacing_privately
from keys.errors import SecretError
from keys.storage import read_private_file
from linkage.clk_files import WrittenClks, write_clks
from linkage.encoding.clk import ClkEncoder, LinkageSchema, parse_linkage_schema
from linkage.errors import EncodingError, RecordsError
from linkage.records.untouched import UntouchedRows
from linkage.types import U8

Headings = Literal["check", "ignore", "none"]
"""What the first row is: headings that must be the schema's, headings whatever, or a record."""

Progress = Callable[[int, float | None], None]
"""Told how many records are done, and which share of the file."""

MAX_SCHEMA_FILE_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 8 << 20
_MAX_BLOCK_ROWS: Final = 8192
_OWN_SECRET: Final = b"tongqiao-"


def load_linkage_schema(path: Path) -> LinkageSchema:
    """Read a linkage schema.

    Raises:
        LinkageSchemaError: it is not one.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return parse_linkage_schema(file.read(MAX_SCHEMA_FILE_BYTES + 1))


def load_clkhash_secret(path: Path) -> bytes:
    """The secret in a text file, as clkhash takes it: the UTF-8 bytes of the text.

    A byte order mark and one line break at the end are no part of it; everything else is.

    Raises:
        SecretError: the file is empty, no UTF-8, or holds a secret of this program's own kind.
        KeyFileError: others may read it.
        OSError: the file cannot be read.
    """
    data = read_private_file(path).removeprefix(b"\xef\xbb\xbf")
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError(
            "The secret file is not text in UTF-8. Save it as UTF-8: clkhash hashes those bytes."
        ) from None
    if not data:
        raise SecretError("The secret file is empty. Ask the coordinating office for the secret.")
    if data.startswith(_OWN_SECRET):
        raise SecretError(
            "That is a linkage secret of this program. A clkhash project has a secret of its own, "
            "a text; save that text in a file."
        )
    return data


def encode_clks_to_file(
    records_file: Path,
    schema: LinkageSchema,
    secret: bytes,
    out: Path,
    *,
    headings: Headings = "check",
    check_values: bool = True,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> WrittenClks:
    """Encode every row of a file, in its order; all of it or nothing is written.

    ``out`` is binary if its name ends in ``.bin``, JSON otherwise; readable by its owner only.

    Raises:
        RecordsError: the file cannot be read, or its headings are not the schema's.
        EncodingError: a row does not fit the schema, or there is none.
        FileExistsError: ``out`` exists and ``overwrite`` is false.
        OSError: a file cannot be written.
    """
    encoder = ClkEncoder(schema, secret, check_values=check_values)
    tell = on_progress or (lambda _done, _share: None)
    with (
        UntouchedRows(records_file, len(schema.features)) as rows,
        replacing_privately(out, overwrite=overwrite) as draft,
    ):
        records = iter(rows)
        if headings != "none":
            first = next(records, [])
            if headings == "check":
                _verify_headings(first, schema)
        blocks = _encoded(records, encoder, _block_rows(schema), rows.share_read, tell)
        written = write_clks(draft, blocks, "binary" if out.suffix.lower() == ".bin" else "json")
        if not written.n_clks:
            raise EncodingError("The file holds no records. Nothing was written.")
    return written


def _encoded(
    records: Iterator[list[str]],
    encoder: ClkEncoder,
    block_rows: int,
    share_read: Callable[[], float | None],
    tell: Progress,
) -> Iterator[U8]:
    done = 0
    while block := list(islice(records, block_rows)):
        yield encoder.encode(block, first_row=done + 1)
        done += len(block)
        tell(done, share_read())


def _block_rows(schema: LinkageSchema) -> int:
    return max(1, min(_MAX_BLOCK_ROWS, _BLOCK_BYTES * 8 // schema.filter_bits))


def _verify_headings(found: Sequence[str], schema: LinkageSchema) -> None:
    """What was found is not told: a file without headings has a person in its first row."""
    if len(found) != len(schema.features):
        raise RecordsError(
            f"The first row has {len(found)} cells, and the linkage schema has "
            f"{len(schema.features)} features. Give the file's columns in the schema's order."
        )
    for number, (heading, feature) in enumerate(zip(found, schema.features, strict=True), 1):
        if heading != feature.identifier:
            raise RecordsError(
                f"Column {number} is not headed '{feature.identifier}', as the linkage schema has "
                "it. Correct the headings; or give --headings ignore if the columns are right, or "
                "--headings none if the first row is a record."
            )
