"""Chinese first, English beside it; the reader switches in place, and a cookie remembers."""

from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, current_app, g, redirect, request
from flask_babel import Babel, format_date, format_datetime, format_decimal, format_percent
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from api.pages.role_names import role_name

LANGUAGES = {"zh": "中文", "en": "English"}
"""Code -> the language's own name, in the order of the switch."""

LOCAL_TIME = "Asia/Shanghai"

_COOKIE = "language"
_COOKIE_AGE_S = 365 * 24 * 3600
_PARAMETER = "language"


def current_language() -> str:
    """Code of the language of this answer: the cookie's, else Chinese."""
    chosen = request.cookies.get(_COOKIE, "")
    return chosen if chosen in LANGUAGES else next(iter(LANGUAGES))


def speak_both(app: Flask, translations: str, prefix: str = "/") -> None:
    """Translate the application's strings (``_`` in templates), and show dates in local time.

    Args:
        translations: folder with the catalogue.
        prefix: pages lie below it; other addresses know no language.
    """
    Babel(
        app,
        default_locale="zh",
        default_timezone=LOCAL_TIME,
        default_translation_directories=translations,
        locale_selector=current_language,
    )
    app.before_request(lambda: _switch() if request.path.startswith(prefix) else None)
    app.add_template_filter(_number, "number")
    app.add_template_filter(_percent, "percent")
    app.add_template_filter(_moment, "moment")
    app.add_template_filter(_second, "second")
    app.add_template_filter(_epoch, "epoch")
    app.add_template_filter(_day, "day")
    app.add_template_filter(role_name)
    app.context_processor(
        lambda: {
            "language": current_language(),
            "languages": LANGUAGES,
            "in_language": _in_language,
        }
    )


def _switch() -> AnyResponse | None:
    """``?language=en`` on any page: remember it and show the same page."""
    chosen = request.args.get(_PARAMETER)
    if request.method != "GET" or chosen not in LANGUAGES:
        return None
    arguments = request.args.to_dict(flat=False)
    del arguments[_PARAMETER]
    g.switched_language = True
    answer: Response | AnyResponse = redirect(_address(arguments, request.path), 303)
    answer.set_cookie(
        _COOKIE, chosen, max_age=_COOKIE_AGE_S, httponly=True, samesite="Strict",
        secure=request.is_secure,
    )  # fmt: skip
    return answer


def _in_language(code: str) -> str:
    """Address of this page in another language; of the page with the form, where one was sent."""
    arguments = request.args.to_dict(flat=False)
    arguments[_PARAMETER] = [code]
    return _address(arguments, request.path if request.method == "GET" else _page_of_form())


def _page_of_form() -> str:
    """The nearest address above that of a form which can be asked for as a page.

    A form may go to an address that only takes forms (``/console/rounds/R/steps``): its page is
    the one it is about (``/console/rounds/R``).
    """
    parts = request.path.strip("/").split("/")
    while parts:
        path = "/" + "/".join(parts)
        for found in (path, f"{path}/"):
            if _is_page(found):
                return found
        parts.pop()
    return "/"


def _is_page(path: str) -> bool:
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return False
    try:
        adapter.match(path, method="GET")
    except HTTPException:
        return False
    return True


def _address(arguments: dict[str, list[str]], path: str) -> str:
    from urllib.parse import urlencode

    query = urlencode(arguments, doseq=True)
    # The path alone: neither host nor scheme can come from what was asked for. Two leading
    # slashes would name a host.
    path = "/" + path.lstrip("/")
    return f"{path}?{query}" if query else path


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"  # the same in both languages, and quicker for tables of a thousand
    return "–" if value is None else str(format_decimal(value))


def _percent(share: float | None, digits: int = 1) -> str:
    if share is None:
        return "–"
    return str(format_percent(share, "#,##0" + ("." + "0" * digits if digits else "") + "%"))


def _moment(value: Any) -> str:
    """A time (``datetime``, or RFC 3339 text) in local time, to the minute."""
    when = _parsed(value)
    return "–" if when is None else str(format_datetime(when, "yyyy-MM-dd HH:mm"))


def _second(value: Any) -> str:
    """A time in local time, to the second."""
    when = _parsed(value)
    return "–" if when is None else str(format_datetime(when, "yyyy-MM-dd HH:mm:ss"))


def _epoch(seconds: int) -> str:
    """A time given as seconds since 1970, in local time, to the minute."""
    return _moment(datetime.fromtimestamp(seconds, UTC))


def _day(value: Any) -> str:
    when = _parsed(value)
    return "–" if when is None else str(format_date(when, "yyyy-MM-dd"))


def _parsed(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
