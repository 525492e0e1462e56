"""Figures for monitoring (Prometheus), served on this machine only, on a port of their own.

No label holds an identifier: addresses appear as their pattern, and who asked does not appear.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from api.audit.append import log_size
from api.server.models import LOG_TABLES, LoginSession, Round, Upload
from api.server.round_states import State
from api.server.services.installation import Installation
from api.server.services.traces import traces_since

METRICS_HOST: Final = "127.0.0.1"
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)


class Metrics:
    """The figures of one serving process."""

    def __init__(self, installation: Installation) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tongqiao_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tongqiao_request_seconds",
            "Time from a request's arrival to its answer.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(_Stored(installation))

    def observe(self, method: str, route: str | None, status: int, seconds: float | None) -> None:
        """Count a request.

        Args:
            method: as :func:`shown_method` gives it.
            route: pattern of the address; ``None`` where there is no such address.
            status: of the answer.
            seconds: how long it took.
        """
        shown = route or "none"
        self._requests.labels(method, shown, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(shown).observe(seconds)

    def serve(self, port: int) -> None:
        """Answer on a port of this machine, in a thread of its own, until the process ends."""
        start_http_server(port, addr=METRICS_HOST, registry=self.registry)


def shown_method(method: str) -> str:
    """A method of HTTP as it may be shown; anybody can call a method anything."""
    return method if method in _METHODS else "other"


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Stored(Collector):
    """What the database holds, asked when the figures are read."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the database is not asked before it has to be."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Gauges; only ``tongqiao_database_up`` where the database does not answer."""
        up = GaugeMetricFamily("tongqiao_database_up", "Whether the database answers.")
        try:
            gauges = self._ask()
        except DBAPIError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from gauges

    def _ask(self) -> list[GaugeMetricFamily]:
        rounds = GaugeMetricFamily("tongqiao_rounds", "Rounds by state.", labels=["state"])
        stored = GaugeMetricFamily("tongqiao_upload_bytes", "Bytes of encodings kept.")
        entries = GaugeMetricFamily("tongqiao_log_entries", "Entries of the access log.")
        sessions = GaugeMetricFamily("tongqiao_sessions", "People who are logged in.")
        late = GaugeMetricFamily(
            "tongqiao_rounds_without_worker", "Rounds to be matched that no worker holds."
        )
        traces = GaugeMetricFamily(
            "tongqiao_deleted_rows_seconds",
            "Time since the oldest deletion whose rows still stand in the database's files.",
        )
        now = self._installation.clock()
        with self._installation.database.reading() as session:
            counted = session.execute(select(Round.state, func.count()).group_by(Round.state))
            by_state: dict[str, int] = {row[0]: row[1] for row in counted}
            for state in State:
                rounds.add_metric([str(state)], by_state.get(str(state), 0))
            stored.add_metric([], session.scalar(select(func.sum(Upload.n_bytes))) or 0)
            entries.add_metric([], log_size(session, LOG_TABLES))
            n_sessions = select(func.count()).select_from(LoginSession)
            sessions.add_metric(
                [], session.scalar(n_sessions.where(LoginSession.ends_at > now)) or 0
            )
            waiting = select(func.count()).select_from(Round).where(Round.state == State.MATCHING)
            held = waiting.where(Round.lease_expires_at > now)
            late.add_metric([], (session.scalar(waiting) or 0) - (session.scalar(held) or 0))
            since = traces_since(session) or now
            traces.add_metric([], max(0.0, (now - since).total_seconds()))
        return [rounds, stored, entries, sessions, late, traces]
