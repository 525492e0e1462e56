"""Which database the servers of a test are on: the fixture ``database_kind`` chooses."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.server.services.installation import Installation, create_installation
from tests import postgresql

_chosen = "sqlite"
_made: list[str] = []


@contextlib.contextmanager
def chosen(kind: str) -> Iterator[None]:
    """Within the block, servers are made on this database; what was made is gone at the end."""
    global _chosen
    before, _chosen = _chosen, kind
    try:
        yield
    finally:
        _chosen = before
        while _made:
            postgresql.drop_database(_made.pop())


def kind() -> str:
    """``sqlite`` or ``postgresql``."""
    return _chosen


def new_address(template: str | None = None) -> str:
    """The value of the setting ``database`` for a new server."""
    if _chosen == "sqlite":
        return "sqlite"
    _made.append(postgresql.new_database(template))
    return postgresql.url_of(_made[-1])


def new_installation(directory: Path, name: str, **settings: Any) -> Installation:
    """A new server's folder, on the database of this test."""
    return create_installation(directory, name, {"database": new_address(), **settings})
