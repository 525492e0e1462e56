"""Strict reading of the JSON documents that keys travel in."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from keys.errors import KeyFileError


def read_object(data: bytes, max_bytes: int) -> Mapping[str, Any]:
    """Read a JSON object of a limited size, in which no key appears twice.

    Raises:
        KeyFileError: it is none.
    """
    if len(data) > max_bytes:
        raise KeyFileError("The file is too large for a key file. Check which file it is.")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        # Not chained: the cause holds the whole text, which may be a private key.
        raise not_well_formed() from None
    if not isinstance(value, dict):
        raise not_well_formed()
    return value


def expect_fields(document: Mapping[str, Any], form: str, fields: frozenset[str]) -> None:
    """Check that a document has this format and these fields, and no other.

    Raises:
        KeyFileError: it has not.
    """
    if document.get("format") != form:
        raise not_well_formed()
    if document.keys() != fields:
        raise KeyFileError(
            "The key file lacks a field, or has one unknown here. Update the program, or make "
            "the file again with 'tongqiao keys new'."
        )


def read_text(document: Mapping[str, Any], field: str) -> str:
    """A field that must be text.  Raises: KeyFileError."""
    value = document[field]
    if not isinstance(value, str):
        raise not_well_formed()
    return value


def read_bytes(document: Mapping[str, Any], field: str, n_bytes: int) -> bytes:
    """A field that must be base64 (RFC 4648, section 4) of so many bytes.  Raises: KeyFileError."""
    text = read_text(document, field)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise not_well_formed() from error
    # Base64 has several spellings of the same bytes; only one of them is taken.
    if len(data) != n_bytes or to_base64(data) != text:
        raise not_well_formed()
    return data


def to_base64(data: bytes) -> str:
    """Base64 text (RFC 4648, section 4) of bytes."""
    return base64.b64encode(data).decode("ascii")


def not_well_formed() -> KeyFileError:
    """The error for a file that is something else, or damaged."""
    return KeyFileError(
        "That is no key file of this program, or it is damaged. Check which file it is; 'tongqiao "
        "keys new' makes one."
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        # Two readers might each take another one of the two values.
        raise ValueError("a key appears twice")
    return table
