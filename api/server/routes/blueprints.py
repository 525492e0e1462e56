"""The blueprint of all routes: strict JSON, from the body that was verified."""

import json
from typing import Any, NoReturn

from flask import Request
from flask_smorest import Blueprint
from marshmallow import RAISE
from webargs.flaskparser import FlaskParser

from api.server.auth import verified_body
from api.server.refusals import RefusalError

ID = "id"
"""Name of the URL converter for ids."""

EPOCH = "epoch"
"""Name of the URL converter for epochs."""


COUNT = "count"
"""Name of the URL converter for places and sizes in the log."""


class VerifiedBodyParser(FlaskParser):
    """Parses only the bytes whose signature was verified, and only one reading of them."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": RAISE,
        "query": RAISE,
    }

    def load_json(self, req: Request, schema: Any) -> Any:
        """The verified body as JSON.  Raises: RefusalError: ``invalid``."""
        if req.mimetype != "application/json":
            raise RefusalError("invalid", "Send the body as `Content-Type: application/json`.")
        try:
            text = verified_body().decode("utf-8")
            value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
            if "\\ud" in text.lower():
                # Half a character (an unpaired surrogate) is no text: it has no bytes.
                json.dumps(value, ensure_ascii=False).encode("utf-8")
            return value
        except (ValueError, RecursionError) as error:
            raise RefusalError(
                "invalid", "The body is not JSON in UTF-8 in which each key is there once."
            ) from error


class StrictBlueprint(Blueprint):  # type: ignore[misc]
    """A blueprint whose bodies and queries refuse what they do not know."""

    ARGUMENTS_PARSER = VerifiedBodyParser()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        # Two readers might each take another one of the two values.
        raise ValueError("a key appears twice")
    return table


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("not a JSON number")
