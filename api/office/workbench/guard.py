"""Who may open the workbench's pages: this browser on this machine, and nobody else.

- The server listens on 127.0.0.1 only.
- Each start makes a key; the address that the command prints holds it once, and a cookie keeps it
  afterwards.  Another account of the same machine can reach the port but has no key.
- The ``Host`` must be 127.0.0.1 or localhost: a page from elsewhere whose name was made to resolve
  to 127.0.0.1 (DNS rebinding) is refused.
- Forms carry a token (Flask-WTF); cookies are ``SameSite=Strict``.
"""

import hashlib
import hmac
import secrets

from flask import Flask, Response, abort, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

KEY_PARAMETER = "key"
_OPENED = "opened"


def guard_workbench(app: Flask, key: str) -> None:
    """Refuse every request that does not come with the key, or to another name."""
    mark = hashlib.sha256(key.encode()).hexdigest()

    def check() -> AnyResponse | None:
        host = request.host.rsplit(":", 1)[0] if ":" in request.host else request.host
        if host not in ("127.0.0.1", "localhost"):
            abort(403)
        given = request.args.get(KEY_PARAMETER)
        if given is not None and request.method == "GET":
            if not hmac.compare_digest(given.encode(), key.encode()):
                abort(403)
            session.clear()
            session[_OPENED] = mark
            # Show the page without the key in its address.
            answer: Response | AnyResponse = redirect(url_for("overview.show"), 303)
            return answer
        if request.endpoint in ("pages.static", "bootstrap.static"):
            return None
        if not hmac.compare_digest(str(session.get(_OPENED, "")), mark):
            abort(403)
        return None

    app.before_request(check)


def new_key() -> str:
    """A key for one start of the workbench: 128 bits."""
    return secrets.token_urlsafe(16)
