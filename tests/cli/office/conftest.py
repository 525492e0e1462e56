"""An office with its keys, and a server that answers as a test says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.api.loopback_server import Answer, LoopbackServer, Request, json_answer, problem, running
from tests.api.played_round import COORDINATOR, OFFICE, PROFILE, Holder, make_holder, played_round
from tests.cli.office.clerk import OPEN, PROFILE_ROUTE, Routes, invoke


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return make_holder(tmp_path_factory.mktemp("keys"), OFFICE)


@pytest.fixture(scope="session")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return make_holder(tmp_path_factory.mktemp("keys"), COORDINATOR)


@pytest.fixture
def routes() -> Routes:
    return {
        OPEN: json_answer(played_round(signed=(OFFICE,))),
        PROFILE_ROUTE: Answer(200, PROFILE.source.encode(), "text/plain"),
    }


def _answering(routes: Routes) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        known = routes.get((request.method, request.path))
        if known is None:
            return problem("not-found", 404, "There is no such thing.")
        return known if isinstance(known, Answer) else known(request)

    return answer


@pytest.fixture
def server(office: Holder, routes: Routes) -> Iterator[LoopbackServer]:
    with running(office.identity.public, _answering(routes)) as started:
        yield started


@pytest.fixture
def run(server: LoopbackServer, office: Holder) -> Callable[..., Result]:
    def typed(*words: str | Path) -> Result:
        server.identity = office.identity.public
        options = ["--server", server.url, "--keys", str(office.keys)]
        return invoke("office", *words, *options)

    return typed
