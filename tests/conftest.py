"""For the whole run: PostgreSQL's temporary cluster, and which database a test is on."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import databases, postgresql

# No test is timed: on a busy machine any example may take long, and nothing is wrong then.
settings.register_profile("untimed", parent=settings.default, deadline=None)
settings.load_profile("untimed")

_LONGEST = ("tests/browser/", "tests/process/", "tests/api/server/test_serving.py")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgresql.prepare_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgresql.remove_folder()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first: begun last, they would have one processor to themselves.

    Works with ``--no-loadscope-reorder``; else the files with the most tests go first.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


def pytest_report_header() -> str:
    programs = postgresql.find_programs()
    return f"PostgreSQL: {programs or 'not installed, so tests on it are SKIPPED'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Servers that the test makes are on this database; the test runs on each."""
    kind: str = request.param
    if kind == "postgresql" and postgresql.find_programs() is None:
        # CI installs it, so that skipping there would hide a fault.
        (pytest.fail if "postgresql" in os.environ.get("TONGQIAO_REQUIRED", "") else pytest.skip)(
            postgresql.MISSING
        )
    with databases.chosen(kind):
        yield kind
