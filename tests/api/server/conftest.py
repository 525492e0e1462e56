"""A running server for each test, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server.services import passwords, traces
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


@pytest.fixture
def patient() -> None:
    """Asked for by tests that look into the database's files: see :func:`quick_scrubbing`."""


@pytest.fixture(autouse=True)
def quick_scrubbing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted rows are scrubbed if that goes at once: tests in other processes are in the way.

    PostgreSQL keeps them while a database is made, which the tests do all the time.
    """
    if "patient" not in request.fixturenames:
        monkeypatch.setattr(traces, "_PATIENCE_S", 0.0)
