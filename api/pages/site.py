"""Gives a Flask application the common layout, languages, headers and error pages."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from flask import Blueprint, Flask, render_template
from flask_babel import lazy_gettext as _l
from flask_bootstrap import Bootstrap5
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from api.pages.charts import add_charts
from api.pages.flow_chart import flow_chart
from api.pages.headers import add_headers
from api.pages.languages import speak_both

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation: where it leads, what it says, which icon it has.

    Attributes:
        endpoint: of the page.
        label: lazily translated.
        icon: name of a Bootstrap icon.
        section: pages whose blueprint or endpoint begins with it (with one of them) mark the
            entry as current.
    """

    endpoint: str
    label: object
    icon: str
    section: str | tuple[str, ...]


def dress(app: Flask, *, title: object, places: tuple[Place, ...]) -> None:
    """Dress an application that is pages only, and has a secret key: layout, headers, errors.

    Args:
        title: of the whole site, lazily translated.
        places: the navigation.
    """
    app.config.update(
        # A page may be open for a working day; a token lives as long as its session.
        WTF_CSRF_TIME_LIMIT=None,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
    )
    CSRFProtect(app)
    add_layout(app, title=title, places=lambda: places)
    app.after_request(add_headers)
    app.register_error_handler(CSRFError, _on_forged)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_fault)


def add_layout(
    app: Flask, *, title: object, places: Callable[[], tuple[Place, ...]], prefix: str = "/"
) -> None:
    """Add what templates need; headers, errors and form tokens are the application's own.

    Args:
        title: of the whole site, lazily translated.
        places: gives the navigation for the reader of this answer.
        prefix: pages lie below it.
    """
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    Bootstrap5(app)
    speak_both(app, str(_FOLDER / "translations"), prefix)
    add_charts(app)
    app.jinja_env.globals["flow_chart"] = flow_chart
    app.register_blueprint(
        Blueprint(
            "pages",
            __name__,
            template_folder="templates",
            static_folder="static/pages",
            static_url_path="/pages",
        )
    )
    app.context_processor(lambda: {"site_title": title, "places": places()})


_ADVICE = {
    400: _l("The page sent something that was not understood. Go back and try again."),
    403: _l("You may not see this page. Log in as somebody who may."),
    404: _l("There is no such page. Perhaps the link is old; begin at the overview."),
    405: _l("This address cannot be used this way. Go back and use the button on the page."),
    413: _l("The file is too large. Send a smaller part of it."),
}


def _on_forged(_error: CSRFError) -> tuple[str, int]:
    return _error_page(
        400, _l("The page was open for too long, or was not ours. Load it again and repeat.")
    )


def _on_http_error(error: HTTPException) -> tuple[str, int]:
    status = error.code or 500
    return _error_page(status, _ADVICE.get(status, _ADVICE[400]))


def _on_fault(error: Exception) -> tuple[str, int]:
    from flask import current_app

    # Type and place alone: the text of an error may hold what a log must not.
    place = extract_tb(error.__traceback__)[-1]
    current_app.logger.error(
        "a page failed: %s at %s:%s", type(error).__name__, Path(place.filename).name, place.lineno
    )
    if current_app.config.get("PROPAGATE_EXCEPTIONS"):
        raise error
    return _error_page(
        500,
        _l("Something in this program failed. Try again, then tell the technician."),
    )


def _error_page(status: int, advice: object) -> tuple[str, int]:
    return render_template("pages/error.html", status=status, advice=advice), status
