"""Refusals as RFC 9457 problem details, each with its entry in the access log."""

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from api.audit.events import Action, is_loggable_id
from api.server.auth import Access, caller, installation
from api.server.refusals import PROBLEMS, RefusalError
from api.server.services.access import record_refusal
from api.server.services.database import is_busy

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:tongqiao:problem:"
INSTANCE_PREFIX = "urn:tongqiao:request:"

_LOG = logging.getLogger("tongqiao.server")
_SLUGS = {400: "invalid", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
_MAX_DETAIL_CHARACTERS = 800


def handle_problems(app: Flask) -> None:
    """Answer every refusal and failure of an app with problem details."""
    app.register_error_handler(RefusalError, _on_refusal)
    app.register_error_handler(DBAPIError, _on_database_error)
    app.register_error_handler(PoolTimeoutError, _on_database_error)
    app.register_error_handler(Exception, _on_failure)


def on_http_exception(error: HTTPException) -> Response:
    """What Flask, Werkzeug or webargs refuse by themselves; their headers are kept (``Allow``)."""
    messages = getattr(error, "data", {}).get("messages")
    if messages is not None:
        refusal = RefusalError("invalid", _describe(messages), errors=_plain(messages))
    else:
        slug = _SLUGS.get(error.code or 500, "invalid" if (error.code or 500) < 500 else "internal")
        refusal = RefusalError(slug, _HTTP_DETAILS.get(slug, error.name + "."))
    answer = _on_refusal(refusal)
    allow = getattr(error, "valid_methods", None)
    if allow is not None:
        answer.headers["Allow"] = ", ".join(sorted(allow))
    return answer


_HTTP_DETAILS = {
    "not-found": "There is no such address. See `GET /openapi.json`.",
    "method-not-allowed": "This address does not take this method. See the header `Allow`.",
    "invalid": "The request is not well formed HTTP. Update the program.",
}


def _on_refusal(refusal: RefusalError) -> Response:
    try:
        _record(refusal, failed=False)
    except Exception as error:
        _log_failure(error)
        return _answer(_unavailable())
    return _answer(refusal)


def _on_database_error(error: DBAPIError | PoolTimeoutError) -> Response:
    if isinstance(error, DBAPIError) and not is_busy(error):
        return _on_failure(error)
    _log_failure(error)
    return _answer(_unavailable())


def _on_failure(error: Exception) -> Response:
    _log_failure(error)
    if isinstance(error, OSError):
        # A full disk, or a connection that broke while the body was read.
        refusal = _unavailable()
    else:
        refusal = RefusalError(
            "internal",
            "The server failed; nothing was changed. Try again, and if it fails again tell the "
            "linkage operator the number of this request.",
        )
    try:
        _record(refusal, failed=True)
    except Exception as second:
        _log_failure(second)
    return _answer(refusal)


PageOfRefusal = Callable[[RefusalError, int], Response | None]
"""Shows a refusal with its status to a person; ``None`` where a program asked."""

PAGE_OF_REFUSAL: Final = "tongqiao_page_of_refusal"


def show_on_page(refusal: RefusalError, status: int) -> Response | None:
    """A refusal as a page, where the application has pages and a person asked for one."""
    show: PageOfRefusal | None = current_app.extensions.get(PAGE_OF_REFUSAL)
    return None if show is None else show(refusal, status)


def answer_unlogged() -> Response:
    """Instead of an answer that left no entry in the access log: a fault of the program."""
    return _on_failure(UnloggedAnswerError())


class UnloggedAnswerError(Exception):
    """An endpoint answered without an entry in the access log."""


def _unavailable() -> RefusalError:
    return RefusalError(
        "unavailable",
        "The server cannot do this now; nothing was changed. Try again in a minute, and if it "
        "fails again tell the linkage operator.",
    )


def _record(refusal: RefusalError, *, failed: bool) -> None:
    access: Access | None = g.get("access")
    if access is None and request.endpoint is None:
        # No such address, so no project's data: strangers may not fill the log with it.
        return
    given: Mapping[str, Any] = request.view_args or {}
    details: dict[str, str | int | None] = dict(refusal.details)
    for name in ("office", "member_id"):
        if name in given:
            details.setdefault(name.removesuffix("_id"), _loggable(given[name]))
    action = refusal.action or (None if access is None else access.action)
    if action in (None, Action.REQUEST_REFUSED):
        action = Action.REQUEST_FAIL if failed else Action.REQUEST_REFUSED
    record_refusal(
        installation(),
        caller(),
        action or Action.REQUEST_REFUSED,
        refusal.slug,
        failed=failed,
        project=refusal.project or _loggable(given.get("project_id")),
        round_id=refusal.round_id or _loggable(given.get("round_id")),
        details=details,
    )


def _loggable(value: Any) -> str | None:
    return value if isinstance(value, str) and is_loggable_id(value) else None


def record_refused(refusal: RefusalError) -> None:
    """Log a refusal that a page shows itself."""
    _record(refusal, failed=False)


def _answer(refusal: RefusalError) -> Response:
    problem = PROBLEMS[refusal.slug]
    shown = show_on_page(refusal, problem.status)
    if shown is not None:
        return shown
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + refusal.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": refusal.detail,
        "instance": INSTANCE_PREFIX + str(g.request_id),
    }
    if refusal.errors is not None:
        body["errors"] = refusal.errors
    answer = Response(
        # In ASCII: a field's name from the request may hold half a character.
        json.dumps(body),
        status=problem.status,
        content_type=CONTENT_TYPE,
    )
    if problem.status == 401:
        answer.headers["WWW-Authenticate"] = 'Signature realm="tongqiao"'
    if problem.status == 503:
        answer.headers["Retry-After"] = "30"
    return answer


def _log_failure(error: Exception) -> None:
    # Frames only: the text of an error that nobody expected may hold anything.
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    _LOG.error(
        "request failed",
        extra={"request": g.request_id, "error": type(error).__name__, "frames": frames},
    )


def _plain(messages: Any) -> Mapping[str, object]:
    """Messages of the validation without the place they came from (``json``, ``query``)."""
    if isinstance(messages, dict) and len(messages) == 1:
        inner = next(iter(messages.values()))
        if isinstance(inner, dict):
            return {str(key): value for key, value in inner.items()}
    return {"body": messages}


def _describe(messages: Any) -> str:
    """The first messages as one sentence each, field by field."""
    lines: list[str] = []

    def walk(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*path, str(key)))
        else:
            for message in value if isinstance(value, list) else [value]:
                place = ".".join(part for part in path if part != "_schema")
                lines.append(f"{place}: {message}" if place else str(message))

    walk(_plain(messages), ())
    text = " ".join(line.rstrip(".") + "." for line in lines[:8])
    return text[:_MAX_DETAIL_CHARACTERS]
