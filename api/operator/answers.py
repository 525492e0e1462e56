"""What the operator's commands share: lists in the server's answers."""

from collections.abc import Mapping
from typing import Any

from api.client.errors import ApiError


def rows_of(answer: Mapping[str, Any], name: str, columns: tuple[str, ...]) -> list[list[object]]:
    """Rows of a table from the list ``name`` of an answer.

    Raises:
        ApiError: ``bad-answer``; there is no such list of objects.
    """
    entries = answer.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ApiError(
            "bad-answer", 200, "The server's answer is not what this program expects. Update it."
        )
    return [[entry.get(column) for column in columns] for entry in entries]
