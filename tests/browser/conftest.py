"""A real browser (Chromium) over real servers; skipped, and said so, where there is none."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.round_under_way import RoundUnderWay, round_under_way
from tests.browser.watched import WatchedBrowser, watched_browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program; where it must be there, its absence is a failure."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        required = "chromium" in os.environ.get("TONGQIAO_REQUIRED", "")
        (pytest.fail if required else pytest.skip)(
            "no Chromium is installed (Debian's package: chromium)"
        )
    return str(found)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[WatchedBrowser]:
    expect.set_options(timeout=30_000)
    shots = os.environ.get("SCREENSHOTS")
    with watched_browser(chromium, Path(shots) if shots else None) as browser:
        yield browser


def was_run_whole(request: pytest.FixtureRequest) -> bool:
    """Whether every test of the module was collected, and none has failed so far."""
    module = request.node
    names = {item.name for item in request.session.items if item.parent is module}
    tests = {name for name in dir(module.obj) if name.startswith("test_")}
    return tests <= names and request.session.testsfailed == 0


@pytest.fixture(scope="session")
def played(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundUnderWay]:
    """A round that waits for one office: every other has signed and sent."""
    with round_under_way(tmp_path_factory.mktemp("played") / "round") as played:
        yield played
