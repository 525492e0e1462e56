"""A real provider for all tests of a process, and servers that send people to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.server.provider_logins.desk import SUBJECT, Desk, running_desk
from tests.openid_provider import RunningProvider, running_provider


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture
def provider(shared: RunningProvider) -> RunningProvider:
    """The provider, telling the truth, and of second factors."""
    shared.lies()
    shared.says_of(SUBJECT, amr=["pwd", "mfa"])
    return shared


@pytest.fixture
def desk(tmp_path: Path, provider: RunningProvider, database_kind: str) -> Iterator[Desk]:
    with running_desk(tmp_path, provider) as running:
        yield running


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory: pytest.TempPathFactory, shared: RunningProvider) -> Iterator[Desk]:
    """A server for many attempts in vain: what is refused leaves it as it was."""
    folder = tmp_path_factory.mktemp("unmoved")
    with running_desk(
        folder, shared, max_address_attempts=1000, max_login_attempts=1000
    ) as running:
        running.invitation(subject=SUBJECT)
        yield running
