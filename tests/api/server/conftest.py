"""A running server for each test, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server.services import passwords
from tests.simulator import SimulatedServer, simulated_server


@pytest.fixture
def server(tmp_path: Path, database_kind: str) -> Iterator[SimulatedServer]:
    """A new, empty server."""
    with simulated_server(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with little memory: ``test_passwords`` looks at the real cost."""
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 64)
