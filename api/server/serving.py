"""Running the application under gunicorn: one process, many threads, clean at SIGTERM.

One process, because SQLite has one writer anyway and threads share its cache; the matching, which
needs the processors, is the worker's.
"""

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from api.audit.events import Action
from api.server.app import make_app
from api.server.config import ConfigError, ServerConfig
from api.server.logs import JsonFormatter
from api.server.metrics import Metrics
from api.server.services.installation import Installation, open_installation
from api.server.services.work import own_caller
from linkage.loopback import is_loopback

_MAX_REQUEST_LINE = 8190
"""Gunicorn's most: the code that an OpenID provider sends back may have thousands of characters."""
_MAX_HEADERS = 40
_SWITCH_S = 0.0005
"""A thread that computes hands over this often, ten times as often as usual: a request asks for
the interpreter after each statement of its transaction, and uploads compute all the time."""
_MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens, and how it is reached.

    Attributes:
        port: 0 for any that is free.
        port_file: written with the port once the server listens.
        tls_cert, tls_key: PEM files; both or none.
        behind_proxy: whether a reverse proxy with TLS stands before the server.
    """

    host: str = "127.0.0.1"
    port: int = 8470
    port_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False

    def check(self) -> None:
        """Refuse what would let a network read along.

        Raises:
            ConfigError: plain HTTP beyond this machine, or half a TLS key pair.
        """
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("TLS needs both --tls-cert and --tls-key.")
        if self.tls_cert is None and not self.behind_proxy and not is_loopback(self.host):
            raise ConfigError(
                "Without TLS the server listens on this machine only. Give --tls-cert and "
                "--tls-key, or --behind-proxy if a reverse proxy with TLS stands before it."
            )


def serve(config: ServerConfig, listening: Listening) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is being answered and return.

    Raises:
        ConfigError: as :meth:`Listening.check`, or the database is of another version, or files
            for the OpenID provider are missing.
        SystemExit: by gunicorn, at the end.
    """
    listening.check()
    # Opened before the process forks, so that a fault is told to who started it, and closed again:
    # a connection to SQLite must not be carried over a fork.
    installation = open_installation(config)
    try:
        if installation.provider is not None:
            installation.provider.check_files()
    finally:
        installation.close()
    _Server(config, listening).run()


class _Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, configured by this program and by nothing else."""

    def __init__(self, config: ServerConfig, listening: Listening) -> None:
        self._config = config
        self._listening = listening
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn once: every setting that differs from its default."""
        for name, value in self._settings().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called by gunicorn in the serving process, after the fork."""
        sys.setswitchinterval(_SWITCH_S)
        app = make_app(open_installation(self._config), behind_proxy=self._listening.behind_proxy)
        if self._config.metrics_port:
            metrics: Metrics = app.extensions["tongqiao-metrics"]
            metrics.serve(self._config.metrics_port)
        return app

    def _settings(self) -> dict[str, Any]:
        listening = self._listening
        host = f"[{listening.host}]" if ":" in listening.host else listening.host
        settings: dict[str, Any] = {
            "bind": [f"{host}:{listening.port}"],
            "worker_class": "gthread",
            "workers": 1,
            "threads": self._config.threads,
            "worker_connections": max(1000, 4 * self._config.threads),
            "graceful_timeout": int(self._config.stop_timeout_s),
            "keepalive": 5,
            "limit_request_line": _MAX_REQUEST_LINE,
            "limit_request_fields": _MAX_HEADERS,
            "limit_request_field_size": _MAX_HEADER_BYTES,
            # No header may say another address than the one that was signed.
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "logconfig_dict": _LOGGING,
            "proc_name": "tongqiao-server",
            "when_ready": self._on_ready,
            "on_exit": self._on_exit,
        }
        if listening.tls_cert is not None:
            settings |= {"certfile": str(listening.tls_cert), "keyfile": str(listening.tls_key)}
        return settings

    def _on_ready(self, arbiter: Any) -> None:
        self._record(Action.SERVER_START)
        if self._listening.port_file is not None:
            port = arbiter.LISTENERS[0].sock.getsockname()[1]
            _write_whole(self._listening.port_file, f"{port}\n")

    def _on_exit(self, _arbiter: Any) -> None:
        self._record(Action.SERVER_STOP)

    def _record(self, action: Action) -> None:
        installation: Installation = open_installation(self._config)
        with installation.work(own_caller("server")) as work:
            work.record(action)
        installation.close()


def _write_whole(path: Path, text: str) -> None:
    """Write at once: who waits for the file never reads half of it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
            "formatter": "json",
        }
    },
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {
        "tongqiao": {"level": "INFO"},
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"level": "ERROR", "handlers": [], "propagate": False},
    },
}
