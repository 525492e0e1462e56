"""Engines: order, errors, addresses."""

import threading
from pathlib import Path

import pytest

from linkage.errors import MatchingError
from linkage.matching.engines.dask import DaskEngine, TlsFiles
from linkage.matching.engines.local import LocalEngine

TLS = TlsFiles(Path("ca.pem"), Path("own.pem"), Path("own.key"))


def test_every_chunk_has_its_result() -> None:
    engine = LocalEngine(3)
    found = dict(engine.results(lambda number: number * number, range(50)))
    assert found == {number: number * number for number in range(50)}


def test_no_more_chunks_run_at_a_time_than_workers() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def task(_chunk: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1

    list(LocalEngine(2).results(task, range(20)))
    assert most == 2


def test_the_error_of_a_chunk_comes_out_and_the_rest_is_given_up() -> None:
    begun = []

    def task(chunk: int) -> None:
        begun.append(chunk)
        if chunk == 3:
            raise MatchingError("no")

    with pytest.raises(MatchingError, match="no"):
        list(LocalEngine(1).results(task, range(100)))
    assert len(begun) < 10


@pytest.mark.parametrize(
    ("address", "tls", "reason"),
    [
        ("tcp://10.0.0.5:8786", None, "needs TLS"),
        ("tcp://cluster.example:8786", None, "needs TLS"),
        ("tls://10.0.0.5:8786", None, "goes with certificates"),
        ("tcp://127.0.0.1:8786", TLS, "goes with certificates"),
        ("10.0.0.5:8786", None, "looks like"),
        ("http://10.0.0.5:8786", None, "looks like"),
    ],
)
def test_a_scheduler_elsewhere_is_reached_by_tls_only(
    address: str, tls: TlsFiles | None, reason: str
) -> None:
    with pytest.raises(MatchingError, match=reason):
        DaskEngine(address, tls)
