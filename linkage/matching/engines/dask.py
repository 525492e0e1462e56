"""Many machines: chunks are tasks of a dask.distributed cluster.

Tasks carry no encodings: a worker maps the files into memory itself, and knows them by the hash of
their content (:mod:`linkage.matching.engines.encodings`).  A worker that dies loses its chunk to
another one; results are few megabytes a chunk and are stored by the process that asked.

Who may talk to a scheduler can run any code on its workers, so TLS with certificates on both sides
is required unless the scheduler is on this very machine.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from linkage.errors import MatchingError
from linkage.loopback import is_loopback
from linkage.matching.engines import WAKE_S, Chunk, Result

CONNECT_TIMEOUT_S = 30.0
_NAP_S = 0.02


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for mutual TLS: who signs for the cluster, and what this process shows."""

    ca_file: Path
    cert_file: Path
    key_file: Path


class DaskEngine:
    """Workers of a running dask cluster.  A context manager: leaving it ends the connection.

    Args:
        scheduler: its address, ``tls://host:port``, or ``tcp://127.0.0.1:port`` for this machine.
        tls: certificates; required unless the scheduler is on this machine.
        timeout_s: how long to wait for the scheduler and for its first worker.

    Raises:
        MatchingError: the extra is not installed, TLS is missing, or nobody answers in time.
    """

    is_remote = True

    def __init__(
        self, scheduler: str, tls: TlsFiles | None = None, *, timeout_s: float = CONNECT_TIMEOUT_S
    ) -> None:
        _verify_address(scheduler, tls)
        try:
            import distributed as found
        except ImportError as error:
            raise MatchingError(
                "Matching on several machines needs the extra: pip install 'tongqiao[dask]'."
            ) from error
        # Its functions have no types.
        distributed: Any = found
        self._distributed = distributed
        security = None
        if tls is not None:
            security = distributed.Security(
                tls_ca_file=str(tls.ca_file),
                tls_client_cert=str(tls.cert_file),
                tls_client_key=str(tls.key_file),
                require_encryption=True,
            )
        try:
            self._client: Any = distributed.Client(
                scheduler, security=security, timeout=timeout_s, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise MatchingError(
                "The dask scheduler does not answer. Check its address, that it runs, and that "
                "both sides' certificates are signed by the same authority."
            ) from error
        try:
            self.wait_for_workers(1, timeout_s=timeout_s)
        except MatchingError:
            self.close()
            raise

    def __enter__(self) -> "DaskEngine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait_for_workers(self, n_workers: int, *, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Wait until the cluster has so many workers.

        Raises:
            MatchingError: it has fewer for too long.
        """
        try:
            self._client.wait_for_workers(n_workers, timeout=timeout_s)
        except TimeoutError as error:
            raise MatchingError(
                f"The dask scheduler has fewer than {n_workers} workers. Start some "
                "(docs/cluster.md)."
            ) from error

    def close(self) -> None:
        """End the connection; the cluster goes on."""
        self._client.close()

    @property
    def n_workers(self) -> int:
        """How many chunks the busiest worker computes at a time."""
        return max(self._client.nthreads().values(), default=1)

    def results(
        self,
        task: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        while_waiting: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Chunk, Result]]:
        """Each chunk with its result, as they are done; the next ones are sent meanwhile.

        Raises:
            MatchingError: a chunk ended several workers, or the scheduler went away.
        """
        waiting = iter(chunks)
        chunk_of: dict[Any, Chunk] = {}
        running = self._distributed.as_completed(loop=self._client.loop)

        def send() -> None:
            chunk = next(waiting, None)
            if chunk is not None:
                # Not pure by name: dask's hash of a task costs more than the task's arguments.
                future = self._client.submit(task, chunk, pure=False)
                chunk_of[future] = chunk
                running.add(future)

        try:
            for _ in range(2 * max(1, sum(self._client.nthreads().values()))):
                send()
            while chunk_of:
                if while_waiting is not None:
                    _wait_for_one(running, while_waiting)
                future = next(running)
                result = self._result_of(future)
                send()
                yield chunk_of.pop(future), result
                future.release()
        finally:
            with suppress(Exception):
                self._client.cancel(list(chunk_of))

    def _result_of(self, future: Any) -> Any:
        try:
            return future.result()
        except self._distributed.KilledWorker as error:
            raise MatchingError(
                "A part of the match ended several workers, perhaps for want of memory. Give "
                "workers more memory, or let fewer threads run on each."
            ) from error
        except (self._distributed.CancelledError, OSError) as error:
            raise MatchingError(
                "The dask scheduler went away. Start it again, then the match: it goes on from "
                "its finished parts."
            ) from error


def _wait_for_one(running: Any, while_waiting: Callable[[], None]) -> None:
    """Wait until a future is done, waking now and then."""
    woken = time.monotonic()
    while not running.has_ready():
        time.sleep(_NAP_S)
        if time.monotonic() - woken >= WAKE_S:
            while_waiting()
            woken = time.monotonic()


def _verify_address(scheduler: str, tls: TlsFiles | None) -> None:
    parts = urlsplit(scheduler)
    if parts.scheme not in ("tls", "tcp") or not parts.hostname:
        raise MatchingError("A scheduler's address looks like tls://host:8786.")
    if (parts.scheme == "tls") != (tls is not None):
        raise MatchingError(
            "An address tls://... goes with certificates (authority, own, own key), and "
            "certificates go with such an address."
        )
    if tls is None and not is_loopback(parts.hostname):
        raise MatchingError(
            "A scheduler on another machine needs TLS: whoever reaches one without it can run any "
            "program on its workers. Use tls:// and certificates (docs/cluster.md)."
        )
