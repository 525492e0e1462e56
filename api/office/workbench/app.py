"""The workbench's application."""

import secrets
from pathlib import Path
from typing import Any

from flask import Flask, Request
from flask_babel import lazy_gettext

from api.office.workbench.desk import Desk
from api.office.workbench.guard import guard_workbench
from api.office.workbench.pages_of_overview import overview
from api.office.workbench.pages_of_register import register_pages
from api.office.workbench.pages_of_rounds import round_pages
from api.pages.site import Place, dress

MAX_FILE_BYTES = 4 << 30

_PLACES = (
    Place("overview.show", lazy_gettext("Overview"), "house", "overview"),
    Place("register.show", lazy_gettext("My list"), "table", "register"),
    Place("rounds.list_rounds", lazy_gettext("Rounds"), "arrow-repeat", "rounds"),
)


def create_workbench(desk: Desk, key: str) -> Flask:
    """Make the application of one desk.

    Args:
        key: what the browser must bring, see :mod:`api.office.workbench.guard`.
    """
    app = Flask(
        __name__, static_folder=None, static_url_path="/static", template_folder="templates"
    )
    app.config.update(
        # A new one for each start: earlier sessions end.
        SECRET_KEY=secrets.token_bytes(32),
        # Cookies do not know of ports: a name of its own keeps other local programs' sessions.
        SESSION_COOKIE_NAME="tongqiao_workbench",
        MAX_CONTENT_LENGTH=MAX_FILE_BYTES,
        MAX_FORM_MEMORY_SIZE=1 << 20,
    )
    app.extensions["workbench"] = desk
    app.request_class = _private_requests(desk.folder.root)
    guard_workbench(app, key)
    dress(app, title=lazy_gettext("Office workbench"), places=_PLACES)
    for blueprint in (overview, register_pages, round_pages):
        app.register_blueprint(blueprint)
    app.context_processor(lambda: {"office": desk.rounds.office if desk.rounds else None})
    return app


def _private_requests(folder: Path) -> type[Request]:
    class PrivateRequest(Request):
        """Keeps files that are dropped inside the workbench's folder, never in a shared one."""

        def _get_file_stream(self, *_arguments: Any, **_more: Any) -> Any:
            import tempfile

            return tempfile.NamedTemporaryFile("wb+", dir=folder, prefix=".dropped-")

    return PrivateRequest
