"""For the whole run: PostgreSQL's temporary cluster, and which database a test is on."""

from collections.abc import Iterator

import pytest

from tests import databases, postgresql


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgresql.prepare_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgresql.remove_folder()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Servers that the test makes are on this database; the test runs on each."""
    kind: str = request.param
    if kind == "postgresql" and postgresql.find_programs() is None:
        pytest.skip(postgresql.MISSING)
    with databases.chosen(kind):
        yield kind
