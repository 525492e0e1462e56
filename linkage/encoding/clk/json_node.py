"""Reading untrusted JSON member by member, with errors that say where and what is wrong."""

import json
import math
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from linkage.errors import LinkageSchemaError


def parse_json(data: bytes) -> "JsonNode":
    """The root of a JSON document in UTF-8, with or without a byte order mark.

    Raises:
        LinkageSchemaError: it is not JSON, or holds numbers that JSON does not know.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise LinkageSchemaError(
            "The linkage schema is not JSON in UTF-8. Get the file again from whoever wrote it."
        ) from error
    return JsonNode(value, "")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class JsonNode:
    """A value of a document, and where it stands."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path

    def refuse(self, what: str) -> NoReturn:
        """Raise a LinkageSchemaError that names this place."""
        where = f" at {self.path}" if self.path else ""
        raise LinkageSchemaError(f"The linkage schema is not valid{where}: {what}")

    def verify_object(
        self, required: Collection[str] = (), allowed: Collection[str] | None = None
    ) -> None:
        """Check that it is an object with these members; ``allowed`` of ``None`` means any more."""
        if not isinstance(self.value, dict):
            self.refuse("an object ({...}) is expected.")
        for name in required:
            if name not in self.value:
                self.refuse(f"'{name}' is missing.")
        if allowed is not None:
            unknown = sorted(set(self.value) - {*required, *allowed})
            if unknown:
                self.refuse(f"'{unknown[0]}' is not known here.")

    def __contains__(self, name: str) -> bool:
        return isinstance(self.value, dict) and name in self.value

    def member(self, name: str) -> "JsonNode":
        """The member of that name; ``None`` as its value where there is none."""
        return JsonNode(self.value.get(name), f"{self.path}.{name}" if self.path else name)

    def items(self) -> Iterator["JsonNode"]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            self.refuse("an array ([...]) is expected.")
        for number, value in enumerate(self.value):
            yield JsonNode(value, f"{self.path}[{number}]")

    def text(self) -> str:
        """The value, a text."""
        if not isinstance(self.value, str):
            self.refuse("a text in quotation marks is expected.")
        return self.value

    def choice(self, choices: Collection[str]) -> str:
        """The value, one of a few texts."""
        text = self.text()
        if text not in choices:
            self.refuse(f"one of {', '.join(choices)} is expected.")
        return text

    def flag(self) -> bool:
        """The value, true or false."""
        if not isinstance(self.value, bool):
            self.refuse("true or false is expected.")
        return self.value

    def integer(self, least: int | None = None, most: int | None = None) -> int:
        """The value, a whole number; ``2.0`` is one, as it is to JSON Schema."""
        value = self.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse("a whole number is expected.")
        if least is not None and value < least:
            self.refuse(f"it must be at least {least}.")
        if most is not None and value > most:
            self.refuse(f"it must be at most {most:,}.")
        return value

    def number(self) -> int | float:
        """The value, a finite number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.refuse("a number is expected.")
        if not math.isfinite(self.value):
            self.refuse("the number is too large.")
        return self.value
