"""The Flask application: composes guard, problems, routes and documentation."""

import logging
import time
from importlib.metadata import version
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from api.console.site import add_console
from api.server.auth import guard, is_public_address
from api.server.config import ServerConfig
from api.server.metrics import Metrics, shown_method
from api.server.problems import (
    CONTENT_TYPE,
    answer_unlogged,
    handle_problems,
    on_http_exception,
)
from api.server.routes import BLUEPRINTS
from api.server.routes.blueprints import COUNT, EPOCH, ID
from api.server.schemas.answers import ProblemSchema
from api.server.schemas.fields import ID_PATTERN
from api.server.services.installation import Clock, Installation, open_installation, utc_now

_LOG = logging.getLogger("tongqiao.server")

_SIGNATURE_SCHEME = {
    "type": "http",
    "scheme": "signature",
    "description": "RFC 9421 HTTP message signatures with Ed25519; see docs/http-api.md.",
}

_SESSION_SCHEME = {
    "type": "apiKey",
    "in": "cookie",
    "name": "__Host-tongqiao",
    "description": "A person who logged in; changes also need the header `X-CSRF-Token`.",
}


def create_app(
    config: ServerConfig, *, clock: Clock = utc_now, behind_proxy: bool = False
) -> Flask:
    """Make the application of a server whose folder is there and up to date.

    Args:
        config: the server's settings.
        clock: the time; tests give another.
        behind_proxy: whether the address before the last in ``X-Forwarded-For`` is the caller's.

    Raises:
        ConfigError: the database is of another version, or files for the OpenID provider are
            missing.
    """
    return make_app(open_installation(config, clock), behind_proxy=behind_proxy)


def make_app(installation: Installation, *, behind_proxy: bool = False) -> Flask:
    """Make the application of a server that is open already.

    Raises:
        ConfigError: files for the OpenID provider are missing.
    """
    app = make_unbound_app(behind_proxy=behind_proxy)
    bind_installation(app, installation)
    return app


def bind_installation(app: Flask, installation: Installation) -> None:
    """Let an application answer for this installation, and for no other from now on.

    Raises:
        ConfigError: files for the OpenID provider are missing.
    """
    if installation.provider is not None:
        installation.provider.check_files()
    app.extensions["tongqiao"] = installation
    app.extensions["tongqiao-metrics"] = Metrics(installation)


def make_unbound_app(*, behind_proxy: bool = False) -> Flask:
    """Make the application with all its addresses, which has no installation to answer for yet."""
    app = Flask("tongqiao", static_folder=None, static_url_path="/static")
    app.config.update(
        API_TITLE="Tongqiao",
        API_VERSION=version("tongqiao"),
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={"security": [{"signature": []}, {"session": []}]},
        PROVIDE_AUTOMATIC_OPTIONS=False,
        PROPAGATE_EXCEPTIONS=False,
    )
    app.config["TONGQIAO_BEHIND_PROXY"] = behind_proxy
    app.url_map.merge_slashes = False
    app.url_map.converters[ID] = IdConverter
    app.url_map.converters[EPOCH] = EpochConverter
    app.url_map.converters[COUNT] = CountConverter
    app.before_request(_start_timer)
    guard(app)
    app.after_request(_finish)
    app.after_request(_hold_back_unlogged)
    handle_problems(app)
    api = ProblemApi(app)
    api.spec.components.security_scheme("signature", _SIGNATURE_SCHEME)
    api.spec.components.security_scheme("session", _SESSION_SCHEME)
    api.register_converter(IdConverter, _document_id)
    api.register_converter(EpochConverter, _document_epoch)
    api.register_converter(CountConverter, _document_count)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    add_console(app)
    if behind_proxy:
        # The caller's address alone: host and scheme are what the caller signed.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app


class IdConverter(BaseConverter):
    """An id in an address; anything else is no address."""

    regex = ID_PATTERN


class EpochConverter(BaseConverter):
    """An epoch in an address: a whole number from 1, in its only spelling."""

    regex = "[1-9][0-9]{0,5}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)


class CountConverter(EpochConverter):
    """A place or a size in the log in an address: a whole number from 0, in its only spelling."""

    regex = "0|[1-9][0-9]{0,9}"


class ProblemApi(Api):  # type: ignore[misc]
    """The API's documentation, whose errors are problem details."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = "Problem"

    def _register_responses(self) -> None:
        # The library documents errors under its general content type; ours have their own.
        self.DEFAULT_RESPONSE_CONTENT_TYPE = CONTENT_TYPE
        try:
            super()._register_responses()
            self.spec.components.response(
                self.DEFAULT_ERROR_RESPONSE_NAME,
                {
                    "description": "What went wrong and what to do (RFC 9457)",
                    "content": {CONTENT_TYPE: {"schema": self.ERROR_SCHEMA}},
                },
                lazy=True,
            )
        finally:
            del self.DEFAULT_RESPONSE_CONTENT_TYPE

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Problem details instead of this library's own form of errors."""
        return on_http_exception(error)


def _document_id(_converter: BaseConverter) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{ID_PATTERN}$"}


def _document_epoch(_converter: BaseConverter) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": 999_999}


def _document_count(_converter: BaseConverter) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": 9_999_999_999}


def _start_timer() -> None:
    g.started = time.perf_counter()


def _hold_back_unlogged(response: Response) -> Response:
    """What is not logged does not happen: no answer leaves that has no entry in the access log.

    A second lock behind the services' own: it also catches an endpoint that asks the database past
    them. An answer that says that the log cannot be written is let through.
    """
    rule = request.url_rule
    if rule is None or response.status_code == 503:
        return response
    if is_public_address(request.method, rule.rule) and g.get("access") is None:
        return response
    if response.status_code == 303 and g.get("switched_language"):
        return response  # the same address again, in another language: nothing was read
    caller = g.get("caller")
    if caller is not None and (caller.trace.n_entries > 0 or caller.trace.is_own_progress):
        return response
    return answer_unlogged()


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    caller = g.get("caller")
    started = g.get("started")
    # The rule, not the address: an address could hold what a log must not.
    route = None if request.url_rule is None else request.url_rule.rule
    seconds = None if started is None else time.perf_counter() - started
    metrics: Metrics = current_app.extensions["tongqiao-metrics"]
    method = shown_method(request.method)
    metrics.observe(method, route, response.status_code, seconds)
    _LOG.info(
        "request",
        extra={
            "request": g.get("request_id"),
            "method": method,
            "route": route,
            "status": response.status_code,
            "duration_ms": None if seconds is None else round(1000 * seconds, 1),
            "role": None if caller is None else caller.role,
        },
    )
    return response
