"""One byte form for one JSON value (RFC 8785), so that it can be signed and hashed."""

import rfc8785

from keys.errors import KeysError

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


def canonical_json(value: object) -> bytes:
    """Write a JSON value as UTF-8 bytes after RFC 8785.

    Raises:
        KeysError: it is no JSON value: a whole number beyond 2**53 - 1, a number that is not
            finite, text that is not Unicode, a key that is no text, or a type JSON lacks.
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (ValueError, RecursionError) as error:
        raise KeysError(
            "A value has no canonical JSON form. Use text, lists, objects and numbers that are "
            "finite and not beyond 2**53 - 1."
        ) from error
